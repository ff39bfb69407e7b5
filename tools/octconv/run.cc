// SPDX-License-Identifier: Apache-2.0
// octconv run: a model on a batch of inputs, from and to NumPy files.
#include <memory>
#include <string>

#include "commands.h"
#include "octconv/base/parallel.h"
#include "octconv/engine/network.h"
#include "octconv/onnx/onnx.h"
#include "octconv/tensor/npy.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string model;
  std::string input;
  std::string output;
  int threads = 0;
};

void run(const Arguments& arguments) {
  if (arguments.threads != 0) set_thread_count(arguments.threads);
  const Tensor input = read_npy(arguments.input);
  Session session(compile(load_onnx(arguments.model)));
  write_npy(arguments.output, session.run(input));
}

}  // namespace

void add_run(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("run", "Run a model on a NumPy array");
  command->footer("Example: octconv run resnet20.onnx --input x.npy --output y.npy");
  command->add_option("model", arguments->model, "ONNX file")->required();
  command->add_option("--input", arguments->input, ".npy file of [batch, channels, extents...]")
      ->required();
  command->add_option("--output", arguments->output, "the .npy file to write, float32")->required();
  command->add_option("--threads", arguments->threads, "default: one per processor")
      ->check(CLI::Range(1, 1024));
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
