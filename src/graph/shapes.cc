// SPDX-License-Identifier: Apache-2.0
// Shape inference: the extents of every value for one input size.
#include "graph/extents.h"

#include <algorithm>

#include "base/checked.h"
#include "octconv/base/error.h"

namespace octconv {
Shape pooled_extents(const Pool& pool, const Shape& in) {
  Shape out = in;
  for (std::size_t axis = 0; axis < in.rank(); ++axis) {
    out[axis] = conv_extent(in[axis], pool.kernel[axis], pool.stride[axis], 1,
                            checked_sum(pool.padding_begin[axis], pool.padding_end[axis]));
  }
  return out;
}

Shape transposed_extents(const ConvTranspose& conv, const Shape& in) {
  Shape out = in;
  for (std::size_t axis = 0; axis < in.rank(); ++axis) {
    const std::int64_t reach = checked_product(conv.dilation[axis], conv.kernel[axis] - 1);
    const std::int64_t all =
        checked_sum(checked_product(conv.stride[axis], in[axis] - 1), checked_sum(reach, 1));
    out[axis] = checked_sum(checked_sum(all, -conv.padding_end[axis]), -conv.padding_begin[axis]);
    if (out[axis] < 1)
      throw InvalidArgument("its padding leaves nothing of extents " + in.to_string());
  }
  return out;
}

Shape resized_extents(const Resize& resize, const Shape& in) {
  Shape out = in;
  for (std::size_t axis = 0; axis < in.rank(); ++axis)
    out[axis] = checked_product(in[axis], resize.factor[axis]) - resize.crop[axis];
  return out;
}

Shape value_extents(const Graph& graph, NodeId id, std::span<const Shape> inputs) {
  const auto in = [&](std::size_t input) -> const Shape& { return inputs[input]; };
  const auto alike = [&](const char* what) {
    for (std::size_t input = 1; input < inputs.size(); ++input) {
      if (in(0) != in(input)) {
        throw InvalidArgument(std::string("cannot ") + what + " extents " + in(0).to_string() +
                              " and " + in(input).to_string());
      }
    }
    return in(0);
  };
  return std::visit(
      Overloaded{[&](const Input&) { return in(0); },
                 [&](const Conv&) { return output_extents(graph.conv_options(id), in(0)); },
                 [&](const ConvTranspose& conv) { return transposed_extents(conv, in(0)); },
                 [&](const BatchNorm&) { return in(0); }, [&](const Activation&) { return in(0); },
                 [&](const Add&) { return alike("add"); },
                 [&](const Multiply&) { return alike("multiply"); },
                 [&](const Concat&) { return alike("join"); }, [&](const Select&) { return in(0); },
                 [&](const Scale&) { return in(0); },
                 [&](const Attention&) {
                   if (in(1) != in(2)) {
                     throw InvalidArgument("keys of extents " + in(1).to_string() +
                                           " do not belong to values of " + in(2).to_string());
                   }
                   return in(0);
                 },
                 [&](const Softmax&) { return in(0); },
                 [&](const Pool& pool) { return pooled_extents(pool, in(0)); },
                 [&](const Resize& resize) { return resized_extents(resize, in(0)); },
                 [](const GlobalPool&) { return Shape(); }, [](const Linear&) { return Shape(); }},
      graph.node(id).op);
}

Shape ValueShape::tensor_shape(Frequency frequency) const {
  Shape shape{batch, frequency == Frequency::kHigh ? channels.high : channels.low};
  for (const std::int64_t extent : frequency == Frequency::kHigh ? high : low)
    shape.push_back(extent);
  return shape;
}

std::int64_t ValueShape::high_elements() const {
  return checked_product(channels.high, high.elements());
}
std::int64_t ValueShape::low_elements() const {
  return checked_product(channels.low, low.elements());
}

std::vector<ValueShape> infer_shapes(const Graph& graph, std::int64_t batch, const Shape& extents) {
  std::vector<Shape> all;
  for (const NodeId id : graph.inputs()) {
    const Shape& own = std::get<Input>(graph.node(id).op).extents;
    all.push_back(own.empty() ? extents : own);
  }
  return infer_shapes(graph, batch, all);
}

std::vector<ValueShape> infer_shapes(const Graph& graph, std::int64_t batch,
                                     std::span<const Shape> extents) {
  if (extents.size() != graph.inputs().size()) {
    throw InvalidArgument("network '" + graph.name() + "' has " +
                          std::to_string(graph.inputs().size()) + " inputs, got extents for " +
                          std::to_string(extents.size()));
  }
  std::string shown;
  for (const Shape& input : extents) {
    shown += (shown.empty() ? "" : " and ") + input.to_string();
    if (input.rank() != graph.rank() ||
        std::any_of(input.begin(), input.end(), [](auto extent) { return extent < 1; })) {
      throw InvalidArgument("network '" + graph.name() + "': an input needs " +
                            std::to_string(graph.rank()) + " extents of at least 1, got " +
                            input.to_string());
    }
  }
  if (batch < 0)
    throw InvalidArgument("network '" + graph.name() + "': batch " + std::to_string(batch) +
                          " is negative");

  std::size_t next_input = 0;
  std::vector<ValueShape> shapes;
  shapes.reserve(graph.nodes().size());
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    std::vector<Shape> inputs;
    for (const NodeId input : node.inputs)
      inputs.push_back(shapes[static_cast<std::size_t>(input)].high);
    if (std::holds_alternative<Input>(node.op)) inputs.push_back(extents[next_input++]);
    Shape high;
    try {
      high = value_extents(graph, static_cast<NodeId>(i), inputs);
    } catch (const InvalidArgument& error) {
      throw InvalidArgument("network '" + graph.name() + "' with an input of " + shown +
                            ", node '" + node.name + "': " + error.what());
    }
    const Shape low = node.spatial ? low_extents(high, graph.octave()) : Shape();
    shapes.push_back({.batch = batch, .channels = node.channels, .high = high, .low = low});
  }
  return shapes;
}

}  // namespace octconv
