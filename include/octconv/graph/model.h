// SPDX-License-Identifier: Apache-2.0
// A graph with its weights, and what its user must know to feed it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/graph/graph.h"
#include "octconv/tensor/tensor.h"

namespace octconv {

/// A parameter of a node: its name, its shape, and what it is. The same for a network and its
/// octave twin.
struct Parameter {
  /// What a parameter does.
  enum class Kind {
    kWeight,    ///< of a convolution or linear layer
    kBias,      ///< of the same
    kScale,     ///< weight of a batch norm
    kShift,     ///< bias of a batch norm
    kMean,      ///< running mean of a batch norm
    kVariance,  ///< running variance of a batch norm
  };
  std::string
      name;     ///< "<node>.weight", "<node>.bias", "<node>.running_mean", "<node>.running_var"
  Shape shape;  ///< of its tensor
  Kind kind = Kind::kWeight;  ///< what it does

  /// Running statistics are not trained and do not count as parameters.
  [[nodiscard]] bool trained() const noexcept {
    return kind != Kind::kMean && kind != Kind::kVariance;
  }
};

/// Parameters of one node, in a fixed order (weight, bias, running_mean, running_var); a batch norm
/// that is not affine has the last two only.
[[nodiscard]] OCTCONV_API std::vector<Parameter> parameters(const Graph& graph, NodeId id);
/// Parameters of all nodes, in node order.
[[nodiscard]] OCTCONV_API std::vector<Parameter> parameters(const Graph& graph);

/// Tensors by parameter name.
using Weights = std::map<std::string, Tensor>;

/// Convolutions and linear weights: He normal, deviation sqrt(2 / fan_in) with fan_in = in / groups
/// * taps (He et al., ICCV 2015); shifts and means 0, variances 1, scales as the batch norm says
/// (1).
[[nodiscard]] OCTCONV_API Weights initial_weights(const Graph& graph, std::uint64_t seed);
/// The same one by one in node order, for a caller with a place of its own for them.
OCTCONV_API void initial_weights(
    const Graph& graph, std::uint64_t seed,
    const std::function<void(NodeId node, const Parameter& parameter, Tensor tensor)>& take);

/// Holds weights against what the graph needs.
/// @throws InvalidArgument listing parameters that are missing, unexpected or misshapen
OCTCONV_API void check_weights(const Graph& graph, const Weights& weights);

/// How pixels in [0, 1] become network input: (pixel - mean) / deviation, per channel.
struct Preprocessing {
  std::vector<float> mean;       ///< per channel, of pixels in [0, 1]
  std::vector<float> deviation;  ///< per channel, > 0
  Shape extents;  ///< image size that the network was trained on; of clips frames before it
  std::vector<std::string> classes;  ///< names of the outputs, may be empty
  std::int64_t frame_stride = 0;     ///< of clips: frames of a video from one of a clip to the
                                     ///< next, >= 1; 0: images, or unknown
};

/// All that a model file holds.
struct Model {
  Graph graph;                  ///< what is computed
  Weights weights;              ///< one tensor per parameter of the graph
  Preprocessing preprocessing;  ///< empty where unknown
};

/// Extents of the images that a model was trained on, or, where that is unknown, those that its
/// graph is known for.
[[nodiscard]] OCTCONV_API Shape image_extents(const Model& model);

}  // namespace octconv
