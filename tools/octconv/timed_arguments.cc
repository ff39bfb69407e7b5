// SPDX-License-Identifier: Apache-2.0
#include "timed_arguments.h"

#include <iostream>
#include <utility>

#include <unistd.h>

#include "octconv/base/error.h"
#include "octconv/onnx/onnx.h"
#include "workflow/recognise.h"

namespace octconv::tool {

Model load_timed(const std::string& path, bool as_is) {
  Model model = load_onnx(path);
  if (model.graph.inputs().size() != 1) {
    throw Unsupported("'" + path + "' has " + std::to_string(model.graph.inputs().size()) +
                      " inputs; networks of one are timed");
  }
  const Shape extents = image_extents(model);
  if (!as_is) model = workflow::recognise(std::move(model), extents).model;
  return model;
}

Shape timed_extents(const Model& model, std::int64_t size) {
  return size == 0 ? image_extents(model) : model.graph.default_extents(size);
}

void tell_terminal(const std::string& line) {
  if (::isatty(STDERR_FILENO) == 1) std::cerr << line << std::endl;
}

}  // namespace octconv::tool
