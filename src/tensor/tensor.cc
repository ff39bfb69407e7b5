// SPDX-License-Identifier: Apache-2.0
#include "octconv/tensor/tensor.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include <sys/mman.h>

#include "octconv/base/error.h"

namespace octconv {
namespace {

constexpr std::size_t kAlignment = 64;  // one cache line, one AVX-512 vector
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Large tensors are asked for in huge pages: walks over many small ones miss the processor's table
// of pages, which costs an inference a few percent. What does not fill a huge page stays in small
// ones, so that no memory is wasted.
void ask_for_huge_pages([[maybe_unused]] float* data, [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef MADV_HUGEPAGE
  madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // may be refused: only a wish
#endif
}

// On a boundary of kAlignment or kHugePage; in huge pages if the latter.
float* allocate(std::size_t count, std::size_t alignment) {
  const std::size_t bytes = count * sizeof(float);
  auto* data = static_cast<float*>(::operator new[](bytes, std::align_val_t{alignment}));
  if (alignment == kHugePage) ask_for_huge_pages(data, bytes);
  return data;
}

}  // namespace

void Tensor::Free::operator()(float* data) const noexcept {
  if (owner == nullptr) ::operator delete[](data, std::align_val_t{alignment});
}

Tensor::Tensor(Shape shape) : Tensor(shape, nullptr) {}

Tensor::Tensor(Shape shape, TensorPool* pool) : shape_(shape), elements_(shape.elements()) {
  if (elements_ > std::numeric_limits<std::int64_t>::max() / 8) {
    throw InvalidArgument("tensor: shape " + shape.to_string() + " has too many elements");
  }
  const auto count = static_cast<std::size_t>(elements_);
  if (pool == nullptr) {
    const std::size_t alignment = count * sizeof(float) < kHugePage ? kAlignment : kHugePage;
    data_ = {allocate(count, alignment), Free{alignment, nullptr}};
  } else {
    auto [data, owner] = pool->take(count);
    data_ = {data, Free{kAlignment, std::move(owner)}};
  }
  std::fill_n(data_.get(), count, 0.0F);
}

Tensor Tensor::clone() const {
  Tensor copy(shape_);
  std::copy_n(data(), elements_, copy.data());
  return copy;
}

std::pair<float*, std::shared_ptr<const void>> TensorPool::take(std::size_t count) {
  constexpr std::size_t kPiece = (std::size_t{16} << 20) / sizeof(float);
  constexpr std::size_t kLine = kAlignment / sizeof(float);
  const std::size_t rounded = (count + kLine - 1) / kLine * kLine;
  if (rounded > size_ - used_) {
    size_ = std::max(rounded, kPiece);
    used_ = 0;
    piece_ = {allocate(size_, kHugePage),
              [](float* data) { ::operator delete[](data, std::align_val_t{kHugePage}); }};
  }
  float* data = piece_.get() + used_;
  used_ += rounded;
  return {data, piece_};
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
