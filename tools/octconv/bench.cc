// SPDX-License-Identifier: Apache-2.0
// octconv bench: how long networks take in octconv's engine.
#include <cstdint>
#include <deque>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "compile_arguments.h"
#include "octconv/base/parallel.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "report/number.h"
#include "report/table.h"
#include "timed_arguments.h"
#include "workflow/measure.h"

namespace octconv::tool {
namespace {

using report::fixed;

struct Arguments {
  std::vector<std::string> models;
  std::vector<int> threads{1};
  std::vector<std::int64_t> batches{1};
  std::vector<std::int64_t> sizes{0};
  std::int64_t rounds = 20;
  CompileArguments compile;
  bool as_is = false;
  bool json = false;
};

// One model under one set of circumstances.
struct Configuration {
  std::string model;
  int threads = 1;
  std::int64_t batch = 1;
  Shape extents;
  std::int64_t macs = 0;  // of all images
  std::size_t first = 0;  // the configuration of the first model under the same circumstances
  Tensor input;
  Tensor output;
  Session session;
};

// Model by model, so that those of the first come first.
std::deque<Configuration> configure(const Arguments& arguments) {
  std::deque<Configuration> all;
  set_thread_count(arguments.threads.front());  // for which --measure measures
  const std::size_t each =
      arguments.sizes.size() * arguments.batches.size() * arguments.threads.size();
  for (const std::string& path : arguments.models) {
    const Model model = load_timed(path, arguments.as_is);
    for (const std::int64_t size : arguments.sizes) {
      const Shape extents = timed_extents(model, size);
      const Network network = compile(model, compile_options(arguments.compile, extents));
      const std::int64_t macs = cost(model.graph, extents).macs;
      for (const std::int64_t batch : arguments.batches) {
        for (const int threads : arguments.threads) {
          all.push_back({.model = path,
                         .threads = threads,
                         .batch = batch,
                         .extents = extents,
                         .macs = batch * macs,
                         .first = all.size() % each,
                         .input = workflow::timed_input(model.graph, batch, extents),
                         .output = {},
                         .session = Session(network)});
        }
      }
    }
  }
  return all;
}

void print(const std::deque<Configuration>& all, const std::vector<workflow::Timing>& timings) {
  report::Table table({{"model", report::Align::kLeft},
                       {"size"},
                       {"batch"},
                       {"threads"},
                       {"ms"},
                       {"least ms"},
                       {"ms per image"},
                       {"GFLOP/s"},
                       {"time / first model's"},
                       {"multiply-adds / first model's"}});
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Configuration& one = all[i];
    const double ns = timings[i].median_ns;
    const Configuration& first = all[one.first];
    table.add_row({one.model, one.extents.to_string(), std::to_string(one.batch),
                   std::to_string(one.threads), fixed(ns / 1e6, 3),
                   fixed(timings[i].least_ns / 1e6, 3),
                   fixed(ns / 1e6 / static_cast<double>(one.batch), 3),
                   fixed(2 * static_cast<double>(one.macs) / ns, 1),
                   fixed(ns / timings[one.first].median_ns, 3),
                   fixed(static_cast<double>(one.macs) / static_cast<double>(first.macs), 3)});
  }
  std::cout << table.text();
}

void print_json(const std::deque<Configuration>& all,
                const std::vector<workflow::Timing>& timings) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Configuration& one = all[i];
    json.push_back({{"model", one.model},
                    {"size", std::vector<std::int64_t>(one.extents.begin(), one.extents.end())},
                    {"threads", one.threads},
                    {"batch", one.batch},
                    {"median_ms", timings[i].median_ns / 1e6},
                    {"min_ms", timings[i].least_ns / 1e6},
                    {"macs", one.macs},
                    {"gflops", 2 * static_cast<double>(one.macs) / timings[i].median_ns}});
  }
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void run(const Arguments& arguments) {
  std::deque<Configuration> all = configure(arguments);
  std::vector<std::function<void()>> bodies;
  for (Configuration& one : all) {
    bodies.emplace_back([&one] {
      set_thread_count(one.threads);
      one.session.run(one.input, one.output);
    });
  }
  const std::vector<workflow::Timing> timings =
      workflow::measure_in_turns(bodies, arguments.rounds);
  if (arguments.json) {
    print_json(all, timings);
  } else {
    print(all, timings);
  }
}

}  // namespace

void add_bench(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("bench", "Measure how long networks take");
  command->footer("Example: octconv bench resnet18.onnx octave.onnx --threads 1,2 --batch 1,8");
  command
      ->add_option("models", arguments->models,
                   "ONNX files; the first is what others are compared with")
      ->required();
  command->add_option("--threads", arguments->threads, "numbers of threads")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->add_option("--batch", arguments->batches, "numbers of images at once")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--size", arguments->sizes,
                   "heights, each also the width; default: the network's own")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command->add_option("--rounds", arguments->rounds, "runs of each, in turns; the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  add_compile_options(*command, arguments->compile);
  command->add_flag("--as-is", arguments->as_is, kAsIsHelp);
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
