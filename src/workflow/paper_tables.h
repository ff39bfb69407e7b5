// SPDX-License-Identifier: Apache-2.0
// The figures that the article prints, table by table, and the network that each is about.
//
// Source: Chen et al., "Drop an Octave: Reducing Spatial Redundancy in Convolutional Neural
// Networks with Octave Convolution", arXiv:1904.05049. Tables 2 and 8 are as in an
// early version, the others as in a later one. Nothing here is computed.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "octconv/octave/options.h"

namespace octconv::workflow {

// What a figure counts, and in which unit.
enum class Quantity {
  kNone,
  kFlopsShare,      // multiply-adds of a layer, % of the ordinary one's
  kMemoryShare,     // elements of its output, % of the ordinary one's
  kReach,           // receptive field of low pixels, as a multiple of the high ones'
  kGigaFlops,       // as the authors' tool counts them
  kMegaFlops,       // the same
  kGigaLayerFlops,  // multiply-adds and biases of convolutions and linear layers; no attention
  kMegaMacs,        // multiply-adds
  kMegaParams,      // trained parameters
};

struct PaperValue {
  Quantity quantity = Quantity::kNone;
  std::string_view published;  // as printed, with its decimals; empty: the article prints none
  std::string_view top1;       // accuracy as printed, in %; empty: none
  std::string_view reason;     // why the figure cannot be had; empty: it can
  std::int64_t size = 224;     // height and width of the input
};

struct PaperRow {
  std::string_view label;    // the article's name for it
  std::string_view network;  // of the zoo; empty: not there
  double alpha = 0;
  std::array<PaperValue, 8> values{};  // those without a quantity are not there
  Exchange exchange = Exchange::kBoth;
  Downsample downsample = Downsample::kAverage;
  std::string_view cpu_ms;  // for an image on the authors' processor, as printed; empty: none
};

struct PaperTable {
  std::string_view name;  // "table 5"
  std::string_view title;
  std::string_view note;  // sentences on what is and is not compared
  std::span<const PaperRow> rows;
  double reading_error = 0;  // of figures that are read off a drawing, as a share
};

inline constexpr std::string_view kFigure4 = "figure 4";

// Tables 1 to 8, figure 4 and the one figure of section 3.2, in this order.
std::span<const PaperTable> paper_tables();

// "Table 5: Small models"
std::string heading(const PaperTable& table);

}  // namespace octconv::workflow
