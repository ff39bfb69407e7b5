// SPDX-License-Identifier: Apache-2.0
// octconv study: several networks, each trained with several seeds.
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "commands.h"
#include "octconv/base/parallel.h"
#include "workflow/study.h"
#include "workflow/study_report.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string file;
  std::string out;
  std::int64_t checkpoint_steps = 0;
  int threads = 0;
  bool json = false;
};

void run(const Arguments& arguments) {
  if (arguments.threads != 0) set_thread_count(arguments.threads);
  const std::filesystem::path folder(arguments.out);
  const workflow::StudyResult result =
      workflow::run_study(workflow::read_study(arguments.file),
                          {.folder = folder, .checkpoint_steps = arguments.checkpoint_steps},
                          [](const std::string& line) { std::cerr << line << std::endl; });
  if (arguments.json) {
    std::cout << workflow::study_json(result);
    return;
  }
  std::cout << workflow::study_table(result).text()
            << "report: " << (folder / workflow::kStudyPage).string() << "\n";
}

}  // namespace

void add_study(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "study", "Train several networks with several seeds; say how far accuracies differ");
  command->footer("Example: octconv study studies/fashion-mnist.json --out fashion-mnist-study");
  command->add_option("file", arguments->file, "what to train: JSON, see docs/command-line.md")
      ->required();
  command
      ->add_option(
          "--out", arguments->out,
          "folder for the trainings, results.jsonl and report.html; what is finished there "
          "is not trained again")
      ->required();
  command
      ->add_option("--checkpoint-steps", arguments->checkpoint_steps,
                   "a checkpoint also after every so many steps of an epoch; default: after epochs "
                   "only")
      ->check(CLI::PositiveNumber);
  command->add_option("--threads", arguments->threads, "default: all processors")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", arguments->json, "print JSON instead of the table");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
