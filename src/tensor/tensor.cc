// SPDX-License-Identifier: Apache-2.0
#include "octconv/tensor/tensor.h"

#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "octconv/base/error.h"

namespace octconv {
namespace {

constexpr std::align_val_t kAlignment{64};  // one cache line, one AVX-512 vector

}  // namespace

void Tensor::Free::operator()(float* data) const noexcept {
  ::operator delete[](data, kAlignment);
}

Tensor::Tensor(Shape shape) : shape_(shape), elements_(shape.elements()) {
  if (elements_ > std::numeric_limits<std::int64_t>::max() / 8) {
    throw InvalidArgument("tensor: shape " + shape.to_string() + " has too many elements");
  }
  const auto count = static_cast<std::size_t>(elements_);
  data_.reset(static_cast<float*>(::operator new[](count * sizeof(float), kAlignment)));
  std::fill_n(data_.get(), count, 0.0F);
}

Tensor Tensor::clone() const {
  Tensor copy(shape_);
  std::copy_n(data(), elements_, copy.data());
  return copy;
}

Tensor Tensor::reshaped(Shape shape) && {
  if (shape.elements() != elements_) {
    throw InvalidArgument("tensor: shape " + shape_.to_string() + " cannot become " +
                          shape.to_string());
  }
  shape_ = shape;
  return std::move(*this);
}

}  // namespace octconv
