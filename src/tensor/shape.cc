// SPDX-License-Identifier: Apache-2.0
#include "octconv/tensor/shape.h"

#include "octconv/base/error.h"

namespace octconv {

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) {
  for (const std::int64_t extent : extents) push_back(extent);
}

Shape Shape::filled(std::size_t rank, std::int64_t extent) {
  Shape shape;
  for (std::size_t axis = 0; axis < rank; ++axis) shape.push_back(extent);
  return shape;
}

void Shape::push_back(std::int64_t extent) {
  if (rank_ == kMaxRank) {
    throw InvalidArgument("shape: at most " + std::to_string(kMaxRank) + " extents are supported");
  }
  extents_[rank_++] = extent;
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : *this) {
    if (extent < 0 || __builtin_mul_overflow(product, extent, &product)) {
      throw InvalidArgument("shape " + to_string() + " has a negative extent or too many elements");
    }
  }
  return product;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (std::size_t axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(extents_[axis]);
  }
  return text + "]";
}

}  // namespace octconv
