// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/model.h"

#include <cmath>

#include "octconv/base/error.h"
#include "octconv/base/random.h"
#include "octconv/base/text.h"

namespace octconv {

std::vector<Parameter> parameters(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto name = [&](const char* what) { return node.name + "." + what; };
  const auto in_channels = [&] { return graph.node(node.inputs[0]).channels.total(); };
  using Kind = Parameter::Kind;
  using List = std::vector<Parameter>;
  return std::visit(
      Overloaded{
          [](const Input&) { return List{}; },
          [&](const Conv& conv) {
            Shape weight{conv.out_channels, in_channels() / conv.groups};
            for (const std::int64_t extent : conv.kernel) weight.push_back(extent);
            List list{{name("weight"), weight, Kind::kWeight}};
            if (conv.bias) list.push_back({name("bias"), Shape{conv.out_channels}, Kind::kBias});
            return list;
          },
          [&](const ConvTranspose& conv) {
            Shape weight{in_channels(), conv.out_channels / conv.groups};
            for (const std::int64_t extent : conv.kernel) weight.push_back(extent);
            List list{{name("weight"), weight, Kind::kWeight}};
            if (conv.bias) list.push_back({name("bias"), Shape{conv.out_channels}, Kind::kBias});
            return list;
          },
          [&](const BatchNorm& norm) {
            const Shape channels{node.channels.total()};
            List list{{name("running_mean"), channels, Kind::kMean},
                      {name("running_var"), channels, Kind::kVariance}};
            if (norm.affine) {
              list.insert(list.begin(), {{name("weight"), channels, Kind::kScale},
                                         {name("bias"), channels, Kind::kShift}});
            }
            return list;
          },
          [](const Activation&) { return List{}; }, [](const Add&) { return List{}; },
          [](const Multiply&) { return List{}; }, [](const Concat&) { return List{}; },
          [](const Select&) { return List{}; }, [](const Scale&) { return List{}; },
          [](const Attention&) { return List{}; }, [](const Softmax&) { return List{}; },
          [](const Pool&) { return List{}; }, [](const Resize&) { return List{}; },
          [](const GlobalPool&) { return List{}; },
          [&](const Linear& linear) {
            List list{{name("weight"), Shape{linear.out_channels, in_channels()}, Kind::kWeight}};
            if (linear.bias)
              list.push_back({name("bias"), Shape{linear.out_channels}, Kind::kBias});
            return list;
          }},
      node.op);
}

std::vector<Parameter> parameters(const Graph& graph) {
  std::vector<Parameter> all;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    for (Parameter& parameter : parameters(graph, static_cast<NodeId>(i)))
      all.push_back(std::move(parameter));
  }
  return all;
}

Weights initial_weights(const Graph& graph, std::uint64_t seed) {
  Weights weights;
  initial_weights(graph, seed, [&](NodeId, const Parameter& parameter, Tensor tensor) {
    weights.emplace(parameter.name, std::move(tensor));
  });
  return weights;
}

void initial_weights(const Graph& graph, std::uint64_t seed,
                     const std::function<void(NodeId, const Parameter&, Tensor)>& take) {
  Random random(seed);
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    for (const Parameter& parameter : parameters(graph, id)) {
      Tensor tensor(parameter.shape);
      const auto fill = [&](double value) {
        for (float& element : tensor.values()) element = static_cast<float>(value);
      };
      if (parameter.kind == Parameter::Kind::kWeight) {
        const std::int64_t fan_in = parameter.shape.elements() / parameter.shape[0];
        const double deviation = std::sqrt(2.0 / static_cast<double>(fan_in));
        for (float& value : tensor.values())
          value = static_cast<float>(deviation * random.normal());
      } else if (parameter.kind == Parameter::Kind::kScale) {
        fill(std::get<BatchNorm>(graph.node(id).op).initial_scale);
      } else if (parameter.kind == Parameter::Kind::kVariance) {
        fill(1);
      }
      take(id, parameter, std::move(tensor));
    }
  }
}

void check_weights(const Graph& graph, const Weights& weights) {
  std::vector<std::string> problems;
  std::map<std::string, Shape> known;
  for (const Parameter& parameter : parameters(graph)) {
    known.emplace(parameter.name, parameter.shape);
    const auto found = weights.find(parameter.name);
    if (found == weights.end()) {
      problems.push_back("'" + parameter.name + "' is missing");
    } else if (found->second.shape() != parameter.shape) {
      problems.push_back("'" + parameter.name + "' has shape " + found->second.shape().to_string() +
                         " instead of " + parameter.shape.to_string());
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!known.contains(name)) problems.push_back("'" + name + "' is not a parameter");
  }
  if (!problems.empty()) {
    throw InvalidArgument("weights of network '" + graph.name() + "': " + join(problems, "; "));
  }
}

Shape image_extents(const Model& model) {
  const Shape& trained = model.preprocessing.extents;
  return trained.empty() ? model.graph.default_extents() : trained;
}

}  // namespace octconv
