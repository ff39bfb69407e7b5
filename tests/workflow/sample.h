// SPDX-License-Identifier: Apache-2.0
// A network small enough to be computed by hand: the mean of each channel, then a linear layer.
#pragma once

#include <string>
#include <vector>

#include "octconv/base/random.h"
#include "octconv/graph/model.h"
#include "octconv/image/dataset.h"

namespace octconv::workflow {

inline Model mean_model(std::int64_t channels, std::int64_t classes, std::int64_t size,
                        std::uint64_t seed = 1) {
  Graph graph("mean", {2, 2});
  const NodeId input = graph.add("input", Input{channels}, {});
  const NodeId pooled = graph.add("pool", GlobalPool{}, {input});
  graph.add_output(graph.add("linear", Linear{.out_channels = classes}, {pooled}));
  graph.set_default_extents({size, size});
  Weights weights = initial_weights(graph, seed);
  Model model{.graph = std::move(graph), .weights = std::move(weights)};
  for (std::int64_t c = 0; c < channels; ++c) {
    model.preprocessing.mean.push_back(0.25F + 0.125F * static_cast<float>(c));
    model.preprocessing.deviation.push_back(0.5F + 0.25F * static_cast<float>(c));
  }
  model.preprocessing.extents = {size, size};
  for (std::int64_t i = 0; i < classes; ++i)
    model.preprocessing.classes.push_back("class " + std::to_string(i));
  return model;
}

inline LabelledImages random_images(std::int64_t count, std::int64_t size, std::int64_t channels,
                                    std::int64_t classes, std::uint64_t seed) {
  LabelledImages images{.height = size, .width = size, .channels = channels};
  Random random(seed);
  for (std::int64_t i = 0; i < count; ++i) {
    // Images of different brightness, so that their classes differ.
    const std::uint64_t brightness = 1 + random.below(256);
    for (std::int64_t p = 0; p < size * size * channels; ++p) {
      images.pixels.push_back(static_cast<std::uint8_t>(random.below(brightness)));
    }
    images.labels.push_back(
        static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(classes))));
  }
  return images;
}

inline Dataset random_dataset(std::int64_t count, std::int64_t size, std::int64_t channels,
                              std::int64_t classes) {
  Dataset data{.name = "random",
               .train = random_images(count, size, channels, classes, 1),
               .test = random_images(count, size, channels, classes, 2)};
  for (std::int64_t i = 0; i < classes; ++i) data.classes.push_back(std::to_string(i));
  data.mean.assign(static_cast<std::size_t>(channels), 0.5F);
  data.deviation.assign(static_cast<std::size_t>(channels), 0.25F);
  return data;
}

/// What `mean_model` computes for one image, in double.
inline std::vector<double> mean_model_logits(const Model& model, const LabelledImages& images,
                                             std::int64_t index) {
  const std::int64_t pixels = images.height * images.width;
  const Tensor& weight = model.weights.at("linear.weight");
  const Tensor& bias = model.weights.at("linear.bias");
  std::vector<double> logits;
  for (std::int64_t o = 0; o < bias.elements(); ++o) {
    double sum = bias.data()[o];
    for (std::int64_t c = 0; c < images.channels; ++c) {
      double mean = 0;
      for (std::int64_t p = 0; p < pixels; ++p) {
        mean +=
            images.pixels[static_cast<std::size_t>((index * pixels + p) * images.channels + c)] /
            255.0;
      }
      mean /= static_cast<double>(pixels);
      const auto channel = static_cast<std::size_t>(c);
      sum += (mean - model.preprocessing.mean[channel]) / model.preprocessing.deviation[channel] *
             weight.data()[o * images.channels + c];
    }
    logits.push_back(sum);
  }
  return logits;
}

}  // namespace octconv::workflow
