// SPDX-License-Identifier: Apache-2.0
// The MNIST family's files, plain and compressed: each is an array or refused.
#include <string>

#include "image/idx.h"
#include "octconv/base/error.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const std::size_t rank : {std::size_t{1}, std::size_t{3}}) {
    try {
      static_cast<void>(octconv::image::parse_idx(
          std::string(reinterpret_cast<const char*>(data), size), "x", rank));
    } catch (const octconv::Error&) {  // refused
    }
  }
  return 0;
}
