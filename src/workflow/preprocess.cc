// SPDX-License-Identifier: Apache-2.0
#include "workflow/preprocess.h"

#include "octconv/base/error.h"

namespace octconv::workflow {
namespace {

constexpr double kWhite = 255;

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
  throw Unsupported("'" + name + "': " + why);
}

}  // namespace

void check_classifier(const Model& model, const std::string& name, Subject subject) {
  const Graph& graph = model.graph;
  if (graph.outputs().size() != 1) refuse(name, "only networks with one output classify images");
  if (graph.node(graph.outputs()[0]).spatial)
    refuse(name, "its output is not one number per class");
  check_takes(model, name, subject);
  const std::vector<std::string>& classes = model.preprocessing.classes;
  if (!classes.empty() && static_cast<std::int64_t>(classes.size()) != output_classes(model)) {
    refuse(name, "it names " + std::to_string(classes.size()) + " classes, but has " +
                     std::to_string(output_classes(model)) + " outputs");
  }
}

void check_takes(const Model& model, const std::string& name, Subject subject) {
  const Graph& graph = model.graph;
  const std::size_t rank = subject == Subject::kClip ? 3 : 2;
  if (graph.rank() != rank || graph.inputs().size() != 1) {
    refuse(name, subject == Subject::kClip
                     ? "only networks with one three-dimensional input take clips"
                     : "only networks with one two-dimensional input take images");
  }
  const std::int64_t channels = input_channels(model);
  if (channels != 1 && channels != 3) {
    refuse(name, "images have 1 or 3 channels, but the network takes " + std::to_string(channels));
  }
  const Preprocessing& preprocessing = model.preprocessing;
  const auto expected = static_cast<std::size_t>(channels);
  if (preprocessing.mean.size() != expected || preprocessing.deviation.size() != expected ||
      preprocessing.extents.rank() != rank) {
    refuse(name,
           "it does not say the mean, deviation and size of the images it was trained on; `octconv "
           "octavize` writes them into it (--alpha 0 --mean ... --deviation ...)");
  }
}

std::int64_t input_channels(const Model& model) {
  return model.graph.node(model.graph.inputs()[0]).channels.total();
}

std::int64_t output_classes(const Model& model) {
  return model.graph.node(model.graph.outputs()[0]).channels.total();
}

Preprocessor::Preprocessor(const Model& model, const Shape& extents)
    : channels_(input_channels(model)), extents_(extents) {
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels_); ++c) {
    const double mean = model.preprocessing.mean[c];
    const double deviation = model.preprocessing.deviation[c];
    std::array<float, 256>& levels = levels_.emplace_back();
    for (std::size_t pixel = 0; pixel < levels.size(); ++pixel) {
      levels[pixel] = static_cast<float>((static_cast<double>(pixel) / kWhite - mean) / deviation);
    }
  }
}

Tensor Preprocessor::make_batch(std::int64_t batch) const {
  Shape shape{batch, channels_};
  for (const std::int64_t extent : extents_) shape.push_back(extent);
  return Tensor(shape);
}

void Preprocessor::fill(const Image& image, Tensor& batch, std::int64_t position) const {
  if (image.channels != channels_) {
    throw InvalidArgument("the network takes images of " + std::to_string(channels_) +
                          " channels, got " + std::to_string(image.channels));
  }
  const std::int64_t height = extents_[0];
  const std::int64_t width = extents_[1];
  Image resized;
  const bool same = image.height == height && image.width == width;
  if (!same) resized = resize(image, height, width);
  write(same ? image.pixels.data() : resized.pixels.data(), batch, position);
}

void Preprocessor::fill(const Clip& clip, Tensor& batch, std::int64_t position) const {
  const Shape own{clip.frames, clip.height, clip.width};
  if (own != extents_ || clip.channels != channels_) {
    throw InvalidArgument("the network takes clips of " + extents_.to_string() + " and " +
                          std::to_string(channels_) + " channels, got " + own.to_string() +
                          " and " + std::to_string(clip.channels));
  }
  write(clip.pixels.data(), batch, position);
}

// Channels, interleaved in the source, come apart.
void Preprocessor::write(const std::uint8_t* src, Tensor& batch, std::int64_t position) const {
  const std::int64_t pixels = extents_.elements();
  float* dst = batch.data() + position * channels_ * pixels;
  for (std::int64_t c = 0; c < channels_; ++c) {
    const std::array<float, 256>& levels = levels_[static_cast<std::size_t>(c)];
    for (std::int64_t i = 0; i < pixels; ++i) *dst++ = levels[src[i * channels_ + c]];
  }
}

Tensor Preprocessor::batch_of(const LabelledImages& images, std::int64_t first,
                              std::int64_t count) const {
  Tensor batch = make_batch(count);
  for (std::int64_t i = 0; i < count; ++i) fill(image_at(images, first + i), batch, i);
  return batch;
}

}  // namespace octconv::workflow
