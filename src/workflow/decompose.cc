// SPDX-License-Identifier: Apache-2.0
#include "workflow/decompose.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include <nlohmann/json.hpp>

#include "image/spectrum.h"
#include "kernels/pool.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/text.h"
#include "octconv/engine/network.h"
#include "report/chart.h"
#include "workflow/frequency_maps.h"
#include "workflow/mosaic.h"
#include "workflow/preprocess.h"

namespace octconv::workflow {
namespace {

constexpr std::int64_t kCell = 2;
constexpr float kMidGrey = 128;
constexpr float kWhite = 255;

std::int64_t halved(std::int64_t extent) {
  return (extent + 1) / kCell;
}

std::span<const float> channel_of(const Tensor& maps, std::int64_t channel) {
  const auto pixels = static_cast<std::size_t>(maps.shape()[2] * maps.shape()[3]);
  return maps.values().subspan(static_cast<std::size_t>(channel) * pixels, pixels);
}

// Where an output pixel lies among the inputs: it is `first` and `second` weighed.
struct Tap {
  std::int64_t first = 0;
  std::int64_t second = 0;
  float second_weight = 0;
};

// Half-pixel centres: an output pixel lies a quarter of a low pixel off the centre of its cell.
std::vector<Tap> taps(std::int64_t extent, Upsample upsample) {
  constexpr float kQuarter = 0.25F;
  std::vector<Tap> taps;
  for (std::int64_t i = 0; i < extent; ++i) {
    const std::int64_t cell = i / kCell;
    const std::int64_t neighbour =
        std::clamp<std::int64_t>(i % kCell == 0 ? cell - 1 : cell + 1, 0, halved(extent) - 1);
    taps.push_back({cell, neighbour, upsample == Upsample::kBilinear ? kQuarter : 0});
  }
  return taps;
}

Tensor to_tensor(const Image& image) {
  Tensor tensor({1, image.channels, image.height, image.width});
  float* out = tensor.data();
  for (std::int64_t c = 0; c < image.channels; ++c) {
    for (std::int64_t p = 0; p < image.height * image.width; ++p) {
      *out++ = image.pixels[static_cast<std::size_t>(p * image.channels + c)];
    }
  }
  return tensor;
}

// offset + gain * value, rounded and clamped to what a pixel holds.
Image to_image(const Tensor& maps, float offset, float gain) {
  Image image{.height = maps.shape()[2], .width = maps.shape()[3], .channels = maps.shape()[1]};
  image.pixels.resize(static_cast<std::size_t>(maps.elements()));
  for (std::int64_t c = 0; c < image.channels; ++c) {
    auto at = static_cast<std::size_t>(c);
    for (const float value : channel_of(maps, c)) {
      image.pixels[at] =
          static_cast<std::uint8_t>(std::lround(std::clamp(offset + gain * value, 0.0F, kWhite)));
      at += static_cast<std::size_t>(image.channels);
    }
  }
  return image;
}

// The picture with one channel if its three are equal everywhere.
Image without_idle_colours(Image image) {
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    if (image.pixels[i] != image.pixels[i + 1] || image.pixels[i] != image.pixels[i + 2]) {
      return image;
    }
  }
  Image grey{.height = image.height, .width = image.width, .channels = 1};
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) grey.pixels.push_back(image.pixels[i]);
  return grey;
}

// Shows 99 of 100 values of the high part: natural pictures hold few that are large.
double high_gain(const Tensor& high) {
  constexpr double kShown = 0.99;
  constexpr double kLeast = 0.5;
  constexpr double kMost = 16;
  std::vector<float> sizes;
  for (const float value : high.values()) sizes.push_back(std::abs(value));
  const auto rank = static_cast<std::ptrdiff_t>(kShown * static_cast<double>(sizes.size() - 1));
  std::nth_element(sizes.begin(), sizes.begin() + rank, sizes.end());
  const float size = sizes[static_cast<std::size_t>(rank)];
  return size > 0 ? std::clamp((kMidGrey - 1.0) / size, kLeast, kMost) : 1;
}

// The mean spectrum of the channels.
image::Spectrum mean_spectrum(const Tensor& maps) {
  const std::int64_t channels = maps.shape()[1];
  image::Spectrum mean;
  for (std::int64_t c = 0; c < channels; ++c) {
    image::Spectrum one =
        image::power_spectrum(channel_of(maps, c), maps.shape()[2], maps.shape()[3]);
    if (c == 0) {
      mean = std::move(one);
      continue;
    }
    std::transform(mean.power.begin(), mean.power.end(), one.power.begin(), mean.power.begin(),
                   std::plus<>());
  }
  for (double& power : mean.power) power /= static_cast<double>(channels);
  return mean;
}

std::vector<Ring> rings_of(const image::Spectrum& spectrum, std::int64_t height, std::int64_t width,
                           int scale) {
  constexpr std::int64_t kMostRings = 48;
  const std::int64_t per_half =
      std::clamp<std::int64_t>(std::max(height, width) / 2, 1, kMostRings);
  struct Sum {
    double frequency = 0;
    double power = 0;
    double count = 0;
  };
  // Out to the corners, where the radius is sqrt(1/2).
  std::vector<Sum> sums(static_cast<std::size_t>(2 * per_half));
  for (std::int64_t i = 0; i < spectrum.height; ++i) {
    const double y =
        static_cast<double>(i - spectrum.height / 2) / static_cast<double>(spectrum.height);
    for (std::int64_t j = 0; j < spectrum.width; ++j) {
      const double x =
          static_cast<double>(j - spectrum.width / 2) / static_cast<double>(spectrum.width);
      const double radius = std::hypot(y, x);
      if (radius == 0) continue;
      Sum& sum = sums[static_cast<std::size_t>(2 * radius * static_cast<double>(per_half))];
      sum.frequency += radius;
      sum.power += spectrum.power[static_cast<std::size_t>(i * spectrum.width + j)];
      ++sum.count;
    }
  }
  std::vector<Ring> rings;
  for (const Sum& sum : sums) {
    if (sum.count == 0) continue;
    rings.push_back({sum.frequency / sum.count / scale, sum.power / sum.count});
  }
  return rings;
}

constexpr double kDecibelFloor = -100;

double decibels(double power, double reference) {
  if (!(power > 0)) return kDecibelFloor;
  return std::max(kDecibelFloor, 10 * std::log10(power / reference));
}

// The spectra side by side on one scale: 0 dB, the strongest coefficient of all, is pale.
Image spectrum_picture(const std::vector<image::Spectrum>& spectra) {
  constexpr double kShownDecibels = 90;
  constexpr std::int64_t kSide = 320;  // pixels of the largest panel
  double strongest = 0;
  std::int64_t largest = 1;
  for (const image::Spectrum& spectrum : spectra) {
    strongest =
        std::max(strongest, *std::max_element(spectrum.power.begin(), spectrum.power.end()));
    largest = std::max({largest, spectrum.height, spectrum.width});
  }
  std::vector<Image> panels;
  for (const image::Spectrum& spectrum : spectra) {
    std::vector<float> levels;
    for (const double power : spectrum.power) {
      levels.push_back(static_cast<float>(1 + decibels(power, strongest) / kShownDecibels));
    }
    Image panel = image::heat_map(levels, spectrum.height, spectrum.width);
    if (largest > kSide) {
      const auto shrunk = [&](std::int64_t extent) {
        return std::max<std::int64_t>(1, extent * kSide / largest);
      };
      panel = resize(panel, shrunk(panel.height), shrunk(panel.width));
    }
    panels.push_back(enlarged(panel, std::max<std::int64_t>(1, kSide / largest)));
  }
  return mosaic(panels, static_cast<std::int64_t>(panels.size()));
}

std::string spectrum_chart(const std::vector<Decomposed::Part>& parts, const std::string& title) {
  double strongest = 0;
  for (const Decomposed::Part& part : parts) {
    for (const Ring& ring : part.rings) strongest = std::max(strongest, ring.power);
  }
  report::Chart chart{.title = title,
                      .x = {.label = "spatial frequency, cycles per pixel of the full grid"},
                      .y = {.label = "mean power, dB"}};
  for (const Decomposed::Part& part : parts) {
    report::Series series{.name = part.name, .marks = report::Marks::kPlainLine};
    for (const Ring& ring : part.rings) {
      series.points.push_back({ring.frequency, decibels(ring.power, strongest), ""});
    }
    // A map of one pixel has no frequency but 0.
    if (series.points.empty()) series.points.push_back({0, kDecibelFloor, ""});
    chart.series.push_back(std::move(series));
  }
  return report::to_svg(chart);
}

Decomposed::Part part_of(const char* name, const Tensor& maps, const image::Spectrum& spectrum,
                         int scale, double energy) {
  return {.name = name,
          .channels = maps.shape()[1],
          .height = maps.shape()[2],
          .width = maps.shape()[3],
          .energy = energy,
          .rings = rings_of(spectrum, maps.shape()[2], maps.shape()[3], scale)};
}

// Every channel in its own range of grey, in rows. Each pixel becomes `zoom` x `zoom`.
Image channel_tiles(const Tensor& maps, std::int64_t zoom) {
  std::vector<Image> tiles;
  for (std::int64_t c = 0; c < maps.shape()[1]; ++c) {
    tiles.push_back(
        enlarged(stretched(channel_of(maps, c), maps.shape()[2], maps.shape()[3]), zoom));
  }
  const auto columns =
      static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(tiles.size()))));
  return mosaic(tiles, columns);
}

NodeId find_layer(const Graph& graph, const std::string& name, const std::string& layer) {
  constexpr std::size_t kNamed = 5;
  const NodeId id = graph.find(layer);
  if (id < 0) {
    std::vector<std::string> names;
    for (const Node& node : graph.nodes()) {
      if (node.spatial) names.push_back(node.name);
    }
    throw InvalidArgument("'" + name + "' has no layer '" + layer +
                          "'; names near it: " + join(nearest_names(layer, names, kNamed), ", "));
  }
  if (!graph.node(id).spatial) {
    throw InvalidArgument("'" + name + "': layer '" + layer +
                          "' has no extents, so it has no frequencies");
  }
  return id;
}

}  // namespace

Tensor upsampled(const Tensor& grid, std::int64_t height, std::int64_t width, Upsample upsample) {
  Tensor out({1, grid.shape()[1], height, width});
  const std::vector<Tap> rows = taps(height, upsample);
  const std::vector<Tap> columns = taps(width, upsample);
  const std::int64_t grid_width = grid.shape()[3];
  float* dst = out.data();
  for (std::int64_t c = 0; c < grid.shape()[1]; ++c) {
    const float* src = channel_of(grid, c).data();
    for (const Tap& row : rows) {
      const float* first = src + row.first * grid_width;
      const float* second = src + row.second * grid_width;
      const auto at = [&](std::int64_t j) {
        return first[j] + row.second_weight * (second[j] - first[j]);
      };
      for (const Tap& column : columns) {
        const float value = at(column.first);
        *dst++ = value + column.second_weight * (at(column.second) - value);
      }
    }
  }
  return out;
}

Parts decompose(const Tensor& maps, Upsample upsample) {
  const Shape& shape = maps.shape();
  if (shape.rank() != 4 || shape[0] != 1 || shape.elements() < 1) {
    throw InvalidArgument("decompose: maps must be [1, channels, height, width], got " +
                          shape.to_string());
  }
  const std::int64_t channels = shape[1];
  Parts parts;
  parts.grid = Tensor({1, channels, halved(shape[2]), halved(shape[3])});
  // Each channel as an image of one channel.
  const kernels::PoolRows pool{.src = maps.data(),
                               .out = parts.grid.data(),
                               .channels = 1,
                               .pitch = 1,
                               .in = {1, shape[2], shape[3]},
                               .extents = {1, halved(shape[2]), halved(shape[3])},
                               .kernel = {1, kCell, kCell},
                               .stride = {1, kCell, kCell},
                               .padding = {0, 0, 0},
                               .kind = kernels::PoolKind::kAverage};
  kernels::pool(pool, 0, channels * halved(shape[2]));
  parts.low = upsampled(parts.grid, shape[2], shape[3], upsample);
  parts.high = maps.clone();
  std::transform(parts.high.values().begin(), parts.high.values().end(), parts.low.values().begin(),
                 parts.high.values().begin(), std::minus<>());
  return parts;
}

double energy(const Tensor& maps) {
  double sum = 0;
  for (std::int64_t c = 0; c < maps.shape()[1]; ++c) {
    const std::span<const float> map = channel_of(maps, c);
    const double mean =
        std::accumulate(map.begin(), map.end(), 0.0) / static_cast<double>(map.size());
    for (const float value : map) sum += (value - mean) * (value - mean);
  }
  return sum;
}

std::vector<Ring> radial_power(const Tensor& maps, int scale) {
  return rings_of(mean_spectrum(maps), maps.shape()[2], maps.shape()[3], scale);
}

Decomposed decompose_picture(const std::filesystem::path& picture, Upsample upsample) {
  const Tensor whole = to_tensor(without_idle_colours(read_image(picture, 3)));
  const Parts parts = decompose(whole, upsample);
  const double all = energy(whole);
  const double low = energy(parts.low);
  const double high = energy(parts.high);
  Decomposed result{.source = picture.string(), .upsample = upsample};
  result.low_share = all > 0 ? low / all : 1;
  result.high_share = all > 0 ? high / all : 0;
  result.gain = high_gain(parts.high);
  const std::vector<image::Spectrum> spectra{mean_spectrum(whole), mean_spectrum(parts.low),
                                             mean_spectrum(parts.high)};
  result.parts = {part_of("picture", whole, spectra[0], 1, all),
                  part_of("low", parts.low, spectra[1], 1, low),
                  part_of("high", parts.high, spectra[2], 1, high)};
  result.files = {
      {"low.png", encode_png(to_image(parts.low, 0, 1))},
      {"high.png", encode_png(to_image(parts.high, kMidGrey, static_cast<float>(result.gain)))},
      {"low-grid.png", encode_png(to_image(parts.grid, 0, 1))},
      {"spectrum.png", encode_png(spectrum_picture(spectra))},
      {"spectrum.svg", spectrum_chart(result.parts, "Power by spatial frequency")}};
  return result;
}

Decomposed decompose_layer(const Model& model, const std::string& name, const std::string& layer,
                           const std::filesystem::path& picture) {
  check_takes_pictures(model, name);
  const NodeId id = find_layer(model.graph, name, layer);
  const ChannelSplit split = model.graph.node(id).channels;
  // Other networks keep an axis at full resolution.
  if (split.low > 0 && model.graph.octave() != Shape{2, 2}) {
    throw Unsupported("'" + name + "': only low grids of half the height and width are shown");
  }
  const Preprocessor preprocessor(model);
  Tensor input = preprocessor.make_batch(1);
  preprocessor.fill(read_image(picture, input_channels(model)), input, 0);
  Session session(compile(model, {.keep = {layer}}));
  static_cast<void>(session.run(input));

  // Tiles of 112 pixels are large enough to see something; both frequencies have the same scale.
  constexpr std::int64_t kTile = 112;
  const Tensor high_maps = session.value(layer, Frequency::kHigh);
  const std::int64_t height = high_maps.shape()[2];
  const std::int64_t width = high_maps.shape()[3];
  const std::int64_t zoom = std::max<std::int64_t>(1, kTile / std::max(height, width));
  Decomposed result{.source = picture.string(), .model = name, .layer = layer};
  std::vector<image::Spectrum> spectra;
  const auto add = [&](const char* part, const Tensor& maps, int scale, double energy) {
    spectra.push_back(mean_spectrum(maps));
    result.parts.push_back(part_of(part, maps, spectra.back(), scale, energy));
    result.files.push_back(
        {std::string(part) + ".png", encode_png(channel_tiles(maps, zoom * scale))});
    return energy;
  };
  double high = 0;
  double low = 0;
  if (split.high > 0) {
    high = add("high", high_maps, 1, energy(high_maps));
    result.fine_share = fine_share(high_maps);
  }
  if (split.low > 0) {
    const Tensor maps = session.value(layer, Frequency::kLow);
    low = add("low", maps, 2, energy(upsampled(maps, height, width, Upsample::kNearest)));
  }
  result.low_share = high + low > 0 ? low / (high + low) : 1;
  result.high_share = 1 - result.low_share;
  result.files.push_back({"spectrum.png", encode_png(spectrum_picture(spectra))});
  result.files.push_back(
      {"spectrum.svg",
       spectrum_chart(result.parts, "Power by spatial frequency in '" + layer + "'")});
  return result;
}

std::string to_json(const Decomposed& decomposed) {
  nlohmann::ordered_json json = {{"picture", decomposed.source}};
  if (decomposed.model.empty()) {
    json["upsample"] = std::string(to_string(decomposed.upsample));
    json["high_gain"] = decomposed.gain;
  } else {
    json["model"] = decomposed.model;
    json["layer"] = decomposed.layer;
  }
  json["low_share"] = decomposed.low_share;
  json["high_share"] = decomposed.high_share;
  if (decomposed.fine_share) json["high_finer_than_low_grid"] = *decomposed.fine_share;
  json["parts"] = nlohmann::ordered_json::array();
  for (const Decomposed::Part& part : decomposed.parts) {
    nlohmann::ordered_json rings = nlohmann::ordered_json::array();
    for (const Ring& ring : part.rings) {
      rings.push_back({{"frequency", ring.frequency}, {"power", ring.power}});
    }
    json["parts"].push_back({{"name", part.name},
                             {"channels", part.channels},
                             {"height", part.height},
                             {"width", part.width},
                             {"energy", part.energy},
                             {"spectrum", rings}});
  }
  json["files"] = nlohmann::ordered_json::array();
  for (const Decomposed::File& file : decomposed.files) json["files"].push_back(file.name);
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void write(const Decomposed& decomposed, const std::filesystem::path& folder) {
  make_folder(folder);
  for (const Decomposed::File& file : decomposed.files) {
    write_file(folder / file.name, file.bytes);
  }
  write_file(folder / kSummaryName, to_json(decomposed));
}

}  // namespace octconv::workflow
