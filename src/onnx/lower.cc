// SPDX-License-Identifier: Apache-2.0
#include "onnx/lower.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "octconv/base/error.h"
#include "octconv/graph/model.h"
#include "onnx/functions.h"
#include "onnx/opset.h"

namespace octconv::onnx {
namespace {

using Ints = std::vector<std::int64_t>;

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 22;  // upsample_scale says why

constexpr Frequency kFrequencies[] = {Frequency::kHigh, Frequency::kLow};

Ints ints(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

Ints pads(const Shape& begin, const Shape& end) {
  Ints all = ints(begin);
  all.insert(all.end(), end.begin(), end.end());
  return all;
}

// "2x2".
std::string times(const Shape& shape) {
  std::string text;
  for (const std::int64_t extent : shape) {
    text += (text.empty() ? "" : "x") + std::to_string(extent);
  }
  return text;
}

std::int64_t channels(const ChannelSplit& split, Frequency frequency) {
  return frequency == Frequency::kHigh ? split.high : split.low;
}

const Shape& extents(const ValueShape& shape, Frequency frequency) {
  return frequency == Frequency::kHigh ? shape.high : shape.low;
}

std::string suffix(const ChannelSplit& split, Frequency frequency) {
  if (!split.octave()) return "";
  return frequency == Frequency::kHigh ? ".high" : ".low";
}

class Lowering {
 public:
  Lowering(const Graph& graph, const Shape& extents, std::int64_t opset)
      : graph_(graph), opset_(opset), shapes_(infer_shapes(graph, 1, extents)) {}

  Program run() {
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) lower_node(static_cast<NodeId>(i));
    for (const NodeId id : graph_.inputs()) program_.inputs.push_back(port(id));
    for (const NodeId id : graph_.outputs()) program_.outputs.push_back(port(id));
    if (program_.outputs.empty()) {
      throw InvalidArgument("network '" + graph_.name() + "' has no output");
    }
    return std::move(program_);
  }

 private:
  [[nodiscard]] const ValueShape& shape(NodeId id) const {
    return shapes_[static_cast<std::size_t>(id)];
  }

  // Name of the tensor that holds one frequency of a value.
  [[nodiscard]] std::string tensor(NodeId id, Frequency frequency) const {
    const Node& node = graph_.node(id);
    return node.name + suffix(node.channels, frequency);
  }

  [[nodiscard]] Port port(NodeId id) const {
    Port port{.name = tensor(id, Frequency::kHigh), .shape = Shape{graph_.node(id).channels.high}};
    for (const std::int64_t extent : shape(id).high) port.shape.push_back(extent);
    return port;
  }

  void claim(const std::string& name) {
    if (!names_.insert(name).second) {
      throw InvalidArgument("network '" + graph_.name() + "': two tensors would be called '" +
                            name + "'; rename a node");
    }
  }

  std::string emit(std::string type, std::vector<std::string> inputs, std::string output,
                   std::map<std::string, AttributeValue> attributes = {}) {
    claim(output);
    program_.operations.push_back({.type = std::move(type),
                                   .inputs = std::move(inputs),
                                   .outputs = {output},
                                   .attributes = std::move(attributes),
                                   .node = current_});
    return output;
  }

  std::string initializer(std::string name, Shape shape, Content content) {
    claim(name);
    program_.initializers.push_back({name, shape, std::move(content)});
    return name;
  }

  // A constant that several operations may read.
  std::string constant(const std::string& name, const Shape& shape, Content values) {
    if (constants_.insert(name).second) initializer(name, shape, std::move(values));
    return name;
  }

  // A list of sizes, for operations that take them as an input.
  std::string sizes(const std::string& name, Ints values) {
    const Shape count{static_cast<std::int64_t>(values.size())};
    return constant(name, count, std::move(values));
  }

  // The channels of one frequency of a parameter with one element per channel of `split`.
  std::string channel_part(const Parameter& parameter, const ChannelSplit& split,
                           Frequency frequency) {
    const std::int64_t count = channels(split, frequency);
    const Block block{.parameter = parameter.name,
                      .parameter_shape = parameter.shape,
                      .row = frequency == Frequency::kHigh ? split.low : 0,
                      .rows = count,
                      .columns = 1};
    return initializer(parameter.name + suffix(split, frequency), Shape{count}, block);
  }

  // A parameter as it is.
  std::string whole(const Parameter& parameter) {
    const Block block{.parameter = parameter.name,
                      .parameter_shape = parameter.shape,
                      .rows = parameter.shape[0],
                      .columns = parameter.shape.rank() > 1 ? parameter.shape[1] : 1};
    return initializer(parameter.name, parameter.shape, block);
  }

  void lower_node(NodeId id) {
    current_ = id;
    std::visit(Overloaded{[&](const Input&) { claim(tensor(id, Frequency::kHigh)); },
                          [&](const Conv& conv) { lower_conv(id, conv); },
                          [&](const ConvTranspose& conv) { lower_conv_transpose(id, conv); },
                          [&](const BatchNorm& norm) { lower_batch_norm(id, norm); },
                          [&](const Activation& activation) { lower_activation(id, activation); },
                          [&](const Add&) { lower_pairs(id, "Add"); },
                          [&](const Multiply&) { lower_pairs(id, "Mul"); },
                          [&](const Concat&) { lower_concat(id); },
                          [&](const Select& select) { lower_select(id, select); },
                          [&](const Scale&) { lower_scale(id); },
                          [&](const Attention& attention) { lower_attention(id, attention); },
                          [&](const Softmax&) {
                            if (opset_ < 13 && graph_.node(id).spatial)
                              throw Unsupported("network '" + graph_.name() + "', node '" +
                                                graph_.node(id).name +
                                                "': a softmax over the channels of a map needs "
                                                "opset 13 or later, not " +
                                                std::to_string(opset_));
                            emit("Softmax", {input(id, 0, Frequency::kHigh)},
                                 tensor(id, Frequency::kHigh), {{"axis", std::int64_t{1}}});
                          },
                          [&](const Resize& resize) {
                            for_each_frequency(id, [&](Frequency frequency) {
                              lower_resize(id, resize, frequency);
                            });
                          },
                          [&](const Pool& pool) {
                            for_each_frequency(
                                id, [&](Frequency frequency) { lower_pool(id, pool, frequency); });
                          },
                          [&](const GlobalPool&) { lower_global_pool(id); },
                          [&](const Linear&) { lower_linear(id); }},
               graph_.node(id).op);
  }

  template <class Body>
  void for_each_frequency(NodeId id, Body&& body) {
    for (const Frequency frequency : kFrequencies) {
      if (channels(graph_.node(id).channels, frequency) > 0) body(frequency);
    }
  }

  [[nodiscard]] std::string input(NodeId id, std::size_t index, Frequency frequency) const {
    return tensor(graph_.node(id).inputs[index], frequency);
  }

  void lower_conv(NodeId id, const Conv& conv) {
    const ConvOptions options = graph_.conv_options(id);
    const std::vector<Parameter> params = parameters(graph_, id);
    const std::vector<ConvPath> paths = conv_paths(options);
    for_each_frequency(id, [&](Frequency dst) {
      const std::string result = tensor(id, dst);
      std::vector<const ConvPath*> terms;
      for (const ConvPath& path : paths) {
        if (path.dst == dst) terms.push_back(&path);
      }
      std::vector<std::string> sums;
      for (const ConvPath* path : terms) {
        // The bias belongs to the sum: the first path adds it. Upsampling keeps a constant.
        const Parameter* bias = conv.bias && path == terms.front() ? &params[1] : nullptr;
        sums.push_back(lower_path(id, options, *path, params[0], bias,
                                  terms.size() == 1 ? result : path_tensor(id, *path)));
      }
      if (sums.size() > 1) emit("Add", sums, result);
    });
  }

  [[nodiscard]] std::string path_tensor(NodeId id, const ConvPath& path) const {
    return graph_.node(id).name + "." + std::string(path.name());
  }

  std::string lower_path(NodeId id, const ConvOptions& options, const ConvPath& path,
                         const Parameter& weight, const Parameter* bias,
                         const std::string& result) {
    const NodeId source = graph_.node(id).inputs[0];
    std::string x = tensor(source, path.src);
    Shape grid = extents(shape(source), path.src);
    for (const PathPool& pool : path.pools) x = pool_cells(x, grid, pool);

    if (path.upsample_first) {
      // To the grid of the high path.
      const bool pooled = options.stride_mode != StrideMode::kStrided;
      const Shape high = shape(source).high;
      x = upsample(x, grid, pooled ? low_extents(high, options.stride) : high,
                   path_tensor(id, path) + ".large");
    }

    std::vector<std::string> inputs{x, path_weight(options, path, weight)};
    if (bias != nullptr) inputs.push_back(channel_part(*bias, options.out, path.dst));
    const bool enlarged = path.upsampled() && !path.upsample_first;
    std::string y = emit("Conv", inputs, enlarged ? path_tensor(id, path) + ".small" : result,
                         {{"dilations", ints(options.dilation)},
                          {"group", path.groups},
                          {"kernel_shape", ints(options.kernel)},
                          {"pads", pads(options.padding_begin, options.padding_end)},
                          {"strides", ints(path.stride)}});
    if (enlarged) {
      y = upsample(y, path_extents(options, path, shape(source).high), shape(id).high, result);
    }
    return y;
  }

  std::string path_weight(const ConvOptions& options, const ConvPath& path,
                          const Parameter& weight) {
    if (!options.octave_valued()) return whole(weight);
    Shape part{path.rows, path.columns};
    for (const std::int64_t extent : options.kernel) part.push_back(extent);
    const Block block{.parameter = weight.name,
                      .parameter_shape = weight.shape,
                      .row = path.row,
                      .rows = path.rows,
                      .column = path.column,
                      .columns = path.columns};
    return initializer(weight.name + "." + std::string(path.name()), part, block);
  }

  // Mean or maximum of windows that do not overlap, over real pixels: ceil(extent / window) of
  // them. `grid` becomes the extents of the result. Convolutions that pool the same tensor alike
  // share the result.
  std::string pool_cells(const std::string& x, Shape& grid, const PathPool& pool) {
    const Shape& window = pool.window;
    const Shape before = grid;
    grid = low_extents(grid, window);
    std::string result = x + (pool.maximum ? ".max" : ".pool") + times(window);
    if (!pooled_.insert(result).second) return result;
    bool whole_windows = true;
    for (std::size_t axis = 0; axis < window.rank(); ++axis) {
      whole_windows = whole_windows && before[axis] % window[axis] == 0;
    }
    std::map<std::string, AttributeValue> attributes{{"kernel_shape", ints(window)},
                                                     {"strides", ints(window)}};
    if (opset_ >= 10) {
      attributes["ceil_mode"] = std::int64_t{whole_windows ? 0 : 1};
    } else {  // padding counts in no result
      Shape end = window;
      for (std::size_t axis = 0; axis < window.rank(); ++axis)
        end[axis] = grid[axis] * window[axis] - before[axis];
      attributes["pads"] = pads(Shape::filled(window.rank(), 0), end);
    }
    if (!pool.maximum) attributes["count_include_pad"] = std::int64_t{0};
    return emit(pool.maximum ? "MaxPool" : "AveragePool", {x}, result, std::move(attributes));
  }

  std::string upsample(const std::string& x, const Shape& from, const Shape& to,
                       const std::string& result) {
    std::vector<float> scales{1.0F, 1.0F};  // batch and channels
    for (std::size_t axis = 0; axis < from.rank(); ++axis) {
      scales.push_back(from[axis] == to[axis] && graph_.octave()[axis] == 1
                           ? 1.0F
                           : upsample_scale(from[axis], to[axis]));
    }
    const Shape count{static_cast<std::int64_t>(scales.size())};
    const std::string constant_name = "upsample." + times(from) + ".to." + times(to);
    return emit("Resize", {x, "", constant(constant_name, count, std::move(scales))}, result,
                {{"coordinate_transformation_mode", std::string("asymmetric")},
                 {"mode", std::string("nearest")},
                 {"nearest_mode", std::string("floor")}});
  }

  void lower_batch_norm(NodeId id, const BatchNorm& norm) {
    const std::vector<Parameter> params = parameters(graph_, id);
    for_each_frequency(id, [&](Frequency frequency) {
      std::vector<std::string> inputs{input(id, 0, frequency)};
      const ChannelSplit& split = graph_.node(id).channels;
      if (!norm.affine) {
        const Shape count{channels(split, frequency)};
        const std::string of = "." + count.to_string();
        inputs.push_back(constant("ones" + of, count, Fill{1.0F}));
        inputs.push_back(constant("zeros" + of, count, Fill{0.0F}));
      }
      for (const Parameter& parameter : params) {
        inputs.push_back(channel_part(parameter, split, frequency));
      }
      emit("BatchNormalization", inputs, tensor(id, frequency),
           {{"epsilon", static_cast<float>(norm.epsilon)}});
    });
  }

  void lower_activation(NodeId id, const Activation& activation) {
    for_each_frequency(id, [&](Frequency frequency) {
      const std::string x = input(id, 0, frequency);
      const std::string y = tensor(id, frequency);
      switch (activation.kind) {
        case ActivationKind::kNone:
          emit("Identity", {x}, y);
          return;
        case ActivationKind::kRelu:
          emit("Relu", {x}, y);
          return;
        case ActivationKind::kLeakyRelu:
          emit("LeakyRelu", {x}, y, {{"alpha", activation.slope}});
          return;
        case ActivationKind::kHardSigmoid:
          emit("HardSigmoid", {x}, y, {{"alpha", activation.slope}, {"beta", activation.offset}});
          return;
        case ActivationKind::kHardSwish:  // an operation of its own from opset 14 on only
          emit("Mul",
               {x, emit("HardSigmoid", {x}, y + ".gate", {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}})},
               y);
          return;
        case ActivationKind::kSilu:
          emit("Mul", {x, emit("Sigmoid", {x}, y + ".gate")}, y);
          return;
        case ActivationKind::kSigmoid:
          emit("Sigmoid", {x}, y);
          return;
        case ActivationKind::kRelu6:
          emit("Clip",
               {x, constant("relu6.min", Shape(), std::vector{0.0F}),
                constant("relu6.max", Shape(), std::vector{6.0F})},
               y);
          return;
      }
    });
  }

  void lower_pairs(NodeId id, const char* operation) {
    for_each_frequency(id, [&](Frequency frequency) {
      emit(operation, {input(id, 0, frequency), input(id, 1, frequency)}, tensor(id, frequency));
    });
  }

  void lower_conv_transpose(NodeId id, const ConvTranspose& conv) {
    std::vector<std::string> inputs{input(id, 0, Frequency::kHigh)};
    for (const Parameter& parameter : parameters(graph_, id)) inputs.push_back(whole(parameter));
    Shape end = conv.padding_end;
    Shape added = conv.padding_end;
    for (std::size_t axis = 0; axis < end.rank(); ++axis) {
      added[axis] = std::max<std::int64_t>(0, -end[axis]);
      end[axis] += added[axis];
    }
    emit("ConvTranspose", inputs, tensor(id, Frequency::kHigh),
         {{"dilations", ints(conv.dilation)},
          {"group", conv.groups},
          {"kernel_shape", ints(conv.kernel)},
          {"output_padding", ints(added)},
          {"pads", pads(conv.padding_begin, end)},
          {"strides", ints(conv.stride)}});
  }

  void lower_select(NodeId id, const Select& select) {
    const std::string& name = graph_.node(id).name;
    emit("Gather", {input(id, 0, Frequency::kHigh), sizes(name + ".channels", select.channels)},
         tensor(id, Frequency::kHigh), {{"axis", std::int64_t{1}}});
  }

  // Both grids are enlarged alike; what the low one has too much of is cut off too.
  void lower_resize(NodeId id, const Resize& resize, Frequency frequency) {
    const Shape& in = extents(shape(graph_.node(id).inputs[0]), frequency);
    const Shape& out = extents(shape(id), frequency);
    const std::string y = tensor(id, frequency);
    std::vector<float> scales{1.0F, 1.0F};  // batch and channels
    Ints begin;
    Ints axes;
    bool cut = false;
    for (std::size_t axis = 0; axis < in.rank(); ++axis) {
      scales.push_back(static_cast<float>(resize.factor[axis]));
      begin.push_back(0);
      axes.push_back(static_cast<std::int64_t>(axis) + 2);
      cut = cut || out[axis] != in[axis] * resize.factor[axis];
    }
    const bool nearest = resize.mode == ResizeMode::kNearest;
    std::map<std::string, AttributeValue> attributes{
        {"coordinate_transformation_mode", std::string(nearest ? "asymmetric" : "half_pixel")},
        {"mode", std::string(nearest ? "nearest" : "linear")}};
    if (nearest) attributes["nearest_mode"] = std::string("floor");
    const Shape count{static_cast<std::int64_t>(scales.size())};
    const std::string large =
        emit("Resize",
             {input(id, 0, frequency), "",
              constant("resize.by." + times(resize.factor), count, std::move(scales))},
             cut ? y + ".whole" : y, std::move(attributes));
    if (!cut) return;
    emit("Slice",
         {large, sizes("at.0." + std::to_string(in.rank()), std::move(begin)),
          sizes("until." + times(out), ints(out)), sizes("axes.of.pixels", std::move(axes))},
         y);
  }

  // A pool of an octave value pools both grids with one window. Its low result has the extents that
  // belong to its high result; where the windows fall short of them, more padding (which counts in
  // no result) is put at the far edge.
  void lower_pool(NodeId id, const Pool& pool, Frequency frequency) {
    const Shape& in = extents(shape(graph_.node(id).inputs[0]), frequency);
    const Shape& out = extents(shape(id), frequency);
    Shape end = pool.padding_end;
    for (std::size_t axis = 0; axis < in.rank(); ++axis) {
      const std::int64_t needed =
          (out[axis] - 1) * pool.stride[axis] + pool.kernel[axis] - pool.padding_begin[axis];
      const std::int64_t excess = in[axis] + end[axis] - needed;
      if (excess < 0) end[axis] -= excess;
      if (excess >= pool.stride[axis] || end[axis] >= pool.kernel[axis]) {
        throw Unsupported("network '" + graph_.name() + "', node '" + graph_.node(id).name +
                          "': no ONNX pool takes the low grid from " + in.to_string() + " to " +
                          out.to_string());
      }
    }
    std::map<std::string, AttributeValue> attributes{{"kernel_shape", ints(pool.kernel)},
                                                     {"pads", pads(pool.padding_begin, end)},
                                                     {"strides", ints(pool.stride)}};
    if (pool.kind == PoolKind::kAverage) attributes["count_include_pad"] = std::int64_t{0};
    emit(pool.kind == PoolKind::kMax ? "MaxPool" : "AveragePool", {input(id, 0, frequency)},
         tensor(id, frequency), std::move(attributes));
  }

  void lower_global_pool(NodeId id) {
    const NodeId source = graph_.node(id).inputs[0];
    const ChannelSplit& split = graph_.node(source).channels;
    const std::string mean = graph_.node(id).name + ".mean";
    std::vector<std::string> means;
    for (const Frequency frequency : {Frequency::kLow, Frequency::kHigh}) {  // a value's order
      if (channels(split, frequency) == 0) continue;
      means.push_back(
          emit("GlobalAveragePool", {tensor(source, frequency)}, mean + suffix(split, frequency)));
    }
    const std::string all =
        means.size() == 1 ? means[0] : emit("Concat", means, mean, {{"axis", std::int64_t{1}}});
    emit("Flatten", {all}, tensor(id, Frequency::kHigh), {{"axis", std::int64_t{1}}});
  }

  void lower_concat(NodeId id) {
    for_each_frequency(id, [&](Frequency frequency) {
      std::vector<std::string> parts;
      for (std::size_t i = 0; i < graph_.node(id).inputs.size(); ++i) {
        const NodeId source = graph_.node(id).inputs[i];
        if (channels(graph_.node(source).channels, frequency) > 0)
          parts.push_back(tensor(source, frequency));
      }
      emit("Concat", parts, tensor(id, frequency), {{"axis", std::int64_t{1}}});
    });
  }

  // The gate [batch, channels] becomes [batch, channels, 1...], and each frequency takes its part.
  void lower_scale(NodeId id) {
    const ChannelSplit& split = graph_.node(id).channels;
    Ints axes;
    for (std::size_t axis = 0; axis < graph_.rank(); ++axis)
      axes.push_back(static_cast<std::int64_t>(axis) + 2);
    const std::string gate = emit(
        "Unsqueeze", {input(id, 1, Frequency::kHigh), sizes("axes.of.pixels", std::move(axes))},
        graph_.node(id).name + ".gate");
    for_each_frequency(id, [&](Frequency frequency) {
      std::string part = gate;
      if (split.octave()) {
        const std::int64_t begin = frequency == Frequency::kHigh ? split.low : 0;
        const std::int64_t end = begin + channels(split, frequency);
        part = emit("Slice",
                    {gate, sizes("at." + std::to_string(begin), {begin}),
                     sizes("at." + std::to_string(end), {end}), sizes("axis.of.channels", {1})},
                    gate + suffix(split, frequency));
      }
      emit("Mul", {input(id, 0, frequency), part}, tensor(id, frequency));
    });
  }

  void lower_attention(NodeId id, const Attention& attention) {
    const std::string name = graph_.node(id).name;
    const std::string flat = sizes("shape.of.rows", {0, 0, -1});  // 0: as it was
    const auto rows = [&](std::size_t index, const char* what) {  // [batch, channels, pixels]
      return emit("Reshape", {input(id, index, Frequency::kHigh), flat}, name + "." + what);
    };
    const auto swap = [&](const std::string& x, const std::string& result) {
      return emit("Transpose", {x}, result, {{"perm", Ints{0, 2, 1}}});
    };
    std::string queries = rows(0, "queries");
    queries = swap(queries, queries + ".columns");
    const std::string keys = rows(1, "keys");
    std::string scores = emit("MatMul", {queries, keys}, name + ".products");
    scores = emit("Mul",
                  {scores, constant(name + ".factor", Shape(),
                                    std::vector{static_cast<float>(attention.factor)})},
                  name + ".scores");
    const std::string shares =
        emit("Softmax", {scores}, name + ".shares", {{"axis", std::int64_t{2}}});
    std::string values = rows(2, "values");
    values = swap(values, values + ".columns");
    const std::string sums = emit("MatMul", {shares, values}, name + ".sums");
    Ints shape_of_result{0, 0};
    for (const std::int64_t extent : shape(id).high) shape_of_result.push_back(extent);
    emit("Reshape",
         {swap(sums, name + ".rows"), sizes("shape.of." + times(shape(id).high), shape_of_result)},
         tensor(id, Frequency::kHigh));
  }

  void lower_linear(NodeId id) {
    std::vector<std::string> inputs{input(id, 0, Frequency::kHigh)};
    for (const Parameter& parameter : parameters(graph_, id)) inputs.push_back(whole(parameter));
    emit("Gemm", inputs, tensor(id, Frequency::kHigh), {{"transB", std::int64_t{1}}});
  }

  const Graph& graph_;
  std::int64_t opset_;
  NodeId current_ = -1;
  std::vector<ValueShape> shapes_;
  Program program_;
  std::set<std::string> names_;
  std::set<std::string> constants_;
  std::set<std::string> pooled_;
};

}  // namespace

Program lower(const Graph& graph, const Shape& extents, const LowerOptions& options) {
  const auto check = [&](const Shape& input) {
    for (const std::int64_t extent : input) {
      if (extent > kMaxExtent) {
        throw Unsupported("network '" + graph.name() + "': an ONNX file for an input of " +
                          input.to_string() + " is not supported; at most " +
                          std::to_string(kMaxExtent) + " pixels along an axis are");
      }
    }
  };
  check(extents);
  for (const NodeId id : graph.inputs()) check(std::get<Input>(graph.node(id).op).extents);
  Program program = Lowering(graph, extents, options.opset).run();
  rewrite_for_opset(program, options.opset);
  if (options.functions) make_functions(program, graph);
  return program;
}

// ONNX makes floor(from * scale) pixels, and pixel i reads floor(i / scale).
//
// For to == 2 from the scale is 2. For to == 2 from - 1 let m = from and scale = 2 - 1 / (2 m).
// Then from * scale = 2 m - 1/2, whose floor is `to`; and with e = 1 / (4 m - 1)
//   i / scale = (i / 2) (1 + e),  where i <= 2 m - 2 makes (i / 2) e < 1/4,
// so that floor(i / scale) = floor(i / 2). No float32 rounding crosses an integer while m < 2^21.
//
// Other ways to say it: `sizes` would fix the batch; a scale of (2 m - 1) / m leaves a margin of
// only 1 / (2 m - 1) on either side.
float upsample_scale(std::int64_t from, std::int64_t to) {
  if (to == 2 * from) return 2.0F;
  return static_cast<float>(2.0 - 0.5 / static_cast<double>(from));
}

}  // namespace octconv::onnx
