// SPDX-License-Identifier: Apache-2.0
// octconv compare: trains a network and its octave twins and sets them side by side.
#include <iostream>
#include <memory>

#include "commands.h"
#include "octconv/base/parallel.h"
#include "octconv/octave/options.h"
#include "workflow/compare.h"
#include "workflow/compare_report.h"

namespace octconv::tool {
namespace {

struct Arguments {
  workflow::CompareOptions options;
  std::string stride_mode;
  std::string out;
  int threads = 0;
  bool json = false;
};

void run(const Arguments& arguments) {
  workflow::CompareOptions options = arguments.options;
  options.out = arguments.out;
  if (!arguments.stride_mode.empty()) {
    options.stride_mode = parse_stride_mode(arguments.stride_mode);
  }
  if (arguments.threads != 0) set_thread_count(arguments.threads);
  const workflow::Comparison comparison =
      workflow::compare(options, [](const std::string& line) { std::cerr << line << std::endl; });
  if (arguments.json) {
    std::cout << workflow::compare_json(comparison);
    return;
  }
  std::cout << workflow::compare_table(comparison).text();
  for (const std::string& sentence : workflow::disagreements(comparison)) {
    std::cout << sentence << "\n";
  }
  std::cout << "report: " << (options.out / workflow::kReportName).string() << "\n";
}

}  // namespace

void add_compare(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  workflow::CompareOptions& options = arguments->options;
  CLI::App* command = app.add_subcommand(
      "compare", "Train a network and its octave twins; compare accuracy, work and speed");
  command->footer(
      "Example: octconv compare --data fashion-mnist --model resnet20 --alpha 0,0.25 --out report");
  const auto add_number = [&](const char* name, auto& value, const char* what) {
    return command->add_option(name, value, what)->check(CLI::PositiveNumber);
  };
  command->add_option("--data", options.data, kDataHelp)->required();
  command->add_option("--model", options.network, "name from `octconv zoo`")->required();
  command
      ->add_option("--alpha", options.alphas,
                   "fractions of channels at half resolution, e.g. 0,0.25; the first is what the "
                   "others are compared with")
      ->delimiter(',')
      ->required();
  command
      ->add_option("--out", arguments->out,
                   "folder for the models, report.html and results.json; made if need be")
      ->required();
  add_number("--epochs", options.plan.epochs, "passes over the training images")
      ->capture_default_str();
  add_number("--batch-size", options.plan.batch_size, "images per step; default: the trainer's");
  command->add_option("--learning-rate", options.plan.learning_rate,
                      "highest rate; default: the trainer's");
  add_number("--train-images", options.plan.train_images, "train on so many images only");
  command->add_option("--stride-mode", arguments->stride_mode,
                      "pool, pool_twice, pool_low or strided; default: the family's own where "
                      "alpha > 0");
  command->add_option("--seed", options.plan.seed, "of the weights and the order of images")
      ->capture_default_str();
  add_number("--threads", arguments->threads, "default: all processors");
  command->add_flag("--json", arguments->json, "print results.json instead of the table");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
