// SPDX-License-Identifier: Apache-2.0
// Octavize is constraint solving: values that an operation ties together form one group, and a
// group is octave or ordinary as a whole.
#include "octconv/graph/octavize.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "octconv/base/error.h"

namespace octconv {
namespace {

// Groups of values that must have the same split.
class Groups {
 public:
  explicit Groups(std::size_t count) : parent_(count), reason_(count) {
    std::iota(parent_.begin(), parent_.end(), NodeId{0});
  }

  NodeId find(NodeId id) {
    NodeId& up = parent_[static_cast<std::size_t>(id)];
    if (up != id) up = find(up);
    return up;
  }

  void join(NodeId a, NodeId b) {
    const NodeId root = find(a);
    const NodeId other = find(b);
    if (root == other) return;
    parent_[static_cast<std::size_t>(other)] = root;
    if (!pinned(root))
      reason_[static_cast<std::size_t>(root)] = reason_[static_cast<std::size_t>(other)];
  }

  void pin(NodeId id, std::string reason) {
    if (pinned(id)) return;
    reason_[static_cast<std::size_t>(find(id))] = std::move(reason);
    ++pins_;
  }

  std::size_t pins() const noexcept { return pins_; }

  bool pinned(NodeId id) { return !reason(id).empty(); }
  const std::string& reason(NodeId id) { return reason_[static_cast<std::size_t>(find(id))]; }

 private:
  std::vector<NodeId> parent_;
  std::vector<std::string> reason_;
  std::size_t pins_ = 0;
};

// Do the windows of the low grid fall where those of the high grid do? Odd centred windows with
// stride 1 or 2 and unpadded 2-wide ones with stride 2.
bool keeps_grids_aligned(const Pool& pool) {
  for (std::size_t axis = 0; axis < pool.kernel.rank(); ++axis) {
    const std::int64_t kernel = pool.kernel[axis];
    const std::int64_t stride = pool.stride[axis];
    const bool centred = kernel % 2 == 1 && pool.padding_begin[axis] == kernel / 2 &&
                         pool.padding_end[axis] == kernel / 2 && stride <= 2;
    const bool halving =
        kernel == 2 && stride == 2 && pool.padding_begin[axis] == 0 && pool.padding_end[axis] == 0;
    if (!centred && !halving) return false;
  }
  return true;
}

bool takes_alpha(const OctavePolicy& policy, int stage) {
  return stage >= 0 && static_cast<std::size_t>(stage) < policy.octave_stages.size() &&
         policy.octave_stages[static_cast<std::size_t>(stage)];
}

class Solver {
 public:
  Solver(const Graph& graph, const OctavizeOptions& options)
      : graph_(graph),
        options_(options),
        groups_(graph.nodes().size()),
        low_(graph.nodes().size(), std::nullopt),
        concat_(graph.nodes().size(), false),
        named_(graph.nodes().size(), false) {}

  Octavized solve() {
    for_each_node([&](NodeId id) { constrain(id); });
    for (const NodeId output : graph_.outputs())
      groups_.pin(output, "it is an output of the network");
    for (const KeptOrdinary& value : options_.ordinary) groups_.pin(value.node, value.reason);
    for_each_node([&](NodeId id) {
      if (std::holds_alternative<Concat>(graph_.node(id).op))
        concat_[static_cast<std::size_t>(groups_.find(id))] = true;
      if (options_.layer_alphas.contains(graph_.node(id).name))
        named_[static_cast<std::size_t>(groups_.find(id))] = true;
    });
    // A pin changes what concatenations add up to, which may pin more; there are finitely many.
    std::size_t pins = 0;
    do {
      pins = groups_.pins();
      std::fill(low_.begin(), low_.end(), std::nullopt);
      for_each_node([&](NodeId id) { choose(id); });
      for_each_node([&](NodeId id) { add_up(id); });
      for_each_node([&](NodeId id) { check_concat(id); });
      for_each_node([&](NodeId id) { check_groups(id); });
    } while (groups_.pins() != pins);
    return apply();
  }

 private:
  template <class Body>
  void for_each_node(Body&& body) {
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) body(static_cast<NodeId>(i));
  }

  void constrain(NodeId id) {
    const Node& node = graph_.node(id);
    const auto join_inputs = [&] {
      for (const NodeId input : node.inputs) groups_.join(id, input);
    };
    std::visit(
        Overloaded{
            [&](const Input&) { groups_.pin(id, "it is an input of the network"); },
            [&](const Conv&) { constrain_conv(id); }, [&](const BatchNorm&) { join_inputs(); },
            [&](const ConvTranspose&) { keep_ordinary(id, "a transposed convolution"); },
            [&](const Activation&) { join_inputs(); }, [&](const Add&) { join_inputs(); },
            [&](const Multiply&) { join_inputs(); },
            [&](const Select&) { keep_ordinary(id, "a choice of channels"); },
            // Its counts are sums: add_up.
            [](const Concat&) {}, [&](const Scale&) { groups_.join(id, node.inputs[0]); },
            [&](const Attention&) { keep_ordinary(id, "attention"); },
            [&](const Softmax&) { keep_ordinary(id, "a softmax"); },
            [&](const Resize&) { join_inputs(); },
            [&](const Pool& pool) {
              join_inputs();
              if (!keeps_grids_aligned(pool)) {
                groups_.pin(id, "pool '" + node.name + "' moves the low grid against the high one");
              }
            },
            [&](const GlobalPool&) { groups_.pin(id, "it has no extents"); },
            [&](const Linear&) { groups_.pin(id, "it has no extents"); }},
        node.op);
  }

  // An operation without octave form: neither what it reads nor what it makes can be octave.
  void keep_ordinary(NodeId id, const std::string& what) {
    const std::string reason =
        what + " '" + graph_.node(id).name + "' reads and makes ordinary values";
    groups_.pin(id, reason);
    for (const NodeId input : graph_.node(id).inputs) groups_.pin(input, reason);
  }

  void constrain_conv(NodeId id) {
    const NodeId input = graph_.node(id).inputs[0];
    const ConvOptions options = graph_.conv_options(id);
    if (options.depthwise()) groups_.join(id, input);
    const std::string obstacle = octave_obstacle(options);
    if (!obstacle.empty()) {
      groups_.pin(id, "'" + graph_.node(id).name + "': " + obstacle);
      groups_.pin(input, "it feeds '" + graph_.node(id).name + "': " + obstacle);
    }
  }

  // The stage of a group is that of its convolutions; they should agree. What concatenations add up
  // to, a depthwise one takes as it is.
  void choose(NodeId id) {
    const Node& node = graph_.node(id);
    if (!std::holds_alternative<Conv>(node.op)) return;
    if (concat_[static_cast<std::size_t>(groups_.find(id))] && graph_.conv_options(id).depthwise())
      return;
    // Who has an alpha of its own decides for what it is tied to.
    if (named_[static_cast<std::size_t>(groups_.find(id))] &&
        !options_.layer_alphas.contains(node.name))
      return;
    const std::int64_t low = split_channels(node.channels.total(), alpha_of(node)).low;
    std::optional<std::int64_t>& chosen = low_[static_cast<std::size_t>(groups_.find(id))];
    if (chosen && *chosen != low) {
      groups_.pin(id, "'" + node.name + "' joins it to values of another alpha");
    }
    chosen = low;
  }

  double alpha_of(const Node& node) const {
    const auto own = options_.layer_alphas.find(node.name);
    if (own != options_.layer_alphas.end()) return own->second;
    return takes_alpha(graph_.policy(), node.stage) ? options_.alpha : 0;
  }

  // In topological order, so that what a concatenation joins has its counts.
  void add_up(NodeId id) {
    const Node& node = graph_.node(id);
    if (!std::holds_alternative<Concat>(node.op)) return;
    std::optional<std::int64_t>& low = low_[static_cast<std::size_t>(groups_.find(id))];
    if (!low) low = low_of_inputs(id);
  }

  void check_concat(NodeId id) {
    const Node& node = graph_.node(id);
    if (!std::holds_alternative<Concat>(node.op)) return;
    const std::int64_t sum = low_of_inputs(id);
    if (low_of(id) != sum) {
      groups_.pin(id, "concat '" + node.name + "' joins " + std::to_string(sum) +
                          " low channels, and others need " + std::to_string(wanted_low(id)));
    }
    if (!groups_.pinned(id)) return;
    for (const NodeId input : node.inputs) {
      groups_.pin(input, "it is part of '" + node.name + "': " + groups_.reason(id));
    }
  }

  // A grouped convolution has all its groups in every path. Pinning leaves 0 low channels, which
  // any number of groups divides.
  void check_groups(NodeId id) {
    const Node& node = graph_.node(id);
    if (!std::holds_alternative<Conv>(node.op) || graph_.conv_options(id).depthwise()) return;
    const std::int64_t groups = std::get<Conv>(node.op).groups;
    for (const NodeId value : {node.inputs[0], id}) {
      if (low_of(value) % groups != 0) {
        groups_.pin(value, std::to_string(groups) + " groups of '" + node.name +
                               "' do not divide " + std::to_string(low_of(value)) +
                               " low channels");
      }
    }
  }

  Octavized apply() {
    Octavized result{.graph = graph_, .kept_ordinary = {}};
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
      const auto id = static_cast<NodeId>(i);
      const Node& node = graph_.node(id);
      const std::int64_t low = wanted_low(id);
      if (!groups_.pinned(id)) {
        result.graph.set_channels(id, {.high = node.channels.total() - low, .low = low});
      } else if (low > 0) {
        result.kept_ordinary.push_back({id, groups_.reason(id)});
      }
    }
    return result;
  }

  // What the stage gives, though the group may be pinned.
  std::int64_t wanted_low(NodeId id) {
    return low_[static_cast<std::size_t>(groups_.find(id))].value_or(0);
  }

  std::int64_t low_of(NodeId id) { return groups_.pinned(id) ? 0 : wanted_low(id); }

  std::int64_t low_of_inputs(NodeId id) {
    std::int64_t sum = 0;
    for (const NodeId input : graph_.node(id).inputs) sum += low_of(input);
    return sum;
  }

  const Graph& graph_;
  const OctavizeOptions& options_;
  Groups groups_;
  std::vector<std::optional<std::int64_t>> low_;  // by group
  // By group, once joined:
  std::vector<bool> concat_;  // does it hold a concatenation?
  std::vector<bool> named_;   // does it hold a convolution with an alpha of its own?
};

}  // namespace

Octavized octavize(const Graph& graph, const OctavizeOptions& options) {
  check_alpha(options.alpha, "octavize");
  bool octave_wanted = options.alpha > 0;
  for (const auto& [name, alpha] : options.layer_alphas) {
    const NodeId id = graph.find(name);
    if (id < 0 || !std::holds_alternative<Conv>(graph.node(id).op))
      throw InvalidArgument("octavize: network '" + graph.name() + "' has no convolution '" + name +
                            "'");
    check_alpha(alpha, "octavize: layer '" + name + "'");
    octave_wanted = octave_wanted || alpha > 0;
  }
  if (std::any_of(graph.nodes().begin(), graph.nodes().end(),
                  [](const Node& node) { return node.channels.octave(); })) {
    throw InvalidArgument("octavize: network '" + graph.name() + "' is octave already");
  }
  Octavized result = Solver(graph, options).solve();

  std::optional<StrideMode> mode = options.stride_mode;
  if (!mode && octave_wanted) mode = graph.policy().stride_mode;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    if (!std::holds_alternative<Conv>(graph.node(id).op)) continue;
    const ConvOptions conv = graph.conv_options(id);
    const bool in_a_stage = graph.node(id).stage != Node::kNoStage;
    if (mode && in_a_stage && conv.strided() && octave_obstacle(conv).empty()) {
      result.graph.set_stride_mode(id, *mode);
    }
    result.graph.set_exchange(id, options.exchange);
    result.graph.set_downsample(id, options.downsample);
    if (order_matters(result.graph.conv_options(id)))
      result.graph.set_low_to_high(id, options.low_to_high);
  }
  result.graph.check();
  return result;
}

}  // namespace octconv
