// SPDX-License-Identifier: Apache-2.0
#include "onnx/from_operations.h"

#include <utility>

#include "octconv/base/error.h"
#include "onnx/metadata.h"
#include "onnx/reader.h"

namespace octconv::onnx {
namespace {

// Of extents that a file leaves open. Both are multiples of what networks halve an image to.
constexpr std::int64_t kUsualExtent = 224;
constexpr std::int64_t kOtherExtent = 288;

}  // namespace

Model from_operations(const ::onnx::ModelProto& proto, const std::filesystem::path& folder) {
  Reader reader(proto, kUsualExtent, folder);
  Model model = reader.run();
  if (reader.fixed_extents()) return model;
  // Sizes that the file computes from its input became numbers. If they matter, they show at
  // another size.
  Model other = Reader(proto, kOtherExtent, folder).run();
  other.graph.set_default_extents(model.graph.default_extents());
  if (graph_to_json(model.graph) != graph_to_json(other.graph))
    throw Unsupported(
        "it leaves the extents of its input open, and computes something else for each; write "
        "them into the file");
  return model;
}

}  // namespace octconv::onnx
