// SPDX-License-Identifier: Apache-2.0
// Files of torch.save: each is tensors or refused.
#include <string_view>

#include "octconv/base/error.h"
#include "octconv/tensor/pth.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    static_cast<void>(octconv::parse_pth(bytes, "x"));
  } catch (const octconv::Error&) {  // refused
  }
  return 0;
}
