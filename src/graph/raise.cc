// SPDX-License-Identifier: Apache-2.0
// Two values of the plain graph are the grids of one octave value if what makes them says so: the
// paths of an octave convolution, or twins of one operation whose operands are grids themselves.
// The question is asked backwards from the network's outputs, and what the outputs need is built
// anew. Values that would be computed twice then stay plain, until none is.
#include "octconv/graph/raise.h"

#include <algorithm>
#include <compare>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/affine.h"
#include "graph/block.h"
#include "octconv/base/error.h"

namespace octconv {
namespace {

// Questions that are asked for each node of a network, and rounds of asking. Networks need a few;
// what is left after that stays plain.
constexpr std::size_t kMaxQuestionsPerNode = 100;
constexpr int kMaxRounds = 1000;

// A value of the new graph: a node of the old one, or two that are its grids.
struct Key {
  NodeId high = -1;
  NodeId low = -1;
  friend auto operator<=>(const Key&, const Key&) = default;

  [[nodiscard]] bool octave() const { return low >= 0; }
};

// One convolution of a sum: on its own grid, or enlarged to the full one.
struct Term {
  NodeId conv = -1;
  bool enlarged = false;       // behind the convolution
  std::vector<NodeId> norms;   // batch norms of this term alone, in order
  NodeId enlarged_first = -1;  // what was enlarged before the convolution
};

// How a value of the new graph is made.
struct Plan {
  Op op;
  std::vector<Key> inputs;
  std::vector<ConvPath> paths;       // of an octave convolution
  std::vector<Term> terms;           // by path
  std::vector<Key> gates;            // of a Scale: the parts of its gate, where it has no other
  std::vector<std::int64_t> chosen;  // channels of the mean of an octave value; empty: all
};

bool makes_octave_conv(const Key& key, const Plan& plan) {
  return !plan.paths.empty() && (key.octave() || plan.inputs[0].octave());
}

struct Ways {
  Shape stride;
  StrideMode mode = StrideMode::kStrided;
};

class Recognition {
 public:
  Recognition(const Graph& graph, const Shape& octave)
      : graph_(graph), octave_(octave), shapes_(infer_shapes(graph, 1, graph.default_extents())) {}

  // What the outputs need, in an order in which it can be built.
  std::map<Key, Plan> run() {
    find_means();
    for (int round = 0; round < kMaxRounds; ++round) {
      known_.clear();
      std::map<Key, Plan> needed = collect();
      if (!exclude_shared(needed)) return needed;
    }
    return {};
  }

 private:
  [[nodiscard]] const Node& node(NodeId id) const { return graph_.node(id); }
  [[nodiscard]] const Shape& extents(NodeId id) const {
    return shapes_[static_cast<std::size_t>(id)].high;
  }
  [[nodiscard]] std::int64_t channels(NodeId id) const { return node(id).channels.total(); }
  template <class Kind>
  [[nodiscard]] const Kind* as(NodeId id) const {
    return std::get_if<Kind>(&node(id).op);
  }

  std::map<Key, Plan> collect() {
    std::map<Key, Plan> needed;
    std::vector<Key> open;
    for (const NodeId id : graph_.outputs()) open.push_back({id});
    for (const NodeId id : graph_.inputs()) open.push_back({id});
    while (!open.empty()) {
      const Key key = open.back();
      open.pop_back();
      if (needed.contains(key)) continue;
      Plan plan = key.octave() ? *known_.at(key) : plain(key.high);
      open.insert(open.end(), plan.inputs.begin(), plan.inputs.end());
      open.insert(open.end(), plan.gates.begin(), plan.gates.end());
      needed.emplace(key, std::move(plan));
    }
    return needed;
  }

  // A node that is a grid of one value and needed otherwise too: if that is for its mean only, the
  // mean is one of the value; otherwise the value stays plain.
  bool exclude_shared(const std::map<Key, Plan>& needed) {
    std::map<NodeId, int> uses;
    std::map<NodeId, bool> averaged;  // of what is read as it is: by global pools only?
    for (const auto& [key, plan] : needed) {
      ++uses[key.high];
      if (key.octave()) ++uses[key.low];
      for (const Key& input : plan.inputs) {
        bool& only = averaged.emplace(input.high, !input.octave()).first->second;
        only = only && (input.octave() || std::holds_alternative<GlobalPool>(plan.op));
      }
    }
    for (const NodeId output : graph_.outputs()) averaged[output] = false;
    bool any = false;
    for (const auto& [key, plan] : needed) {
      if (!key.octave()) continue;
      for (const NodeId grid : {key.high, key.low}) {
        if (uses[grid] == 1) continue;
        any = true;
        std::vector<Key>& fellows = fellows_[grid];
        if (averaged[grid] && std::find(fellows.begin(), fellows.end(), key) == fellows.end()) {
          fellows.push_back(key);
        } else {
          excluded_.insert(key);
        }
      }
    }
    return any;
  }

  // ---- Ordinary values

  Plan plain(NodeId id) {
    std::optional<Plan> plan = answered([&] {
      std::optional<Plan> found = last_conv(id);
      if (!found) found = mean_of_both(id);
      if (!found) found = mean_of_one(id);
      if (!found) found = pooled_conv(id);
      return found;
    });
    if (plan) return *std::move(plan);
    Plan same{.op = node(id).op};
    for (const NodeId input : node(id).inputs) same.inputs.push_back({input});
    return same;
  }

  std::optional<Plan> last_conv(NodeId id) {
    const std::vector<Term> terms = terms_of(id);
    if (terms.size() != 2) return std::nullopt;
    return octave_conv(terms, {}, {id, -1});
  }

  // An ordinary convolution whose stride is a pool before it, as those of octave networks are where
  // they have no low channels.
  std::optional<Plan> pooled_conv(NodeId id) {
    if (as<Conv>(id) == nullptr || as<Pool>(node(id).inputs[0]) == nullptr) return std::nullopt;
    return paths_are({{.conv = id}}, 1, {id, -1}, Exchange::kBoth, {octave_, StrideMode::kPool},
                     /*octave_in=*/false);
  }

  // The means of the low channels, then those of the high ones, or the other way round.
  std::optional<Plan> mean_of_both(NodeId id) {
    if (as<Concat>(id) == nullptr || node(id).inputs.size() != 2) return std::nullopt;
    const NodeId first = node(id).inputs[0];
    const NodeId second = node(id).inputs[1];
    if (as<GlobalPool>(first) == nullptr || as<GlobalPool>(second) == nullptr) return std::nullopt;
    for (const bool low_first : {true, false}) {
      const Key key{node(low_first ? second : first).inputs[0],
                    node(low_first ? first : second).inputs[0]};
      if (!pair(key)) continue;
      Plan plan{.op = GlobalPool{}, .inputs = {key}};
      if (!low_first) {
        plan.chosen = part_of(key, Frequency::kHigh);
        const std::vector<std::int64_t> low = part_of(key, Frequency::kLow);
        plan.chosen.insert(plan.chosen.end(), low.begin(), low.end());
      }
      return plan;
    }
    return std::nullopt;
  }

  // Maps of which means are taken, by their fellows on the other grid.
  void find_means() {
    std::set<NodeId> means;
    for (const Node& reader : graph_.nodes()) {
      if (std::holds_alternative<GlobalPool>(reader.op)) means.insert(reader.inputs[0]);
    }
    for (const NodeId high : means) {
      for (const NodeId low : means) {
        if (!are_grids({high, low})) continue;
        fellows_[high].push_back({high, low});
        fellows_[low].push_back({high, low});
      }
    }
  }

  // The mean of one grid of a value, of which others want that of the other grid. The value must be
  // older than its mean: the grids could depend on it otherwise.
  std::optional<Plan> mean_of_one(NodeId id) {
    if (as<GlobalPool>(id) == nullptr) return std::nullopt;
    const NodeId map = node(id).inputs[0];
    const auto found = fellows_.find(map);
    if (found == fellows_.end()) return std::nullopt;
    for (const Key& key : found->second) {
      if (std::max(key.high, key.low) > id || !pair(key)) continue;
      return Plan{.op = GlobalPool{},
                  .inputs = {key},
                  .chosen = part_of(key, map == key.low ? Frequency::kLow : Frequency::kHigh)};
    }
    return std::nullopt;
  }

  // Channels of an octave value, low first.
  [[nodiscard]] std::vector<std::int64_t> part_of(const Key& key, Frequency frequency) const {
    const bool high = frequency == Frequency::kHigh;
    std::vector<std::int64_t> part(static_cast<std::size_t>(channels(high ? key.high : key.low)));
    std::iota(part.begin(), part.end(), high ? channels(key.low) : 0);
    return part;
  }

  // ---- Octave values

  // May they be the grids of one value, by their extents?
  [[nodiscard]] bool are_grids(const Key& key) const {
    return key.high != key.low && node(key.high).spatial && node(key.low).spatial &&
           extents(key.low) == low_extents(extents(key.high), octave_);
  }

  // How the two make one value, if they do. Where that is not known yet the answer is no, and the
  // question is kept: `answered` asks again.
  const Plan* pair(const Key& key) {
    if (!are_grids(key) || excluded_.contains(key)) return nullptr;
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second.get();
    if (known_.size() < kMaxQuestionsPerNode * graph_.nodes().size()) open_.push_back(key);
    return nullptr;
  }

  // What `ask` says once all is known that it asks for. Operands of operands lie on a stack of
  // their own: networks may be deeper than the program's.
  template <class Ask>
  std::optional<Plan> answered(const Ask& ask) {
    std::vector<Key> stack;
    for (;;) {
      open_.clear();
      std::optional<Plan> plan = stack.empty() ? ask() : look(stack.back());
      if (!open_.empty()) {
        stack.push_back(open_.front());
        continue;
      }
      if (stack.empty()) return plan;
      known_.emplace(stack.back(), plan ? std::make_unique<Plan>(*std::move(plan)) : nullptr);
      stack.pop_back();
    }
  }

  std::optional<Plan> look(const Key& key) {
    const Node& high = node(key.high);
    const Node& low = node(key.low);
    // Before their norms are taken for those of paths.
    if (as<BatchNorm>(key.high) != nullptr && as<BatchNorm>(key.low) != nullptr) {
      const bool alike = *as<BatchNorm>(key.high) == *as<BatchNorm>(key.low);
      if (std::optional<Plan> plan = twins(key, alike)) return plan;
    }
    const std::vector<Term> high_terms = terms_of(key.high);
    const std::vector<Term> low_terms = terms_of(key.low);
    if (!high_terms.empty() && !low_terms.empty()) {
      if (std::optional<Plan> plan = octave_conv(high_terms, low_terms, key)) return plan;
    }
    if (high.op.index() != low.op.index()) return std::nullopt;
    return std::visit(
        Overloaded{[&](const Activation& op) { return twins(key, op == *as<Activation>(key.low)); },
                   [&](const Pool& op) {
                     // Their far edges follow from their extents.
                     const Pool& other = *as<Pool>(key.low);
                     return twins(key, op.kind == other.kind && op.kernel == other.kernel &&
                                           op.stride == other.stride &&
                                           op.padding_begin == other.padding_begin);
                   },
                   [&](const Resize& op) {
                     const Resize& other = *as<Resize>(key.low);
                     return twins(key, op.mode == other.mode && op.factor == other.factor);
                   },
                   [&](const Add&) { return two_twins(key); },
                   [&](const Multiply&) { return two_twins(key); },
                   [&](const Concat&) { return joined(key); },
                   [&](const Scale&) { return gated(key); },
                   [](const auto&) { return std::optional<Plan>(); }},
        high.op);
  }

  std::optional<Plan> twins(const Key& key, bool alike) {
    const Key input{node(key.high).inputs[0], node(key.low).inputs[0]};
    if (!alike || !pair(input)) return std::nullopt;
    return Plan{.op = node(key.high).op, .inputs = {input}};
  }

  std::optional<Plan> two_twins(const Key& key) {
    const auto& high = node(key.high).inputs;
    const auto& low = node(key.low).inputs;
    for (const bool crossed : {false, true}) {
      const Key a{high[0], low[crossed ? 1 : 0]};
      const Key b{high[1], low[crossed ? 0 : 1]};
      if (pair(a) && pair(b)) return Plan{.op = node(key.high).op, .inputs = {a, b}};
    }
    return std::nullopt;
  }

  // Every part on the low grid belongs to one on the high grid, in the same order; others are
  // ordinary.
  std::optional<Plan> joined(const Key& key) {
    const auto& low = node(key.low).inputs;
    std::size_t next = 0;
    std::vector<Key> parts;
    for (const NodeId part : node(key.high).inputs) {
      if (next < low.size() && pair({part, low[next]})) {
        parts.push_back({part, low[next++]});
      } else {
        parts.push_back({part});
      }
    }
    if (next != low.size()) return std::nullopt;
    return Plan{.op = Concat{}, .inputs = std::move(parts)};
  }

  // A gate for each grid, or parts of one.
  std::optional<Plan> gated(const Key& key) {
    const Key input{node(key.high).inputs[0], node(key.low).inputs[0]};
    if (!pair(input)) return std::nullopt;
    const NodeId high_gate = node(key.high).inputs[1];
    const NodeId low_gate = node(key.low).inputs[1];
    const NodeId gate = whole_gate(high_gate, low_gate);
    if (gate >= 0) return Plan{.op = Scale{}, .inputs = {input, {gate}}};
    return Plan{.op = Scale{}, .inputs = {input}, .gates = {{low_gate}, {high_gate}}};
  }

  // What two gates are the parts of, low channels first; or -1.
  [[nodiscard]] NodeId whole_gate(NodeId high_gate, NodeId low_gate) const {
    const auto* high = as<Select>(high_gate);
    const auto* low = as<Select>(low_gate);
    if (high == nullptr || low == nullptr || node(high_gate).inputs[0] != node(low_gate).inputs[0])
      return -1;
    std::vector<std::int64_t> all = low->channels;
    all.insert(all.end(), high->channels.begin(), high->channels.end());
    const NodeId gate = node(low_gate).inputs[0];
    if (static_cast<std::int64_t>(all.size()) != channels(gate)) return -1;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i] != static_cast<std::int64_t>(i)) return -1;
    }
    return gate;
  }

  // ---- Octave convolutions

  // A convolution, perhaps with a batch norm and enlarged, in either order.
  std::optional<Term> term_of(NodeId id) const {
    Term term;
    const auto take_norm = [&] {
      if (as<BatchNorm>(id) == nullptr) return;
      term.norms.insert(term.norms.begin(), id);
      id = node(id).inputs[0];
    };
    take_norm();
    if (as<Resize>(id) != nullptr) {
      const NodeId small = node(id).inputs[0];
      if (!enlarges(id)) return std::nullopt;
      term.enlarged = true;
      id = small;
      take_norm();
    }
    if (as<Conv>(id) == nullptr) return std::nullopt;
    term.conv = id;
    const NodeId source = node(id).inputs[0];
    if (!term.enlarged && enlarges(source)) term.enlarged_first = node(source).inputs[0];
    return term;
  }

  // Does the node bring a low grid to the high one?
  [[nodiscard]] bool enlarges(NodeId id) const {
    const auto* resize = as<Resize>(id);
    return resize != nullptr && resize->mode == ResizeMode::kNearest && resize->factor == octave_ &&
           extents(node(id).inputs[0]) == low_extents(extents(id), octave_);
  }

  // One convolution, or the two that are added up; empty if it is anything else.
  std::vector<Term> terms_of(NodeId id) const {
    if (const std::optional<Term> term = term_of(id)) return {*term};
    if (as<Add>(id) == nullptr) return {};
    const std::optional<Term> a = term_of(node(id).inputs[0]);
    const std::optional<Term> b = term_of(node(id).inputs[1]);
    if (!a || !b || a->conv == b->conv) return {};
    return {*a, *b};
  }

  // What is below the pools that a path begins with, or -1 if there are others.
  [[nodiscard]] NodeId below_pools(NodeId id, const std::vector<PathPool>& pools) const {
    for (auto wanted = pools.rbegin(); wanted != pools.rend(); ++wanted) {
      const auto* pool = as<Pool>(id);
      const PoolKind kind = wanted->maximum ? PoolKind::kMax : PoolKind::kAverage;
      if (pool == nullptr || pool->kind != kind || pool->kernel != wanted->window ||
          pool->stride != wanted->window ||
          pool->padding_begin != Shape::filled(wanted->window.rank(), 0))
        return -1;
      const NodeId src = node(id).inputs[0];
      if (extents(id) != low_extents(extents(src), wanted->window)) return -1;
      id = src;
    }
    return id;
  }

  // Every way in which the terms may be the paths of one convolution.
  std::optional<Plan> octave_conv(std::vector<Term> high, std::vector<Term> low, const Key& out) {
    for (int swaps = 0; swaps < 4; ++swaps) {
      if ((swaps & 1) != 0 && high.size() < 2) continue;
      if ((swaps & 2) != 0 && low.size() < 2) continue;
      std::vector<Term> terms = high;
      if ((swaps & 1) != 0) std::swap(terms[0], terms[1]);
      terms.insert(terms.end(), low.begin(), low.end());
      if ((swaps & 2) != 0) std::swap(terms[high.size()], terms[high.size() + 1]);
      for (const Exchange exchange :
           {Exchange::kBoth, Exchange::kHighToLow, Exchange::kLowToHigh, Exchange::kNone}) {
        for (const Ways& ways : ways_of(terms[0])) {
          for (const bool octave_in : {true, false}) {
            std::optional<Plan> plan =
                paths_are(terms, high.size(), out, exchange, ways, octave_in);
            if (plan) return plan;
          }
        }
      }
    }
    return std::nullopt;
  }

  // A stride may be that of the convolution, or a pool before it.
  [[nodiscard]] std::vector<Ways> ways_of(const Term& first) const {
    const Shape& stride = as<Conv>(first.conv)->stride;
    std::vector<Ways> ways;
    if (stride == Shape::filled(stride.rank(), 1)) {
      const auto* pool = as<Pool>(node(first.conv).inputs[0]);
      for (const StrideMode mode :
           {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow}) {
        ways.push_back({octave_, mode});
        if (pool != nullptr && pool->stride != octave_) ways.push_back({pool->stride, mode});
      }
    }
    ways.push_back({stride, StrideMode::kStrided});
    return ways;
  }

  std::optional<Plan> paths_are(const std::vector<Term>& terms, std::size_t high_terms,
                                const Key& out, Exchange exchange, const Ways& ways,
                                bool octave_in) {
    const Conv& first = *as<Conv>(terms[0].conv);
    const auto reads = [&](const Term& term) {
      return term.enlarged_first >= 0 ? term.enlarged_first : node(term.conv).inputs[0];
    };
    const bool enlarges_first = std::any_of(
        terms.begin(), terms.end(), [](const Term& term) { return term.enlarged_first >= 0; });
    // The second high term reads the low grid; without one the first low term does.
    std::int64_t low_in = 0;
    if (octave_in) {
      const std::size_t from_low = high_terms == 2 ? 1 : high_terms;
      if (from_low >= terms.size()) return std::nullopt;
      low_in = channels(reads(terms[from_low]));
    }
    ConvOptions options{
        .in = {.high = channels(reads(terms[0])), .low = low_in},
        .out = {.high = channels(out.high), .low = out.octave() ? channels(out.low) : 0},
        .kernel = first.kernel,
        .stride = ways.stride,
        .dilation = first.dilation,
        .padding_begin = first.padding_begin,
        .padding_end = first.padding_end,
        .groups = first.groups,
        .octave = octave_,
        .stride_mode = ways.mode,
        .exchange = exchange};
    // One filter per channel on either grid: as many groups as channels on both together.
    const bool filters = first.groups == options.in.high && options.in == options.out &&
                         terms.size() == 2 && high_terms == 1 &&
                         as<Conv>(terms[1].conv)->groups == options.in.low;
    if (filters) options.groups = options.in.total();
    if (options.in.total() % options.groups != 0 || options.out.total() % options.groups != 0 ||
        (options.depthwise() && options.in != options.out) || !octave_obstacle(options).empty())
      return std::nullopt;
    if (enlarges_first && order_matters(options))
      options.low_to_high = LowToHigh::kUpsampleThenConv;
    const std::vector<ConvPath> paths = conv_paths(options);
    if (paths.size() != terms.size()) return std::nullopt;
    Key in;
    bool bias = false;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const ConvPath& path = paths[i];
      const Conv& conv = *as<Conv>(terms[i].conv);
      const bool to_high = path.dst == Frequency::kHigh;
      const std::int64_t columns = channels(reads(terms[i])) / conv.groups;
      if (to_high != (i < high_terms) || conv.kernel != first.kernel ||
          conv.dilation != first.dilation || conv.padding_begin != first.padding_begin ||
          conv.padding_end != first.padding_end || conv.stride != path.stride ||
          conv.groups != path.groups || conv.out_channels != path.rows || columns != path.columns ||
          (terms[i].enlarged || terms[i].enlarged_first >= 0) != path.upsampled() ||
          (path.upsample_first && terms[i].enlarged_first < 0))
        return std::nullopt;
      const NodeId base = below_pools(reads(terms[i]), path.pools);
      NodeId& wanted = path.src == Frequency::kHigh ? in.high : in.low;
      if (base < 0 || (wanted >= 0 && wanted != base)) return std::nullopt;
      wanted = base;
      bias = bias || conv.bias || !terms[i].norms.empty();
    }
    if (in.high < 0 || in.octave() != octave_in ||
        output_extents(options, extents(in.high)) != extents(out.high))
      return std::nullopt;
    if (in.octave() && !pair(in)) return std::nullopt;
    return Plan{.op = Conv{.out_channels = options.out.total(),
                           .kernel = options.kernel,
                           .stride = options.stride,
                           .dilation = options.dilation,
                           .padding_begin = options.padding_begin,
                           .padding_end = options.padding_end,
                           .groups = options.groups,
                           .bias = bias,
                           .stride_mode = options.stride_mode,
                           .exchange = options.exchange,
                           .low_to_high = options.low_to_high},
                .inputs = {in},
                .paths = paths,
                .terms = terms};
  }

  const Graph& graph_;
  Shape octave_;
  std::vector<ValueShape> shapes_;
  std::map<Key, std::unique_ptr<const Plan>> known_;  // null: the two make no value
  std::vector<Key> open_;                             // asked for and not known
  std::set<Key> excluded_;
  std::map<NodeId, std::vector<Key>> fellows_;
};

// The new network from what is needed of the old one.
class Builder {
 public:
  Builder(const Model& model, const Shape& octave)
      : model_(model), old_(model.graph), graph_(old_.name(), octave) {
    graph_.set_default_extents(old_.default_extents());
    for (const NodeId port : old_.inputs()) names_.insert(old_.node(port).name);
    for (const NodeId port : old_.outputs()) names_.insert(old_.node(port).name);
  }

  Raised build(const std::map<Key, Plan>& needed) {
    // Whatever a value is made of is older than the younger of its grids.
    std::vector<Key> order;
    for (const auto& [key, plan] : needed) order.push_back(key);
    std::sort(order.begin(), order.end(), [](const Key& a, const Key& b) {
      return std::max(a.high, a.low) < std::max(b.high, b.low);
    });
    std::int64_t octave_convs = 0;
    for (const Key& key : order) {
      const Plan& plan = needed.at(key);
      const std::string name = is_port(key) ? old_.node(key.high).name : unique(name_of(key, plan));
      const NodeId id = add(name, key, plan);
      ids_.emplace(key, id);
      if (makes_octave_conv(key, plan)) ++octave_convs;
      if (!plan.paths.empty()) {
        take_conv(id, plan);
      } else if (plan.chosen.empty()) {
        take_parameters(id, key);
      }
    }
    // Graph::add looks at ordinary values; all are divided at once.
    for (const auto& [key, id] : ids_) {
      if (key.octave())
        graph_.set_channels(id, {.high = channels(key.high), .low = channels(key.low)});
    }
    for (const NodeId output : old_.outputs()) graph_.add_output(ids_.at({output}));
    graph_.check();
    return {.model = {.graph = std::move(graph_),
                      .weights = std::move(weights_),
                      .preprocessing = model_.preprocessing},
            .octave_convs = octave_convs};
  }

 private:
  [[nodiscard]] std::int64_t channels(NodeId id) const { return old_.node(id).channels.total(); }

  // Whoever runs a network calls its inputs and outputs by their names.
  [[nodiscard]] bool is_port(const Key& key) const {
    const auto among = [&](const std::vector<NodeId>& ports) {
      return std::find(ports.begin(), ports.end(), key.high) != ports.end();
    };
    return !key.octave() && (among(old_.inputs()) || among(old_.outputs()));
  }

  NodeId add(const std::string& name, const Key& key, const Plan& plan) {
    const int stage = old_.node(key.high).stage;
    std::vector<NodeId> inputs;
    for (const Key& input : plan.inputs) inputs.push_back(ids_.at(input));
    if (!plan.gates.empty()) {
      std::vector<NodeId> gates;
      for (const Key& gate : plan.gates) gates.push_back(ids_.at(gate));
      inputs.push_back(graph_.add(unique(name + ".gates"), Concat{}, std::move(gates), stage));
    }
    if (plan.chosen.empty()) return graph_.add(name, plan.op, std::move(inputs), stage);
    const Key& map = plan.inputs[0];
    if (!means_.contains(map)) {
      const std::string mean = graph_.node(inputs[0]).name + ".mean";
      means_.emplace(map, graph_.add(unique(mean), GlobalPool{}, inputs, stage));
    }
    return graph_.add(name, Select{plan.chosen}, {means_.at(map)}, stage);
  }

  // A file of ours calls the grids of "name" "name.high" and "name.low", and a mean "name.mean"
  // before it is flattened. Others call the paths of a convolution by what their names differ in.
  [[nodiscard]] std::string name_of(const Key& key, const Plan& plan) const {
    const std::string& name = old_.node(key.high).name;
    std::string_view suffix;
    if (key.octave()) suffix = ".high";
    if (std::holds_alternative<GlobalPool>(plan.op)) suffix = ".mean";
    if (!suffix.empty() && name.size() > suffix.size() && name.ends_with(suffix))
      return name.substr(0, name.size() - suffix.size());
    if (plan.terms.size() < 2) return name;
    const std::string& first = old_.node(plan.terms[0].conv).name;
    std::size_t same = first.size();
    for (const Term& term : plan.terms) {
      const std::string& other = old_.node(term.conv).name;
      const auto end = std::mismatch(
          first.begin(), first.begin() + static_cast<std::ptrdiff_t>(std::min(same, other.size())),
          other.begin());
      same = static_cast<std::size_t>(end.first - first.begin());
    }
    const std::size_t end = first.find_last_of("._-", same == 0 ? 0 : same - 1);
    return same == 0 || end == std::string::npos || end == 0 ? name : first.substr(0, end);
  }

  std::string unique(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 2; !names_.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
    return name;
  }

  [[nodiscard]] std::span<const float> parameter(NodeId id, const std::string& what) const {
    return model_.weights.at(old_.node(id).name + "." + what).values();
  }

  // A path's convolution with the batch norms behind it; without any bias that is empty. An
  // enlarged constant is the same constant.
  [[nodiscard]] FoldedLayer folded(const Term& term) const {
    const Node& conv = old_.node(term.conv);
    FoldedLayer layer{.weight = model_.weights.at(conv.name + ".weight").clone(), .bias = {}};
    if (std::get<Conv>(conv.op).bias) layer.bias = model_.weights.at(conv.name + ".bias").clone();
    for (const NodeId norm : term.norms) {
      const Node& of = old_.node(norm);
      layer = fold(layer.weight, layer.bias.values(),
                   affine_of(std::get<BatchNorm>(of.op), of.name, model_.weights));
    }
    return layer;
  }

  void take_conv(NodeId id, const Plan& plan) {
    const std::vector<Parameter> wanted = parameters(graph_, id);
    Tensor weight(wanted[0].shape);
    std::optional<Tensor> bias;
    if (wanted.size() > 1) bias.emplace(wanted[1].shape);
    for (std::size_t i = 0; i < plan.paths.size(); ++i) {
      const ConvPath& path = plan.paths[i];
      const FoldedLayer term = folded(plan.terms[i]);
      copy_block(term.weight.data(), path, weight);
      if (term.bias.elements() == 0) continue;
      for (std::int64_t row = 0; row < path.rows; ++row)
        bias->data()[path.row + row] += term.bias.data()[row];
    }
    weights_.emplace(wanted[0].name, std::move(weight));
    if (bias) weights_.emplace(wanted[1].name, *std::move(bias));
  }

  // Per-channel parameters: those of the low grid first.
  void take_parameters(NodeId id, const Key& key) {
    const std::string& name = graph_.node(id).name;
    for (const Parameter& wanted : parameters(graph_, id)) {
      const std::string what = wanted.name.substr(name.size() + 1);
      Tensor tensor(wanted.shape);
      float* to = tensor.data();
      for (const NodeId grid : {key.low, key.high}) {
        if (grid < 0) continue;
        const auto from = parameter(grid, what);
        to = std::copy(from.begin(), from.end(), to);
      }
      weights_.emplace(wanted.name, std::move(tensor));
    }
  }

  const Model& model_;
  const Graph& old_;
  Graph graph_;
  Weights weights_;
  std::map<Key, NodeId> ids_;
  std::map<Key, NodeId> means_;  // of octave values of which parts are chosen
  std::set<std::string> names_;
};

// How much coarser the low grid may be: what the graph enlarges by, or what its averages halve.
std::vector<Shape> octaves_of(const Graph& graph) {
  std::vector<Shape> octaves;
  const auto take = [&](const Shape& factor) {
    const bool halves =
        std::all_of(factor.begin(), factor.end(), [](auto one) { return one == 1 || one == 2; });
    if (halves && factor != Shape::filled(factor.rank(), 1) &&
        std::find(octaves.begin(), octaves.end(), factor) == octaves.end())
      octaves.push_back(factor);
  };
  for (const Node& node : graph.nodes()) {
    const auto* resize = std::get_if<Resize>(&node.op);
    if (resize != nullptr && resize->mode == ResizeMode::kNearest) take(resize->factor);
    const auto* pool = std::get_if<Pool>(&node.op);
    if (pool != nullptr && pool->kind == PoolKind::kAverage && pool->kernel == pool->stride)
      take(pool->kernel);
  }
  return octaves;
}

}  // namespace

Raised raise(Model model) {
  model.graph.check();
  check_weights(model.graph, model.weights);
  const auto& nodes = model.graph.nodes();
  const bool octave_already = std::any_of(nodes.begin(), nodes.end(),
                                          [](const Node& node) { return node.channels.octave(); });
  std::map<Key, Plan> best;
  std::int64_t most = 0;
  Shape octave_of_best;
  for (const Shape& octave : octave_already ? std::vector<Shape>() : octaves_of(model.graph)) {
    std::map<Key, Plan> needed = Recognition(model.graph, octave).run();
    const std::int64_t count = std::count_if(needed.begin(), needed.end(), [](const auto& item) {
      return makes_octave_conv(item.first, item.second);
    });
    if (count <= most) continue;
    best = std::move(needed);
    most = count;
    octave_of_best = octave;
  }
  if (most == 0) return {.model = std::move(model), .octave_convs = 0};
  return Builder(model, octave_of_best).build(best);
}

}  // namespace octconv
