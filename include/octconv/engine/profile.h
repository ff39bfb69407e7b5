// SPDX-License-Identifier: Apache-2.0
// Where the time of a run goes, step by step.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/engine/network.h"
#include "octconv/tensor/tensor.h"

namespace octconv {

/// One step of a run.
struct StepProfile {
  std::string name;       ///< of the last node that the step stands for
  std::string kind;       ///< "conv", "octave conv", "pool", ...
  std::string shape;      ///< of a convolution: "3x3, 64+64 to 64+64"; else empty
  std::string method;     ///< how a convolution is computed: "direct", "winograd4", ...; else empty
  double median_ns = 0;   ///< of the repeats
  std::int64_t macs = 0;  ///< multiply-adds, as `cost` counts them, of all images
  std::int64_t bytes = 0;  ///< that must be moved once: what is read, weights too, and written
};

/// All steps, in the order in which they run.
struct NetworkProfile {
  std::vector<StepProfile> steps;  ///< one after the other
  double run_ns = 0;  ///< median time of whole runs, which look at no clock between steps

  /// Sums over the steps.
  /// @{
  [[nodiscard]] OCTCONV_API std::int64_t macs() const noexcept;
  [[nodiscard]] OCTCONV_API std::int64_t bytes() const noexcept;
  /// @}
};

/// Runs the network `repeats` times step by step, and as often whole, in turns, after one run that
/// does not count.
///
/// @throws InvalidArgument if `repeats` < 1 or the input does not fit the network; Unsupported if
/// it has several
[[nodiscard]] OCTCONV_API NetworkProfile profile(const Network& network,
                                                 std::span<const Tensor> inputs,
                                                 std::int64_t repeats);

}  // namespace octconv
