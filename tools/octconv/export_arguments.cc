// SPDX-License-Identifier: Apache-2.0
#include "export_arguments.h"

#include <cmath>
#include <string>

#include "octconv/base/error.h"

namespace octconv::tool {
namespace {

// One number for each channel of the images, or one for all of them.
std::vector<float> per_channel(const std::vector<float>& values, std::size_t channels,
                               const char* option) {
  if (values.size() == 1) return std::vector<float>(channels, values[0]);
  if (values.size() != channels)
    throw InvalidArgument(std::string(option) + " has " + std::to_string(values.size()) +
                          " numbers, and the network takes images of " + std::to_string(channels) +
                          " channels");
  return values;
}

}  // namespace

void add_export_options(CLI::App& command, ExportArguments& arguments) {
  command.add_option("--opset", arguments.opset,
                     "of ONNX, 9 to 21; default: 13, with --functions 15");
  command.add_flag("--fold", arguments.fold,
                   "make batch norms part of the convolutions before them");
  command.add_flag("--dynamic-batch,!--fixed-batch", arguments.dynamic_batch,
                   "take any number of images at once (the default), or one");
  command.add_flag("--functions", arguments.functions,
                   "write every octave convolution as one node, which the file defines");
}

ExportOptions export_options(const ExportArguments& arguments, const Shape& extents) {
  return {.extents = extents,
          .dynamic_batch = arguments.dynamic_batch,
          .opset = arguments.opset.value_or(arguments.functions ? 15 : ExportOptions().opset),
          .fold = arguments.fold,
          .functions = arguments.functions};
}

void add_pixel_options(CLI::App& command, PixelArguments& arguments) {
  CLI::Option* mean = command
                          .add_option("--mean", arguments.mean,
                                      "of the pixels, 0 to 1, that the network was trained on: "
                                      "one number, or one per channel")
                          ->delimiter(',');
  CLI::Option* deviation =
      command.add_option("--deviation", arguments.deviation, "of the same pixels")->delimiter(',');
  mean->needs(deviation);
  deviation->needs(mean);
}

void set_pixels(const PixelArguments& arguments, const Shape& extents, Model& model) {
  if (arguments.mean.empty()) return;
  const NodeId input = model.graph.inputs().front();
  const auto channels = static_cast<std::size_t>(model.graph.node(input).channels.total());
  model.preprocessing.mean = per_channel(arguments.mean, channels, "--mean");
  model.preprocessing.deviation = per_channel(arguments.deviation, channels, "--deviation");
  model.preprocessing.extents = extents;
  for (const float value : arguments.mean) {
    if (!std::isfinite(value))
      throw InvalidArgument("--mean must be finite, got " + std::to_string(value));
  }
  for (const float value : arguments.deviation) {
    if (!(value > 0 && std::isfinite(value)))
      throw InvalidArgument("--deviation must be positive, got " + std::to_string(value));
  }
}

}  // namespace octconv::tool
