// SPDX-License-Identifier: Apache-2.0
// Reads the operations of a file one after the other into a graph. One class, in files by what the
// operations do: reader.cc (the file, names, values), reader_windows.cc, reader_pointwise.cc,
// reader_channels.cc.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <onnx/onnx_pb.h>

#include "octconv/graph/model.h"
#include "onnx/allowance.h"
#include "onnx/attributes.h"
#include "onnx/constant.h"

namespace octconv::onnx {

class Reader {
 public:
  /// @param open    taken for extents that the file leaves open
  /// @param folder  of the file, where other files with its data may lie; empty: nowhere
  Reader(const ::onnx::ModelProto& model, std::int64_t open, std::filesystem::path folder);

  /// @throws FormatError for a graph that contradicts itself; Unsupported naming every operation
  /// that cannot be taken
  [[nodiscard]] Model run();

  /// Whether the file says how large its inputs are.
  [[nodiscard]] bool fixed_extents() const noexcept { return fixed_extents_; }

 private:
  using NodeProto = ::onnx::NodeProto;

  /// The axes in which the file has a value of the graph.
  enum class Form {
    kPlain,          ///< [batch, channels, extents...], or [batch, channels] of one without extents
    kOnes,           ///< one without extents: [batch, channels, 1...]
    kLast,           ///< [batch, extents..., channels]
    kFlattened,      ///< [batch, channels * extents]
    kFlattenedLast,  ///< [batch, extents * channels]
    kGrouped,        ///< [batch, groups, channels / groups, extents...]
    kShuffled,       ///< [batch, channels / groups, groups, extents...]
    kRows,           ///< [batch, channels, pixels]
    kColumns,        ///< [batch, pixels, channels]
    kProducts,       ///< [batch, pixels, pixels of the keys]: half of an attention
  };

  /// What a tensor of the file is here.
  struct Value {
    NodeId node = -1;                    ///< a value of the graph
    const Constant* constant = nullptr;  ///< or known already
    Form form = Form::kPlain;
    std::int64_t groups = 1;            ///< where the form has them
    std::optional<std::size_t> ones{};  ///< behind the channels; none: as many as extents
    // The tensor is scale * value + shift: numbers that wait for an operation they are part of.
    double scale = 1;
    double shift = 0;
    Shape pad_begin{};  ///< zeros around the map, likewise; empty: none
    Shape pad_end{};
    bool known = true;  ///< false: made by an operation that is refused
    // Of products, those of the node's value with that of the keys.
    NodeId keys = -1;
    bool shares = false;  ///< after their softmax

    [[nodiscard]] bool waits() const noexcept {
      return scale != 1 || shift != 0 || !pad_begin.empty();
    }
  };

  struct Window {
    Shape kernel;
    Shape stride;
    Shape dilation;
    Shape begin;
    Shape end;
  };

  // ---- reader.cc
  Graph start();
  void add_input(const ::onnx::ValueInfoProto& image, Graph& graph);
  void add_outputs();
  void take(const NodeProto& node, int index);
  void take_known(const NodeProto& node);
  bool fold(const NodeProto& node);
  [[nodiscard]] std::string complaint() const;
  using Take = void (Reader::*)(const NodeProto&, Attributes&);
  static const std::map<std::string_view, Take>& table();
  static bool takes(const NodeProto& node);
  static bool computes_constants(const NodeProto& node);

  std::string unique(const std::string& wanted);
  static std::string name_by(const NodeProto& node, int weight);

  [[nodiscard]] Value value_of(const std::string& name) const;
  [[nodiscard]] Value input(const NodeProto& node, int index) const;
  static bool has_input(const NodeProto& node, int index);
  [[nodiscard]] std::size_t outputs_read(const NodeProto& node) const;
  /// The same value with nothing that waits.
  Value settle(const NodeProto& node, Value value);
  Value settled_input(const NodeProto& node, int index);
  NodeId plain_input(const NodeProto& node, int index);
  NodeId map_input(const NodeProto& node, int index);
  Value vector_input(const NodeProto& node, int index);
  [[nodiscard]] const Constant& constant_input(const NodeProto& node, int index) const;
  [[nodiscard]] const std::vector<float>& numbers_input(const NodeProto& node, int index) const;
  [[nodiscard]] const Ints& sizes_input(const NodeProto& node, int index) const;
  Tensor parameter(const NodeProto& node, int index, const Shape& shape);
  void keep(const std::string& node, const char* what, Tensor tensor);
  void result(const NodeProto& node, const Value& value) { result(node, 0, value); }
  void result(const NodeProto& node, int output, const Value& value);
  void constant_result(const NodeProto& node, Constant constant);

  /// Extents that a value has for the file's input.
  [[nodiscard]] const Shape& grid(NodeId id) const {
    return extents_[static_cast<std::size_t>(id)];
  }
  [[nodiscard]] std::int64_t channels(NodeId id) const { return graph_.node(id).channels.total(); }
  [[nodiscard]] bool spatial(NodeId id) const { return graph_.node(id).spatial; }
  NodeId add(const std::string& name, Op op, std::vector<NodeId> inputs);
  NodeId add(const NodeProto& node, Op op, std::vector<NodeId> inputs);
  /// A depthwise convolution of one tap: weight[c] * x + bias[c], zeros around it.
  NodeId add_depthwise(const std::string& name, NodeId x, std::vector<float> weight,
                       std::vector<float> bias, const Shape& begin, const Shape& end);

  void take_identity(const NodeProto& node, Attributes& attributes);
  void take_dropout(const NodeProto& node, Attributes& attributes);
  void take_constant(const NodeProto& node, Attributes& attributes);
  void take_cast(const NodeProto& node, Attributes& attributes);
  void take_shape(const NodeProto& node, Attributes& attributes);

  // ---- reader_windows.cc
  Window window(Attributes& attributes, const std::optional<Shape>& weight_kernel,
                const Shape& in) const;
  void take_conv(const NodeProto& node, Attributes& attributes);
  void take_conv_transpose(const NodeProto& node, Attributes& attributes);
  void take_pool(const NodeProto& node, Attributes& attributes, PoolKind kind);
  NodeId add_counting_average(const NodeProto& node, NodeId x, const Window& w);
  void take_max_pool(const NodeProto& node, Attributes& attributes);
  void take_average_pool(const NodeProto& node, Attributes& attributes);
  void take_global_pool(const NodeProto& node, Attributes& attributes);
  void take_global_max_pool(const NodeProto& node, Attributes& attributes);
  void take_reduce_mean(const NodeProto& node, Attributes& attributes);
  void take_pad(const NodeProto& node, Attributes& attributes);
  void take_resize(const NodeProto& node, Attributes& attributes);
  void take_upsample(const NodeProto& node, Attributes& attributes);
  void enlarge(const NodeProto& node, const Value& x, const std::optional<Ints>& sizes,
               const std::vector<float>* scales, const std::string& mode, const std::string& where,
               const std::string& nearest);
  void take_depth_to_space(const NodeProto& node, Attributes& attributes);
  [[nodiscard]] bool are_extents(const Ints& axes, Form form) const;

  // ---- reader_pointwise.cc
  void take_batch_norm(const NodeProto& node, Attributes& attributes);
  void take_activation(const NodeProto& node, const Activation& activation);
  void take_relu(const NodeProto& node, Attributes& attributes);
  void take_sigmoid(const NodeProto& node, Attributes& attributes);
  void take_leaky_relu(const NodeProto& node, Attributes& attributes);
  void take_p_relu(const NodeProto& node, Attributes& attributes);
  void take_hard_sigmoid(const NodeProto& node, Attributes& attributes);
  void take_hard_swish(const NodeProto& node, Attributes& attributes);
  void take_clip(const NodeProto& node, Attributes& attributes);
  void take_softmax(const NodeProto& node, Attributes& attributes);
  void take_add(const NodeProto& node, Attributes& attributes);
  void take_sub(const NodeProto& node, Attributes& attributes);
  void take_mul(const NodeProto& node, Attributes& attributes);
  void take_div(const NodeProto& node, Attributes& attributes);
  void take_neg(const NodeProto& node, Attributes& attributes);
  void add_values(const NodeProto& node, Value a, Value b);
  /// value * factor + term, of constants with one number, or one for each channel.
  void scale_and_shift(const NodeProto& node, Value value, const Constant* factor,
                       const Constant* term, bool negative);
  [[nodiscard]] std::vector<float> per_channel(const Constant& constant, const Value& value) const;
  bool take_as_bias(const NodeProto& node, const Value& value, const std::vector<float>& term);
  bool take_self_gated(const NodeProto& node, const Value& value, const Value& gate);

  // ---- reader_attention.cc
  [[nodiscard]] bool are_rows(const Value& value) const;
  [[nodiscard]] bool are_columns(const Value& value) const;
  [[nodiscard]] const Value* products_input(const NodeProto& node, int index) const;
  bool take_attention_factor(const NodeProto& node);
  bool take_attention_softmax(const NodeProto& node, Attributes& attributes);
  void take_products(const NodeProto& node);

  // ---- reader_channels.cc
  void take_concat(const NodeProto& node, Attributes& attributes);
  void take_split(const NodeProto& node, Attributes& attributes);
  void take_slice(const NodeProto& node, Attributes& attributes);
  NodeId crop(const NodeProto& node, NodeId map, std::size_t axis, std::int64_t pixels);
  void take_gather(const NodeProto& node, Attributes& attributes);
  void take_flatten(const NodeProto& node, Attributes& attributes);
  void take_reshape(const NodeProto& node, Attributes& attributes);
  void take_squeeze(const NodeProto& node, Attributes& attributes);
  void take_unsqueeze(const NodeProto& node, Attributes& attributes);
  void take_transpose(const NodeProto& node, Attributes& attributes);
  void take_gemm(const NodeProto& node, Attributes& attributes);
  void take_mat_mul(const NodeProto& node, Attributes& attributes);
  void linear(const NodeProto& node, Value x, bool transposed, bool bias);
  NodeId flattened_linear(const std::string& name, const Value& x, Tensor rows, bool bias);
  Value select(const std::string& name, NodeId x, Ints channels);
  /// The tensor's extents behind the batch.
  [[nodiscard]] Ints tail(const Value& value) const;
  Value reshaped(const NodeProto& node, const Value& value, const Ints& wanted);

  const ::onnx::GraphProto& proto_;
  std::int64_t opset_;
  std::int64_t open_;
  std::filesystem::path folder_;
  std::map<std::string, Constant> constants_;
  std::map<std::string, Value> values_;
  std::set<std::string> names_;
  std::map<std::string, int> repeats_;
  std::map<std::string, int> readers_;  // of each tensor of the file; the network's user is one
  Allowance allowance_{0};
  std::vector<Shape> extents_;  // by node
  bool fixed_extents_ = true;
  std::int64_t batch_;  // of the first input, or kOpenBatch
  Weights weights_;
  std::vector<std::string> refused_;
  Graph graph_;  // last: start() fills what is above
};

}  // namespace octconv::onnx
