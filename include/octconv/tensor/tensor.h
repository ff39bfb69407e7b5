// SPDX-License-Identifier: Apache-2.0
// A tensor that owns its memory: contiguous float32, last axis fastest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "octconv/base/api.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// Contiguous float32 values on a 64-byte boundary. Move-only: a copy is a call of `clone()`.
class OCTCONV_API Tensor {
 public:
  /// No elements, of shape [0].
  Tensor() = default;
  /// All zero.
  /// @throws InvalidArgument for a negative extent, std::bad_alloc if there is no memory
  explicit Tensor(Shape shape);

  /// A copy.
  [[nodiscard]] Tensor clone() const;
  /// The same elements under another shape.
  /// @throws InvalidArgument if the number of elements differs
  [[nodiscard]] Tensor reshaped(Shape shape) &&;

  /// Extents, outermost first.
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  /// Their product.
  [[nodiscard]] std::int64_t elements() const noexcept { return elements_; }
  /// The first element, on a 64-byte boundary.
  /// @{
  [[nodiscard]] float* data() noexcept { return data_.get(); }
  [[nodiscard]] const float* data() const noexcept { return data_.get(); }
  /// @}
  /// All elements, last axis fastest.
  /// @{
  [[nodiscard]] std::span<float> values() noexcept {
    return {data(), static_cast<std::size_t>(elements_)};
  }
  [[nodiscard]] std::span<const float> values() const noexcept {
    return {data(), static_cast<std::size_t>(elements_)};
  }
  /// @}

 private:
  struct Free {
    std::size_t alignment;  // that the memory was asked for with
    void operator()(float* data) const noexcept;
  };
  Shape shape_{0};
  std::int64_t elements_ = 0;
  std::unique_ptr<float[], Free> data_{nullptr, Free{0}};
};

}  // namespace octconv
