// SPDX-License-Identifier: Apache-2.0
// ONNX files: each is a model that can be written again, or refused.
#include <string_view>

#include "octconv/base/error.h"
#include "octconv/onnx/onnx.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const octconv::Model model = octconv::parse_onnx(bytes, "x");
    static_cast<void>(octconv::export_onnx(model));
  } catch (const octconv::Error&) {  // refused
  }
  return 0;
}
