// SPDX-License-Identifier: Apache-2.0
// What a low grid keeps of a picture or of a network's maps, what it loses, and where in the
// spectrum both lie.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "octconv/graph/model.h"
#include "octconv/image/image.h"
#include "octconv/octave/options.h"
#include "octconv/tensor/tensor.h"

namespace octconv::workflow {

// Maps [1, channels, height, width] in two parts.
struct Parts {
  Tensor grid;  // the mean of each 2 x 2 cell, counting real pixels only at an odd edge
  Tensor low;   // the grid upsampled to height x width
  Tensor high;  // maps - low
};

// Pools as the operator does, and upsamples as it does with that option.
//
// For whole numbers up to 2^17 (pixels, for one) every value is exact, so low + high are the maps
// to the bit. Throws InvalidArgument unless the shape is [1, channels, height, width] of extents
// >= 1.
Parts decompose(const Tensor& maps, Upsample upsample);

// [1, channels, ceil(height / 2), ceil(width / 2)] to [1, channels, height, width].
Tensor upsampled(const Tensor& grid, std::int64_t height, std::int64_t width, Upsample upsample);

// Sum of the squared deviations from the mean of each channel. The mean itself has no frequency.
double energy(const Tensor& maps);

// One ring of the spectrum.
struct Ring {
  double frequency = 0;  // mean of its coefficients', in cycles per pixel of the full grid
  double power = 0;      // mean of its coefficients' energies, and over channels
};

// The power of maps in rings of equal width around frequency 0 out to the corners of the spectrum,
// sqrt(1/2) cycles per pixel; rings without a coefficient are left out. `scale` is how many pixels
// of the full grid a pixel is wide.
std::vector<Ring> radial_power(const Tensor& maps, int scale);

// A decomposition with all that describes it.
struct Decomposed {
  std::string source;  // the picture's file
  std::string model;   // the model's file, or "" for the picture itself
  std::string layer;   // of the model
  Upsample upsample = Upsample::kNearest;

  // One frequency of a layer; of a picture, one part.
  struct Part {
    std::string name;  // "picture", "low" or "high"
    std::int64_t channels = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
    double energy = 0;  // on the full grid
    std::vector<Ring> rings;
  };
  std::vector<Part> parts;
  // Of the energy: of the picture, or of both frequencies together. Of nothing, all is low.
  double low_share = 0;
  double high_share = 0;
  // By how much the picture's high part is amplified around mid grey.
  double gain = 1;
  // Of a layer's high maps: the share of their energy that is finer than the low grid.
  std::optional<double> fine_share;

  struct File {
    std::string name;
    std::string bytes;
  };
  std::vector<File> files;  // pictures and chart
};

// The two parts of a picture: low.png, high.png, low-grid.png, spectrum.png, spectrum.svg.
//
// A picture whose colours are all grey is decomposed as one channel. Throws FileError or
// FormatError for the picture.
Decomposed decompose_picture(const std::filesystem::path& picture, Upsample upsample);

// The maps of one layer for a picture, resized and normalised as the model says: high.png and
// low.png (those of them that exist), every channel stretched to its own range, spectrum.png,
// spectrum.svg.
//
// `name` stands for the model in errors. Throws Unsupported for a model that does not take
// pictures, InvalidArgument for a layer that does not exist (naming those whose names are near) or
// whose value has no extents.
Decomposed decompose_layer(const Model& model, const std::string& name, const std::string& layer,
                           const std::filesystem::path& picture);

inline constexpr const char* kSummaryName = "summary.json";

// The numbers, and the names of the files.
std::string to_json(const Decomposed& decomposed);

// Writes the files, then summary.json. The folder is made if need be; a file that exists is
// replaced. Throws FileError.
void write(const Decomposed& decomposed, const std::filesystem::path& folder);

}  // namespace octconv::workflow
