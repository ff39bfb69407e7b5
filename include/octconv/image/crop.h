// SPDX-License-Identifier: Apache-2.0
// Parts of pictures, brought to one size.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "octconv/base/api.h"
#include "octconv/base/random.h"
#include "octconv/image/colour.h"
#include "octconv/image/image.h"

namespace octconv {

/// A part of a picture, in its pixels.
struct Rectangle {
  double top = 0;     ///< rows above it
  double left = 0;    ///< columns before it
  double height = 0;  ///< rows
  double width = 0;   ///< columns
};

/// What a random crop may be.
struct RandomCropOptions {
  double min_area = 0.08;         ///< of the picture's, in (0, 1]
  double max_area = 1;            ///< of the picture's, in [min_area, 1]
  double min_aspect = 3.0 / 4.0;  ///< width over height, > 0
  double max_aspect = 4.0 / 3.0;  ///< width over height, >= min_aspect
};

/// A random part of a picture of height x width.
///
/// Its area is uniform in the range, the logarithm of its aspect too, its place among those where
/// it fits; of ten draws the first that fits is taken, else the largest centred part whose aspect
/// is in the range. Source: Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6,
/// in the form that has become usual.
/// @throws InvalidArgument for extents below 1 or an option out of its range
[[nodiscard]] OCTCONV_API Rectangle random_crop(std::int64_t height, std::int64_t width,
                                                Random& random,
                                                const RandomCropOptions& options = {});

/// The middle of a picture of height x width: what is left if it is scaled until it just covers
/// (to_height / ratio) x (to_width / ratio), and to_height x to_width are cut out of that.
/// @param ratio  in (0, 1]
/// @throws InvalidArgument for extents below 1 or a ratio out of its range
[[nodiscard]] OCTCONV_API Rectangle centre_crop(std::int64_t height, std::int64_t width,
                                                std::int64_t to_height, std::int64_t to_width,
                                                double ratio);

/// The largest parts of the shape to_height : to_width at the beginning, in the middle and at the
/// end of the side of a picture of height x width that is too long for it.
/// @throws InvalidArgument for extents below 1
[[nodiscard]] OCTCONV_API std::array<Rectangle, 3> side_crops(std::int64_t height,
                                                              std::int64_t width,
                                                              std::int64_t to_height,
                                                              std::int64_t to_width);

/// The part of an image, its edges rounded to whole pixels (of which at least one is left), resized
/// as `resize` does.
/// @throws InvalidArgument for extents outside [1, 2^20], an image that contradicts its extents, or
///         a part that is not inside of it
[[nodiscard]] OCTCONV_API Image crop(const Image& image, const Rectangle& part, std::int64_t height,
                                     std::int64_t width);

/// Says which part is wanted of a picture of height x width, upright.
using ChooseCrop = std::function<Rectangle(std::int64_t height, std::int64_t width)>;

/// The part of an encoded picture that `choose` wants, height x width.
///
/// Like `crop(decode_image(...))`, but of an ordinary JPEG (sequential, grey or three colours) only
/// that part is decoded, and what is stored below of it is not looked at: damage there goes
/// unnoticed. And where the part is two, four or eight times larger than what is made of it, a JPEG
/// is decoded at so much less than its size, which is several times faster and differs a little.
/// @throws what decode_image, crop and choose throw
[[nodiscard]] OCTCONV_API Image decode_crop(std::string_view bytes, std::string_view name,
                                            std::int64_t channels, const ChooseCrop& choose,
                                            std::int64_t height, std::int64_t width);

/// How a picture is looked at.
struct View {
  Rectangle part;         ///< what is seen of it
  bool mirrored = false;  ///< left and right are exchanged
};

/// Says how a picture of height x width, upright, is to be looked at.
using ChooseView = std::function<View(std::int64_t height, std::int64_t width)>;

/// `decode_crop` straight to network input: writes height * width * channels floats.
/// @throws what decode_image, crop and choose throw
OCTCONV_API void decode_view(std::string_view bytes, std::string_view name, std::int64_t channels,
                             const ChooseView& choose, std::int64_t height, std::int64_t width,
                             const LevelScale& levels, float* pixels);

}  // namespace octconv
