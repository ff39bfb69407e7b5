// SPDX-License-Identifier: Apache-2.0
// Which part of the input image a pixel of a value depends on.
#pragma once

#include <vector>

#include "octconv/base/api.h"
#include "octconv/graph/graph.h"

namespace octconv {

/// The receptive field of one grid of a value, far from the image's edges.
struct ReceptiveField {
  Shape jump;          ///< input pixels between neighbouring pixels of the grid, per axis
  Shape extent;        ///< input pixels that a pixel depends on, per axis: of the pixel with most
  bool whole = false;  ///< the whole image; `jump` and `extent` are then empty
};

/// Of a value; a frequency without channels has empty shapes.
struct ValueReceptiveField {
  ReceptiveField high;  ///< of the full grid
  ReceptiveField low;   ///< of the low grid
};

/// Receptive fields of all values, indexed by node, through every path of every convolution.
///
/// On the low grid a k x k convolution reaches twice as far as on the high one (section 3.2 of the
/// article), and what it learns there comes to the high grid by low_to_high. Pixels of a high grid
/// need not see equally much: two that share a low pixel see the same of it. A gate
/// (squeeze-excite) depends on the whole image, and so does what it scales.
///
/// @throws InvalidArgument if a size does not fit in 63 bits
[[nodiscard]] OCTCONV_API std::vector<ValueReceptiveField> receptive_fields(const Graph& graph);

}  // namespace octconv
