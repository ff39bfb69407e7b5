// SPDX-License-Identifier: Apache-2.0
// octconv eval: how well a model does on a data set's test images.
#include <iostream>
#include <memory>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "octconv/base/parallel.h"
#include "octconv/image/dataset.h"
#include "octconv/onnx/onnx.h"
#include "report/number.h"
#include "workflow/evaluate.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string model;
  std::string data;
  std::int64_t images = 0;
  int threads = 0;
  bool json = false;
};

void run(const Arguments& arguments) {
  if (arguments.threads != 0) set_thread_count(arguments.threads);
  const Model model = load_onnx(arguments.model);
  const Dataset data = open_dataset(arguments.data);
  const workflow::Evaluation result =
      workflow::evaluate(model, arguments.model, data, arguments.images);
  if (arguments.json) {
    const nlohmann::ordered_json json = {
        {"model", arguments.model},       {"data", data.name},
        {"images", result.images},        {"accuracy", result.top1()},
        {"top5_accuracy", result.top5()}, {"loss", result.loss}};
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return;
  }
  constexpr int kPercent = 100;
  const auto share = [&](std::int64_t correct, double part) {
    return report::fixed(kPercent * part, 2) + " % (" + std::to_string(correct) + " of " +
           std::to_string(result.images) + ")";
  };
  std::cout << arguments.model << " on " << data.name << "\n"
            << "  accuracy  " << share(result.top1_correct, result.top1()) << "\n"
            << "  top 5     " << share(result.top5_correct, result.top5()) << "\n"
            << "  loss      " << report::fixed(result.loss, 4) << "\n";
}

}  // namespace

void add_eval(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("eval", "Measure a model's accuracy on a data set's test images");
  command->footer("Example: octconv eval out/resnet20-alpha0.25.onnx --data fashion-mnist");
  command->add_option("model", arguments->model, "an ONNX file")->required();
  command->add_option("--data", arguments->data, kDataHelp)->required();
  command->add_option("--images", arguments->images, "only the first so many test images")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--threads", arguments->threads,
                   "threads of the engine; default: all processors")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
