// SPDX-License-Identifier: Apache-2.0
// From a graph to steps: what can be part of a convolution becomes part of it.
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "engine/conv_transpose.h"
#include "engine/method_choices.h"
#include "engine/program.h"
#include "graph/affine.h"
#include "octconv/base/error.h"

namespace octconv {
namespace engine {
namespace {

// A batch norm of a convolution's value, made beside it.
struct Second {
  NodeId norm = -1;
  NodeId dst = -1;  // the norm, or its activation
  std::optional<Activation> activation;
};

// A step in the making.
struct Draft {
  NodeId node = -1;            // whose operation it is
  NodeId dst = -1;             // the last node that it stands for
  std::optional<Affine> norm;  // of a convolution: follows it
  NodeId residual = -1;
  std::optional<Activation> activation;
  std::optional<Second> second;
};

class Compiler {
 public:
  // `spent`: the model's weights, if they may be freed once they are packed; or null.
  Compiler(const Model& model, const CompileOptions& options, Weights* spent)
      : model_(model),
        spent_(spent),
        graph_(model.graph),
        readers_(graph_.nodes().size(), 0),
        fixed_(graph_.nodes().size(), false),
        live_(graph_.nodes().size(), false),
        draft_of_(graph_.nodes().size(), 0) {
    check_ends();
    graph_.check();
    check_weights(graph_, model.weights);
    for (const NodeId output : graph_.outputs()) fix(output);
    for (const std::string& name : options.keep) {
      const NodeId id = graph_.find(name);
      if (id < 0) {
        throw InvalidArgument("compile: network '" + graph_.name() + "' has no node '" + name +
                              "' to keep");
      }
      if (std::find(keep_.begin(), keep_.end(), id) == keep_.end()) keep_.push_back(id);
      fix(id);
    }
    for (const NodeId input : graph_.inputs()) fix(input);
    if (!options.exact) expect(options.extents);
    if (options.measure && !options.exact) choices_.emplace(options.choices);
    for (std::size_t i = graph_.nodes().size(); i-- > 0;) {
      if (!live_[i]) continue;
      for (const NodeId input : graph_.nodes()[i].inputs) {
        live_[index(input)] = true;
        ++readers_[index(input)];
      }
    }
  }

  Network::Program compile() {
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
      if (live_[i]) place(static_cast<NodeId>(i));
    }
    // A draft has grown past nodes that came after others; all that it reads comes before its last
    // node.
    std::sort(drafts_.begin(), drafts_.end(),
              [](const Draft& a, const Draft& b) { return a.dst < b.dst; });
    Network::Program program{.graph = graph_,
                             .steps = {},
                             .keep = std::move(keep_),
                             .inputs = ports(graph_.inputs()),
                             .outputs = ports(graph_.outputs())};
    for (const Draft& draft : drafts_) {
      program.steps.push_back({.dst = draft.dst, .kind = finish(draft)});
      if (spent_ != nullptr) spent_->erase(graph_.node(draft.node).name + ".weight");
    }
    feed_pointwise(program.steps);
    share_averages(program.steps);
    if (choices_) choices_->save();
    return program;
  }

 private:
  static std::size_t index(std::int64_t id) { return static_cast<std::size_t>(id); }

  void check_ends() const {
    if (graph_.inputs().empty()) {
      throw Unsupported("compile: network '" + graph_.name() + "' has no input");
    }
    if (graph_.outputs().empty()) {
      throw Unsupported("compile: network '" + graph_.name() + "' has no output");
    }
  }

  [[nodiscard]] std::vector<NetworkPort> ports(const std::vector<NodeId>& ids) const {
    std::vector<NetworkPort> all(ids.size());
    std::transform(ids.begin(), ids.end(), all.begin(), [&](NodeId id) {
      return NetworkPort{.name = graph_.node(id).name,
                         .channels = graph_.node(id).channels.total()};
    });
    return all;
  }

  // Sizes for which methods are chosen.
  void expect(const Shape& extents) {
    if (!extents.empty()) {
      expected_ = infer_shapes(graph_, 1, extents);
      return;
    }
    const Shape usual = image_extents(model_);
    if (usual.rank() != graph_.rank()) return;
    try {
      expected_ = infer_shapes(graph_, 1, usual);
    } catch (const InvalidArgument&) {
      // What a file says of its pictures need not fit its network: then nothing is known.
    }
  }

  [[nodiscard]] ConvMethods methods(NodeId conv) {
    if (expected_.empty()) return {};
    const Shape& extents = expected_[index(graph_.node(conv).inputs[0])].high;
    const ConvOptions options = graph_.conv_options(conv);
    return choices_ ? choices_->choose(options, extents) : choose_methods(options, extents);
  }

  // The value must exist after the run.
  void fix(NodeId id) {
    fixed_[index(id)] = true;
    live_[index(id)] = true;
  }

  void start(NodeId id) {
    draft_of_[index(id)] = drafts_.size();
    drafts_.push_back({.node = id, .dst = id});
  }

  void extend(NodeId last, NodeId id) {
    const std::size_t draft = draft_of_[index(last)];
    drafts_[draft].dst = id;
    draft_of_[index(id)] = draft;
  }

  // Does nothing but the node at hand read the value?
  [[nodiscard]] bool is_private(NodeId id) const {
    return !fixed_[index(id)] && readers_[index(id)] == 1;
  }

  // The draft of a value that nothing but the node at hand reads; null if others do, or it is a
  // second one.
  Draft* private_draft(NodeId id) {
    Draft& draft = drafts_[draft_of_[index(id)]];
    return is_private(id) && draft.dst == id ? &draft : nullptr;
  }

  template <class... Kinds>
  [[nodiscard]] bool is(const Draft& draft) const {
    const Op& op = graph_.node(draft.node).op;
    return (std::holds_alternative<Kinds>(op) || ...);
  }

  // Can the draft's operation take in the scale and shift that follow it?
  [[nodiscard]] bool takes_norm(const Draft* draft) const {
    return draft != nullptr && is<Conv, ConvTranspose, Linear>(*draft) && draft->residual < 0 &&
           !draft->activation;
  }

  // A depthwise convolution of one tap is a scale and a shift.
  [[nodiscard]] bool is_affine(NodeId id, const Conv& conv) const {
    const ConvOptions options = graph_.conv_options(id);
    const auto none = [](const Shape& padding) {
      return padding == Shape::filled(padding.rank(), 0);
    };
    return options.depthwise() && conv.kernel.elements() == 1 && !options.strided() &&
           options.in == options.out && none(conv.padding_begin) && none(conv.padding_end);
  }

  void place(NodeId id) {
    const Node& node = graph_.node(id);
    std::visit(Overloaded{[&](const Input&) { start(id); },
                          [&](const Conv& conv) {
                            if (is_affine(id, conv) &&
                                takes_norm(private_draft(graph_.node(id).inputs[0]))) {
                              take_norm(id, affine_of(conv, node.name, model_.weights));
                            } else {
                              start(id);
                            }
                          },
                          [&](const ConvTranspose&) { start(id); },
                          [&](const BatchNorm& norm) { place_norm(id, norm); },
                          [&](const Activation& activation) { place_activation(id, activation); },
                          [&](const Add&) { place_add(id); }, [&](const Multiply&) { start(id); },
                          [&](const Concat&) { start(id); }, [&](const Select&) { start(id); },
                          [&](const Scale&) { start(id); }, [&](const Attention&) { start(id); },
                          [&](const Softmax&) { start(id); }, [&](const Pool&) { start(id); },
                          [&](const Resize&) { start(id); }, [&](const GlobalPool&) { start(id); },
                          [&](const Linear&) { start(id); }},
               node.op);
  }

  void place_norm(NodeId id, const BatchNorm& norm) {
    if (takes_norm(private_draft(graph_.node(id).inputs[0]))) {
      take_norm(id, affine_of(norm, graph_.node(id).name, model_.weights));
    } else if (Draft* draft = makes_second(id); draft != nullptr) {
      draft->second = Second{.norm = id, .dst = id};
      draft_of_[index(id)] = draft_of_[index(draft->dst)];
    } else {
      start(id);
    }
  }

  // The draft that can make this batch norm beside the value that it reads; or null.
  Draft* makes_second(NodeId norm) {
    const NodeId input = graph_.node(norm).inputs[0];
    Draft& draft = drafts_[draft_of_[index(input)]];
    const bool able = is<Conv, Linear>(draft) && draft.dst == input && !draft.second;
    // Who wants to see a value may change it too: it needs a step of its own.
    return able && !fixed_[index(input)] && !fixed_[index(norm)] ? &draft : nullptr;
  }

  void take_norm(NodeId id, Affine affine) {
    const NodeId input = graph_.node(id).inputs[0];
    Draft* draft = private_draft(input);
    draft->norm = draft->norm ? then(*draft->norm, affine) : std::move(affine);
    extend(input, id);
  }

  void place_activation(NodeId id, const Activation& activation) {
    const NodeId input = graph_.node(id).inputs[0];
    std::optional<Second>& second = drafts_[draft_of_[index(input)]].second;
    if (second && second->dst == input && !second->activation && is_private(input) &&
        !fixed_[index(id)]) {
      second->activation = activation;
      second->dst = id;
      draft_of_[index(id)] = draft_of_[index(input)];
      return;
    }
    Draft* draft = private_draft(input);
    const bool takes_it = draft != nullptr && !draft->activation &&
                          is<Conv, ConvTranspose, Linear, BatchNorm, Add, Multiply>(*draft);
    if (!takes_it) {
      start(id);
      return;
    }
    draft->activation = activation;
    extend(input, id);
  }

  void place_add(NodeId id) {
    const Node& node = graph_.node(id);
    for (std::size_t operand = 0; operand < 2; ++operand) {
      Draft* draft = private_draft(node.inputs[operand]);
      if (!takes_norm(draft) || is<ConvTranspose>(*draft)) continue;
      draft->residual = node.inputs[1 - operand];
      extend(node.inputs[operand], id);
      return;
    }
    start(id);
  }

  StepKind finish(const Draft& draft) {
    const Node& node = graph_.node(draft.node);
    const NodeId src = node.inputs.empty() ? -1 : node.inputs[0];
    return std::visit(
        Overloaded{
            [&](const Input&) -> StepKind {
              const std::vector<NodeId>& all = graph_.inputs();
              const auto at = std::find(all.begin(), all.end(), draft.node);
              return LoadInput{.index = static_cast<std::size_t>(at - all.begin())};
            },
            [&](const Conv& conv) -> StepKind {
              return finish_conv(draft, graph_.conv_options(draft.node), conv.bias,
                                 methods(draft.node));
            },
            [&](const ConvTranspose& conv) -> StepKind {
              return finish_conv_transpose(draft, conv);
            },
            [&](const BatchNorm& norm) -> StepKind {
              const Affine affine = affine_of(norm, node.name, model_.weights);
              return RunScale{.scale = to_tensor(affine.scale),
                              .shift = to_tensor(affine.shift),
                              .src = src,
                              .activation = activation_of(draft)};
            },
            [&](const Activation& activation) -> StepKind {
              return RunActivation{.src = src, .activation = activation};
            },
            [&](const Add&) -> StepKind {
              return RunAdd{.a = src, .b = node.inputs[1], .activation = activation_of(draft)};
            },
            [&](const Multiply&) -> StepKind {
              return RunMultiply{.a = src, .b = node.inputs[1], .activation = activation_of(draft)};
            },
            [&](const Select& select) -> StepKind {
              return RunSelect{.src = src, .channels = select.channels};
            },
            [&](const Softmax&) -> StepKind { return RunSoftmax{.src = src}; },
            [&](const Resize& resize) -> StepKind {
              return RunResize{.src = src, .resize = resize};
            },
            [&](const Concat&) -> StepKind { return RunConcat{.parts = node.inputs}; },
            [&](const Scale&) -> StepKind { return RunGate{.src = src, .gate = node.inputs[1]}; },
            [&](const Attention& attention) -> StepKind {
              return RunAttention{.queries = src,
                                  .keys = node.inputs[1],
                                  .values = node.inputs[2],
                                  .factor = static_cast<float>(attention.factor)};
            },
            [&](const Pool& pool) -> StepKind { return RunPool{.src = src, .pool = pool}; },
            [&](const GlobalPool&) -> StepKind { return RunGlobalPool{.src = src}; },
            [&](const Linear& linear) -> StepKind {
              const ConvOptions options{.in = {.high = graph_.node(src).channels.total()},
                                        .out = {.high = linear.out_channels},
                                        .kernel = {1},
                                        .stride = {1},
                                        .dilation = {1},
                                        .padding_begin = {0},
                                        .padding_end = {0},
                                        .octave = {1}};
              return finish_conv(draft, options, linear.bias, {});
            }},
        node.op);
  }

  RunConv finish_conv(const Draft& draft, const ConvOptions& options, bool has_bias,
                      const ConvMethods& methods) {
    const Node& node = graph_.node(draft.node);
    const Tensor& weight = model_.weights.at(node.name + ".weight");
    std::span<const float> bias;
    if (has_bias) bias = model_.weights.at(node.name + ".bias").values();
    ConvEpilogue epilogue{
        .residual = draft.residual >= 0, .activation = activation_of(draft), .second = {}};
    if (draft.second) {
      const Node& norm = graph_.node(draft.second->norm);
      const Affine affine = affine_of(std::get<BatchNorm>(norm.op), norm.name, model_.weights);
      epilogue.second = std::make_shared<const SecondResult>(SecondResult{
          .scale = to_tensor(affine.scale),
          .shift = to_tensor(affine.shift),
          .activation = draft.second->activation.value_or(Activation{ActivationKind::kNone})});
    }
    const auto make = [&](std::span<const float> w, std::span<const float> b) {
      return RunConv{.weights = OctConvWeights(options, w, b, methods, &pool_),
                     .epilogue = epilogue,
                     .src = node.inputs[0],
                     .residual = draft.residual,
                     .second = draft.second ? draft.second->dst : -1};
    };
    if (!draft.norm) return make(weight.values(), bias);

    const FoldedLayer folded = fold(weight, bias, *draft.norm);
    return make(folded.weight.values(), folded.bias.values());
  }

  [[nodiscard]] RunConvTranspose finish_conv_transpose(const Draft& draft,
                                                       const ConvTranspose& conv) const {
    const Node& node = graph_.node(draft.node);
    std::span<const float> bias;
    if (conv.bias) bias = model_.weights.at(node.name + ".bias").values();
    return {
        .weights = cell_conv(conv, graph_.node(node.inputs[0]).channels.total(), graph_.octave(),
                             model_.weights.at(node.name + ".weight").values(), bias, draft.norm),
        .epilogue = {.residual = false, .activation = activation_of(draft)},
        .conv = conv,
        .src = node.inputs[0]};
  }

  // A depthwise convolution becomes part of the one that alone reads it, pixel by pixel.
  void feed_pointwise(std::vector<Step>& steps) const {
    for (Step& step : steps) {
      auto* reader = std::get_if<RunConv>(&step.kind);
      if (reader == nullptr || !is_private(reader->src)) continue;
      const auto found = std::find_if(steps.begin(), steps.end(),
                                      [&](const Step& other) { return other.dst == reader->src; });
      const auto* before = found == steps.end() ? nullptr : std::get_if<RunConv>(&found->kind);
      if (before == nullptr || before->feed || before->residual >= 0 || before->second >= 0 ||
          !can_feed(before->weights.options(), reader->weights.options()))
        continue;
      reader->src = before->src;
      reader->feed = DepthwiseFeed{before->weights, before->epilogue.activation};
      found->dst = -1;
    }
    std::erase_if(steps, [](const Step& step) { return step.dst < 0; });
  }

  // Convolutions that begin with the averages of a value's cells get them from the one that makes
  // the value, while it is near.
  static void share_averages(std::vector<Step>& steps) {
    for (Step& step : steps) {
      auto* maker = std::get_if<RunConv>(&step.kind);
      if (maker == nullptr) continue;
      const NodeId value = maker->averaged(step.dst);
      for (Step& other : steps) {
        auto* reader = std::get_if<RunConv>(&other.kind);
        if (reader == nullptr || reader->src != value || !reader->first().reads_averages() ||
            reader->first().options().octave != maker->weights.options().octave)
          continue;
        reader->src_averages = true;
        maker->epilogue.averages = true;
      }
    }
  }

  static Tensor to_tensor(const std::vector<double>& values) {
    Tensor tensor(Shape{static_cast<std::int64_t>(values.size())});
    std::transform(values.begin(), values.end(), tensor.data(),
                   [](double value) { return static_cast<float>(value); });
    return tensor;
  }

  static Activation activation_of(const Draft& draft) {
    return draft.activation.value_or(Activation{ActivationKind::kNone});
  }

  const Model& model_;
  Weights* spent_;
  const Graph& graph_;
  std::vector<int> readers_;  // by node; a node that reads a value twice counts twice
  std::vector<bool> fixed_;
  std::vector<bool> live_;
  std::vector<std::size_t> draft_of_;  // by node, once placed
  std::vector<Draft> drafts_;
  std::vector<NodeId> keep_;
  TensorPool pool_;  // of the weights
  std::optional<MethodChoices> choices_;
  std::vector<ValueShape> expected_;  // by node; empty: nothing is known
};

}  // namespace

NodeId second_of(const Step& step) {
  const auto* conv = std::get_if<RunConv>(&step.kind);
  return conv == nullptr ? -1 : conv->second;
}

NodeId averages_of(const Step& step) {
  const auto* conv = std::get_if<RunConv>(&step.kind);
  return conv == nullptr || !conv->epilogue.averages ? -1 : conv->averaged(step.dst);
}

std::vector<NodeId> reads(const Step& step) {
  using List = std::vector<NodeId>;
  return std::visit(Overloaded{[](const LoadInput&) { return List{}; },
                               [](const RunConv& conv) {
                                 List list{conv.src};
                                 if (conv.residual >= 0) list.push_back(conv.residual);
                                 return list;
                               },
                               [](const RunConvTranspose& conv) { return List{conv.src}; },
                               [](const RunScale& scale) { return List{scale.src}; },
                               [](const RunAdd& add) {
                                 return List{add.a, add.b};
                               },
                               [](const RunMultiply& multiply) {
                                 return List{multiply.a, multiply.b};
                               },
                               [](const RunActivation& activation) { return List{activation.src}; },
                               [](const RunSelect& select) { return List{select.src}; },
                               [](const RunSoftmax& softmax) { return List{softmax.src}; },
                               [](const RunResize& resize) { return List{resize.src}; },
                               [](const RunConcat& concat) { return concat.parts; },
                               [](const RunGate& gate) {
                                 return List{gate.src, gate.gate};
                               },
                               [](const RunAttention& attention) {
                                 return List{attention.queries, attention.keys, attention.values};
                               },
                               [](const RunPool& pool) { return List{pool.src}; },
                               [](const RunGlobalPool& pool) { return List{pool.src}; }},
                    step.kind);
}

}  // namespace engine

Network::Network(std::shared_ptr<const Program> program) noexcept : program_(std::move(program)) {}

const std::string& Network::name() const noexcept {
  return program_->graph.name();
}
const std::vector<NetworkPort>& Network::inputs() const noexcept {
  return program_->inputs;
}
const std::vector<NetworkPort>& Network::outputs() const noexcept {
  return program_->outputs;
}
std::int64_t Network::channels() const noexcept {
  return program_->inputs.front().channels;
}
std::size_t Network::rank() const noexcept {
  return program_->graph.rank();
}
std::int64_t Network::steps() const noexcept {
  return static_cast<std::int64_t>(program_->steps.size());
}

Network compile(const Model& model, const CompileOptions& options) {
  return Network(std::make_shared<const Network::Program>(
      engine::Compiler(model, options, nullptr).compile()));
}

Network compile(Model&& model, const CompileOptions& options) {
  Model own = std::move(model);
  return Network(std::make_shared<const Network::Program>(
      engine::Compiler(own, options, &own.weights).compile()));
}

}  // namespace octconv
