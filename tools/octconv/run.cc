// SPDX-License-Identifier: Apache-2.0
// octconv run: a model on a batch of inputs, from and to NumPy files.
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "octconv/base/parallel.h"
#include "octconv/engine/network.h"
#include "octconv/onnx/onnx.h"
#include "octconv/tensor/npy.h"
#include "tensor_arguments.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  int threads = 0;
};

void run(const Arguments& arguments) {
  if (arguments.threads != 0) set_thread_count(arguments.threads);
  const Network network = compile(load_onnx(arguments.model));
  const std::vector<PortFile> files = port_files(network.outputs(), arguments.outputs, "output");
  const std::vector<Tensor> inputs = read_inputs(network, arguments.inputs);
  const std::vector<Tensor> outputs = Session(network).run(inputs);
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
  command->add_option("--threads", arguments->threads, "default: one per processor")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
