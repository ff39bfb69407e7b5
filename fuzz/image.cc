// SPDX-License-Identifier: Apache-2.0
// Pictures: each is decoded, and then can be encoded and decoded again, or refused.
#include <string_view>

#include "octconv/base/error.h"
#include "octconv/image/image.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::int64_t channels : {1, 3}) {
    octconv::Image image;
    try {
      image = octconv::decode_image(bytes, "x", channels);
    } catch (const octconv::Error&) {  // refused
      continue;
    }
    static_cast<void>(octconv::decode_image(octconv::encode_png(image), "x", channels));
  }
  return 0;
}
