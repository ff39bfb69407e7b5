// SPDX-License-Identifier: Apache-2.0
// The octave convolution with what a network knows beside its input.
#pragma once

#include "nn/norm.h"
#include "octconv/nn/oct_conv.h"

namespace octconv::nn {

/// What is known of an input, and of who reads the result.
struct ConvAside {
  OctRemade remade;     ///< how the input is made again, where it can be, instead of being kept
  at::Tensor averages;  ///< of the cells of `input.high`; undefined: made where they are read
  /// Where the sums of the cells of the high result's gradient may be found; null: nowhere.
  std::shared_ptr<DiffSums> diff_sums;
  /// What is left of the input's gradient, to which this convolution's is added; null: nothing is.
  std::shared_ptr<OctOtherGradient> other_gradient;
};

/// Whether a convolution of these options does so.
[[nodiscard]] bool takes_other_gradient(const ConvOptions& options);

/// `oct_conv` with that.
[[nodiscard]] OctTensor oct_conv_of(const OctTensor& input, const ConvAside& aside,
                                    const at::Tensor& weight, const at::Tensor& bias,
                                    const ConvOptions& options, BiasRule rule = BiasRule::kOnce);

}  // namespace octconv::nn
