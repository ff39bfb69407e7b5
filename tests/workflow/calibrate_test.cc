// SPDX-License-Identifier: Apache-2.0
// Statistics and channels of octave twins, against plain sums over what the engine gives.
#include "workflow/calibrate.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/engine/network.h"
#include "support/reference_network.h"
#include "support/scratch.h"
#include "workflow/decompose.h"
#include "workflow/sample.h"
#include "workflow/samples.h"

namespace octconv::workflow {
namespace {

constexpr std::int64_t kSize = 11;
constexpr std::int64_t kImages = 12;

Conv conv(std::int64_t out, std::int64_t kernel, bool bias, std::int64_t groups = 1) {
  return {.out_channels = out,
          .kernel = {kernel, kernel},
          .stride = {1, 1},
          .dilation = {1, 1},
          .padding_begin = {kernel / 2, kernel / 2},
          .padding_end = {kernel / 2, kernel / 2},
          .groups = groups,
          .bias = bias};
}

// Convolutions with a norm behind them, with one beside another reader, and without one; a norm of
// a sum; a part that nothing octave comes before.
Model network() {
  Graph graph("g", {2, 2});
  graph.set_policy({.stride_mode = StrideMode::kStrided, .octave_stages = {true, false}});
  const NodeId input = graph.add("input", Input{3}, {});
  NodeId x = graph.add("stem", conv(8, 3, false), {input}, 1);
  x = graph.add("stem_relu", Activation{}, {graph.add("stem_norm", BatchNorm{}, {x})});
  const NodeId a = graph.add("a", conv(16, 3, false), {x}, 0);
  const NodeId a_norm = graph.add("a_norm", BatchNorm{}, {a});
  const NodeId a_relu = graph.add("a_relu", Activation{}, {a_norm});
  const NodeId b = graph.add("b", conv(16, 3, true, 2), {a_relu}, 0);
  const NodeId sum = graph.add("sum", Add{}, {b, a_relu});
  const NodeId norm = graph.add("norm", BatchNorm{.affine = false}, {sum});
  const NodeId relu = graph.add("relu", Activation{}, {norm});
  const NodeId c = graph.add("c", conv(8, 1, false), {relu}, 0);
  const NodeId join = graph.add("join", Concat{}, {c, sum});
  const NodeId last = graph.add("last", conv(6, 3, false), {join}, 1);
  graph.add_output(
      graph.add("fc", Linear{.out_channels = 4}, {graph.add("pool", GlobalPool{}, {last})}));
  Weights weights = reference::random_weights(graph, 3);
  return {.graph = std::move(graph),
          .weights = std::move(weights),
          .preprocessing = {.mean = {0.4F, 0.5F, 0.6F},
                            .deviation = {0.2F, 0.3F, 0.25F},
                            .extents = {kSize, kSize},
                            .classes = {}}};
}

class CalibrateTest : public ScratchFolder {
 protected:
  CalibrateTest() {
    const LabelledImages images = random_images(kImages, kSize, 3, 4, 5);
    for (std::int64_t i = 0; i < kImages; ++i) {
      write_file(folder_ / (std::string("picture") + static_cast<char>('a' + i) + ".png"),
                 encode_png(image_at(images, i)));
    }
    write_file(folder_ / "notes.txt", "not a picture");
  }

  Samples samples(const Model& model, std::int64_t most = 100) const {
    return Samples(model, "net.onnx", folder_.string(), most);
  }
};

// Mean and variance of every channel of a value, low channels first.
struct Statistics {
  std::vector<double> mean;
  std::vector<double> variance;
};

Statistics statistics(const Model& model, const std::string& node, const Tensor& input) {
  Session session(compile(model, {.keep = {node}}));
  static_cast<void>(session.run(input));
  const ChannelSplit split = model.graph.node(model.graph.find(node)).channels;
  Statistics all;
  for (const Frequency frequency : {Frequency::kLow, Frequency::kHigh}) {
    const std::int64_t channels = frequency == Frequency::kLow ? split.low : split.high;
    if (channels == 0) continue;
    const Tensor value = session.value(node, frequency);
    const std::int64_t pixels = value.shape()[2] * value.shape()[3];
    for (std::int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      double squares = 0;
      for (std::int64_t n = 0; n < value.shape()[0]; ++n) {
        for (std::int64_t p = 0; p < pixels; ++p) {
          const double v = value.data()[(n * channels + c) * pixels + p];
          sum += v;
          squares += v * v;
        }
      }
      const auto count = static_cast<double>(value.shape()[0] * pixels);
      all.mean.push_back(sum / count);
      all.variance.push_back(squares / count - sum / count * (sum / count));
    }
  }
  return all;
}

TEST_F(CalibrateTest, EveryNormHasTheStatisticsOfWhatItReadsInTheCalibratedNetwork) {
  const Model model = network();
  const Twin twin = make_twin(model, {.alpha = 0.5});
  const Calibrated calibrated = calibrate(model, twin, samples(model));
  EXPECT_EQ(calibrated.images, kImages);
  EXPECT_EQ(calibrated.norms, 2);
  const Tensor input = samples(model).batch(0, kImages);
  for (const auto& [norm, read] : {std::pair{"a_norm", "a"}, std::pair{"norm", "sum"}}) {
    SCOPED_TRACE(norm);
    const Statistics found = statistics(calibrated.model, read, input);
    const std::string name = norm;
    const auto mean = calibrated.model.weights.at(name + ".running_mean").values();
    const auto variance = calibrated.model.weights.at(name + ".running_var").values();
    const auto before = twin.model.weights.at(name + ".running_mean").values();
    double moved = 0;
    for (std::size_t c = 0; c < mean.size(); ++c) {
      EXPECT_NEAR(mean[c], found.mean[c], 1e-4);
      EXPECT_NEAR(variance[c], found.variance[c], 1e-4 * (1 + found.variance[c]));
      moved = std::max(moved, std::abs(static_cast<double>(mean[c]) - before[c]));
    }
    EXPECT_GT(moved, 0.05);
  }
  for (const char* kept : {"stem_norm.running_mean", "stem_norm.running_var", "a_norm.weight"}) {
    EXPECT_TRUE(std::ranges::equal(calibrated.model.weights.at(kept).values(),
                                   twin.model.weights.at(kept).values()))
        << kept;
  }
}

TEST_F(CalibrateTest, ConvolutionsWithoutANormGetTheStatisticsOfTheNetworksChannels) {
  const Model model = network();
  // Random channels are low, so that a mixed-up order shows.
  ChannelScores scores;
  Random random(8);
  for (const Node& node : model.graph.nodes()) {
    for (double& score : scores.emplace_back(static_cast<std::size_t>(node.channels.total())))
      score = random.uniform();
  }
  const Twin twin = make_twin(model, {.alpha = 0.5}, scores);
  const Calibrated calibrated = calibrate(model, twin, samples(model));
  EXPECT_EQ(calibrated.convs, 3);
  const Tensor input = samples(model).batch(0, kImages);
  for (const char* name : {"b", "c", "last"}) {
    SCOPED_TRACE(name);
    const Statistics wanted = statistics(model, name, input);
    const Statistics found = statistics(calibrated.model, name, input);
    const Statistics uncorrected = statistics(twin.model, name, input);
    const auto& numbers = twin.numbering[static_cast<std::size_t>(model.graph.find(name))];
    double moved = 0;
    for (std::size_t c = 0; c < numbers.size(); ++c) {
      const auto channel = static_cast<std::size_t>(numbers[c]);
      EXPECT_NEAR(found.mean[c], wanted.mean[channel], 1e-3);
      EXPECT_NEAR(found.variance[c], wanted.variance[channel],
                  1e-3 * (1 + wanted.variance[channel]));
      moved = std::max(moved, std::abs(uncorrected.variance[c] - wanted.variance[channel]));
    }
    EXPECT_GT(moved, 0.05);
  }
  EXPECT_LT(calibrated.after.relative, calibrated.before.relative);
  ASSERT_TRUE(calibrated.before.same_class);
}

TEST_F(CalibrateTest, DistanceIsOfTheOutputs) {
  const Model model = network();
  const Twin twin = make_twin(model, {.alpha = 0.25});
  const Calibrated calibrated = calibrate(model, twin, samples(model));
  const Tensor input = samples(model).batch(0, kImages);
  const Tensor expected = Session(compile(model)).run(input);
  const auto distance = [&](const Model& other) {
    const Tensor found = Session(compile(other)).run(input);
    double difference = 0;
    double norm = 0;
    for (std::size_t i = 0; i < expected.values().size(); ++i) {
      const double a = expected.values()[i];
      difference += (a - found.values()[i]) * (a - found.values()[i]);
      norm += a * a;
    }
    return std::sqrt(difference / norm);
  };
  EXPECT_NEAR(calibrated.before.relative, distance(twin.model), 1e-6);
  EXPECT_NEAR(calibrated.after.relative, distance(calibrated.model), 1e-6);
}

TEST_F(CalibrateTest, ANetworkWithoutOctaveValuesIsLeftAsItIs) {
  const Model model = network();
  const Calibrated calibrated = calibrate(model, make_twin(model, {.alpha = 0}), samples(model));
  EXPECT_EQ(calibrated.norms, 0);
  EXPECT_EQ(calibrated.convs, 0);
  EXPECT_EQ(calibrated.after.relative, 0);
  for (const auto& [name, tensor] : model.weights)
    EXPECT_TRUE(std::ranges::equal(tensor.values(), calibrated.model.weights.at(name).values()));
}

TEST_F(CalibrateTest, LostEnergyIsTheHighPartOfTheMaps) {
  const Model model = network();
  const ChannelScores scores = lost_energy(model, samples(model));
  const NodeId id = model.graph.find("a_relu");
  Session session(compile(model, {.keep = {"a_relu"}}));
  std::vector<double> lost(16);
  double sum = 0;
  for (std::int64_t i = 0; i < kImages; ++i) {
    static_cast<void>(session.run(samples(model).batch(i, 1)));
    const Parts parts = decompose(session.value("a_relu"), Upsample::kNearest);
    for (std::size_t c = 0; c < lost.size(); ++c) {
      for (const float high : parts.high.values().subspan(c * kSize * kSize, kSize * kSize)) {
        lost[c] += static_cast<double>(high) * high;
        sum += static_cast<double>(high) * high;
      }
    }
  }
  ASSERT_EQ(scores[static_cast<std::size_t>(id)].size(), lost.size());
  for (std::size_t c = 0; c < lost.size(); ++c)
    EXPECT_NEAR(scores[static_cast<std::size_t>(id)][c], lost[c] * 16 / sum, 1e-4);
  EXPECT_TRUE(scores[static_cast<std::size_t>(model.graph.find("pool"))].empty());
}

TEST_F(CalibrateTest, SamplesAreEvenlySpreadPicturesInOrderOfTheirNames) {
  const Model model = network();
  EXPECT_EQ(samples(model).count(), kImages);
  const Samples three = samples(model, 3);
  ASSERT_EQ(three.count(), 3);
  const Tensor chosen = three.batch(0, 3);
  const Tensor all = samples(model).batch(0, kImages);
  const std::size_t each = 3 * kSize * kSize;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::ranges::equal(chosen.values().subspan(i * each, each),
                                   all.values().subspan(4 * i * each, each)));
  }
}

TEST_F(CalibrateTest, SamplesThatCannotBeTakenAreNamed) {
  Model model = network();
  const std::filesystem::path empty = folder_ / "empty";
  std::filesystem::create_directory(empty);
  EXPECT_THROW(Samples(model, "net.onnx", empty.string(), 10), FileError);
  EXPECT_THROW(Samples(model, "net.onnx", folder_.string(), 0), InvalidArgument);
  EXPECT_THROW(Samples(model, "net.onnx", "no-such-folder", 10), InvalidArgument);
  write_file(empty / "broken.png", "not a PNG");
  const Samples broken(model, "net.onnx", empty.string(), 10);
  EXPECT_THROW(static_cast<void>(broken.batch(0, 1)), FormatError);
  model.preprocessing.mean.clear();
  EXPECT_THROW(Samples(model, "net.onnx", folder_.string(), 10), Unsupported);
}

}  // namespace
}  // namespace octconv::workflow
