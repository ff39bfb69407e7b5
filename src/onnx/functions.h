// SPDX-License-Identifier: Apache-2.0
// Octave convolutions as functions: operations of our own that say what they are made of.
#pragma once

#include "octconv/graph/graph.h"
#include "onnx/lower.h"

namespace octconv::onnx {

/// Makes one operation "OctConv<n>" of the domain "octconv" of what every octave convolution of
/// `graph` became. Convolutions whose operations are the same share a function. It takes the
/// value's tensors, then the kernels and biases, in the order in which its operations read them;
/// what upsampling scales by is a constant inside. Its results are the high tensor, then the low
/// one. A pool that other operations read as well stays outside.
void make_functions(Program& program, const Graph& graph);

}  // namespace octconv::onnx
