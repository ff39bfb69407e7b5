// SPDX-License-Identifier: Apache-2.0
// A graph as a tree of LibTorch modules that hold its parameters, and a walk over its nodes.
#include "octconv/nn/graph_module.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/nn/module.h>

#include "nn/enlarge.h"
#include "nn/memory.h"
#include "nn/norm.h"
#include "nn/oct_conv_of.h"
#include "nn/pool.h"
#include "nn/run_again.h"
#include "nn/spatial.h"
#include "nn/steps.h"
#include "octconv/base/error.h"
#include "octconv/nn/functional.h"
#include "octconv/nn/oct_conv.h"
#include "octconv/nn/oct_tensor.h"

namespace octconv::nn {
namespace {

// Operands and result are rounded, the sums of products are not.
OctTensor conv_in_bfloat16(const OctTensor& input, const at::Tensor& weight, const at::Tensor& bias,
                           const ConvOptions& options) {
  const auto narrow = [](const at::Tensor& x) { return x.defined() ? x.to(at::kBFloat16) : x; };
  const OctTensor made = oct_conv({narrow(input.high), narrow(input.low), input.extents},
                                  narrow(weight), narrow(bias), options);
  return apply(made, [](const at::Tensor& y) { return y.to(at::kFloat); });
}

Shape shape_of(const at::Tensor& tensor) {
  return Shape(std::span<const std::int64_t>(tensor.sizes().data(), tensor.sizes().size()));
}

// With one channel or one pixel both formats are the same in memory; the strides then tell LibTorch
// which one is meant, and its convolutions answer in kind.
at::Tensor channels_last(const at::Tensor& x) {
  const at::Tensor dense = x.contiguous(channels_last_format(x.dim()));
  if (x.dim() < 4 || dense.suggest_memory_format() == channels_last_format(x.dim())) return dense;
  std::vector<std::int64_t> strides(static_cast<std::size_t>(x.dim()));
  std::int64_t stride = strides[1] = 1;
  stride *= x.size(1);
  for (std::size_t axis = strides.size() - 1; axis > 1; --axis) {
    strides[axis] = stride;
    stride *= x.size(static_cast<std::int64_t>(axis));
  }
  strides[0] = stride;
  return dense.as_strided(x.sizes(), strides);
}

at::Tensor to_torch(const Tensor& tensor) {
  at::Tensor result = at::empty(as_ints(tensor.shape()), at::kFloat);
  std::memcpy(result.data_ptr<float>(), tensor.data(),
              static_cast<std::size_t>(tensor.elements()) * sizeof(float));
  return result;
}

Tensor from_torch(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  Tensor result(shape_of(plain));
  std::memcpy(result.data(), plain.data_ptr<float>(),
              static_cast<std::size_t>(result.elements()) * sizeof(float));
  return result;
}

// A module without operations: LibTorch allows no dots in names, so "layer1.0.conv1" is three of
// them.
class Branch : public torch::nn::Module {
 public:
  explicit Branch(std::string name) : torch::nn::Module(std::move(name)) {}

  Branch& child(const std::string& name) {
    std::shared_ptr<Branch>& child = children_[name];
    if (!child) child = register_module(name, std::make_shared<Branch>(name));
    return *child;
  }

 private:
  std::map<std::string, std::shared_ptr<Branch>> children_;
};

Branch& branch_of(Branch& root, const std::string& node) {
  Branch* branch = &root;
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = std::min(node.find('.', begin), node.size());
    if (end == begin)
      throw InvalidArgument("node '" + node +
                            "': a part of its name is empty, which no module can have");
    branch = &branch->child(node.substr(begin, end - begin));
    if (end == node.size()) return *branch;
    begin = end + 1;
  }
}

}  // namespace

class GraphModule::Impl : public std::enable_shared_from_this<GraphModule::Impl> {
 public:
  Impl(Graph graph, std::uint64_t seed, const GraphModuleOptions& options)
      : graph_(std::move(graph)),
        options_(options),
        root_(std::make_shared<Branch>(graph_.name())) {
    if (graph_.inputs().size() != 1 || graph_.outputs().size() != 1) {
      throw InvalidArgument("network '" + graph_.name() +
                            "': a module needs one input and one output, it has " +
                            std::to_string(graph_.inputs().size()) + " and " +
                            std::to_string(graph_.outputs().size()));
    }
    tensors_.resize(graph_.nodes().size());
    initial_weights(graph_, seed,
                    [&](NodeId id, const Parameter& parameter, const Tensor& initial) {
                      const std::string& node = graph_.node(id).name;
                      Branch& branch = branch_of(*root_, node);
                      const std::string last = parameter.name.substr(node.size() + 1);
                      const at::Tensor value = to_torch(initial);
                      std::vector<at::Tensor>& own = tensors_[index(id)];
                      own.push_back(parameter.trained() ? branch.register_parameter(last, value)
                                                        : branch.register_buffer(last, value));
                      by_name_.emplace(parameter.name, own.back());
                    });
    steps_ = plan_steps(graph_);
    for (const Step& step : steps_) {
      if (std::holds_alternative<Linear>(graph_.node(step.node).op)) last_linear_ = step.node;
    }
    handed_.resize(graph_.nodes().size());
    if (!options.composed && !options.bfloat16) handed_ = plan_handed(graph_, steps_);
    if (options.checkpoint_blocks) plan_repeated_parts();
  }

  const Graph& graph() const noexcept { return graph_; }
  const std::shared_ptr<Branch>& root() const noexcept { return root_; }

  void synchronise_norms(SumOverProcesses sum) {
    norm_sum_ = std::make_shared<const SumOverProcesses>(std::move(sum));
  }

  void load(const Weights& weights) {
    check_weights(graph_, weights);
    const at::NoGradGuard guard;
    for (const auto& [name, tensor] : weights) by_name_.at(name).copy_(to_torch(tensor));
  }

  Weights weights() const {
    Weights weights;
    for (const auto& [name, tensor] : by_name_) weights.emplace(name, from_torch(tensor));
    return weights;
  }

  at::Tensor forward(const at::Tensor& images, const Dropout& dropout) {
    check_input(images);
    check_dropout(dropout, images.size(0));
    const Pass pass{.tensors = &tensors_, .dropout = dropout, .training = root_->is_training()};
    std::vector<Value> values(graph_.nodes().size());
    values[index(graph_.inputs()[0])].tensor.high = channels_last(images);
    std::size_t next = 0;
    if (pass.training && at::GradMode::is_enabled()) {
      for (const Part& part : repeated_) {
        run(next, part.begin, values, pass);
        values[index(part.makes)].tensor = run_repeatedly(part, values, pass);
        values[index(part.reads)] = {};
        next = part.end;
      }
    }
    run(next, steps_.size(), values, pass);
    return values[index(graph_.outputs()[0])].tensor.high;
  }

 private:
  static constexpr NodeId kNone = Step::kNone;

  // Tensors of parameters and buffers, by node, in the order of parameters(graph, node).
  using Tensors = std::vector<std::vector<at::Tensor>>;

  struct Value {
    OctTensor tensor;
    OctNormAside aside;  // of what a batch norm made
    // In training:
    std::shared_ptr<DiffSums> diff_sums;               // of what a convolution made
    std::shared_ptr<OctOtherGradient> other_gradient;  // from one of two readers to the other
  };

  // What steps are given beside the values that they read.
  struct Pass {
    const Tensors* tensors = nullptr;
    Dropout dropout;
    bool training = false;
    std::map<NodeId, OctNormMemory>* norms = nullptr;  // of a pass that may be run again
  };

  static std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

  void plan_repeated_parts() {
    repeated_ = parts_to_repeat(graph_, steps_);
    if (!repeated_.empty()) return;
    throw InvalidArgument("network '" + graph_.name() +
                          "' has no blocks that could be computed again: parts of several "
                          "convolutions with one value between them");
  }

  // Steps [begin, end).
  void run(std::size_t begin, std::size_t end, std::vector<Value>& values, const Pass& pass) const {
    for (std::size_t i = begin; i < end; ++i) {
      const Step& step = steps_[i];
      values[index(step.node)] = step.node == last_linear_ && pass.dropout.rate > 0 && pass.training
                                     ? run_dropped(step, values, pass)
                                     : run(step, values, pass);
      // A value that autograd does not need is freed as soon as nobody reads it again.
      for (const NodeId dead : step.dead_after) values[index(dead)] = {};
    }
  }

  // What a part makes; the backward pass will compute it again.
  OctTensor run_repeatedly(const Part& part, const std::vector<Value>& values,
                           const Pass& pass) const {
    if (by_name_.begin()->second.is_cpu()) keep_freed_memory_unless_told();
    std::vector<at::Tensor> trained;
    std::vector<std::pair<std::size_t, std::size_t>> places;  // of those, among tensors_
    for (std::size_t i = part.begin; i < part.end; ++i) {
      const NodeId owner = steps_[i].norm == kNone ? steps_[i].node : steps_[i].norm;
      const std::vector<at::Tensor>& own = tensors_[index(owner)];
      for (std::size_t j = 0; j < own.size(); ++j) {
        if (!own[j].requires_grad()) continue;
        trained.push_back(own[j]);
        places.emplace_back(index(owner), j);
      }
    }
    const auto norms = std::make_shared<std::map<NodeId, OctNormMemory>>();
    const auto compute = [module = shared_from_this(), part, places, pass, norms](
                             const OctTensor& read, const std::vector<at::Tensor>& given) {
      Tensors tensors = module->tensors_;
      for (std::size_t i = 0; i < given.size(); ++i) {
        tensors[places[i].first][places[i].second] = given[i];
      }
      Pass own = pass;
      own.tensors = &tensors;
      own.norms = norms.get();
      std::vector<Value> inside(module->graph_.nodes().size());
      inside[index(part.reads)].tensor = read;
      module->run(part.begin, part.end, inside, own);
      return inside[index(part.makes)].tensor;
    };
    const Value& read = values[index(part.reads)];
    return run_again(read.tensor, read.aside.remade, trained, compute);
  }

  void check_input(const at::Tensor& images) const {
    const std::int64_t channels = graph_.node(graph_.inputs()[0]).channels.total();
    const auto fail = [&](const std::string& what) {
      throw InvalidArgument("network '" + graph_.name() + "': " + what);
    };
    if (!images.defined() || images.dim() != static_cast<std::int64_t>(graph_.rank()) + 2 ||
        images.size(1) != channels) {
      fail("an input needs a batch axis, " + std::to_string(channels) + " channels and " +
           std::to_string(graph_.rank()) + " extents, got shape " +
           (images.defined() ? shape_of(images).to_string() : "none"));
    }
    if (!by_name_.empty() && images.scalar_type() != by_name_.begin()->second.scalar_type()) {
      fail(std::string("the input is of type ") + c10::toString(images.scalar_type()) +
           ", the weights are of type " + c10::toString(by_name_.begin()->second.scalar_type()));
    }
    static_cast<void>(infer_shapes(graph_, images.size(0), spatial_extents(images)));
  }

  void check_dropout(const Dropout& dropout, std::int64_t images) const {
    const auto fits = [&](std::int64_t row) { return row >= 0 && row < dropout.batch; };
    if (!dropout.rows.empty() && (static_cast<std::int64_t>(dropout.rows.size()) != images ||
                                  !std::all_of(dropout.rows.begin(), dropout.rows.end(), fits))) {
      throw InvalidArgument("dropout: " + std::to_string(dropout.rows.size()) +
                            " rows of a batch of " + std::to_string(dropout.batch) + " for " +
                            std::to_string(images) + " images");
    }
    if (!(dropout.rate >= 0 && dropout.rate < 1)) {
      throw InvalidArgument("dropout: the rate must be in [0, 1), got " +
                            std::to_string(dropout.rate));
    }
    if (dropout.rate > 0 && last_linear_ == kNone) {
      throw InvalidArgument("network '" + graph_.name() +
                            "' has no linear layer in front of which values could be dropped");
    }
  }

  static at::Tensor with_zeros(const at::Tensor& x, const Dropout& dropout) {
    const at::Generator generator = at::detail::createCPUGenerator(dropout.seed);
    const double kept = 1 - dropout.rate;
    const bool whole = dropout.rows.empty();
    std::vector<std::int64_t> sizes = x.sizes().vec();
    if (!whole) sizes[0] = dropout.batch;
    at::Tensor zeros = at::empty(sizes, x.options().requires_grad(false), x.suggest_memory_format())
                           .bernoulli_(kept, generator)
                           .div_(kept);
    if (!whole) zeros = zeros.index_select(0, at::tensor(dropout.rows));
    return x * zeros;
  }

  // Others may read the same value whole.
  Value run_dropped(const Step& step, std::vector<Value>& values, const Pass& pass) const {
    at::Tensor& read = values[index(step.reads[0])].tensor.high;
    const at::Tensor whole = read;
    read = with_zeros(whole, pass.dropout);
    Value made = run(step, values, pass);
    read = whole;
    return made;
  }

  NormTensors norm_tensors(NodeId id, const Pass& pass) const {
    const std::vector<at::Tensor>& own = (*pass.tensors)[index(id)];
    if (std::get<BatchNorm>(graph_.node(id).op).affine) return {own[0], own[1], own[2], own[3]};
    return {at::Tensor(), at::Tensor(), own[0], own[1]};
  }

  OctNormTail norm_tail(NodeId norm, const Pass& pass) const {
    return {.sum = norm_sum_, .memory = pass.norms == nullptr ? nullptr : &(*pass.norms)[norm]};
  }

  Value run(const Step& step, const std::vector<Value>& values, const Pass& pass) const {
    const Handed& handed = handed_[index(step.node)];
    const bool recorded = at::GradMode::is_enabled();
    Value made;
    if (handed.other_gradient && pass.training && recorded) {
      made.other_gradient = std::make_shared<OctOtherGradient>();
    }
    if (step.norm == kNone) {
      if (handed.diff_sums && recorded)
        made.diff_sums = std::make_shared<DiffSums>(graph_.octave());
      made.tensor = run(step.node, values, pass, made.diff_sums);
      return made;
    }
    const Value& read = values[index(step.reads[0])];
    OctNormTail tail = norm_tail(step.norm, pass);
    if (handed.averages) tail.cell = graph_.octave();
    tail.diff_sums = read.diff_sums;
    tail.rectified = step.rectified;
    if (step.residual != kNone) {
      const Value& residual = values[index(step.residual)];
      tail.residual = residual.tensor;
      tail.residual_remade = residual.aside.remade;
      tail.other_gradient = residual.other_gradient;
    }
    made.tensor =
        norm_add_relu(read.tensor, norm_tensors(step.norm, pass), tail,
                      std::get<BatchNorm>(graph_.node(step.norm).op), pass.training, &made.aside);
    // What is not kept for a backward pass is not made again.
    if (!recorded) made.aside.remade = {};
    return made;
  }

  // `diff_sums`: of a convolution; may be null.
  OctTensor run(NodeId id, const std::vector<Value>& values, const Pass& pass,
                const std::shared_ptr<DiffSums>& diff_sums) const {
    const Node& node = graph_.node(id);
    const std::vector<at::Tensor>& own = (*pass.tensors)[index(id)];
    const auto in = [&](std::size_t i) -> const OctTensor& {
      return values[index(node.inputs[i])].tensor;
    };
    return std::visit(
        Overloaded{
            [&](const Input&) { return values[index(id)].tensor; },
            [&](const Conv& conv) {
              const at::Tensor bias = conv.bias ? own[1] : at::Tensor();
              const ConvOptions options = graph_.conv_options(id);
              if (options_.bfloat16) return conv_in_bfloat16(in(0), own[0], bias, options);
              if (options_.composed) return oct_conv_composed(in(0), own[0], bias, options);
              const Value& read = values[index(node.inputs[0])];
              return oct_conv_of(
                  in(0), {read.aside.remade, read.aside.averages, diff_sums, read.other_gradient},
                  own[0], bias, options);
            },
            [&](const BatchNorm& norm) {
              return norm_add_relu(in(0), norm_tensors(id, pass), norm_tail(id, pass), norm,
                                   pass.training);
            },
            [&](const Activation& activation) { return activate(in(0), activation); },
            [&](const ConvTranspose& conv) -> OctTensor {
              return transposed_conv(in(0).high, own[0], conv.bias ? own[1] : at::Tensor(), conv);
            },
            [&](const Add&) { return add(in(0), in(1)); },
            [&](const Multiply&) { return multiply(in(0), in(1)); },
            [&](const Select& select) -> OctTensor {
              return at::index_select(in(0).high, 1, at::tensor(select.channels));
            },
            [&](const Softmax&) -> OctTensor { return at::softmax(in(0).high, 1); },
            [&](const Resize& resize) { return resize_of(in(0), resize, graph_.octave()); },
            [&](const Concat&) {
              std::vector<OctTensor> parts;
              for (std::size_t i = 0; i < node.inputs.size(); ++i) parts.push_back(in(i));
              return cat(parts);
            },
            [&](const Scale&) { return scale(in(0), in(1).high); },
            [&](const Attention& attention) -> OctTensor {
              return attend(in(0).high, in(1).high, in(2).high, attention.factor);
            },
            [&](const Pool& options) {
              const OctRemade& remade = values[index(node.inputs[0])].aside.remade;
              return pool_of(in(0), remade, options, graph_.octave());
            },
            [&](const GlobalPool&) -> OctTensor { return global_average(in(0)); },
            [&](const Linear& linear) -> OctTensor {
              return linear.bias ? at::linear(in(0).high, own[0], own[1])
                                 : at::linear(in(0).high, own[0]);
            }},
        node.op);
  }

  Graph graph_;
  GraphModuleOptions options_;
  std::shared_ptr<Branch> root_;
  Tensors tensors_;
  std::map<std::string, at::Tensor> by_name_;
  std::vector<Step> steps_;
  std::vector<Part> repeated_;
  std::vector<Handed> handed_;  // by node
  NodeId last_linear_ = kNone;
  NormSum norm_sum_;
};

bool multiplies_bfloat16() noexcept {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

GraphModule::GraphModule(Graph graph, std::uint64_t seed, const GraphModuleOptions& options)
    : impl_(std::make_shared<Impl>(std::move(graph), seed, options)) {}

const Graph& GraphModule::graph() const noexcept {
  return impl_->graph();
}
void GraphModule::load(const Weights& weights) {
  impl_->load(weights);
}
Weights GraphModule::weights() const {
  return impl_->weights();
}
void GraphModule::synchronise_norms(SumOverProcesses sum) {
  impl_->synchronise_norms(std::move(sum));
}

at::Tensor GraphModule::forward(const at::Tensor& images, const Dropout& dropout) {
  return impl_->forward(images, dropout);
}
void GraphModule::train(bool on) {
  impl_->root()->train(on);
}
std::shared_ptr<torch::nn::Module> GraphModule::module() const {
  return impl_->root();
}

std::vector<std::pair<std::string, at::Tensor>> GraphModule::named_parameters() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (const auto& item : impl_->root()->named_parameters())
    all.emplace_back(item.key(), item.value());
  return all;
}

std::vector<std::pair<std::string, at::Tensor>> GraphModule::named_buffers() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (const auto& item : impl_->root()->named_buffers())
    all.emplace_back(item.key(), item.value());
  return all;
}

}  // namespace octconv::nn
