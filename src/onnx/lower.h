// SPDX-License-Identifier: Apache-2.0
// A network as ONNX operations, independent of protobuf: what export writes, and what import
// expects to find.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "octconv/graph/graph.h"
#include "octconv/tensor/shape.h"

namespace octconv::onnx {

using AttributeValue =
    std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>>;

/// One ONNX node. An input "" is an optional one left out.
struct Operation {
  std::string domain;  ///< "" for ONNX's own
  std::string type;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, AttributeValue> attributes;
  NodeId node = -1;  ///< of the graph, of which it is a part; in no file

  friend bool operator==(const Operation&, const Operation&) = default;
};

/// An operation of our own, as a list of ONNX's.
struct Function {
  std::string name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<Operation> operations;
};

/// The rows and columns of a parameter [rows, columns, taps...] that an initialiser holds.
struct Block {
  std::string parameter;
  Shape parameter_shape;
  std::int64_t row = 0;
  std::int64_t rows = 0;
  std::int64_t column = 0;
  std::int64_t columns = 0;
};

/// As many equal constants as the initialiser has elements.
struct Fill {
  float value = 0;
};

using Content = std::variant<Block, std::vector<float>, std::vector<std::int64_t>, Fill>;

/// A tensor of the file: a block of a parameter or constants in float32, or sizes in int64.
struct Initializer {
  std::string name;
  Shape shape;
  Content content;
};

/// An input or output of the network, its shape without the batch.
struct Port {
  std::string name;
  Shape shape;
};

struct Program {
  std::vector<Function> functions;
  std::vector<Operation> operations;
  std::vector<Initializer> initializers;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
};

/// How a network is written down.
struct LowerOptions {
  std::int64_t opset = 13;  ///< kMinOpset to kMaxOpset
  bool functions = false;   ///< every octave convolution is one operation, a function (functions.h)
};

/// The operations for input images of these extents; the same graph, extents and options give the
/// same program. Requires a checked graph. Multiplies no sizes, so that a graph from a hostile file
/// cannot overflow here.
///
/// @throws InvalidArgument for extents that do not fit, or two tensors of one name; Unsupported for
///         extents above 2^22, for pools of octave values whose low grid no ONNX pool makes, and
///         for what the opset cannot express
[[nodiscard]] Program lower(const Graph& graph, const Shape& extents,
                            const LowerOptions& options = {});

/// Scale by which an ONNX Resize (nearest, asymmetric, floor) takes an extent `from` to `to`, with
/// output pixel i reading input pixel floor(i / 2).
/// Requires from >= 1, and to == 2 from or to == 2 from - 1.
[[nodiscard]] float upsample_scale(std::int64_t from, std::int64_t to);

}  // namespace octconv::onnx
