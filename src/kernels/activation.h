// SPDX-License-Identifier: Apache-2.0
// What kernels apply to a value before they store it.
#pragma once

namespace octconv::kernels {

enum class Activation { kNone, kRelu, kRelu6, kSigmoid };

}  // namespace octconv::kernels
