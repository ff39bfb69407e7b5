// SPDX-License-Identifier: Apache-2.0
#include "image/jpeg_part.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

namespace octconv::image {
namespace {

// Pixels of a row that those beside them are interpolated from, for colours at half resolution.
constexpr int kMargin = 2;

// Rows that are asked for at once; the library gives what it has.
constexpr int kRows = 8;

// As many pixels as OpenCV decodes.
constexpr std::int64_t kMostPixels = std::int64_t{1} << 30;

// A picture in work. The library's functions call longjmp where they fail or would warn, so that
// none of the functions that call them owns anything.
class Reading {
 public:
  Reading() {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) { give_up(info); };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level < 0) give_up(info);
    };
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() { jpeg_destroy_decompress(&info_); }

  // Up to the first row of the part.
  bool begin(std::string_view bytes, std::int64_t channels, int reduction, const cv::Rect& part) {
    if (setjmp(failed_) != 0) return false;
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()),
                 static_cast<unsigned long>(bytes.size()));
    jpeg_read_header(&info_, TRUE);
    if (!is_ordinary()) return false;
    info_.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_EXT_RGB;
    info_.scale_num = 1;
    info_.scale_denom = static_cast<unsigned>(reduction);
    jpeg_start_decompress(&info_);
    const auto height = static_cast<int>(info_.output_height);
    const auto width = static_cast<int>(info_.output_width);
    if (part.y + part.height > height || part.x + part.width > width) return false;
    // The library begins further left, where blocks do.
    JDIMENSION first = static_cast<JDIMENSION>(std::max(part.x - kMargin, 0));
    const auto end = static_cast<JDIMENSION>(std::min(part.x + part.width + kMargin, width));
    JDIMENSION count = end - first;
    jpeg_crop_scanline(&info_, &first, &count);
    first_ = static_cast<int>(first);
    const auto skipped = static_cast<JDIMENSION>(part.y);
    return skipped == 0 || jpeg_skip_scanlines(&info_, skipped) == skipped;
  }

  // The column that rows begin with, and how many there are.
  [[nodiscard]] int first() const { return first_; }
  [[nodiscard]] int width() const { return static_cast<int>(info_.output_width); }

  bool read(unsigned char* to, std::size_t pitch_bytes, int rows) {
    if (setjmp(failed_) != 0) return false;
    const JDIMENSION begin = info_.output_scanline;
    const JDIMENSION end = begin + static_cast<JDIMENSION>(rows);
    while (info_.output_scanline < end) {
      const JDIMENSION wanted = std::min<JDIMENSION>(kRows, end - info_.output_scanline);
      std::array<JSAMPROW, kRows> targets;
      for (JDIMENSION i = 0; i < wanted; ++i)
        targets[i] = to + (info_.output_scanline - begin + i) * pitch_bytes;
      if (jpeg_read_scanlines(&info_, targets.data(), wanted) == 0) return false;
    }
    return true;
  }

 private:
  [[noreturn]] static void give_up(j_common_ptr info) {
    std::longjmp(static_cast<Reading*>(info->client_data)->failed_, 1);
  }

  bool is_ordinary() {
    const auto pixels = static_cast<std::int64_t>(info_.image_height) * info_.image_width;
    // With colours at a quarter of the resolution, the library skips rows inexactly.
    if (info_.max_h_samp_factor > 2 || info_.max_v_samp_factor > 2) return false;
    return (info_.num_components == 1 || info_.num_components == 3) && !info_.progressive_mode &&
           !info_.arith_code && !jpeg_has_multiple_scans(&info_) && pixels <= kMostPixels;
  }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf failed_{};
  int first_ = 0;
};

}  // namespace

std::optional<cv::Mat> decode_jpeg_part(std::string_view bytes, std::int64_t channels,
                                        int reduction, const cv::Rect& part) {
  Reading reading;
  if (!reading.begin(bytes, channels, reduction, part)) return std::nullopt;
  cv::Mat rows(part.height, reading.width(), CV_8UC(static_cast<int>(channels)));
  if (!reading.read(rows.data, rows.step, part.height)) return std::nullopt;
  const int left = part.x - reading.first();
  return rows.colRange(left, left + part.width);
}

}  // namespace octconv::image
