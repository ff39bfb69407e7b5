// SPDX-License-Identifier: Apache-2.0
// octconv profile: where the time of a network goes.
#include <cstdint>
#include <iostream>
#include <memory>
#include <span>
#include <string>

#include "base/processor.h"
#include "commands.h"
#include "compile_arguments.h"
#include "octconv/base/file.h"
#include "octconv/base/parallel.h"
#include "octconv/engine/profile.h"
#include "timed_arguments.h"
#include "workflow/measure.h"
#include "workflow/profile_report.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string model;
  int threads = 1;
  std::int64_t batch = 1;
  std::int64_t size = 0;
  std::int64_t repeats = 20;
  std::string html;
  CompileArguments compile;
  bool as_is = false;
  bool json = false;
};

void run(const Arguments& arguments) {
  const Model model = load_timed(arguments.model, arguments.as_is);
  const Shape extents = timed_extents(model, arguments.size);
  set_thread_count(arguments.threads);
  const Network network = compile(model, compile_options(arguments.compile, extents));
  const Tensor input = workflow::timed_input(model.graph, arguments.batch, extents);
  const workflow::Profiled profiled{
      .network = network.name(),
      .processor = processor_name(),
      .threads = arguments.threads,
      .batch = arguments.batch,
      .extents = extents,
      .profile = profile(network, std::span(&input, 1), arguments.repeats),
      .limits = workflow::measure_limits(arguments.threads)};
  if (!arguments.html.empty()) write_file(arguments.html, workflow::profile_html(profiled));
  if (arguments.json) {
    std::cout << workflow::profile_json(profiled);
  } else {
    std::cout << workflow::profile_table(profiled).text() << workflow::profile_summary(profiled);
  }
}

}  // namespace

void add_profile(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("profile", "Show where the time of a network goes");
  command->footer("Example: octconv profile octave.onnx --html profile.html");
  command->add_option("model", arguments->model, "ONNX file")->required();
  command->add_option("--threads", arguments->threads, "")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->add_option("--batch", arguments->batch, "images at once")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--size", arguments->size, "height and width; default: the network's own")
      ->check(CLI::PositiveNumber);
  command->add_option("--repeats", arguments->repeats, "runs, of which the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--html", arguments->html, "also write a page with a chart to this file");
  add_compile_options(*command, arguments->compile);
  command->add_flag("--as-is", arguments->as_is, kAsIsHelp);
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
