// SPDX-License-Identifier: Apache-2.0
// Options on how an ONNX file is written, and for what pixels.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <CLI/CLI.hpp>

#include "octconv/graph/model.h"
#include "octconv/onnx/onnx.h"

namespace octconv::tool {

struct ExportArguments {
  std::optional<std::int64_t> opset;
  bool fold = false;
  bool dynamic_batch = true;
  bool functions = false;
};

void add_export_options(CLI::App& command, ExportArguments& arguments);

/// The options for a file for images of these extents.
[[nodiscard]] ExportOptions export_options(const ExportArguments& arguments, const Shape& extents);

struct PixelArguments {
  std::vector<float> mean;
  std::vector<float> deviation;
};

/// `--mean` and `--deviation`.
void add_pixel_options(CLI::App& command, PixelArguments& arguments);

/// Sets the model's preprocessing for images of these extents, where the options are given: one
/// number for each channel, or one for all.
/// @throws InvalidArgument for another number of them, or values that no pixels have
void set_pixels(const PixelArguments& arguments, const Shape& extents, Model& model);

}  // namespace octconv::tool
