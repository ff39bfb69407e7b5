// SPDX-License-Identifier: Apache-2.0
// oneDNN's convolution of an ordinary layer, where the build found oneDNN.
#pragma once

#include <memory>
#include <string>

#include "octconv/octave/conv.h"

// A convolution of one image with memory of its own, in the layouts that oneDNN prefers: what it
// needs to bring others into them is not counted.
class DnnlConv {
 public:
  virtual ~DnnlConv() = default;
  virtual void run() = 0;
};

// Null without oneDNN. Requires options without low channels.
std::unique_ptr<DnnlConv> make_dnnl_conv(const octconv::ConvOptions& options,
                                         const octconv::Shape& extents);

// "oneDNN 2.6.3", or that there is none.
std::string dnnl_description();
