// SPDX-License-Identifier: Apache-2.0
// Tensors own aligned, zeroed memory, and are copied only on request.
#include "octconv/tensor/tensor.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv {
namespace {

using testing::Each;
using testing::ElementsAre;

static_assert(!std::is_copy_constructible_v<Tensor> && !std::is_copy_assignable_v<Tensor>);
static_assert(std::is_nothrow_move_constructible_v<Tensor>);

TEST(Tensor, IsZeroOnABoundaryOf64Bytes) {
  for (const std::int64_t count : {1, 7, 16, 1000}) {
    // Memory that was used before is zeroed too.
    {
      Tensor used({count});
      std::fill(used.values().begin(), used.values().end(), 5.0F);
    }
    const Tensor tensor({count});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data()) % 64, 0u);
    EXPECT_EQ(tensor.elements(), count);
    EXPECT_THAT(tensor.values(), Each(0.0F));
  }
}

TEST(Tensor, MadeOfNothingHasNoElements) {
  const Tensor tensor;
  EXPECT_EQ(tensor.shape(), (Shape{0}));
  EXPECT_EQ(tensor.elements(), 0);
  EXPECT_TRUE(tensor.values().empty());
  EXPECT_TRUE(tensor.clone().values().empty());
}

TEST(Tensor, OfRankZeroHasOneElement) {
  EXPECT_EQ(Tensor(Shape{}).elements(), 1);
}

TEST(Tensor, CloneHasItsOwnMemory) {
  Tensor tensor({2, 3});
  std::iota(tensor.values().begin(), tensor.values().end(), 0.0F);
  const Tensor copy = tensor.clone();
  tensor.data()[0] = 9;
  EXPECT_EQ(copy.shape(), (Shape{2, 3}));
  EXPECT_THAT(copy.values(), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(Tensor, ReshapedKeepsItsElementsInPlace) {
  Tensor tensor({2, 3});
  std::iota(tensor.values().begin(), tensor.values().end(), 0.0F);
  const float* const data = tensor.data();
  const Tensor reshaped = std::move(tensor).reshaped({3, 1, 2});
  EXPECT_EQ(reshaped.data(), data);
  EXPECT_EQ(reshaped.shape(), (Shape{3, 1, 2}));
  EXPECT_THAT(reshaped.values(), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(Tensor, RefusesAShapeOfAnotherSize) {
  EXPECT_THAT(
      [] {
        static_cast<void>(Tensor({2, 3}).reshaped({7}));
      },
      testing::ThrowsMessage<InvalidArgument>(
          testing::AllOf(testing::HasSubstr("[2, 3]"), testing::HasSubstr("[7]"))));
}

TEST(Tensor, RefusesShapesThatNoMemoryHolds) {
  EXPECT_THROW(Tensor({-1}), InvalidArgument);
  EXPECT_THROW(Tensor({std::int64_t{1} << 32, std::int64_t{1} << 32}), InvalidArgument);
  // 2^62 elements can be counted, but not their bytes.
  EXPECT_THROW(Tensor({std::int64_t{1} << 62}), InvalidArgument);
}

TEST(TensorPool, GivesMemoryThatOutlivesIt) {
  std::vector<Tensor> tensors;
  {
    TensorPool pool;
    // The last needs a piece of its own.
    for (const std::int64_t elements : {0, 1, 100, 17, 5'000'000}) {
      tensors.emplace_back(Shape{elements}, &pool);
    }
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    for (const float value : tensors[i].values()) ASSERT_EQ(value, 0);
    std::fill(tensors[i].values().begin(), tensors[i].values().end(), static_cast<float>(i + 1));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensors[i].data()) % 64, 0U);
  }
  tensors.erase(tensors.begin() + 1);
  for (const float value : tensors[1].values()) ASSERT_EQ(value, 3);
  for (const float value : tensors[2].values()) ASSERT_EQ(value, 4);
  for (const float value : tensors[3].values()) ASSERT_EQ(value, 5);
}

TEST(TensorPool, ClearsThePieceOfTheCallerWhereThatIsWanted) {
  constexpr std::size_t kSize = 64;
  const std::shared_ptr<float[]> piece(new (std::align_val_t{64}) float[kSize], [](float* data) {
    ::operator delete[](data, std::align_val_t{64});
  });
  std::fill_n(piece.get(), kSize, 7.0F);
  TensorPool pool(piece, kSize);
  const Tensor unwritten(Shape{20}, &pool, Contents::kUnwritten);
  const Tensor zero(Shape{20}, &pool);
  const Tensor beyond(Shape{20}, &pool);
  for (const float value : unwritten.values()) EXPECT_EQ(value, 7);
  for (const Tensor* tensor : {&zero, &beyond}) {
    for (const float value : tensor->values()) EXPECT_EQ(value, 0);
  }
  EXPECT_EQ(zero.data(), piece.get() + 32);
}

}  // namespace
}  // namespace octconv
