// SPDX-License-Identifier: Apache-2.0
// The subcommands: each adds itself to the command line, and runs as its callback.
#pragma once

#include <CLI/CLI.hpp>

namespace octconv::tool {

/// Help of `--data`.
inline constexpr const char* kDataHelp =
    "fashion-mnist, mnist, or a folder: the idx files of either, CIFAR's binary files, or pictures "
    "or videos by class in train/ and val/";

/// Help of `--as-is`.
inline constexpr const char* kAsIsHelp =
    "take the operations of the file as they stand: recognise no octave convolutions in them";

/// Thrown by a command whose answer is no: exit code 1 without an error message.
struct Disagreement {};

/// Thrown by a command that has said why it cannot go on.
struct ExitCode {
  int code = 1;
};

void add_bench(CLI::App& app);
void add_compare(CLI::App& app);
void add_cost(CLI::App& app);
void add_decompose(CLI::App& app);
void add_diff(CLI::App& app);
void add_eval(CLI::App& app);
void add_export(CLI::App& app);
void add_inspect(CLI::App& app);
void add_launch(CLI::App& app);
void add_octavize(CLI::App& app);
void add_paper(CLI::App& app);
void add_predict(CLI::App& app);
void add_profile(CLI::App& app);
void add_raise(CLI::App& app);
void add_recipe(CLI::App& app);
void add_report(CLI::App& app);
void add_run(CLI::App& app);
void add_study(CLI::App& app);
void add_train(CLI::App& app);
void add_zoo(CLI::App& app);

}  // namespace octconv::tool
