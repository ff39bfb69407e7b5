// SPDX-License-Identifier: Apache-2.0
// octconv raise: the octave convolutions that a file spells out in ordinary operations.
#include "octconv/graph/raise.h"

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "commands.h"
#include "export_arguments.h"
#include "octconv/base/error.h"
#include "octconv/onnx/onnx.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string input;
  std::string output;
  ExportArguments file;
};

void run(const Arguments& arguments) {
  Model model = load_onnx(arguments.input);
  for (const Node& node : model.graph.nodes()) {
    if (node.channels.octave())
      throw InvalidArgument("'" + arguments.input + "' says itself what is octave in it ('" +
                            node.name + "'): there is nothing to recognise");
  }
  const Raised raised = raise(std::move(model));
  if (raised.octave_convs == 0)
    throw InvalidArgument("no octave convolution is recognised in '" + arguments.input +
                          "': nothing is written");
  const Shape extents = image_extents(raised.model);
  save_onnx(arguments.output, raised.model, export_options(arguments.file, extents));
  std::cout << "octave convolutions recognised: " << raised.octave_convs << "\n"
            << "wrote " << arguments.output << "\n";
}

}  // namespace

void add_raise(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "raise", "Recognise octave convolutions that an ONNX file spells out in ordinary operations");
  command->footer("Example: octconv raise theirs.onnx -o ours.onnx");
  command->add_option("model", arguments->input, "ONNX file of a network of ordinary operations")
      ->required();
  add_export_options(*command, arguments->file);
  command->add_option("-o,--output", arguments->output, "the file to write")->required();
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
