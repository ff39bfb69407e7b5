// SPDX-License-Identifier: Apache-2.0
// The graph as JSON in an ONNX file that is otherwise whole: changes of the file's bytes hardly
// ever leave it readable. Each is a model that can be written again, or refused.
#include <string>

#include <onnx/onnx_pb.h>

#include "octconv/base/error.h"
#include "octconv/onnx/onnx.h"
#include "onnx/models.h"
#include "target.h"

namespace {

using octconv::onnx_test::model_of;
using octconv::onnx_test::small_graph;

::onnx::ModelProto whole_file() {
  ::onnx::ModelProto file;
  const octconv::Graph graph = octconv::octavize(small_graph(), {.alpha = 0.5}).graph;
  file.ParseFromString(octconv::export_onnx(model_of(graph)));
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static ::onnx::ModelProto file = whole_file();
  for (auto& entry : *file.mutable_metadata_props()) {
    if (entry.key() != "octconv.graph") continue;
    entry.set_value(std::string(reinterpret_cast<const char*>(data), size));
  }
  try {
    const octconv::Model model = octconv::parse_onnx(file.SerializeAsString(), "x");
    static_cast<void>(octconv::export_onnx(model));
  } catch (const octconv::Error&) {  // refused
  }
  return 0;
}
