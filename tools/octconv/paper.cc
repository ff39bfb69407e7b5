// SPDX-License-Identifier: Apache-2.0
// octconv paper: the article's tables and figure 4 beside the same counted here, and its CPU times
// beside those of this machine.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/processor.h"
#include "commands.h"
#include "octconv/base/file.h"
#include "report/chart.h"
#include "timed_arguments.h"
#include "workflow/paper.h"
#include "workflow/paper_report.h"
#include "workflow/paper_times_report.h"

namespace octconv::tool {
namespace {

struct Arguments {
  int table = 0;   // 0: all
  int figure = 0;  // 0: all
  std::string html;
  std::string svg;
  bool json = false;
  bool measure = false;
  workflow::PaperTimingOptions timing;
};

std::string figure4(const std::vector<workflow::ReproducedTable>& tables) {
  const auto figure = std::find_if(
      tables.begin(), tables.end(),
      [](const workflow::ReproducedTable& each) { return each.table->name == workflow::kFigure4; });
  return report::to_svg(workflow::accuracy_chart(*figure));
}

void measure(const Arguments& arguments) {
  workflow::PaperTimes times{
      .options = arguments.timing, .processor = processor_name(), .tables = {}};
  const std::string only =
      arguments.table == 0 ? std::string() : "table " + std::to_string(arguments.table);
  for (const workflow::PaperTable& table : workflow::paper_tables()) {
    if (only.empty() ? workflow::has_times(table) : table.name == only)
      times.tables.push_back(workflow::measure_times(table, arguments.timing, tell_terminal));
  }
  if (!arguments.html.empty()) write_file(arguments.html, workflow::paper_times_html(times));
  std::cout << (arguments.json ? workflow::paper_times_json(times)
                               : workflow::paper_times_text(times));
}

void run(const Arguments& arguments) {
  if (arguments.measure) return measure(arguments);
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
  CLI::Option* figure =
      command->add_option("--figure", arguments->figure, "this figure only; there is figure 4")
          ->check(CLI::IsMember({4}))
          ->excludes(table);
  command->add_option("--html", arguments->html,
                      "also write this page, with all tables and the figure drawn");
  CLI::Option* svg =
      command->add_option("--svg", arguments->svg, "also write figure 4 alone, drawn")
          ->excludes(table);
  command->add_flag("--json", arguments->json, "print JSON");
  CLI::Option* measured =
      command
          ->add_flag("--measure", arguments->measure,
                     "time the networks of the article's CPU times (tables 2 and 5) here")
          ->excludes(figure)
          ->excludes(svg);
  command->add_option("--threads", arguments->timing.threads, "that are timed")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024))
      ->needs(measured);
  command->add_option("--rounds", arguments->timing.rounds, "of timing, of which the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->needs(measured);
  command->add_flag("--exact", arguments->timing.exact, "time without Winograd")->needs(measured);
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
