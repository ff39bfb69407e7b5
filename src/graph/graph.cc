// SPDX-License-Identifier: Apache-2.0
// Building a graph: every node is checked as it is added, so that a finished graph needs no second
// look.
#include "octconv/graph/graph.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "octconv/base/error.h"

namespace octconv {
namespace {

[[noreturn]] void fail(const std::string& node, const std::string& why) {
  throw InvalidArgument("node '" + node + "': " + why);
}

std::string show(const ChannelSplit& split) {
  return std::to_string(split.high) + " high + " + std::to_string(split.low) + " low channels";
}

// How many inputs an operation takes, or none if that is any number but 0.
std::optional<std::size_t> arity(const Op& op) {
  if (std::holds_alternative<Input>(op)) return 0;
  if (std::holds_alternative<Concat>(op)) return std::nullopt;
  if (std::holds_alternative<Attention>(op)) return 3;
  const bool two = std::holds_alternative<Add>(op) || std::holds_alternative<Multiply>(op) ||
                   std::holds_alternative<Scale>(op);
  return two ? 2 : 1;
}

void check_window(const std::string& name, std::size_t rank, const char* what, const Shape& shape,
                  std::int64_t least) {
  if (shape.rank() != rank ||
      std::any_of(shape.begin(), shape.end(), [&](auto extent) { return extent < least; })) {
    fail(name, std::string(what) + " " + shape.to_string() + " must have " + std::to_string(rank) +
                   " extents of at least " + std::to_string(least));
  }
}

void check_conv_transpose(const std::string& name, std::size_t rank, std::int64_t in,
                          const ConvTranspose& o) {
  check_window(name, rank, "kernel", o.kernel, 1);
  check_window(name, rank, "stride", o.stride, 1);
  check_window(name, rank, "dilation", o.dilation, 1);
  check_window(name, rank, "padding", o.padding_begin, 0);
  if (o.padding_end.rank() != rank)
    fail(name, "padding " + o.padding_end.to_string() + " must have " + std::to_string(rank) +
                   " extents");
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (o.padding_end[axis] <= -o.stride[axis])
      fail(name, "padding " + o.padding_end.to_string() + " adds a whole stride " +
                     o.stride.to_string() + " or more");
  }
  if (o.out_channels < 1 || o.groups < 1 || in % o.groups != 0 || o.out_channels % o.groups != 0)
    fail(name, std::to_string(o.groups) + " groups do not divide " + std::to_string(in) +
                   " input and " + std::to_string(o.out_channels) + " output channels");
}

}  // namespace

Graph::Graph(std::string name, Shape octave) : name_(std::move(name)), octave_(octave) {
  if (octave.rank() < 1 || octave.rank() > 3) {
    throw InvalidArgument("graph '" + name_ + "': rank must be 1, 2 or 3, got " +
                          std::to_string(octave.rank()));
  }
  if (std::any_of(octave.begin(), octave.end(),
                  [](auto factor) { return factor != 1 && factor != 2; })) {
    throw InvalidArgument("graph '" + name_ + "': octave factors must be 1 or 2, got " +
                          octave.to_string());
  }
}

Graph Graph::without_nodes() const {
  Graph graph(name_, octave_);
  graph.default_extents_ = default_extents_;
  graph.policy_ = policy_;
  return graph;
}

NodeId Graph::add(std::string name, Op op, std::vector<NodeId> inputs, int stage) {
  if (name.empty()) fail(name, "a node needs a name");
  if (find(name) >= 0) fail(name, "the name is taken");
  const std::optional<std::size_t> wanted = arity(op);
  if (wanted ? inputs.size() != *wanted : inputs.empty()) {
    fail(name, std::string(op_name(op)) + " takes " +
                   (wanted ? std::to_string(*wanted) : "at least 1") + " inputs, got " +
                   std::to_string(inputs.size()));
  }
  for (const NodeId input : inputs) {
    if (input < 0 || static_cast<std::size_t>(input) >= nodes_.size()) {
      fail(name, "input " + std::to_string(input) + " does not exist");
    }
  }
  const auto in = [&](std::size_t i) -> const Node& { return node(inputs[i]); };
  const auto need_spatial = [&](bool spatial_wanted, std::size_t input = 0) {
    if (in(input).spatial != spatial_wanted) {
      fail(name, std::string(op_name(op)) + " needs a value " +
                     (spatial_wanted ? "with" : "without") + " extents, and '" + in(input).name +
                     "' is not one");
    }
  };
  const auto need_twins = [&](const char* what) {
    if (in(1).channels.total() != in(0).channels.total() || in(1).spatial != in(0).spatial) {
      fail(name, std::string("cannot ") + what + " '" + in(0).name + "' (" + show(in(0).channels) +
                     ") and '" + in(1).name + "' (" + show(in(1).channels) + ")");
    }
  };
  std::int64_t channels = inputs.empty() ? 0 : in(0).channels.total();
  bool spatial = inputs.empty() || in(0).spatial;
  std::visit(
      Overloaded{
          [&](const Input& o) {
            channels = o.channels;
            if (!o.extents.empty()) check_window(name, rank(), "extents", o.extents, 1);
          },
          [&](const Conv& o) {
            need_spatial(true);
            channels = o.out_channels;
          },
          [&](const ConvTranspose& o) {
            need_spatial(true);
            check_conv_transpose(name, rank(), channels, o);
            channels = o.out_channels;
          },
          [&](const BatchNorm& o) {
            need_spatial(true);
            if (!(o.epsilon > 0)) fail(name, "epsilon must be positive");
            if (!std::isfinite(o.initial_scale))
              fail(name, "initial scale must be a finite number");
            if (!(o.momentum >= 0 && o.momentum <= 1)) fail(name, "momentum must be in [0, 1]");
          },
          [&](const Activation& o) {
            if (o.kind == ActivationKind::kNone) fail(name, "an activation must be a function");
            if (!std::isfinite(o.slope) || !std::isfinite(o.offset))
              fail(name, "slope and offset must be finite numbers");
          },
          [&](const Add&) { need_twins("add"); }, [&](const Multiply&) { need_twins("multiply"); },
          [&](const Concat&) {
            for (std::size_t i = 1; i < inputs.size(); ++i) {
              if (in(i).spatial != spatial) {
                fail(name, "cannot join '" + in(0).name + "' and '" + in(i).name +
                               "', of which only one has extents");
              }
              if (__builtin_add_overflow(channels, in(i).channels.total(), &channels))
                fail(name, "has too many channels");
            }
          },
          [&](const Select& o) {
            for (const std::int64_t channel : o.channels) {
              if (channel < 0 || channel >= channels)
                fail(name, "selects channel " + std::to_string(channel) + " of " +
                               std::to_string(channels));
            }
            channels = static_cast<std::int64_t>(o.channels.size());
          },
          [&](const Scale&) {
            need_spatial(true);
            need_spatial(false, 1);
            if (in(1).channels.total() != channels) {
              fail(name, "gate '" + in(1).name + "' has " + std::to_string(in(1).channels.total()) +
                             " channels, and '" + in(0).name + "' has " + std::to_string(channels));
            }
          },
          [&](const Attention& o) {
            for (std::size_t i = 0; i < 3; ++i) need_spatial(true, i);
            if (in(1).channels.total() != channels) {
              fail(name, "queries '" + in(0).name + "' have " + std::to_string(channels) +
                             " channels, and keys '" + in(1).name + "' have " +
                             std::to_string(in(1).channels.total()));
            }
            if (!std::isfinite(o.factor)) fail(name, "factor must be a finite number");
            channels = in(2).channels.total();
          },
          [](const Softmax&) {},
          [&](const Resize& o) {
            need_spatial(true);
            check_window(name, rank(), "factor", o.factor, 1);
            check_window(name, rank(), "crop", o.crop, 0);
            for (std::size_t axis = 0; axis < rank(); ++axis) {
              if (o.crop[axis] >= o.factor[axis])
                fail(name, "crop " + o.crop.to_string() + " must be smaller than the factor " +
                               o.factor.to_string());
            }
          },
          [&](const Pool& o) {
            need_spatial(true);
            check_window(name, rank(), "kernel", o.kernel, 1);
            check_window(name, rank(), "stride", o.stride, 1);
            check_window(name, rank(), "padding", o.padding_begin, 0);
            check_window(name, rank(), "padding", o.padding_end, 0);
            for (std::size_t axis = 0; axis < rank(); ++axis) {
              if (std::max(o.padding_begin[axis], o.padding_end[axis]) >= o.kernel[axis]) {
                fail(name, "padding must be smaller than the kernel " + o.kernel.to_string());
              }
            }
          },
          [&](const GlobalPool&) {
            need_spatial(true);
            spatial = false;
          },
          [&](const Linear& o) {
            need_spatial(false);
            channels = o.out_channels;
          }},
      op);
  if (channels < 1) fail(name, "channels must be at least 1, got " + std::to_string(channels));

  const bool is_input = std::holds_alternative<Input>(op);
  const bool is_conv = std::holds_alternative<Conv>(op);
  nodes_.push_back({.name = name,
                    .op = std::move(op),
                    .inputs = std::move(inputs),
                    .stage = stage,
                    .channels = {.high = channels, .low = 0},
                    .spatial = spatial});
  const auto id = static_cast<NodeId>(nodes_.size() - 1);
  if (is_conv) {
    try {
      octconv::check(conv_options(id));
    } catch (const Error& error) {
      nodes_.pop_back();
      fail(name, error.what());
    }
  }
  if (is_input) inputs_.push_back(id);
  return id;
}

void Graph::add_output(NodeId id) {
  if (id < 0 || static_cast<std::size_t>(id) >= nodes_.size()) {
    throw InvalidArgument("graph '" + name_ + "': output " + std::to_string(id) +
                          " does not exist");
  }
  outputs_.push_back(id);
}

NodeId Graph::find(std::string_view name) const noexcept {
  const auto at = std::find_if(nodes_.begin(), nodes_.end(),
                               [&](const Node& node) { return node.name == name; });
  return at == nodes_.end() ? -1 : static_cast<NodeId>(at - nodes_.begin());
}

ConvOptions Graph::conv_options(NodeId id) const {
  const Conv& conv = std::get<Conv>(node(id).op);
  return {.in = node(node(id).inputs[0]).channels,
          .out = node(id).channels,
          .kernel = conv.kernel,
          .stride = conv.stride,
          .dilation = conv.dilation,
          .padding_begin = conv.padding_begin,
          .padding_end = conv.padding_end,
          .groups = conv.groups,
          .octave = octave_,
          .stride_mode = conv.stride_mode,
          .exchange = conv.exchange,
          .low_to_high = conv.low_to_high,
          .downsample = conv.downsample};
}

void Graph::set_stride_mode(NodeId id, StrideMode mode) {
  std::get<Conv>(nodes_[static_cast<std::size_t>(id)].op).stride_mode = mode;
}

void Graph::set_exchange(NodeId id, Exchange exchange) {
  std::get<Conv>(nodes_[static_cast<std::size_t>(id)].op).exchange = exchange;
}

Shape Graph::default_extents(std::int64_t size) const {
  Shape extents = default_extents_;
  for (std::size_t axis = 0; axis < extents.rank(); ++axis) {
    if (octave_[axis] == 2) extents[axis] = size;
  }
  return extents;
}

void Graph::set_bias(NodeId id) {
  std::visit(Overloaded{[](Conv& conv) { conv.bias = true; },
                        [](ConvTranspose& conv) { conv.bias = true; },
                        [](Linear& linear) { linear.bias = true; }, [](auto&) {}},
             nodes_[static_cast<std::size_t>(id)].op);
}

void Graph::set_epsilon(NodeId id, double epsilon) {
  std::get<BatchNorm>(nodes_[static_cast<std::size_t>(id)].op).epsilon = epsilon;
}

void Graph::set_downsample(NodeId id, Downsample downsample) {
  std::get<Conv>(nodes_[static_cast<std::size_t>(id)].op).downsample = downsample;
}

void Graph::set_low_to_high(NodeId id, LowToHigh order) {
  std::get<Conv>(nodes_[static_cast<std::size_t>(id)].op).low_to_high = order;
}

void Graph::check() const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const auto keeps_split_of = [&](NodeId input) {
      if (this->node(input).channels != node.channels) {
        fail(node.name, std::string(op_name(node.op)) + " keeps frequencies, but '" +
                            this->node(input).name + "' has " + show(this->node(input).channels) +
                            " and the result " + show(node.channels));
      }
    };
    const auto keeps_split = [&] {
      for (const NodeId input : node.inputs) keeps_split_of(input);
    };
    const auto is_ordinary = [&] {
      if (node.channels.octave()) fail(node.name, "cannot have low channels");
    };
    const auto inputs_are_ordinary = [&] {
      for (const NodeId input : node.inputs) {
        if (this->node(input).channels.octave()) {
          fail(node.name, std::string(op_name(node.op)) + " takes no low channels, but '" +
                              this->node(input).name + "' has " + show(this->node(input).channels));
        }
      }
    };
    if (node.channels.low < 0 || node.channels.high < 0)
      fail(node.name, "has " + show(node.channels));
    std::visit(
        Overloaded{
            [&](const Input&) { is_ordinary(); },
            [&](const Conv&) {
              try {
                octconv::check(conv_options(static_cast<NodeId>(i)));
              } catch (const Unsupported& error) {
                throw Unsupported("node '" + node.name + "': " + error.what());
              } catch (const Error& error) {
                fail(node.name, error.what());
              }
            },
            [&](const ConvTranspose&) {
              is_ordinary();
              inputs_are_ordinary();
            },
            [&](const BatchNorm&) { keeps_split(); }, [&](const Activation&) { keeps_split(); },
            [&](const Add&) { keeps_split(); }, [&](const Multiply&) { keeps_split(); },
            [&](const Concat&) {
              ChannelSplit sum;
              for (const NodeId input : node.inputs) {
                sum.high += this->node(input).channels.high;
                sum.low += this->node(input).channels.low;
              }
              if (sum != node.channels) {
                fail(node.name, "joins " + show(sum) + ", but has " + show(node.channels));
              }
              if (!node.spatial) is_ordinary();
            },
            [&](const Select&) {
              is_ordinary();
              inputs_are_ordinary();
            },
            [&](const Scale&) { keeps_split_of(node.inputs[0]); },
            [&](const Attention&) {
              is_ordinary();
              inputs_are_ordinary();
            },
            [&](const Softmax&) {
              is_ordinary();
              inputs_are_ordinary();
            },
            [&](const Pool&) { keeps_split(); }, [&](const Resize&) { keeps_split(); },
            [&](const GlobalPool&) { is_ordinary(); }, [&](const Linear&) { is_ordinary(); }},
        node.op);
  }
  for (const NodeId output : outputs_) {
    if (node(output).channels.octave())
      fail(node(output).name, "an output cannot have low channels");
  }
}

}  // namespace octconv
