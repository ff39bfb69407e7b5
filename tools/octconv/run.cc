// SPDX-License-Identifier: Apache-2.0
// octconv run: a model on a batch of inputs, from and to NumPy files.
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "compile_arguments.h"
#include "octconv/base/parallel.h"
#include "octconv/engine/network.h"
#include "octconv/onnx/onnx.h"
#include "octconv/tensor/npy.h"
#include "tensor_arguments.h"
#include "workflow/recognise.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  int threads = 0;
  bool as_is = false;
  CompileArguments compile;
};

void run(const Arguments& arguments) {
  if (arguments.threads != 0) set_thread_count(arguments.threads);
  Model model = load_onnx(arguments.model);
  const Graph& graph = model.graph;
  const std::vector<PortFile> files =
      port_files(ports(graph, graph.outputs()), arguments.outputs, "output");
  const std::vector<Tensor> inputs = read_inputs(ports(graph, graph.inputs()), arguments.inputs);
  if (!arguments.as_is) model = workflow::recognise_for(std::move(model), inputs).model;
  const Shape& first = inputs[0].shape();
  Shape extents;
  if (first.rank() == model.graph.rank() + 2)  // the session says what is wrong otherwise
    extents = Shape(std::span(first.begin() + 2, first.end()));
  const CompileOptions options = compile_options(arguments.compile, extents);
  const std::vector<Tensor> outputs = Session(compile(std::move(model), options)).run(inputs);
  for (const PortFile& file : files) write_npy(file.path, outputs[file.port]);
}

}  // namespace

void add_run(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("run", "Run a model on NumPy arrays");
  command->footer("Example: octconv run resnet20.onnx --input x.npy --output y.npy");
  command->add_option("model", arguments->model, "ONNX file")->required();
  // One value each, so that an option takes nothing that follows it.
  command
      ->add_option("--input", arguments->inputs,
                   ".npy file of [batch, channels, extents...]; NAME=FILE, for each input, where a "
                   "network has several")
      ->required()
      ->allow_extra_args(false);
  command
      ->add_option("--output", arguments->outputs,
                   "the .npy file to write, float32; NAME=FILE, for those that are wanted, where a "
                   "network has several")
      ->required()
      ->allow_extra_args(false);
  command->add_flag("--as-is", arguments->as_is, kAsIsHelp);
  add_compile_options(*command, arguments->compile);
  command->add_option("--threads", arguments->threads, "default: one per processor")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
