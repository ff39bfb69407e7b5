// SPDX-License-Identifier: Apache-2.0
// A graph as text for people, and as Graphviz source for pictures.
#include <sstream>

#include "octconv/graph/graph.h"

namespace octconv {
namespace {

std::string describe(const Graph& graph, NodeId id) {
  std::ostringstream text;
  const auto window = [&](const Shape& kernel, const Shape& stride) {
    text << " " << kernel.to_string();
    if (stride != Shape::filled(stride.rank(), 1)) text << " stride " << stride.to_string();
  };
  std::visit(
      Overloaded{[&](const Input&) { text << "input"; },
                 [&](const Conv& conv) {
                   const ConvOptions options = graph.conv_options(id);
                   text << (options.octave_valued() ? "octave conv" : "conv");
                   window(conv.kernel, conv.stride);
                   if (options.strided() && conv.stride_mode != StrideMode::kStrided) {
                     text << " by " << to_string(conv.stride_mode);
                   }
                   if (conv.groups > 1) text << " groups " << conv.groups;
                   if (conv.exchange != Exchange::kBoth)
                     text << " exchange " << to_string(conv.exchange);
                   if (conv.downsample != Downsample::kAverage)
                     text << " downsample " << to_string(conv.downsample);
                   if (conv.low_to_high != LowToHigh::kConvThenUpsample)
                     text << " " << to_string(conv.low_to_high);
                 },
                 [&](const BatchNorm& norm) {
                   text << "batch norm" << (norm.affine ? "" : " without scale and shift");
                 },
                 [&](const ConvTranspose& conv) {
                   text << "transposed conv";
                   window(conv.kernel, conv.stride);
                   if (conv.groups > 1) text << " groups " << conv.groups;
                 },
                 [&](const Activation& activation) { text << to_string(activation.kind); },
                 [&](const Add&) { text << "add"; }, [&](const Multiply&) { text << "multiply"; },
                 [&](const Concat&) { text << "concat"; }, [&](const Select&) { text << "select"; },
                 [&](const Scale&) { text << "scale"; },
                 [&](const Attention&) { text << "attention"; },
                 [&](const Softmax&) { text << "softmax"; },
                 [&](const Resize& resize) {
                   text << to_string(resize.mode) << " resize " << resize.factor.to_string();
                 },
                 [&](const Pool& pool) {
                   text << to_string(pool.kind) << " pool";
                   window(pool.kernel, pool.stride);
                 },
                 [&](const GlobalPool&) { text << "global average pool"; },
                 [&](const Linear&) { text << "linear"; }},
      graph.node(id).op);
  return text.str();
}

std::string channels_text(const ChannelSplit& split) {
  return split.octave() ? std::to_string(split.high) + "+" + std::to_string(split.low)
                        : std::to_string(split.total());
}

std::string dump_with(const Graph& graph, const std::vector<ValueShape>* shapes) {
  std::ostringstream text;
  text << graph.name() << ", rank " << graph.rank() << "\n";
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    text << node.name << " = " << describe(graph, static_cast<NodeId>(i)) << "(";
    for (std::size_t input = 0; input < node.inputs.size(); ++input) {
      text << (input > 0 ? ", " : "") << graph.node(node.inputs[input]).name;
    }
    text << ") channels " << channels_text(node.channels);
    if (shapes != nullptr && node.spatial) {
      text << " extents " << (*shapes)[i].high.to_string();
      if (node.channels.octave()) text << " and " << (*shapes)[i].low.to_string();
    }
    if (node.stage != Node::kNoStage) text << " stage " << node.stage;
    text << "\n";
  }
  for (const NodeId output : graph.outputs()) text << "output " << graph.node(output).name << "\n";
  return text.str();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

std::string dump(const Graph& graph) {
  return dump_with(graph, nullptr);
}

std::string dump(const Graph& graph, const Shape& extents) {
  const std::vector<ValueShape> shapes = infer_shapes(graph, 1, extents);
  return dump_with(graph, &shapes);
}

std::string to_dot(const Graph& graph) {
  std::ostringstream text;
  text << "digraph " << quoted(graph.name())
       << " {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    text << "  n" << i
         << " [label=" << quoted(node.name + "\n" + describe(graph, static_cast<NodeId>(i)))
         << (node.channels.octave() ? ", style=filled, fillcolor=\"#dbe9f6\"" : "") << "];\n";
    for (const NodeId input : node.inputs) {
      const ChannelSplit& split = graph.node(input).channels;
      text << "  n" << input << " -> n" << i << " [label=" << quoted(channels_text(split))
           << (split.octave() ? ", color=\"black:black\"" : "") << "];\n";
    }
  }
  text << "}\n";
  return text.str();
}

}  // namespace octconv
