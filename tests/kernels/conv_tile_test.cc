// SPDX-License-Identifier: Apache-2.0
// The convolution tile against its contract, written as plain loops in double.
#include "kernels/conv_tile.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "octconv/tensor/tensor.h"
#include "support/activation.h"
#include "support/random_values.h"
#include "support/targets.h"

namespace octconv::kernels {
namespace {

using octconv::testing::random_values;

struct Input {
  std::int64_t taps = 0;
  std::int64_t channels = 0;
};

// A convolution with random row pointers: it needs no geometry.
class Problem {
 public:
  Problem(std::int64_t pixels, std::int64_t outputs, std::vector<Input> inputs, std::uint64_t seed)
      : pixels_(pixels), outputs_(outputs), inputs_(std::move(inputs)), random_(seed) {
    const std::int64_t vectors = kernel_.vectors(outputs) * kernel_.lanes;
    bias_ = Tensor(Shape{vectors});
    octconv::testing::fill_random(bias_.values().first(static_cast<std::size_t>(outputs)), random_);
    for (std::size_t i = 0; i < inputs_.size(); ++i) make_rows(i);
    pack();
    tiles_.weights = packed_.data();
    tiles_.bias = bias_.data();
    tiles_.pixels = pixels;
    tiles_.pitch = pitch();
    tiles_.outputs = outputs;
    tiles_.first_output = kFirstOutput;
    tiles_.stride = kFirstOutput + outputs + 3;  // the kernel must leave the neighbours alone
    out_.assign(static_cast<std::size_t>(pixels * tiles_.stride), kUntouched);
    tiles_.out = out_.data();
  }

  void add_residual() {
    residual_ = random_values(pixels_ * tiles_.stride, random_);
    tiles_.residual = residual_.data();
  }

  void add_in_place() {
    for (std::int64_t p = 0; p < pixels_; ++p) {
      const auto values = random_values(outputs_, random_);
      std::copy(values.begin(), values.end(), out_.begin() + p * tiles_.stride + kFirstOutput);
    }
    residual_ = out_;
    tiles_.residual = out_.data();
  }

  void add_addend() {
    addend_ = random_values(5 * tiles_.stride, random_);
    for (std::int64_t p = 0; p < pixels_; ++p) {
      addend_rows_.push_back(addend_.data() +
                             static_cast<std::int64_t>(random_.below(5)) * tiles_.stride);
    }
    tiles_.addend = addend_rows_.data();
  }

  void add_second(Activation activation) {
    scale_ = random_values(tiles_.stride, random_);
    shift_ = random_values(tiles_.stride, random_);
    second_.assign(out_.size(), kUntouched);
    tiles_.second = {.scale = scale_.data(),
                     .shift = shift_.data(),
                     .out = second_.data(),
                     .activation = activation};
  }

  void set_activation(Activation activation) { tiles_.activation = activation; }

  void run(std::int64_t block_begin, std::int64_t block_end) {
    kernel_.run(tiles_, block_begin, block_end);
  }
  void run() { run(0, kernel_.blocks(outputs_)); }
  [[nodiscard]] std::int64_t blocks() const { return kernel_.blocks(outputs_); }
  [[nodiscard]] const std::vector<float>& out() const { return out_; }

  void check() const {
    for (std::int64_t p = 0; p < pixels_; ++p) {
      for (std::int64_t i = 0; i < tiles_.stride; ++i) {
        const float computed = out_[static_cast<std::size_t>(p * tiles_.stride + i)];
        const std::int64_t o = i - kFirstOutput;
        if (o < 0 || o >= outputs_) {
          ASSERT_EQ(computed, kUntouched)
              << "pixel " << p << " channel " << i << " was overwritten";
        } else {
          check_one(p, o, static_cast<double>(computed));
        }
        if (tiles_.second.out != nullptr) check_second(p, i);
      }
    }
  }

 private:
  static constexpr float kUntouched = 12345.0F;
  static constexpr std::int64_t kFirstOutput = 2;
  static constexpr std::int64_t kFirstChannel = 1;
  static constexpr std::int64_t kDistinctRows = 7;

  [[nodiscard]] std::int64_t pitch() const {
    return (pixels_ + kTilePixels - 1) / kTilePixels * kTilePixels;
  }

  void make_rows(std::size_t i) {
    const Input& input = inputs_[i];
    const std::int64_t length = kFirstChannel + input.channels;
    data_[i] = random_values(kDistinctRows * length, random_);
    for (std::int64_t r = 0; r < input.taps * pitch(); ++r) {
      rows_[i].push_back(data_[i].data() +
                         static_cast<std::int64_t>(random_.below(kDistinctRows)) * length);
    }
    tiles_.sources[i] = {.rows = rows_[i].data(),
                         .taps = input.taps,
                         .first_channel = kFirstChannel,
                         .channels = input.channels};
    weights_[i] = random_values(input.taps * input.channels * outputs_, random_);
  }

  [[nodiscard]] float weight(std::size_t i, std::int64_t tap, std::int64_t c,
                             std::int64_t o) const {
    return weights_[i][static_cast<std::size_t>((tap * inputs_[i].channels + c) * outputs_ + o)];
  }

  void pack() {
    std::int64_t depth = 0;
    for (const Input& input : inputs_) depth += input.taps * input.channels;
    packed_ = Tensor(Shape{kernel_.vectors(outputs_) * kernel_.lanes * depth});
    float* to = packed_.data();
    std::int64_t first = 0;
    for (std::int64_t block = 0; block < kernel_.blocks(outputs_); ++block) {
      const std::int64_t width = kernel_.block_vectors(outputs_, block) * kernel_.lanes;
      for (std::size_t i = 0; i < inputs_.size(); ++i) {
        for (std::int64_t tap = 0; tap < inputs_[i].taps; ++tap) {
          for (std::int64_t c = 0; c < inputs_[i].channels; ++c) {
            for (std::int64_t o = first; o < first + width; ++o) {
              *to++ = o < outputs_ ? weight(i, tap, c, o) : 0.0F;
            }
          }
        }
      }
      first += width;
    }
    ASSERT_EQ(to - packed_.data(), packed_.elements());
  }

  void check_one(std::int64_t p, std::int64_t o, double computed) const {
    auto sum = static_cast<double>(bias_.data()[o]);
    double magnitude = std::abs(sum);
    double terms = 3;
    const auto add = [&](double term) {
      sum += term;
      magnitude += std::abs(term);
      ++terms;
    };
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      for (std::int64_t tap = 0; tap < inputs_[i].taps; ++tap) {
        const float* row = rows_[i][static_cast<std::size_t>(tap * pitch() + p)] + kFirstChannel;
        for (std::int64_t c = 0; c < inputs_[i].channels; ++c) {
          add(static_cast<double>(row[c]) * static_cast<double>(weight(i, tap, c, o)));
        }
      }
    }
    if (tiles_.addend != nullptr) {
      add(static_cast<double>(tiles_.addend[p][kFirstOutput + o]));
    }
    if (tiles_.residual != nullptr) {
      add(static_cast<double>(
          residual_[static_cast<std::size_t>(p * tiles_.stride + kFirstOutput + o)]));
    }
    const double expected = reference::activated(sum, tiles_.activation);
    magnitude = magnitude * reference::steepest(tiles_.activation) +
                reference::own_roundings(tiles_.activation) * std::max(1.0, std::abs(sum));
    ASSERT_NEAR(computed, expected, terms * std::numeric_limits<float>::epsilon() * magnitude)
        << "pixel " << p << " output " << o << " of " << outputs_;
  }

  // Element `i` of a row of the second result, from the first.
  void check_second(std::int64_t p, std::int64_t i) const {
    const auto at = static_cast<std::size_t>(p * tiles_.stride + i);
    if (i < kFirstOutput || i >= kFirstOutput + outputs_) {
      ASSERT_EQ(second_[at], kUntouched) << "pixel " << p << " channel " << i << " was overwritten";
      return;
    }
    const Activation& activation = tiles_.second.activation;
    const auto product =
        static_cast<double>(out_[at]) * static_cast<double>(scale_[static_cast<std::size_t>(i)]);
    const auto term = static_cast<double>(shift_[static_cast<std::size_t>(i)]);
    const double value = product + term;
    // One rounding, or two where there is no FMA, and the activation's own.
    const double roundings =
        2 * (std::abs(product) + std::abs(term)) * reference::steepest(activation) +
        reference::own_roundings(activation) * std::max(1.0, std::abs(value));
    ASSERT_NEAR(second_[at], reference::activated(value, activation),
                roundings * std::numeric_limits<float>::epsilon())
        << "second result, pixel " << p << " channel " << i << " of " << outputs_;
  }

  const ConvKernel& kernel_ = conv_kernel();
  std::int64_t pixels_;
  std::int64_t outputs_;
  std::vector<Input> inputs_;
  Random random_;
  Tensor packed_;
  Tensor bias_;
  std::array<std::vector<float>, 2> data_;
  std::array<std::vector<float>, 2> weights_;
  std::array<std::vector<const float*>, 2> rows_;
  std::vector<float> residual_;
  std::vector<float> addend_;
  std::vector<float> scale_;
  std::vector<float> shift_;
  std::vector<float> second_;
  std::vector<const float*> addend_rows_;
  std::vector<float> out_;
  ConvTiles tiles_;
};

using ConvTileTest = octconv::testing::TargetTest;

TEST_P(ConvTileTest, EqualsTheSumForEveryNumberOfOutputs) {
  for (std::int64_t outputs = 1; outputs <= 130; ++outputs) {
    Problem problem(13, outputs, {{.taps = 2, .channels = 3}}, 1);
    problem.run();
    problem.check();
  }
}

TEST_P(ConvTileTest, EqualsTheSumForEveryNumberOfPixels) {
  for (const std::int64_t outputs : {5, 20, 50, 64}) {
    for (std::int64_t pixels = 1; pixels <= 30; ++pixels) {
      Problem problem(pixels, outputs, {{.taps = 3, .channels = 5}}, 2);
      problem.add_addend();
      problem.add_residual();
      problem.run();
      problem.check();
    }
  }
}

// Weights beyond what a first-level and what a second-level cache holds: other ways through them.
TEST_P(ConvTileTest, EqualsTheSumForLargeWeights) {
  for (const std::int64_t channels : {300, 1500}) {
    for (const std::int64_t pixels : {1, 7, 11}) {
      Problem problem(pixels, 70, {{.taps = 2, .channels = channels}}, 8);
      problem.run();
      problem.check();
    }
  }
}

TEST_P(ConvTileTest, AccumulatesTwoInputs) {
  for (const std::int64_t outputs : {1, 8, 17, 40}) {
    Problem problem(25, outputs, {{.taps = 9, .channels = 4}, {.taps = 1, .channels = 33}}, 3);
    problem.run();
    problem.check();
  }
}

TEST_P(ConvTileTest, AddsAddendAndResidualBeforeEveryActivation) {
  for (const Activation& activation : reference::all_activations()) {
    for (const std::int64_t outputs : {3, 16, 45}) {
      Problem problem(14, outputs, {{.taps = 4, .channels = 11}}, 4);
      problem.add_addend();
      problem.add_residual();
      problem.set_activation(activation);
      problem.run();
      problem.check();
    }
  }
}

TEST_P(ConvTileTest, StoresTheBatchNormOfItsResultBesideIt) {
  const Activation relu{ActivationKind::kRelu};
  for (const Activation& activation : reference::all_activations()) {
    for (const std::int64_t outputs : {3, 16, 45, 64}) {
      for (const std::int64_t pixels : {1, 6, 13, 24}) {
        Problem problem(pixels, outputs, {{.taps = 2, .channels = 5}}, 9);
        problem.add_residual();
        if (pixels == 13) problem.set_activation(activation);
        problem.add_second(pixels == 24 ? relu : activation);
        problem.run();
        problem.check();
      }
    }
  }
}

TEST_P(ConvTileTest, MayOverwriteItsResidual) {
  Problem problem(31, 21, {{.taps = 1, .channels = 6}}, 5);
  problem.add_in_place();
  problem.run();
  problem.check();
}

TEST_P(ConvTileTest, StoresTheEpilogueAloneIfThereIsNoInput) {
  Problem problem(7, 9, {}, 6);
  problem.add_addend();
  problem.run();
  problem.check();
}

TEST_P(ConvTileTest, GivesTheSameBitsBlockByBlock) {
  for (const std::int64_t pixels : {19, 20, 22}) {
    Problem whole(pixels, 77, {{.taps = 2, .channels = 7}}, 7);
    Problem parts(pixels, 77, {{.taps = 2, .channels = 7}}, 7);
    whole.run();
    for (std::int64_t block = parts.blocks(); block-- > 0;) parts.run(block, block + 1);
    EXPECT_EQ(whole.out(), parts.out());
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ConvTileTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

}  // namespace
}  // namespace octconv::kernels
