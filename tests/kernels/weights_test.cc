// SPDX-License-Identifier: Apache-2.0
// Packed and transformed weights, element by element.
#include "kernels/weights.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/conv_tile.h"
#include "support/random_values.h"
#include "support/targets.h"

namespace octconv::kernels {
namespace {

constexpr float kUntouched = -7;

// Weights in some order of memory.
class Case {
 public:
  // As a convolution's own, [row][column][tap], or as its adjoint's: [column][row][tap], the taps
  // the other way round.
  Case(std::int64_t rows, std::int64_t columns, std::int64_t taps, bool adjoint, Random& random)
      : values_(octconv::testing::random_values(rows * columns * taps, random)) {
    weights_ = {.first = values_.data() + (adjoint ? taps - 1 : 0),
                .rows = rows,
                .columns = columns,
                .taps = taps,
                .row_step = adjoint ? taps : columns * taps,
                .column_step = adjoint ? rows * taps : taps,
                .tap_step = adjoint ? -1 : 1,
                .factor = adjoint ? 0.25F : 1.0F};
    const std::int64_t lanes = conv_kernel().lanes;
    whole_ = (rows + lanes - 1) / lanes * lanes;
  }

  [[nodiscard]] const Weights& weights() const { return weights_; }
  // Of the rows in whole vectors.
  [[nodiscard]] std::int64_t whole() const { return whole_; }

  [[nodiscard]] float at(std::int64_t row, std::int64_t column, std::int64_t tap) const {
    return weights_.first[row * weights_.row_step + column * weights_.column_step +
                          tap * weights_.tap_step] *
           weights_.factor;
  }

 private:
  std::vector<float> values_;
  Weights weights_;
  std::int64_t whole_;
};

// Memory for so many planes, with room beside the rows and behind the columns.
struct Room {
  Room(const Case& weights, std::int64_t planes)
      : width(weights.whole() + 3), plane(weights.weights().columns * width + 5) {
    values.assign(static_cast<std::size_t>(planes * plane), kUntouched);
  }

  PackedWeights to() { return {.out = values.data(), .width = width, .plane = plane}; }
  [[nodiscard]] float at(std::int64_t p, std::int64_t column, std::int64_t row) const {
    return values[static_cast<std::size_t>(p * plane + column * width + row)];
  }
  // Zeros beyond the rows, and nothing else.
  void check_rest(const Case& weights, std::int64_t planes) const {
    for (std::int64_t p = 0; p < planes; ++p) {
      for (std::int64_t i = 0; i < plane; ++i) {
        const std::int64_t column = i / width;
        const std::int64_t row = i % width;
        if (column < weights.weights().columns && row < weights.weights().rows) continue;
        const bool padding = column < weights.weights().columns && row < weights.whole();
        ASSERT_EQ(values[static_cast<std::size_t>(p * plane + i)], padding ? 0.0F : kUntouched)
            << "plane " << p << ", column " << column << ", row " << row;
      }
    }
  }

  std::int64_t width;
  std::int64_t plane;
  std::vector<float> values;
};

using WeightsTest = octconv::testing::TargetTest;

TEST_P(WeightsTest, PacksEveryElement) {
  Random random(1);
  for (const std::int64_t rows : {1, 3, 4, 16, 21, 32, 48}) {
    for (const std::int64_t columns : {1, 3, 4, 9, 32}) {
      for (const std::int64_t taps : {1, 2, 9}) {
        for (const bool adjoint : {false, true}) {
          const Case weights(rows, columns, taps, adjoint, random);
          Room room(weights, taps);
          pack_weights(weights.weights(), room.to());
          for (std::int64_t tap = 0; tap < taps; ++tap) {
            for (std::int64_t column = 0; column < columns; ++column) {
              for (std::int64_t row = 0; row < rows; ++row) {
                ASSERT_EQ(room.at(tap, column, row), weights.at(row, column, tap))
                    << rows << " rows, " << columns << " columns, " << taps << " taps"
                    << (adjoint ? ", adjoint" : "") << ", at " << row << ", " << column << ", "
                    << tap;
              }
            }
          }
          room.check_rest(weights, taps);
        }
      }
    }
  }
}

// Lavin and Gray's G: what a filter's polynomial is at each point, over the product of that point's
// distances from the others; and its last tap, at infinity.
std::vector<std::vector<double>> transform_of(std::int64_t outputs) {
  if (outputs == 1) return {{1}};
  std::vector<double> points{0, 1, -1};
  if (outputs == 4) points = {0, 0.75, -0.75, 1.5, -1.5};
  std::vector<std::vector<double>> rows;
  for (const double point : points) {
    double distances = 1;
    for (const double other : points) {
      if (other != point) distances *= point - other;
    }
    // Of tiles of two, the input's transform has the sign of point 0.
    if (outputs == 2) distances = std::abs(distances);
    rows.push_back({1 / distances, point / distances, point * point / distances});
  }
  rows.push_back({0, 0, 1});
  return rows;
}

TEST_P(WeightsTest, TransformsEveryElement) {
  Random random(2);
  for (const WinogradTile tile :
       {WinogradTile{1, 2}, WinogradTile{2, 2}, WinogradTile{1, 4}, WinogradTile{4, 4}}) {
    const std::vector<std::vector<double>> along_y = transform_of(tile.y);
    const std::vector<std::vector<double>> along_x = transform_of(tile.x);
    const std::int64_t taps = tile.y == 1 ? 3 : 9;
    for (const std::int64_t rows : {1, 4, 16, 21, 32}) {
      for (const std::int64_t columns : {1, 5}) {
        for (const bool adjoint : {false, true}) {
          const Case weights(rows, columns, taps, adjoint, random);
          Room room(weights, tile.points());
          transform_weights(tile, weights.weights(), room.to());
          for (std::int64_t point = 0; point < tile.points(); ++point) {
            const std::vector<double>& y =
                along_y[static_cast<std::size_t>(point / WinogradTile::points(tile.x))];
            const std::vector<double>& x =
                along_x[static_cast<std::size_t>(point % WinogradTile::points(tile.x))];
            for (std::int64_t column = 0; column < columns; ++column) {
              for (std::int64_t row = 0; row < rows; ++row) {
                double sum = 0;
                double size = 0;
                for (std::int64_t tap = 0; tap < taps; ++tap) {
                  const double term = y[static_cast<std::size_t>(tap / 3)] *
                                      x[static_cast<std::size_t>(tap % 3)] *
                                      static_cast<double>(weights.at(row, column, tap));
                  sum += term;
                  size += std::abs(term);
                }
                // One rounding to float, and some to double before it.
                const double tolerance = std::abs(sum) * std::numeric_limits<float>::epsilon() / 2 +
                                         16 * size * std::numeric_limits<double>::epsilon();
                ASSERT_NEAR(room.at(point, column, row), sum, tolerance)
                    << "tile " << tile.y << " x " << tile.x << ", " << rows << " rows"
                    << (adjoint ? ", adjoint" : "") << ", at " << row << ", " << column << ", "
                    << point;
              }
            }
          }
          room.check_rest(weights, tile.points());
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, WeightsTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

}  // namespace
}  // namespace octconv::kernels
