// SPDX-License-Identifier: Apache-2.0
#include "onnx/metadata.h"

#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "octconv/base/error.h"

namespace octconv::onnx {
namespace {

using Writer = nlohmann::ordered_json;
// Objects are sorted maps: the ordered ones take quadratic time on an object of many keys.
using Json = nlohmann::json;

constexpr std::int64_t kVersion = 1;
// Every size in a file: what is computed from two of them still fits in 63 bits.
constexpr std::int64_t kMaxSize = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMaxStage = 1000;
constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxBytes = std::size_t{1} << 24;

// ---- Writing

Writer sizes(const Shape& shape) {
  return std::vector<std::int64_t>(shape.begin(), shape.end());
}

// The text, once reading it has shown that import will take it.
template <class Read>
std::string to_text(const Writer& json, const char* what, Read&& read) {
  const std::string start = "cannot write the " + std::string(what) + " to a model file: ";
  try {
    std::string text = json.dump();
    static_cast<void>(read(text));
    return text;
  } catch (const Writer::exception&) {
    throw InvalidArgument(start + "a name in it is not UTF-8");
  } catch (const FormatError& error) {
    throw InvalidArgument(start + error.what());
  }
}

const char* counting_name(CountingRule rule) {
  return rule == CountingRule::kGluon ? "gluon" : "symbol";
}

void write_op(const Op& op, Writer& json) {
  const auto window = [&](const auto& o) {
    json["kernel"] = sizes(o.kernel);
    json["stride"] = sizes(o.stride);
    json["padding_begin"] = sizes(o.padding_begin);
    json["padding_end"] = sizes(o.padding_end);
  };
  // Output channels are those of the node's value.
  std::visit(
      Overloaded{[&](const Input& o) {
                   if (!o.extents.empty()) json["extents"] = sizes(o.extents);
                 },
                 [&](const Conv& o) {
                   window(o);
                   json["dilation"] = sizes(o.dilation);
                   json["groups"] = o.groups;
                   json["bias"] = o.bias;
                   json["stride_mode"] = to_string(o.stride_mode);
                   json["exchange"] = to_string(o.exchange);
                   if (o.downsample != Downsample::kAverage)
                     json["downsample"] = to_string(o.downsample);
                   if (o.low_to_high != LowToHigh::kConvThenUpsample)
                     json["low_to_high"] = to_string(o.low_to_high);
                 },
                 [&](const BatchNorm& o) {
                   json["epsilon"] = o.epsilon;
                   json["momentum"] = o.momentum;
                   if (!o.affine) json["affine"] = false;
                   if (o.initial_scale != 1) json["initial_scale"] = o.initial_scale;
                 },
                 [&](const ConvTranspose& o) {
                   window(o);
                   json["dilation"] = sizes(o.dilation);
                   json["groups"] = o.groups;
                   json["bias"] = o.bias;
                 },
                 [&](const Activation& o) {
                   json["kind"] = to_string(o.kind);
                   if (o.slope != 0) json["slope"] = o.slope;
                   if (o.offset != 0) json["offset"] = o.offset;
                 },
                 [](const Add&) {}, [](const Multiply&) {}, [](const Concat&) {},
                 [&](const Select& o) { json["channels"] = o.channels; }, [](const Scale&) {},
                 [&](const Attention& o) { json["factor"] = o.factor; }, [](const Softmax&) {},
                 [&](const Resize& o) {
                   json["mode"] = to_string(o.mode);
                   json["factor"] = sizes(o.factor);
                   json["crop"] = sizes(o.crop);
                 },
                 [&](const Pool& o) {
                   json["kind"] = to_string(o.kind);
                   window(o);
                 },
                 [](const GlobalPool&) {}, [&](const Linear& o) { json["bias"] = o.bias; }},
      op);
}

// ---- Reading: every access says what it expects

[[noreturn]] void fail(const std::string& why) {
  throw FormatError(why);
}

Json parse(std::string_view text) {
  if (text.size() > kMaxBytes) fail("it is larger than " + std::to_string(kMaxBytes) + " bytes");
  // Looked for before parsing: the parser's own callback takes quadratic time on long lists.
  if (json_depth(text) > kMaxDepth) fail("it is nested too deeply");
  try {
    Json json = Json::parse(text);
    if (!json.is_object()) fail("it is not a JSON object");
    return json;
  } catch (const Json::exception&) {
    fail("it is not JSON");
  }
}

const Json& at(const Json& json, const char* key) {
  if (!json.is_object())
    fail("'" + std::string(key) + "' is looked for in something that is not an object");
  const auto found = json.find(key);
  if (found == json.end()) fail("'" + std::string(key) + "' is missing");
  return *found;
}

std::int64_t to_integer(const Json& json, const char* key, std::int64_t least, std::int64_t most) {
  if (!json.is_number_integer()) fail("'" + std::string(key) + "' is not an integer");
  // Unsigned numbers past 2^63 would wrap.
  const bool fits = !json.is_number_unsigned() || json.get<std::uint64_t>() <= std::uint64_t{1}
                                                                                   << 62;
  const std::int64_t value = fits ? json.get<std::int64_t>() : -1;
  if (!fits || value < least || value > most) {
    fail("'" + std::string(key) + "' is " + json.dump() + ", which is not in [" +
         std::to_string(least) + ", " + std::to_string(most) + "]");
  }
  return value;
}

std::int64_t integer(const Json& json, const char* key, std::int64_t least, std::int64_t most) {
  return to_integer(at(json, key), key, least, most);
}

double real(const Json& json, const char* key) {
  const Json& value = at(json, key);
  if (!value.is_number()) fail("'" + std::string(key) + "' is not a number");
  return value.get<double>();
}

bool boolean(const Json& json, const char* key) {
  const Json& value = at(json, key);
  if (!value.is_boolean()) fail("'" + std::string(key) + "' is not true or false");
  return value.get<bool>();
}

const std::string& to_string(const Json& json, const char* key) {
  if (!json.is_string()) fail("'" + std::string(key) + "' is not text");
  return json.get_ref<const std::string&>();
}

const std::string& string(const Json& json, const char* key) {
  return to_string(at(json, key), key);
}

const Json& array(const Json& json, const char* key) {
  const Json& value = at(json, key);
  if (!value.is_array()) fail("'" + std::string(key) + "' is not a list");
  return value;
}

Shape shape(const Json& json, const char* key, std::int64_t least = 0) {
  const Json& list = array(json, key);
  if (list.size() > Shape::kMaxRank) fail("'" + std::string(key) + "' has more than 8 sizes");
  Shape shape;
  for (const Json& size : list) shape.push_back(to_integer(size, key, least, kMaxSize));
  return shape;
}

void check_version(const Json& json) {
  const std::int64_t version = integer(json, "version", 1, kMaxSize);
  if (version > kVersion) {
    throw Unsupported("it has version " + std::to_string(version) +
                      " and was written by a newer octconv; this one reads version " +
                      std::to_string(kVersion));
  }
}

// The value of `kinds` that prints as the text under `key`.
template <class Kind>
Kind one_of(const Json& json, const char* key, std::initializer_list<Kind> kinds) {
  const std::string& text = string(json, key);
  for (const Kind kind : kinds) {
    if (octconv::to_string(kind) == text) return kind;
  }
  fail("'" + std::string(key) + "' is the unknown '" + text + "'");
}

StrideMode read_stride_mode(const Json& json) {
  return one_of(
      json, "stride_mode",
      {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided});
}

Op read_op(const Json& json, std::int64_t channels) {
  const std::string& name = string(json, "op");
  if (name == op_name(Input{})) {
    return Input{.channels = channels,
                 .extents = json.contains("extents") ? shape(json, "extents") : Shape()};
  }
  if (name == op_name(Conv{})) {
    return Conv{
        .out_channels = channels,
        .kernel = shape(json, "kernel"),
        .stride = shape(json, "stride"),
        .dilation = shape(json, "dilation"),
        .padding_begin = shape(json, "padding_begin"),
        .padding_end = shape(json, "padding_end"),
        .groups = integer(json, "groups", 1, kMaxSize),
        .bias = boolean(json, "bias"),
        .stride_mode = read_stride_mode(json),
        .exchange =
            one_of(json, "exchange",
                   {Exchange::kBoth, Exchange::kHighToLow, Exchange::kLowToHigh, Exchange::kNone}),
        .downsample = json.contains("downsample") ? one_of(json, "downsample",
                                                           {Downsample::kAverage, Downsample::kMax,
                                                            Downsample::kStridedConv})
                                                  : Downsample::kAverage,
        .low_to_high = json.contains("low_to_high")
                           ? one_of(json, "low_to_high",
                                    {LowToHigh::kConvThenUpsample, LowToHigh::kUpsampleThenConv})
                           : LowToHigh::kConvThenUpsample};
  }
  if (name == op_name(BatchNorm{})) {
    return BatchNorm{
        .epsilon = real(json, "epsilon"),
        .momentum = real(json, "momentum"),
        .affine = !json.contains("affine") || boolean(json, "affine"),
        .initial_scale = json.contains("initial_scale") ? real(json, "initial_scale") : 1};
  }
  if (name == op_name(ConvTranspose{})) {
    return ConvTranspose{.out_channels = channels,
                         .kernel = shape(json, "kernel"),
                         .stride = shape(json, "stride"),
                         .dilation = shape(json, "dilation"),
                         .padding_begin = shape(json, "padding_begin"),
                         .padding_end = shape(json, "padding_end", -kMaxSize),
                         .groups = integer(json, "groups", 1, kMaxSize),
                         .bias = boolean(json, "bias")};
  }
  if (name == op_name(Activation{})) {
    const auto number = [&](const char* key) {
      return json.contains(key) ? static_cast<float>(real(json, key)) : 0.0F;
    };
    return Activation{
        .kind = one_of(json, "kind",
                       {ActivationKind::kRelu, ActivationKind::kRelu6, ActivationKind::kSigmoid,
                        ActivationKind::kLeakyRelu, ActivationKind::kHardSigmoid,
                        ActivationKind::kHardSwish, ActivationKind::kSilu}),
        .slope = number("slope"),
        .offset = number("offset")};
  }
  if (name == op_name(Add{})) return Add{};
  if (name == op_name(Multiply{})) return Multiply{};
  if (name == op_name(Select{})) {
    Select select;
    for (const Json& channel : array(json, "channels"))
      select.channels.push_back(to_integer(channel, "channels", 0, kMaxSize));
    return select;
  }
  if (name == op_name(Softmax{})) return Softmax{};
  if (name == op_name(Resize{})) {
    return Resize{.mode = one_of(json, "mode", {ResizeMode::kNearest, ResizeMode::kLinear}),
                  .factor = shape(json, "factor"),
                  .crop = shape(json, "crop")};
  }
  if (name == op_name(Concat{})) return Concat{};
  if (name == op_name(Scale{})) return Scale{};
  if (name == op_name(Attention{})) return Attention{.factor = real(json, "factor")};
  if (name == op_name(Pool{})) {
    return Pool{.kind = one_of(json, "kind", {PoolKind::kMax, PoolKind::kAverage}),
                .kernel = shape(json, "kernel"),
                .stride = shape(json, "stride"),
                .padding_begin = shape(json, "padding_begin"),
                .padding_end = shape(json, "padding_end")};
  }
  if (name == op_name(GlobalPool{})) return GlobalPool{};
  if (name == op_name(Linear{})) {
    return Linear{.out_channels = channels, .bias = boolean(json, "bias")};
  }
  fail("'op' is the unknown '" + name + "'");
}

// Appends the nodes in the file's order. Graph::add sees ordinary values; the splits are set at the
// end, as octavize does.
void read_nodes(const Json& nodes, Graph& graph, std::map<std::string, NodeId>& ids) {
  std::vector<ChannelSplit> splits;
  const auto id_of = [&](const std::string& name) {
    const auto found = ids.find(name);
    if (found == ids.end()) fail("'" + name + "' is used before it is defined");
    return found->second;
  };
  for (const Json& json : nodes) {
    const std::string& name = string(json, "name");
    try {
      const ChannelSplit split{.high = integer(json, "high", 0, kMaxSize),
                               .low = integer(json, "low", 0, kMaxSize)};
      std::vector<NodeId> inputs;
      for (const Json& input : array(json, "inputs"))
        inputs.push_back(id_of(to_string(input, "inputs")));
      const int stage = json.contains("stage")
                            ? static_cast<int>(integer(json, "stage", 0, kMaxStage))
                            : Node::kNoStage;
      const NodeId id = graph.add(name, read_op(json, split.total()), std::move(inputs), stage);
      if (graph.node(id).channels.total() != split.total()) {
        fail("it has " + std::to_string(split.total()) + " channels instead of " +
             std::to_string(graph.node(id).channels.total()));
      }
      splits.push_back(split);
      ids.emplace(name, id);
    } catch (const FormatError& error) {
      fail("node '" + name + "': " + error.what());
    }
  }
  for (std::size_t i = 0; i < splits.size(); ++i)
    graph.set_channels(static_cast<NodeId>(i), splits[i]);
}

}  // namespace

std::string graph_to_json(const Graph& graph) {
  Writer json = {{"version", kVersion},
                 {"name", graph.name()},
                 {"octave", sizes(graph.octave())},
                 {"default_extents", sizes(graph.default_extents())},
                 {"policy",
                  {{"stride_mode", octconv::to_string(graph.policy().stride_mode)},
                   {"octave_stages", graph.policy().octave_stages},
                   {"counting", counting_name(graph.policy().counting)}}},
                 {"nodes", Writer::array()},
                 {"outputs", Writer::array()}};
  for (const Node& node : graph.nodes()) {
    Writer entry = {{"name", node.name}, {"op", op_name(node.op)}, {"inputs", Writer::array()}};
    for (const NodeId input : node.inputs) entry["inputs"].push_back(graph.node(input).name);
    entry["high"] = node.channels.high;
    entry["low"] = node.channels.low;
    if (node.stage != Node::kNoStage) entry["stage"] = node.stage;
    write_op(node.op, entry);
    json["nodes"].push_back(std::move(entry));
  }
  for (const NodeId output : graph.outputs()) json["outputs"].push_back(graph.node(output).name);
  return to_text(json, "graph", graph_from_json);
}

Graph graph_from_json(std::string_view text) {
  const Json json = parse(text);
  check_version(json);
  Graph graph(string(json, "name"), shape(json, "octave"));
  graph.set_default_extents(shape(json, "default_extents"));
  const Json& policy = at(json, "policy");
  OctavePolicy read{.stride_mode = read_stride_mode(policy)};
  for (const Json& stage : array(policy, "octave_stages")) {
    if (!stage.is_boolean()) fail("'octave_stages' holds something other than true and false");
    read.octave_stages.push_back(stage.get<bool>());
  }
  if (policy.contains("counting")) {
    const std::string& counting = string(policy, "counting");
    if (counting == counting_name(CountingRule::kGluon)) {
      read.counting = CountingRule::kGluon;
    } else if (counting != counting_name(CountingRule::kSymbol)) {
      fail("'counting' is the unknown '" + counting + "'");
    }
  }
  graph.set_policy(std::move(read));

  const Json& nodes = array(json, "nodes");
  // Graph::add looks through all names: an absurd number of nodes would take hours.
  if (nodes.size() > kMaxNodes) {
    fail("it has " + std::to_string(nodes.size()) + " nodes, more than " +
         std::to_string(kMaxNodes));
  }
  std::map<std::string, NodeId> ids;
  read_nodes(nodes, graph, ids);
  for (const Json& output : array(json, "outputs")) {
    const std::string& name = to_string(output, "outputs");
    if (!ids.contains(name)) fail("output '" + name + "' is not a node");
    graph.add_output(ids.at(name));
  }
  try {
    graph.check();
  } catch (const Unsupported& error) {
    fail(error.what());  // no octconv writes such a graph
  }
  return graph;
}

std::string preprocessing_to_json(const Preprocessing& preprocessing) {
  Writer json = {{"version", kVersion},
                 {"mean", preprocessing.mean},
                 {"deviation", preprocessing.deviation},
                 {"extents", sizes(preprocessing.extents)},
                 {"classes", preprocessing.classes}};
  if (preprocessing.frame_stride != 0) json["frame_stride"] = preprocessing.frame_stride;
  return to_text(json, "preprocessing", preprocessing_from_json);
}

Preprocessing preprocessing_from_json(std::string_view text) {
  const Json json = parse(text);
  check_version(json);
  const auto floats = [&](const char* key) {
    std::vector<float> values;
    for (const Json& value : array(json, key)) {
      if (!value.is_number() || std::abs(value.get<double>()) > std::numeric_limits<float>::max()) {
        fail("'" + std::string(key) + "' holds something that is not a number");
      }
      values.push_back(static_cast<float>(value.get<double>()));
    }
    return values;
  };
  Preprocessing preprocessing{.mean = floats("mean"),
                              .deviation = floats("deviation"),
                              .extents = shape(json, "extents"),
                              .classes = {}};
  for (const float deviation : preprocessing.deviation) {
    if (!(deviation > 0)) fail("'deviation' holds " + std::to_string(deviation));
  }
  for (const Json& name : array(json, "classes")) {
    preprocessing.classes.push_back(to_string(name, "classes"));
  }
  if (json.contains("frame_stride"))
    preprocessing.frame_stride = integer(json, "frame_stride", 1, kMaxSize);
  return preprocessing;
}

}  // namespace octconv::onnx
