// SPDX-License-Identifier: Apache-2.0
// The one export macro: everything else stays inside the library.
#pragma once

/// Marks what the library shows to its users.
#define OCTCONV_API __attribute__((visibility("default")))

/// The operator as data and planned, networks as data, ONNX files, the engine, pictures and data
/// sets.
namespace octconv {}
/// The operator and networks on LibTorch tensors, with gradients.
namespace octconv::nn {}
/// Training on labelled images.
namespace octconv::train {}
