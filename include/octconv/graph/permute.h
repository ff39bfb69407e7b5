// SPDX-License-Identifier: Apache-2.0
// Renumbers the channels of a trained network everywhere at once, so that every weight still
// multiplies the channel that it was trained for.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/graph/model.h"
#include "octconv/graph/octavize.h"

namespace octconv {

/// Of every value, by node: the channel of another network that stands at each position. Both have
/// the same nodes; positions count low channels first, as values do.
using Numbering = std::vector<std::vector<std::int64_t>>;

/// Every channel at its own position.
[[nodiscard]] OCTCONV_API Numbering identity_numbering(const Graph& graph);
/// What leads back. Requires that every value's numbers are a permutation.
[[nodiscard]] OCTCONV_API Numbering inverse(const Numbering& numbering);

/// Values that sums, gates, norms, pools, activations and depthwise convolutions tie together: they
/// are numbered alike.
struct TiedValues {
  std::vector<NodeId> nodes;  ///< in node order
  std::int64_t channels = 0;  ///< of each
  std::int64_t low = 0;       ///< of those with extents
  /// Equal parts of the channels, from each of which as many must be low, in order: the groups of
  /// the grouped convolutions that make or read the values.
  std::int64_t blocks = 1;
};

/// Gives the numbers of tied values, block by block and low channels first.
using ChooseOrder = std::function<std::vector<std::int64_t>(const TiedValues&)>;

/// As many low channels out of every block as it must give: those with the smallest scores, of
/// equal ones the first. Both frequencies keep their channels in order.
/// @param scores  one per channel, or empty: all equal
[[nodiscard]] OCTCONV_API std::vector<std::int64_t> order_by_score(
    const TiedValues& values, const std::vector<double>& scores);

/// A numbering, or why there is none.
struct Numbered {
  Numbering numbering;  ///< of every value
  /// Values that cannot keep the meaning of their channels unless they are ordinary. Where there
  /// are any, the numbering is not usable.
  std::vector<KeptOrdinary> obstacles;
};

/// Numbers every value of an octave twin (or an ordinary network) by the channels of the ordinary
/// network that it was made of.
///
/// Inputs and outputs keep their order. A concatenation is numbered by what it joins: the low
/// channels of all, then the high channels of all. `choose` is asked for all others; its answers
/// are checked.
///
/// @param choose  unset: `order_by_score` without scores
/// @throws InvalidArgument if what `choose` gives is no permutation or mixes blocks or frequencies
[[nodiscard]] OCTCONV_API Numbered number_channels(const Graph& twin,
                                                   const ChooseOrder& choose = nullptr);

/// The weights of `from` for `to`, a graph of the same nodes: every row, column and per-channel
/// parameter goes where `numbering` says that its channel went.
///
/// With `inverse(numbering)`, from `to` back to `from`, it gives the same weights again.
///
/// @param numbering  of the values of `to` by the positions of `from`
/// @throws InvalidArgument if the graphs differ in more than their splits, the weights do not fit,
/// or a convolution in groups would need a weight that it does not have
[[nodiscard]] OCTCONV_API Weights renumber(const Graph& from, const Weights& weights,
                                           const Graph& to, const Numbering& numbering);

/// Scores of the channels of every value, by node; empty for values that have none.
using ChannelScores = std::vector<std::vector<double>>;

/// An octave twin with the weights of the network that it was made of.
struct Twin {
  Model model;                              ///< with the preprocessing of the network
  Numbering numbering;                      ///< by the network's channels
  std::vector<KeptOrdinary> kept_ordinary;  ///< in node order
};

/// The octave twin of a trained network. Where all maps are constant, so that neither pooling nor
/// upsampling loses anything, it computes what the network computes.
///
/// Each value's low channels are those with the smallest sums of scores over the values tied to it;
/// without scores the first (of every group, where convolutions have groups).
///
/// @param scores  by node, or empty
/// @throws InvalidArgument as `octavize`, for weights that do not fit, and for scores of the wrong
/// number
[[nodiscard]] OCTCONV_API Twin make_twin(const Model& model, OctavizeOptions options,
                                         const ChannelScores& scores = {});

}  // namespace octconv
