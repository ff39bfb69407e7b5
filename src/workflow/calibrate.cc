// SPDX-License-Identifier: Apache-2.0
#include "workflow/calibrate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/affine.h"
#include "octconv/engine/network.h"
#include "octconv/engine/stepper.h"

namespace octconv::workflow {
namespace {

// Floats of working memory that a batch may take: 1 GB.
constexpr std::int64_t kMostElements = std::int64_t{1} << 28;
constexpr std::int64_t kMostImages = 256;

// Enough images that statistics of a batch are near those of all.
std::int64_t batch_size(const Stepper& stepper, const Samples& samples) {
  const std::int64_t one = std::max<std::int64_t>(1, stepper.arena_elements(1, samples.extents()));
  return std::clamp(kMostElements / one, std::int64_t{1}, std::min(kMostImages, samples.count()));
}

// Calls body(first, count) for batches of nearly equal size.
template <class Body>
void for_batches(const Samples& samples, std::int64_t most, const Body& body) {
  const std::int64_t batches = (samples.count() + most - 1) / most;
  for (std::int64_t i = 0; i < batches; ++i) {
    const std::int64_t first = i * samples.count() / batches;
    body(first, (i + 1) * samples.count() / batches - first);
  }
}

// Mean and sum of squared deviations of the numbers of one channel.
struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;

  void add(const Moments& other) {
    if (other.count == 0) return;
    const double all = count + other.count;
    const double apart = other.mean - mean;
    squares += other.squares + apart * apart * count * other.count / all;
    mean += apart * other.count / all;
    count = all;
  }
  [[nodiscard]] double variance() const { return count > 0 ? squares / count : 0; }
};

using ByChannel = std::vector<Moments>;

void add(ByChannel& to, const ByChannel& from) {
  to.resize(from.size());
  for (std::size_t c = 0; c < from.size(); ++c) to[c].add(from[c]);
}

using Value = std::array<GridView, 2>;

// body(frequency, first channel, grid) for the grids of a value: low channels first.
template <class Body>
void for_grids(const Value& value, const Body& body) {
  body(value[1], std::size_t{0});
  body(value[0], static_cast<std::size_t>(value[1].channels));
}

ByChannel moments(const Value& value) {
  ByChannel all(static_cast<std::size_t>(value[0].channels + value[1].channels));
  for_grids(value, [&](const GridView& grid, std::size_t first) {
    if (grid.values.empty()) return;
    const auto channels = static_cast<std::size_t>(grid.channels);
    const std::size_t pixels = grid.values.size() / channels;
    std::vector<double> sums(channels);
    for (std::size_t p = 0; p < pixels; ++p) {
      for (std::size_t c = 0; c < channels; ++c)
        sums[c] += static_cast<double>(grid.values[p * channels + c]);
    }
    for (std::size_t c = 0; c < channels; ++c) sums[c] /= static_cast<double>(pixels);
    std::vector<double> squares(channels);
    for (std::size_t p = 0; p < pixels; ++p) {
      for (std::size_t c = 0; c < channels; ++c) {
        const double apart = static_cast<double>(grid.values[p * channels + c]) - sums[c];
        squares[c] += apart * apart;
      }
    }
    for (std::size_t c = 0; c < channels; ++c)
      all[first + c] = {static_cast<double>(pixels), sums[c], squares[c]};
  });
  return all;
}

void rescale(const Affine& affine, const Value& value) {
  for_grids(value, [&](const GridView& grid, std::size_t first) {
    const auto channels = static_cast<std::size_t>(grid.channels);
    for (std::size_t i = 0; i < grid.values.size(); ++i) {
      const std::size_t c = first + i % channels;
      grid.values[i] = static_cast<float>(affine.scale[c] * static_cast<double>(grid.values[i]) +
                                          affine.shift[c]);
    }
  });
}

// What the statistics of a norm's result say about what it reads.
struct NormParameters {
  double scale = 1;
  double shift = 0;
  double mean = 0;
  double variance = 0;
  double epsilon = 0;

  [[nodiscard]] double deviation() const { return std::sqrt(variance + epsilon); }
  // A scale of 0 hides what is read; the result does not depend on it either.
  [[nodiscard]] NormParameters with_input_of(const Moments& result) const {
    if (scale == 0) return *this;
    NormParameters estimated = *this;
    const double slope = deviation() / scale;
    estimated.mean = mean + (result.mean - shift) * slope;
    estimated.variance = result.variance() * slope * slope;
    return estimated;
  }
};

// By which channels get the statistics of others; one that never changes is only moved.
Affine match(const ByChannel& from, const ByChannel& to) {
  constexpr double kStill = 1e-12;  // of the variance that is wanted
  Affine affine;
  for (std::size_t c = 0; c < from.size(); ++c) {
    double scale = 1;
    if (from[c].variance() > kStill * to[c].variance() && to[c].variance() > 0)
      scale = std::sqrt(to[c].variance() / from[c].variance());
    affine.scale.push_back(scale);
    affine.shift.push_back(to[c].mean - scale * from[c].mean);
  }
  return affine;
}

class Calibration {
 public:
  Calibration(const Model& network, const Twin& twin, const Samples& samples)
      : network_(network), twin_(twin), samples_(samples), graph_(twin.model.graph) {
    find_layers();
  }

  Calibrated run() {
    Stepper original(network_, names(convs_));
    std::vector<NodeId> layers = norms_;
    layers.insert(layers.end(), convs_.begin(), convs_.end());
    Stepper corrected(twin_.model, names(layers));
    Session plain(compile(twin_.model));
    const std::int64_t most =
        std::min(batch_size(original, samples_), batch_size(corrected, samples_));
    Sums before;
    std::vector<Tensor> outputs;
    for_batches(samples_, most, [&](std::int64_t first, std::int64_t count) {
      const Tensor input = samples_.batch(first, count);
      std::map<NodeId, ByChannel> wanted;
      outputs.push_back(original.run(input, [&](NodeId id, const Value& value) {
        wanted.emplace(id, in_order_of_twin(id, moments(value)));
      }));
      before.add(outputs.back(), plain.run(input), classifies());
      corrected.run(input, [&](NodeId id, const Value& value) {
        const ByChannel found = moments(value);
        add(found_[id], found);
        if (std::holds_alternative<Conv>(graph_.node(id).op)) {
          add(wanted_[id], wanted.at(id));
          rescale(match(found, wanted.at(id)), value);
        } else {
          rescale(normalised(id, found), value);
        }
      });
    });
    Calibrated result{.model = corrected_model(),
                      .before = before.distance(),
                      .images = samples_.count(),
                      .norms = static_cast<std::int64_t>(norms_.size()),
                      .convs = static_cast<std::int64_t>(convs_.size())};
    Session session(compile(result.model));
    Sums after;
    std::size_t batch = 0;
    for_batches(samples_, most, [&](std::int64_t first, std::int64_t count) {
      after.add(outputs[batch++], session.run(samples_.batch(first, count)), classifies());
    });
    result.after = after.distance();
    return result;
  }

 private:
  // Of outputs over batches.
  struct Sums {
    double difference = 0;
    double norm = 0;
    std::int64_t same = 0;
    std::int64_t images = 0;
    bool classes = false;

    void add(const Tensor& expected, const Tensor& found, bool classifier) {
      const std::span<const float> a = expected.values();
      const std::span<const float> b = found.values();
      for (std::size_t i = 0; i < a.size(); ++i) {
        const double apart = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        difference += apart * apart;
        norm += static_cast<double>(a[i]) * static_cast<double>(a[i]);
      }
      classes = classifier;
      if (!classifier) return;
      const auto each = static_cast<std::size_t>(expected.shape()[1]);
      const auto best = [&](std::span<const float> values, std::size_t image) {
        const auto row = values.subspan(image * each, each);
        return std::max_element(row.begin(), row.end()) - row.begin();
      };
      for (std::size_t image = 0; image < a.size() / each; ++image, ++images) {
        if (best(a, image) == best(b, image)) ++same;
      }
    }
    [[nodiscard]] Distance distance() const {
      Distance result{.relative = norm > 0 ? std::sqrt(difference / norm) : 0};
      if (classes) result.same_class = static_cast<double>(same) / static_cast<double>(images);
      return result;
    }
  };

  bool classifies() const { return !graph_.node(graph_.outputs()[0]).spatial; }

  std::vector<std::string> names(const std::vector<NodeId>& ids) const {
    std::vector<std::string> all;
    for (const NodeId id : ids) all.push_back(graph_.node(id).name);
    return all;
  }

  // Norms and convolutions without one behind them, as far as anything octave comes before.
  void find_layers() {
    const std::size_t count = graph_.nodes().size();
    std::vector<bool> moved(count, false);
    std::vector<int> readers(count, 0);
    std::vector<bool> normalised(count, false);
    for (std::size_t i = 0; i < count; ++i) {
      const Node& node = graph_.nodes()[i];
      moved[i] = node.channels.octave() || node.op != network_.graph.nodes()[i].op;
      for (const NodeId input : node.inputs) {
        const auto from = static_cast<std::size_t>(input);
        moved[i] = moved[i] || moved[from];
        ++readers[from];
        if (std::holds_alternative<BatchNorm>(node.op)) normalised[from] = true;
      }
    }
    for (const NodeId output : graph_.outputs()) ++readers[static_cast<std::size_t>(output)];
    for (std::size_t i = 0; i < count; ++i) {
      const Node& node = graph_.nodes()[i];
      if (!moved[i]) continue;
      if (std::holds_alternative<BatchNorm>(node.op)) norms_.push_back(static_cast<NodeId>(i));
      if (std::holds_alternative<Conv>(node.op) && !(readers[i] == 1 && normalised[i]))
        convs_.push_back(static_cast<NodeId>(i));
    }
  }

  ByChannel in_order_of_twin(NodeId id, const ByChannel& of_network) const {
    ByChannel moved;
    for (const std::int64_t channel : twin_.numbering[static_cast<std::size_t>(id)])
      moved.push_back(of_network[static_cast<std::size_t>(channel)]);
    return moved;
  }

  std::span<float> parameter(Weights& weights, NodeId id, const char* what) const {
    return weights.at(graph_.node(id).name + "." + what).values();
  }

  std::vector<NormParameters> norm_parameters(NodeId id) const {
    const auto& norm = std::get<BatchNorm>(graph_.node(id).op);
    const auto get = [&](const char* what) {
      return twin_.model.weights.at(graph_.node(id).name + "." + what).values();
    };
    const auto mean = get("running_mean");
    const auto variance = get("running_var");
    std::vector<NormParameters> all;
    for (std::size_t c = 0; c < mean.size(); ++c) {
      NormParameters one{.mean = mean[c], .variance = variance[c], .epsilon = norm.epsilon};
      if (norm.affine) {
        one.scale = get("weight")[c];
        one.shift = get("bias")[c];
      }
      all.push_back(one);
    }
    return all;
  }

  // From what a norm gave to what it would give with the statistics of these images.
  Affine normalised(NodeId id, const ByChannel& found) const {
    const std::vector<NormParameters> old = norm_parameters(id);
    Affine affine{.scale = std::vector<double>(found.size(), 1.0),
                  .shift = std::vector<double>(found.size())};
    for (std::size_t c = 0; c < found.size(); ++c) {
      if (old[c].scale == 0) continue;
      affine.scale[c] = old[c].deviation() / old[c].with_input_of(found[c]).deviation();
      affine.shift[c] = old[c].shift - affine.scale[c] * found[c].mean;
    }
    return affine;
  }

  Model corrected_model() {
    Model model{.graph = graph_, .weights = {}, .preprocessing = twin_.model.preprocessing};
    for (const auto& [name, tensor] : twin_.model.weights)
      model.weights.emplace(name, tensor.clone());
    for (const NodeId id : norms_) {
      const std::vector<NormParameters> old = norm_parameters(id);
      for (std::size_t c = 0; c < old.size(); ++c) {
        const NormParameters estimated = old[c].with_input_of(found_.at(id)[c]);
        parameter(model.weights, id, "running_mean")[c] = static_cast<float>(estimated.mean);
        parameter(model.weights, id, "running_var")[c] = static_cast<float>(estimated.variance);
      }
    }
    for (const NodeId id : convs_) correct(model, id);
    return model;
  }

  void correct(Model& model, NodeId id) {
    const std::string& name = graph_.node(id).name;
    std::span<const float> bias;
    if (std::get<Conv>(graph_.node(id).op).bias) bias = parameter(model.weights, id, "bias");
    FoldedLayer layer =
        fold(model.weights.at(name + ".weight"), bias, match(found_.at(id), wanted_.at(id)));
    model.graph.set_bias(id);
    model.weights.insert_or_assign(name + ".weight", std::move(layer.weight));
    model.weights.insert_or_assign(name + ".bias", std::move(layer.bias));
  }

  const Model& network_;
  const Twin& twin_;
  const Samples& samples_;
  const Graph& graph_;
  std::vector<NodeId> norms_;
  std::vector<NodeId> convs_;
  std::map<NodeId, ByChannel> found_;   // before the correction, in order of the twin
  std::map<NodeId, ByChannel> wanted_;  // of convolutions
};

// Adds the squared distance of every pixel from its cell's mean; channels last, two axes.
void add_lost(const GridView& grid, const Shape& octave, std::vector<double>& lost) {
  const auto channels = static_cast<std::size_t>(grid.channels);
  const std::int64_t height = grid.extents[0];
  const std::int64_t width = grid.extents[1];
  const std::int64_t images =
      static_cast<std::int64_t>(grid.values.size() / channels) / (height * width);
  lost.resize(channels);
  std::vector<double> mean(channels);
  for (std::int64_t image = 0; image < images; ++image) {
    for (std::int64_t top = 0; top < height; top += octave[0]) {
      for (std::int64_t left = 0; left < width; left += octave[1]) {
        const std::int64_t bottom = std::min(height, top + octave[0]);
        const std::int64_t right = std::min(width, left + octave[1]);
        const auto for_pixels = [&](const auto& body) {
          for (std::int64_t y = top; y < bottom; ++y) {
            for (std::int64_t x = left; x < right; ++x) {
              const auto pixel = static_cast<std::size_t>((image * height + y) * width + x);
              const auto row = grid.values.subspan(pixel * channels, channels);
              for (std::size_t c = 0; c < channels; ++c) body(c, static_cast<double>(row[c]));
            }
          }
        };
        const auto pixels = static_cast<double>((bottom - top) * (right - left));
        std::fill(mean.begin(), mean.end(), 0.0);
        for_pixels([&](std::size_t c, double value) { mean[c] += value / pixels; });
        for_pixels(
            [&](std::size_t c, double value) { lost[c] += (value - mean[c]) * (value - mean[c]); });
      }
    }
  }
}

}  // namespace

ChannelScores lost_energy(const Model& model, const Samples& samples) {
  const Graph& graph = model.graph;
  std::vector<bool> read(graph.nodes().size(), false);
  for (const Node& node : graph.nodes()) {
    if (!node.spatial) continue;
    if (!std::holds_alternative<Conv>(node.op) && !std::holds_alternative<Concat>(node.op))
      continue;
    for (const NodeId input : node.inputs) read[static_cast<std::size_t>(input)] = true;
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (read[i]) names.push_back(graph.nodes()[i].name);
  }
  ChannelScores scores(graph.nodes().size());
  Stepper stepper(model, names);
  for_batches(samples, batch_size(stepper, samples), [&](std::int64_t first, std::int64_t count) {
    stepper.run(samples.batch(first, count), [&](NodeId id, const Value& value) {
      add_lost(value[0], graph.octave(), scores[static_cast<std::size_t>(id)]);
    });
  });
  for (std::vector<double>& of_value : scores) {
    const double sum = std::accumulate(of_value.begin(), of_value.end(), 0.0);
    if (sum == 0) continue;
    for (double& score : of_value) score *= static_cast<double>(of_value.size()) / sum;
  }
  return scores;
}

Calibrated calibrate(const Model& network, const Twin& twin, const Samples& samples) {
  return Calibration(network, twin, samples).run();
}

}  // namespace octconv::workflow
