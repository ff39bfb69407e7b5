// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/permute.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "octconv/base/error.h"

namespace octconv {
namespace {

using Numbers = std::vector<std::int64_t>;

Numbers identity(std::int64_t count) {
  Numbers numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
  return numbers;
}

bool is_permutation(const Numbers& numbers, std::int64_t count) {
  Numbers sorted = numbers;
  std::sort(sorted.begin(), sorted.end());
  return sorted == identity(count);
}

// Is each block's share of the low positions, and of the high ones, out of that block?
bool keeps_blocks(const Numbers& numbers, const TiedValues& values) {
  if (values.channels % values.blocks != 0 || values.low % values.blocks != 0) return false;
  const std::int64_t size = values.channels / values.blocks;
  const std::int64_t low = values.low / values.blocks;
  for (std::int64_t p = 0; p < values.channels; ++p) {
    const std::int64_t block = p < values.low ? p / low : (p - values.low) / (size - low);
    if (numbers[static_cast<std::size_t>(p)] / size != block) return false;
  }
  return true;
}

class Numberer {
 public:
  Numberer(const Graph& graph, const ChooseOrder& choose)
      : graph_(graph), choose_(choose), parent_(graph.nodes().size()) {
    std::iota(parent_.begin(), parent_.end(), NodeId{0});
    for_each_node([&](NodeId id) { tie(id); });
    for_each_node([&](NodeId id) { describe(id); });
    for_each_node([&](NodeId id) {
      const Node& node = graph.node(id);
      if (!std::holds_alternative<Select>(node.op) &&
          !std::holds_alternative<ConvTranspose>(node.op))
        return;
      fix(id);
      fix(node.inputs[0]);
    });
    for (const NodeId id : graph.inputs()) fix(id);
    for (const NodeId id : graph.outputs()) fix(id);
  }

  Numbered number() {
    Numbered result;
    for_each_node([&](NodeId id) { result.numbering.push_back(numbers_of(id)); });
    result.obstacles = std::move(obstacles_);
    return result;
  }

 private:
  struct Set {
    TiedValues values;
    std::vector<NodeId> concats;
    bool fixed = false;
    std::string grouped;  // the first convolution in groups
    std::optional<Numbers> numbers;
  };

  template <class Body>
  void for_each_node(Body&& body) {
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) body(static_cast<NodeId>(i));
  }

  NodeId find(NodeId id) {
    NodeId& up = parent_[static_cast<std::size_t>(id)];
    if (up != id) up = find(up);
    return up;
  }

  void join(NodeId a, NodeId b) { parent_[static_cast<std::size_t>(find(b))] = find(a); }

  void tie(NodeId id) {
    const Node& node = graph_.node(id);
    const auto join_inputs = [&] {
      for (const NodeId input : node.inputs) join(id, input);
    };
    std::visit(
        Overloaded{[](const Input&) {},
                   [&](const Conv&) {
                     if (graph_.conv_options(id).depthwise()) join_inputs();
                   },
                   [](const ConvTranspose&) {}, [&](const BatchNorm&) { join_inputs(); },
                   [&](const Activation&) { join_inputs(); }, [&](const Add&) { join_inputs(); },
                   [&](const Multiply&) { join_inputs(); }, [](const Select&) {},
                   [&](const Softmax&) { join_inputs(); }, [&](const Resize&) { join_inputs(); },
                   [&](const Concat&) {
                     if (node.inputs.size() == 1) join_inputs();
                   },
                   [&](const Scale&) { join_inputs(); },
                   [&](const Attention&) {
                     // Products of queries and keys are summed over their channels.
                     join(node.inputs[0], node.inputs[1]);
                     join(id, node.inputs[2]);
                   },
                   [&](const Pool&) { join_inputs(); }, [&](const GlobalPool&) { join_inputs(); },
                   [](const Linear&) {}},
        node.op);
  }

  Set& set_of(NodeId id) { return sets_[find(id)]; }

  void describe(NodeId id) {
    const Node& node = graph_.node(id);
    Set& set = set_of(id);
    set.values.nodes.push_back(id);
    set.values.channels = node.channels.total();
    set.values.low = std::max(set.values.low, node.channels.low);
    if (std::holds_alternative<Concat>(node.op) && node.inputs.size() > 1)
      set.concats.push_back(id);
    const auto* conv = std::get_if<Conv>(&node.op);
    if (conv == nullptr || conv->groups == 1 || graph_.conv_options(id).depthwise()) return;
    for (const NodeId value : {node.inputs[0], id}) {
      Set& blocked = set_of(value);
      blocked.values.blocks = std::lcm(blocked.values.blocks, conv->groups);
      if (blocked.grouped.empty()) blocked.grouped = node.name;
    }
  }

  // The channels must stand where they stood, and so must those of what is joined.
  void fix(NodeId id) {
    Set& set = set_of(id);
    if (std::exchange(set.fixed, true)) return;
    for (const NodeId concat : set.concats) {
      for (const NodeId part : graph_.node(concat).inputs) fix(part);
    }
  }

  // A concatenation has more channels than each of its parts, so this ends.
  const Numbers& numbers_of(NodeId id) {
    Set& set = set_of(id);
    if (!set.numbers) set.numbers = make(set);
    return *set.numbers;
  }

  Numbers make(const Set& set) {
    if (set.fixed || !set.concats.empty()) return required(set);
    if (set.values.low % set.values.blocks != 0 || set.values.channels % set.values.blocks != 0) {
      obstruct(set, std::to_string(set.values.blocks) + " parts that groups make do not divide " +
                        std::to_string(set.values.low) + " low channels");
      return identity(set.values.channels);
    }
    Numbers numbers = choose_ ? choose_(set.values) : order_by_score(set.values, {});
    if (!is_permutation(numbers, set.values.channels) || !keeps_blocks(numbers, set.values)) {
      throw InvalidArgument("number_channels: the order chosen for '" +
                            graph_.node(set.values.nodes.front()).name +
                            "' is no permutation of its " + std::to_string(set.values.channels) +
                            " channels that keeps their groups");
    }
    return numbers;
  }

  Numbers required(const Set& set) {
    std::optional<Numbers> numbers;
    if (set.fixed) numbers = identity(set.values.channels);
    for (const NodeId concat : set.concats) {
      Numbers joined = join_numbers(concat);
      if (numbers && *numbers != joined) {
        obstruct(set, set.fixed
                          ? "the order of an output is that of '" + graph_.node(concat).name + "'"
                          : "'" + graph_.node(concat).name + "' and '" +
                                graph_.node(set.concats.front()).name +
                                "' join their low channels in different orders");
        return *numbers;
      }
      numbers = std::move(joined);
    }
    if (set.values.low > 0 && !keeps_blocks(*numbers, set.values))
      obstruct(set, "its low channels are not as many of each group of '" + set.grouped + "'");
    return *numbers;
  }

  Numbers join_numbers(NodeId concat) {
    Numbers joined;
    for (const Frequency frequency : {Frequency::kLow, Frequency::kHigh}) {
      std::int64_t first = 0;  // channel of the ordinary concatenation
      for (const NodeId part : graph_.node(concat).inputs) {
        const ChannelSplit& channels = graph_.node(part).channels;
        const Numbers& numbers = numbers_of(part);
        const bool low = frequency == Frequency::kLow;
        for (std::int64_t p = low ? 0 : channels.low; p < (low ? channels.low : channels.total());
             ++p) {
          joined.push_back(first + numbers[static_cast<std::size_t>(p)]);
        }
        first += channels.total();
      }
    }
    return joined;
  }

  void obstruct(const Set& set, const std::string& reason) {
    for (const NodeId id : set.values.nodes) {
      if (graph_.node(id).channels.octave()) {
        obstacles_.push_back({id, reason});
        return;
      }
    }
    throw InvalidArgument("number_channels: '" + graph_.node(set.values.nodes.front()).name +
                          "': " + reason);
  }

  const Graph& graph_;
  const ChooseOrder& choose_;
  std::vector<NodeId> parent_;
  std::map<NodeId, Set> sets_;  // by root
  std::vector<KeptOrdinary> obstacles_;
};

// Which position of the input every weight of a convolution multiplies: [row][column].
std::vector<Numbers> positions_read(ConvOptions options) {
  options.exchange = Exchange::kBoth;  // paths that are switched off have weights too
  std::vector<Numbers> positions(
      static_cast<std::size_t>(options.out.total()),
      Numbers(static_cast<std::size_t>(options.in.total() / options.groups), -1));
  for (const ConvPath& path : conv_paths(options)) {
    const std::int64_t first = path.src == Frequency::kLow ? 0 : options.in.low;
    const std::int64_t rows_of_group = path.rows / path.groups;
    for (std::int64_t row = 0; row < path.rows; ++row) {
      Numbers& of_row = positions[static_cast<std::size_t>(path.row + row)];
      for (std::int64_t column = 0; column < path.columns; ++column) {
        of_row[static_cast<std::size_t>(path.column + column)] =
            first + row / rows_of_group * path.columns + column;
      }
    }
  }
  return positions;
}

class Mover {
 public:
  Mover(const Graph& from, const Graph& to, const Numbering& numbering)
      : from_(from), to_(to), numbering_(numbering) {}

  [[nodiscard]] Tensor move(NodeId id, const Parameter& parameter, const Tensor& tensor) const {
    const Node& node = to_.node(id);
    if (parameter.kind != Parameter::Kind::kWeight) return move_channels(id, tensor);
    if (std::holds_alternative<Conv>(node.op)) return move_conv(id, tensor);
    if (std::holds_alternative<ConvTranspose>(node.op)) return tensor.clone();  // keeps its order
    return move_linear(id, tensor);
  }

 private:
  const Numbers& numbers(NodeId id) const { return numbering_[static_cast<std::size_t>(id)]; }
  const Numbers& numbers_of_input(NodeId id) const { return numbers(to_.node(id).inputs[0]); }

  Tensor move_channels(NodeId id, const Tensor& tensor) const {
    Tensor moved(tensor.shape());
    for (std::size_t p = 0; p < moved.values().size(); ++p)
      moved.values()[p] = tensor.values()[static_cast<std::size_t>(numbers(id)[p])];
    return moved;
  }

  Tensor move_linear(NodeId id, const Tensor& tensor) const {
    Tensor moved(tensor.shape());
    const Numbers& columns = numbers_of_input(id);
    float* to = moved.data();
    for (const std::int64_t row : numbers(id)) {
      const float* src = tensor.data() + row * tensor.shape()[1];
      for (const std::int64_t column : columns) *to++ = src[column];
    }
    return moved;
  }

  Tensor move_conv(NodeId id, const Tensor& tensor) const {
    const std::vector<Numbers> before = positions_read(from_.conv_options(id));
    const std::vector<Numbers> after = positions_read(to_.conv_options(id));
    const Numbers& channels = numbers_of_input(id);
    const auto columns = static_cast<std::size_t>(tensor.shape()[1]);
    const auto taps = static_cast<std::size_t>(tensor.elements() / tensor.shape()[0]) / columns;
    Tensor moved(tensor.shape());
    float* to = moved.data();
    Numbers column_of(channels.size());  // by position of the input; -1: the row does not read it
    for (std::size_t row = 0; row < after.size(); ++row) {
      const auto old_row = static_cast<std::size_t>(numbers(id)[row]);
      std::fill(column_of.begin(), column_of.end(), -1);
      for (std::size_t column = 0; column < columns; ++column) {
        const std::int64_t position = before[old_row][column];
        if (position >= 0)
          column_of[static_cast<std::size_t>(position)] = static_cast<std::int64_t>(column);
      }
      for (std::size_t column = 0; column < columns; ++column) {
        const std::int64_t position = after[row][column];
        const std::int64_t old_column =
            position < 0
                ? -1
                : column_of[static_cast<std::size_t>(channels[static_cast<std::size_t>(position)])];
        if (old_column < 0) {
          throw InvalidArgument("renumber: '" + to_.node(id).name +
                                "' has no weight for channels that would be in one group");
        }
        const float* src =
            tensor.data() + (old_row * columns + static_cast<std::size_t>(old_column)) * taps;
        to = std::copy_n(src, taps, to);
      }
    }
    return moved;
  }

  const Graph& from_;
  const Graph& to_;
  const Numbering& numbering_;
};

void check_same_nodes(const Graph& from, const Graph& to, const Numbering& numbering) {
  const auto fail = [&](const std::string& why) {
    throw InvalidArgument("renumber: network '" + from.name() + "': " + why);
  };
  if (from.nodes().size() != to.nodes().size() || numbering.size() != to.nodes().size())
    fail("the graphs and the numbering must have the same nodes");
  for (std::size_t i = 0; i < numbering.size(); ++i) {
    const Node& a = from.nodes()[i];
    const Node& b = to.nodes()[i];
    if (a.name != b.name || a.inputs != b.inputs || a.op.index() != b.op.index())
      fail("node '" + b.name + "' is not '" + a.name + "'");
    if (!is_permutation(numbering[i], b.channels.total()))
      fail("the numbers of '" + b.name + "' are no permutation of its channels");
  }
}

}  // namespace

Numbering identity_numbering(const Graph& graph) {
  Numbering numbering;
  for (const Node& node : graph.nodes()) numbering.push_back(identity(node.channels.total()));
  return numbering;
}

Numbering inverse(const Numbering& numbering) {
  Numbering back = numbering;
  for (std::size_t i = 0; i < numbering.size(); ++i) {
    for (std::size_t p = 0; p < numbering[i].size(); ++p)
      back[i][static_cast<std::size_t>(numbering[i][p])] = static_cast<std::int64_t>(p);
  }
  return back;
}

std::vector<std::int64_t> order_by_score(const TiedValues& values,
                                         const std::vector<double>& scores) {
  const std::int64_t size = values.channels / values.blocks;
  const std::int64_t low = values.low / values.blocks;
  Numbers lows;
  Numbers highs;
  for (std::int64_t block = 0; block < values.blocks; ++block) {
    Numbers channels = identity(size);
    for (std::int64_t& channel : channels) channel += block * size;
    if (!scores.empty()) {
      std::stable_sort(channels.begin(), channels.end(), [&](std::int64_t a, std::int64_t b) {
        return scores[static_cast<std::size_t>(a)] < scores[static_cast<std::size_t>(b)];
      });
    }
    std::sort(channels.begin(), channels.begin() + low);
    std::sort(channels.begin() + low, channels.end());
    lows.insert(lows.end(), channels.begin(), channels.begin() + low);
    highs.insert(highs.end(), channels.begin() + low, channels.end());
  }
  lows.insert(lows.end(), highs.begin(), highs.end());
  return lows;
}

Numbered number_channels(const Graph& twin, const ChooseOrder& choose) {
  return Numberer(twin, choose).number();
}

Weights renumber(const Graph& from, const Weights& weights, const Graph& to,
                 const Numbering& numbering) {
  check_same_nodes(from, to, numbering);
  check_weights(from, weights);
  const Mover mover(from, to, numbering);
  Weights moved;
  for (std::size_t i = 0; i < to.nodes().size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    for (const Parameter& parameter : parameters(to, id))
      moved.emplace(parameter.name, mover.move(id, parameter, weights.at(parameter.name)));
  }
  return moved;
}

Twin make_twin(const Model& model, OctavizeOptions options, const ChannelScores& scores) {
  const auto choose = [&](const TiedValues& values) {
    std::vector<double> sums;
    for (const NodeId id : values.nodes) {
      const auto i = static_cast<std::size_t>(id);
      if (i >= scores.size() || scores[i].empty()) continue;
      if (static_cast<std::int64_t>(scores[i].size()) != values.channels) {
        throw InvalidArgument("make_twin: '" + model.graph.node(id).name + "' has " +
                              std::to_string(values.channels) + " channels and " +
                              std::to_string(scores[i].size()) + " scores");
      }
      sums.resize(scores[i].size());
      for (std::size_t c = 0; c < sums.size(); ++c) sums[c] += scores[i][c];
    }
    return order_by_score(values, sums);
  };
  while (true) {
    Octavized octave = octavize(model.graph, options);
    Numbered numbered = number_channels(octave.graph, choose);
    if (numbered.obstacles.empty()) {
      Weights weights = renumber(model.graph, model.weights, octave.graph, numbered.numbering);
      return {.model = {std::move(octave.graph), std::move(weights), model.preprocessing},
              .numbering = std::move(numbered.numbering),
              .kept_ordinary = std::move(octave.kept_ordinary)};
    }
    // Each makes at least one octave value ordinary.
    options.ordinary.insert(options.ordinary.end(), numbered.obstacles.begin(),
                            numbered.obstacles.end());
  }
}

}  // namespace octconv
