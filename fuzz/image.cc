// SPDX-License-Identifier: Apache-2.0
// Pictures: each is decoded, and then can be encoded and decoded again, and parts of it too; or it
// is refused.
#include <string_view>

#include "octconv/base/error.h"
#include "octconv/image/crop.h"
#include "octconv/image/image.h"
#include "target.h"

namespace {

// The middle of the picture, at its own size and reduced. Damage below of it is not looked at, so
// it may be there where the whole picture is refused, but not the other way round.
void decode_middle(std::string_view bytes, std::int64_t channels, bool whole) {
  const octconv::ChooseCrop choose = [](std::int64_t height, std::int64_t width) {
    const auto h = static_cast<double>(height);
    const auto w = static_cast<double>(width);
    return octconv::Rectangle{.top = h / 4, .left = w / 3, .height = h / 2, .width = w / 2};
  };
  for (const std::int64_t size : {3, 40}) {
    try {
      static_cast<void>(octconv::decode_crop(bytes, "x", channels, choose, size, size));
    } catch (const octconv::Error&) {
      if (whole) throw;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::int64_t channels : {1, 3}) {
    octconv::Image image;
    try {
      image = octconv::decode_image(bytes, "x", channels);
    } catch (const octconv::Error&) {  // refused
      decode_middle(bytes, channels, false);
      continue;
    }
    decode_middle(bytes, channels, true);
    static_cast<void>(octconv::decode_image(octconv::encode_png(image), "x", channels));
  }
  return 0;
}
