// SPDX-License-Identifier: Apache-2.0
#include "compile_arguments.h"

namespace octconv::tool {

void add_compile_options(CLI::App& command, CompileArguments& arguments) {
  CLI::Option* exact =
      command.add_flag("--exact", arguments.exact,
                       "no Winograd: compute convolutions tap by tap, slower and with a little "
                       "less rounding");
  CLI::Option* measure =
      command
          .add_flag("--measure", arguments.measure,
                    "choose the way to compute each convolution by measuring, not by estimate")
          ->excludes(exact);
  command
      .add_option("--choices", arguments.choices,
                  "file that remembers what --measure found, by processor, threads and convolution")
      ->needs(measure);
}

CompileOptions compile_options(const CompileArguments& arguments, const Shape& extents) {
  return {.keep = {},
          .extents = extents,
          .exact = arguments.exact,
          .measure = arguments.measure,
          .choices = arguments.choices};
}

}  // namespace octconv::tool
