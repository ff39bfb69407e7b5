// SPDX-License-Identifier: Apache-2.0
// A network as data. Every node makes one value; every value knows how many of its channels are
// low.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/graph/ops.h"
#include "octconv/octave/channel_split.h"
#include "octconv/octave/conv.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// Index of a node in its graph, and the name of the value it makes.
using NodeId = std::int32_t;

/// One operation and the value it makes.
struct Node {
  std::string name;            ///< unique; parameters are called "<name>.weight" and so on
  Op op;                       ///< what makes the value
  std::vector<NodeId> inputs;  ///< nodes with smaller ids
  int stage = kNoStage;        ///< the part of the network it belongs to, which the policy knows
  ChannelSplit channels;       ///< of the value; `low == 0` for an ordinary one
  bool spatial = true;         ///< has extents; false after a global pool

  static constexpr int kNoStage = -1;  ///< stems and heads: never octave
};

/// By which of the authors' two frameworks their tool counts a network (`Cost::authors_flops`).
enum class CountingRule {
  kSymbol,  ///< every relu and global pool is counted
  kGluon,   ///< those of nodes without a stage
};

/// How a family of networks becomes octave: what octavize does unless told otherwise.
struct OctavePolicy {
  StrideMode stride_mode = StrideMode::kPool;  ///< of strided convolutions
  std::vector<bool> octave_stages;             ///< per stage: does it take the given alpha (or 0)
  CountingRule counting = CountingRule::kSymbol;  ///< for `Cost::authors_flops`
  friend bool operator==(const OctavePolicy&, const OctavePolicy&) = default;
};

/// A directed acyclic graph in topological order, immutable but for what octavize sets.
///
/// It does not know its input's extents: `infer_shapes` takes them, so a network is the same at
/// every size.
class OCTCONV_API Graph {
 public:
  /// @param name    what reports call the network
  /// @param octave  how much coarser the low grid is along each spatial axis; its rank is the
  /// network's (1 to 3)
  /// @throws InvalidArgument for another rank or a factor other than 1 and 2
  Graph(std::string name, Shape octave);

  /// A graph of the same name, octave factors, default extents and policy, without nodes.
  [[nodiscard]] Graph without_nodes() const;

  /// Appends a node and returns its id. Channels are checked and inferred here.
  /// @throws InvalidArgument naming the node: a name twice, an unknown input, channels that do not
  /// fit
  NodeId add(std::string name, Op op, std::vector<NodeId> inputs, int stage = Node::kNoStage);
  /// Marks the value as a result of the network.
  void add_output(NodeId id);

  /// As given to the constructor.
  /// @{
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const Shape& octave() const noexcept { return octave_; }
  /// @}
  /// Spatial axes, 1 to 3.
  [[nodiscard]] std::size_t rank() const noexcept { return octave_.rank(); }
  /// In topological order; a node's place is its id.
  [[nodiscard]] const std::vector<Node>& nodes() const noexcept { return nodes_; }
  /// Requires 0 <= id < nodes().size().
  [[nodiscard]] const Node& node(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
  /// Ids of the Input nodes, in order.
  [[nodiscard]] const std::vector<NodeId>& inputs() const noexcept { return inputs_; }
  /// Ids of the values marked by `add_output`, in order.
  [[nodiscard]] const std::vector<NodeId>& outputs() const noexcept { return outputs_; }
  /// Id of the node called `name`, or -1.
  [[nodiscard]] NodeId find(std::string_view name) const noexcept;

  /// Extents of the input image that the network is known for, e.g. [224, 224]; of several inputs
  /// those without extents of their own. Only a default for tools.
  [[nodiscard]] const Shape& default_extents() const noexcept { return default_extents_; }
  /// The same with `size` along every halved axis: a video keeps its frames.
  [[nodiscard]] Shape default_extents(std::int64_t size) const;
  /// Sets what `default_extents` gives.
  void set_default_extents(Shape extents) { default_extents_ = extents; }
  /// What octavize does unless told otherwise.
  [[nodiscard]] const OctavePolicy& policy() const noexcept { return policy_; }
  /// Sets what `policy` gives.
  void set_policy(OctavePolicy policy) { policy_ = std::move(policy); }

  /// The convolution of node `id` with the splits of its values. Requires a Conv.
  [[nodiscard]] ConvOptions conv_options(NodeId id) const;

  /// Sets how a value's channels are divided, and a convolution's stride mode and exchange. For
  /// passes; the caller restores consistency and calls `check`.
  void set_channels(NodeId id, ChannelSplit channels) {
    nodes_[static_cast<std::size_t>(id)].channels = channels;
  }
  /// Sets the stage of a node; for importers.
  void set_stage(NodeId id, int stage) { nodes_[static_cast<std::size_t>(id)].stage = stage; }
  /// Gives a Conv, ConvTranspose or Linear a bias; for importers and passes.
  void set_bias(NodeId id);
  /// Requires a BatchNorm and `epsilon` > 0; for importers.
  void set_epsilon(NodeId id, double epsilon);
  /// Requires a Conv; for passes, like `set_channels`.
  /// @{
  void set_stride_mode(NodeId id, StrideMode mode);
  void set_exchange(NodeId id, Exchange exchange);
  void set_downsample(NodeId id, Downsample downsample);
  void set_low_to_high(NodeId id, LowToHigh order);
  /// @}

  /// Checks every node against its inputs: splits that an operation must keep, octave geometry,
  /// ordinary inputs and outputs.
  /// @throws InvalidArgument or Unsupported naming the node
  void check() const;

 private:
  std::string name_;
  Shape octave_;
  std::vector<Node> nodes_;
  std::vector<NodeId> inputs_;
  std::vector<NodeId> outputs_;
  Shape default_extents_;
  OctavePolicy policy_;
};

/// A value's shape for one input shape.
struct ValueShape {
  std::int64_t batch = 1;  ///< images
  ChannelSplit channels;   ///< of each frequency
  Shape high;              ///< extents of the full grid; rank 0 for a value without extents
  Shape low;               ///< extents of the low grid: ceil(high / octave)

  /// [batch, channels, extents...] of one frequency; [batch, channels] without extents.
  [[nodiscard]] OCTCONV_API Shape tensor_shape(Frequency frequency) const;
  /// Elements of one image on each grid.
  /// @{
  [[nodiscard]] OCTCONV_API std::int64_t high_elements() const;
  [[nodiscard]] OCTCONV_API std::int64_t low_elements() const;
  /// @}
};

/// The extents that a pool makes of the full grid's `in`, of the same rank.
/// @throws InvalidArgument if a window does not fit
[[nodiscard]] OCTCONV_API Shape pooled_extents(const Pool& pool, const Shape& in);

/// The extents that a transposed convolution makes of `in`.
/// @throws InvalidArgument if nothing is left
[[nodiscard]] OCTCONV_API Shape transposed_extents(const ConvTranspose& conv, const Shape& in);

/// The extents that a Resize makes of the full grid's `in`.
/// @throws InvalidArgument if one does not fit in 63 bits
[[nodiscard]] OCTCONV_API Shape resized_extents(const Resize& resize, const Shape& in);

/// The shape of every value, indexed by node.
///
/// @param extents  of every input without extents of its own: one per spatial axis, >= 1
/// @throws InvalidArgument naming the node at which the extents do not fit
[[nodiscard]] OCTCONV_API std::vector<ValueShape> infer_shapes(const Graph& graph,
                                                               std::int64_t batch,
                                                               const Shape& extents);
/// The same with the extents of each input, in the order of `Graph::inputs`.
[[nodiscard]] OCTCONV_API std::vector<ValueShape> infer_shapes(const Graph& graph,
                                                               std::int64_t batch,
                                                               std::span<const Shape> extents);

/// One line per node: name, operation, channels (high + low), stage, inputs; with extents if given.
[[nodiscard]] OCTCONV_API std::string dump(const Graph& graph);
/// The same for an input of these extents, with the extents of every value.
[[nodiscard]] OCTCONV_API std::string dump(const Graph& graph, const Shape& extents);
/// Graphviz source; octave values are drawn as double lines, the low part's share in the label.
[[nodiscard]] OCTCONV_API std::string to_dot(const Graph& graph);

}  // namespace octconv
