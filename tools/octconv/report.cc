// SPDX-License-Identifier: Apache-2.0
// octconv report: trainings side by side.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "octconv/base/file.h"
#include "workflow/history_report.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::vector<std::string> folders;
  std::string html;
  bool json = false;
};

void run(const Arguments& arguments) {
  const std::vector<workflow::History> histories = workflow::read_histories(arguments.folders);
  if (!arguments.html.empty()) write_file(arguments.html, workflow::history_html(histories));
  std::cout << (arguments.json ? workflow::history_json(histories)
                               : workflow::history_table(histories).text());
}

}  // namespace

void add_report(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("report", "Put trainings side by side, running ones too");
  command->footer("Example: octconv report runs/ordinary runs/octave --html curves.html");
  command->add_option("folders", arguments->folders, "folders of trainings (`octconv train --out`)")
      ->required();
  command->add_option("--html", arguments->html, "also write this page, with their curves");
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
