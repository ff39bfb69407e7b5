// SPDX-License-Identifier: Apache-2.0
// Two models on the same inputs: how far apart their values are, and from where on.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "octconv/graph/model.h"
#include "octconv/tensor/tensor.h"

namespace octconv::workflow {

// Two float32 programs that add up the same products (up to some thousand per sum) in different
// orders agree to about 1e-6 of a value's range, fifty layers deep; a pixel or channel in the wrong
// place makes 1e-2 and more. Between the two, on a logarithmic scale:
inline constexpr double kDiffTolerance = 1e-4;

// How far two values are apart.
struct ValueDiff {
  std::string name;    // of the node, in the first model
  std::string reason;  // why they cannot be compared; empty: they can
  double absolute =
      0;  // largest difference of two elements; infinite for a NaN in one of them only
  // The same over the range of the first model's value (largest minus smallest element; over its
  // magnitude where all are equal).
  double relative = 0;
};

struct Diff {
  std::vector<ValueDiff> outputs;  // in the order of the models
  std::int64_t first_nodes = 0;    // how many nodes the models have
  std::int64_t second_nodes = 0;
  std::int64_t shared_nodes = 0;           // names that both have
  std::vector<ValueDiff> incomparable;     // of those: of other channels, splits or extents
  std::optional<ValueDiff> first_parting;  // first in the first model's order past the tolerance
  bool agree = false;                      // every output is within the tolerance
};

// Runs both models. Inputs are in the order of the first model; the second takes them by name, or,
// where its names are others, in its own order. Octave values are compared on both grids.
//
// Throws InvalidArgument for a tolerance below 0, for models with different numbers of inputs or
// outputs, and for inputs that do not fit; what `compile` throws.
Diff diff_models(const Model& first, const Model& second, std::span<const Tensor> inputs,
                 double tolerance);

// One random input (normal) per input of the model, one image each, of the extents that it is
// known for.
std::vector<Tensor> random_inputs(const Model& model, std::uint64_t seed);

}  // namespace octconv::workflow
