// SPDX-License-Identifier: Apache-2.0
// JPEG files of every kind, which OpenCV does not write.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include <jpeglib.h>
#include <opencv2/core.hpp>

#include "octconv/base/random.h"

namespace octconv {

struct JpegKind {
  J_COLOR_SPACE colours = JCS_RGB;  ///< of the pixels; what is stored follows from it
  int across = 2;                   ///< pixels for one of the other colours, across
  int down = 2;                     ///< and down
  bool progressive = false;
  bool arithmetic = false;
  unsigned restart_interval = 0;  ///< in blocks
};

/// Encodes 8-bit pixels of as many channels as the kind has.
inline std::string jpeg_file(const cv::Mat& pixels, const JpegKind& kind = {}) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_height = static_cast<JDIMENSION>(pixels.rows);
  info.image_width = static_cast<JDIMENSION>(pixels.cols);
  info.input_components = pixels.channels();
  info.in_color_space = kind.colours;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 90, TRUE);
  if (info.num_components == 3) {
    info.comp_info[0].h_samp_factor = kind.across;
    info.comp_info[0].v_samp_factor = kind.down;
  }
  info.restart_interval = kind.restart_interval;
  info.arith_code = kind.arithmetic ? TRUE : FALSE;
  if (kind.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < pixels.rows; ++y) {
    JSAMPROW row = const_cast<unsigned char*>(pixels.ptr(y));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string file(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  return file;
}

/// Levels that say little about their neighbours, so that a wrong pixel is seen.
inline cv::Mat noisy_picture(int height, int width, int channels, Random& random) {
  cv::Mat picture(height, width, CV_8UC(channels));
  for (int y = 0; y < height; ++y) {
    for (int i = 0; i < width * channels; ++i)
      picture.ptr(y)[i] = static_cast<std::uint8_t>(random.below(256));
  }
  return picture;
}

}  // namespace octconv
