// SPDX-License-Identifier: Apache-2.0
// A tensor that owns its memory: contiguous float32, last axis fastest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "octconv/base/api.h"
#include "octconv/tensor/shape.h"

namespace octconv {

class TensorPool;

/// What a new tensor holds.
enum class Contents {
  kZero,
  kUnwritten,  ///< anything: every element is written before it is read
};

/// Contiguous float32 values on a 64-byte boundary. Move-only: a copy is a call of `clone()`.
class OCTCONV_API Tensor {
 public:
  /// No elements, of shape [0].
  Tensor() = default;
  /// All zero.
  /// @throws InvalidArgument for a negative extent, std::bad_alloc if there is no memory
  explicit Tensor(Shape shape);
  /// The same in memory of a pool; null: in memory of its own.
  Tensor(Shape shape, TensorPool* pool, Contents contents = Contents::kZero);

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
    std::size_t bytes;                  // that were asked for
    std::shared_ptr<const void> owner;  // of the memory, if it is a pool's
    void operator()(float* data) const noexcept;
  };
  Shape shape_{0};
  std::int64_t elements_ = 0;
  std::unique_ptr<float[], Free> data_{nullptr, Free{0, nullptr}};
};

/// Memory for many tensors that live together, in large pieces: small ones side by side lie in huge
/// pages, where the system has them. A piece is freed with the last of its tensors, so a pool may
/// die before them. Not for several threads at once.
class OCTCONV_API TensorPool {
 public:
  /// Of pieces of its own.
  TensorPool() = default;
  /// Begins with a piece of the caller's, on a 64-byte boundary, whatever it holds.
  TensorPool(std::shared_ptr<float[]> piece, std::size_t size) noexcept
      : piece_(std::move(piece)), size_(size), is_zero_(false) {}

  /// Memory for this many floats on a 64-byte boundary, and what keeps it.
  /// @throws std::bad_alloc if there is no memory
  [[nodiscard]] std::pair<float*, std::shared_ptr<const void>> take(
      std::size_t count, Contents contents = Contents::kZero);

 private:
  std::shared_ptr<float[]> piece_;
  std::size_t used_ = 0;  // floats of the piece
  std::size_t size_ = 0;
  bool is_zero_ = true;  // what was not taken of the piece
};

}  // namespace octconv
