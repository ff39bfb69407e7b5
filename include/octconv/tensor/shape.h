// SPDX-License-Identifier: Apache-2.0
// A short list of extents that lives on the stack: tensor shapes, kernels, strides, paddings.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "octconv/base/api.h"

namespace octconv {

/// Up to 8 extents, outermost first. Copying allocates nothing.
class OCTCONV_API Shape {
 public:
  /// The most extents that a shape can have.
  static constexpr std::size_t kMaxRank = 8;

  /// Rank 0.
  Shape() = default;
  /// @throws InvalidArgument for more than 8 extents
  /// @{
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);
  /// @}
  /// `rank` times the same extent.
  [[nodiscard]] static Shape filled(std::size_t rank, std::int64_t extent);

  /// How many extents there are.
  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  /// Whether the rank is 0.
  [[nodiscard]] bool empty() const noexcept { return rank_ == 0; }
  /// An extent. Requires axis < rank().
  /// @{
  [[nodiscard]] std::int64_t operator[](std::size_t axis) const noexcept { return extents_[axis]; }
  [[nodiscard]] std::int64_t& operator[](std::size_t axis) noexcept { return extents_[axis]; }
  /// @}
  /// The extents as a range.
  /// @{
  [[nodiscard]] const std::int64_t* begin() const noexcept { return extents_.data(); }
  [[nodiscard]] const std::int64_t* end() const noexcept { return extents_.data() + rank_; }
  /// @}
  /// @throws InvalidArgument for a ninth extent
  void push_back(std::int64_t extent);

  /// Product of the extents; 1 for rank 0.
  /// @throws InvalidArgument if an extent is negative or the product does not fit in 63 bits
  [[nodiscard]] std::int64_t elements() const;
  /// "[1, 3, 224, 224]".
  [[nodiscard]] std::string to_string() const;

  /// Whether rank and extents are the same.
  friend bool operator==(const Shape& a, const Shape& b) noexcept {
    return a.rank_ == b.rank_ && std::equal(a.begin(), a.end(), b.begin());
  }

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  std::size_t rank_ = 0;
};

}  // namespace octconv
