// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/state_dict.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/block.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/text.h"
#include "octconv/tensor/pth.h"
#include "octconv/tensor/safetensors.h"

namespace octconv {
namespace {

constexpr double kPyTorchEpsilon = 1e-5;  // torch.nn.BatchNorm2d's default

// ---- Names

std::vector<std::string> split(std::string_view name) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    parts.emplace_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The number behind a prefix: 3 of "denseblock3".
std::optional<int> numbered(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? number(text.substr(prefix.size())) : std::nullopt;
}

// torchvision's norm1 is bn1 here.
std::string norm_name(const std::string& part) {
  return part.starts_with("norm") ? "bn" + part.substr(4) : part;
}

// A module of torchvision's DenseNet.
std::optional<std::string> densenet_name(const std::vector<std::string>& parts) {
  if (parts == std::vector<std::string>{"classifier"}) return "fc";
  if (parts.size() < 2 || parts[0] != "features") return std::nullopt;
  if (parts.size() == 2) {
    if (parts[1] == "conv0") return "conv1";
    if (parts[1] == "norm0") return "bn1";
    if (parts[1] == "norm5") return "bn_last";
    return std::nullopt;
  }
  if (parts.size() == 3 && numbered(parts[1], "transition"))
    return parts[1] + "." + norm_name(parts[2]);
  const std::optional<int> block = numbered(parts[1], "denseblock");
  const std::optional<int> layer = numbered(parts[2], "denselayer");
  if (!block || !layer || parts.size() < 4 || parts.size() > 5) return std::nullopt;
  // The older spelling divides "conv1" into "conv.1".
  const std::string last = parts.size() == 5 ? parts[3] + parts[4] : parts[3];
  return "layer" + std::to_string(*block) + "." + std::to_string(*layer - 1) + "." +
         norm_name(last);
}

// A module of torchvision's MobileNet v2: features.0 and features.18 are single convolutions, the
// others blocks.
std::optional<std::string> mobilenet_name(const std::vector<std::string>& parts) {
  if (parts == std::vector<std::string>{"classifier", "1"}) return "fc";
  if (parts.size() < 3 || parts[0] != "features") return std::nullopt;
  const std::optional<int> place = number(parts[1]);
  if (!place) return std::nullopt;
  const std::string rest = join({parts.begin() + 2, parts.end()}, ".");
  if (*place == 0 || *place == 18) {
    const std::string which = *place == 0 ? "1" : "_last";
    if (rest == "0") return "conv" + which;
    if (rest == "1") return "bn" + which;
    return std::nullopt;
  }
  struct Part {
    std::string_view theirs;
    std::string_view ours;
  };
  constexpr std::array kFirst{Part{"conv.0.0", "depthwise"}, Part{"conv.0.1", "bn2"},
                              Part{"conv.1", "project"}, Part{"conv.2", "bn3"}};
  constexpr std::array kLater{Part{"conv.0.0", "expand"},    Part{"conv.0.1", "bn1"},
                              Part{"conv.1.0", "depthwise"}, Part{"conv.1.1", "bn2"},
                              Part{"conv.2", "project"},     Part{"conv.3", "bn3"}};
  const auto find = [&](const auto& table) -> std::optional<std::string> {
    for (const Part& part : table) {
      if (part.theirs == rest)
        return "block" + std::to_string(*place - 1) + "." + std::string(part.ours);
    }
    return std::nullopt;
  };
  return *place == 1 ? find(kFirst) : find(kLater);
}

// A module of the authors' post-activation ResNets in Gluon (facebookresearch/OctConv,
// utils/gluon/utils/resnetv1.py).
std::optional<std::string> gluon_resnet_name(const std::vector<std::string>& parts) {
  const std::string whole = join(parts, ".");
  if (whole == "conv1.0") return "conv1";
  if (whole == "conv1.1") return "bn1";
  if (whole == "classifer") return "fc";  // theirs
  const std::size_t underscore = parts[0].find("_B");
  if (parts.size() < 2 || underscore == std::string::npos) return std::nullopt;
  const std::optional<int> stage = numbered(parts[0].substr(0, underscore), "L");
  const std::optional<int> block = numbered(parts[0].substr(underscore), "_B");
  if (!stage || !block) return std::nullopt;
  std::string name = "layer" + std::to_string(*stage) + "." + std::to_string(*block) + ".";
  name += parts[1] == "conv4"  ? "downsample.0"
          : parts[1] == "bn4"  ? "downsample.1"
          : parts[1] == "bn4a" ? "downsample.extra_bn"
                               : parts[1];
  for (std::size_t i = 2; i < parts.size(); ++i) name += "." + parts[i];
  return name;
}

// Gluon's words for a batch norm's scale and shift.
std::string parameter_name(const std::string& parameter) {
  if (parameter == "gamma") return "weight";
  return parameter == "beta" ? "bias" : parameter;
}

// "conv1" and "weight" of "conv1.weight".
std::pair<std::string, std::string> module_and_parameter(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

// Without what stands in front of all names, unless the network has such names itself.
StateDict without_prefixes(StateDict state, const Graph& graph) {
  const bool own = std::any_of(state.begin(), state.end(), [&](const auto& entry) {
    return graph.find(module_and_parameter(entry.first).first) >= 0;
  });
  if (own) return state;
  constexpr std::array<std::string_view, 4> kPrefixes{"module.", "state_dict.", "model.",
                                                      "network."};
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view prefix : kPrefixes) {
      const bool all = !state.empty() && std::all_of(state.begin(), state.end(), [&](auto& entry) {
        return entry.first.starts_with(prefix);
      });
      if (!all) continue;
      StateDict shorter;
      for (auto& [name, tensor] : state)
        shorter.emplace(name.substr(prefix.size()), std::move(tensor));
      state = std::move(shorter);
      again = true;
    }
  }
  return state;
}

// ---- Assembly

class Loader {
 public:
  Loader(const Graph& graph, StateDict state)
      : graph_(graph), state_(without_prefixes(std::move(state), graph)) {
    std::erase_if(state_, [](const auto& entry) {
      return module_and_parameter(entry.first).second == "num_batches_tracked";
    });
  }

  Model run() {
    rename_gluon();
    rename_torchvision();
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
      const auto id = static_cast<NodeId>(i);
      for (const Parameter& parameter : parameters(graph_, id)) take(id, parameter);
    }
    for (const auto& [name, tensor] : state_)
      problems_.push_back("'" + name + "' " + tensor.shape().to_string() + " belongs nowhere");
    if (!problems_.empty())
      throw InvalidArgument("weights for network '" + graph_.name() +
                            "': " + join(problems_, "; "));
    return {.graph = std::move(graph_), .weights = std::move(weights_), .preprocessing = {}};
  }

 private:
  // Names of Gluon's ResNets; their last layer is a convolution of one pixel.
  void rename_gluon() {
    const bool gluon = std::any_of(state_.begin(), state_.end(), [](const auto& entry) {
      return entry.first.ends_with(".gamma") || entry.first.starts_with("classifer.");
    });
    if (!gluon) return;
    StateDict renamed;
    for (auto& [name, tensor] : state_) {
      const auto [module, parameter] = module_and_parameter(name);
      const std::string ours = gluon_resnet_name(split(module)).value_or(module);
      const Shape& shape = tensor.shape();
      if (ours == "fc" && shape.rank() == 4 && shape[2] == 1 && shape[3] == 1)
        tensor = std::move(tensor).reshaped({shape[0], shape[1]});
      const std::string new_name = ours + "." + parameter_name(parameter);
      if (!renamed.emplace(new_name, std::move(tensor)).second)
        problems_.push_back("'" + name + "' is '" + new_name + "' a second time");
    }
    state_ = std::move(renamed);
  }

  // Names of torchvision that this network does not have itself.
  void rename_torchvision() {
    StateDict renamed;
    bool torchvision = false;
    for (auto& [name, tensor] : state_) {
      const auto [module, parameter] = module_and_parameter(name);
      std::string new_name = name;
      if (graph_.find(module) < 0) {
        const std::vector<std::string> parts = split(module);
        for (const auto translate : {densenet_name, mobilenet_name}) {
          const std::optional<std::string> ours = translate(parts);
          if (!ours || graph_.find(*ours) < 0) continue;
          new_name = *ours + "." + parameter;
          torchvision = true;
          break;
        }
      }
      if (!renamed.emplace(new_name, std::move(tensor)).second)
        problems_.push_back("'" + name + "' is '" + new_name + "' a second time");
    }
    state_ = std::move(renamed);
    if (!torchvision) return;
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
      if (std::holds_alternative<BatchNorm>(graph_.nodes()[i].op))
        graph_.set_epsilon(static_cast<NodeId>(i), kPyTorchEpsilon);
    }
    leave_out_first_expansion();
  }

  // torchvision's MobileNet v2 does not expand in its first block.
  void leave_out_first_expansion() {
    const NodeId expand = graph_.find("block0.expand");
    const NodeId norm = graph_.find("block0.bn1");
    if (expand < 0 || norm < 0 || state_.contains("block0.expand.weight")) return;
    for (const NodeId id : {expand, norm}) {
      for (const Parameter& parameter : parameters(graph_, id)) {
        Tensor tensor(parameter.shape);
        const std::int64_t channels = parameter.shape[0];
        switch (parameter.kind) {
          case Parameter::Kind::kWeight:  // [channels, channels, 1, 1]
            for (std::int64_t c = 0; c < channels; ++c) tensor.data()[c * channels + c] = 1;
            break;
          case Parameter::Kind::kVariance:
            for (float& value : tensor.values()) value = static_cast<float>(1 - kPyTorchEpsilon);
            break;
          case Parameter::Kind::kScale:
            for (float& value : tensor.values()) value = 1;
            break;
          default:  // 0
            break;
        }
        state_.insert_or_assign(parameter.name, std::move(tensor));
      }
    }
  }

  void take(NodeId id, const Parameter& parameter) {
    if (auto found = state_.extract(parameter.name)) {
      if (found.mapped().shape() != parameter.shape)
        problems_.push_back("'" + parameter.name + "' has shape " +
                            found.mapped().shape().to_string() + " instead of " +
                            parameter.shape.to_string());
      weights_.emplace(parameter.name, std::move(found.mapped()));
      return;
    }
    const Node& node = graph_.node(id);
    const bool taken = std::holds_alternative<Conv>(node.op) ? take_paths(id, parameter)
                                                             : take_frequencies(id, parameter);
    if (!taken)
      problems_.push_back("'" + parameter.name + "' " + parameter.shape.to_string() +
                          " is missing");
  }

  // A tensor under one of these names, which leaves the state dict; checks its shape.
  std::optional<Tensor> find(const std::vector<std::string>& names, const Shape& shape) {
    for (const std::string& name : names) {
      auto found = state_.extract(name);
      if (!found) continue;
      if (found.mapped().shape() != shape) {
        problems_.push_back("'" + name + "' has shape " + found.mapped().shape().to_string() +
                            " instead of " + shape.to_string());
        return Tensor(shape);
      }
      return std::move(found.mapped());
    }
    return std::nullopt;
  }

  // A convolution's weight from one kernel per path.
  bool take_paths(NodeId id, const Parameter& parameter) {
    if (parameter.kind != Parameter::Kind::kWeight) return false;
    const Node& node = graph_.node(id);
    const ConvOptions options = graph_.conv_options(id);
    Tensor weight(parameter.shape);
    std::vector<std::string> missing;
    const std::vector<ConvPath> paths = conv_paths(options);
    for (const ConvPath& path : paths) {
      const std::string word = std::string(path.src == Frequency::kHigh ? "h" : "l") + "2" +
                               (path.dst == Frequency::kHigh ? "h" : "l");
      Shape shape{path.rows, path.columns};
      for (const std::int64_t extent : options.kernel) shape.push_back(extent);
      std::vector<std::string> names;
      for (const char* infix : {".conv.conv_", ".conv_", ".conv.", "."})
        names.push_back(node.name + infix + word + ".weight");
      const std::optional<Tensor> kernel = find(names, shape);
      if (!kernel) {
        missing.push_back("'" + names[0] + "' " + shape.to_string());
        continue;
      }
      copy_block(kernel->data(), path, weight);
    }
    if (missing.size() == paths.size()) return false;
    for (const std::string& name : missing) problems_.push_back(name + " is missing");
    weights_.emplace(parameter.name, std::move(weight));
    return true;
  }

  // A batch norm's parameter from one per frequency.
  bool take_frequencies(NodeId id, const Parameter& parameter) {
    const Node& node = graph_.node(id);
    if (!std::holds_alternative<BatchNorm>(node.op)) return false;
    const std::string what = module_and_parameter(parameter.name).second;
    Tensor all(parameter.shape);
    std::vector<std::string> missing;
    int parts = 0;
    for (const bool low : {true, false}) {
      const std::int64_t count = low ? node.channels.low : node.channels.high;
      if (count == 0) continue;
      ++parts;
      std::vector<std::string> names;
      for (const std::string& owner : {graph_.node(node.inputs[0]).name, node.name})
        names.push_back(owner + (low ? ".bn_l." : ".bn_h.") + what);
      const std::optional<Tensor> part = find(names, Shape{count});
      if (part) {
        std::copy_n(part->data(), count, all.data() + (low ? 0 : node.channels.low));
      } else {
        missing.push_back("'" + names[0] + "' " + Shape{count}.to_string());
      }
    }
    if (static_cast<int>(missing.size()) == parts) return false;
    for (const std::string& name : missing) problems_.push_back(name + " is missing");
    weights_.emplace(parameter.name, std::move(all));
    return true;
  }

  Graph graph_;
  StateDict state_;  // what is not yet taken
  Weights weights_;
  std::vector<std::string> problems_;
};

}  // namespace

StateDict read_state_dict(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  // A zip archive, or PyTorch's older files; safetensors begin with a length, which these are not.
  const bool torch = bytes.starts_with("PK\x03\x04") || bytes.starts_with("\x80\x02\x8a\x0a");
  return torch ? parse_pth(bytes, path.string()) : parse_safetensors(bytes, path.string());
}

Model with_state_dict(const Graph& graph, StateDict state) {
  return Loader(graph, std::move(state)).run();
}

}  // namespace octconv
