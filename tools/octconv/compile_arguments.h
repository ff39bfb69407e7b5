// SPDX-License-Identifier: Apache-2.0
// How the commands that run a network compile it.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "octconv/engine/network.h"

namespace octconv::tool {

struct CompileArguments {
  bool exact = false;
  bool measure = false;
  std::string choices;
};

void add_compile_options(CLI::App& command, CompileArguments& arguments);

[[nodiscard]] CompileOptions compile_options(const CompileArguments& arguments,
                                             const Shape& extents);

}  // namespace octconv::tool
