// SPDX-License-Identifier: Apache-2.0
// octconv paper: the article's tables and figure 4 beside the same counted here.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "octconv/base/file.h"
#include "report/chart.h"
#include "workflow/paper.h"
#include "workflow/paper_report.h"

namespace octconv::tool {
namespace {

struct Arguments {
  int table = 0;   // 0: all
  int figure = 0;  // 0: all
  std::string html;
  std::string svg;
  bool json = false;
};

std::string figure4(const std::vector<workflow::ReproducedTable>& tables) {
  const auto figure = std::find_if(
      tables.begin(), tables.end(),
      [](const workflow::ReproducedTable& each) { return each.table->name == workflow::kFigure4; });
  return report::to_svg(workflow::accuracy_chart(*figure));
}

void run(const Arguments& arguments) {
  std::string only;
  if (arguments.table != 0) only = "table " + std::to_string(arguments.table);
  if (arguments.figure != 0) only = "figure " + std::to_string(arguments.figure);
  std::vector<workflow::ReproducedTable> tables;
  for (const workflow::PaperTable& table : workflow::paper_tables()) {
    if (only.empty() || table.name == only) tables.push_back(workflow::reproduce(table));
  }
  if (!arguments.svg.empty()) write_file(arguments.svg, figure4(tables));
  if (!arguments.html.empty()) write_file(arguments.html, workflow::paper_html(tables));
  std::cout << (arguments.json ? workflow::paper_json(tables) : workflow::paper_text(tables));
}

}  // namespace

void add_paper(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "paper", "Put the article's tables and figure 4 beside what octconv counts");
  command->footer("Example: octconv paper --html paper.html");
  CLI::Option* table =
      command->add_option("--table", arguments->table, "this table of the article only")
          ->check(CLI::Range(1, 8));
  command->add_option("--figure", arguments->figure, "this figure only; there is figure 4")
      ->check(CLI::IsMember({4}))
      ->excludes(table);
  command->add_option("--html", arguments->html,
                      "also write this page, with all tables and the figure drawn");
  command->add_option("--svg", arguments->svg, "also write figure 4 alone, drawn")->excludes(table);
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
