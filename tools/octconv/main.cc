// SPDX-License-Identifier: Apache-2.0
// The octconv command. Exit code 0: done; 1: it could not be done, or `diff` found a
// difference; 2: wrong usage.
#include <exception>
#include <iostream>

#include "commands.h"
#include "octconv/base/error.h"
#include "octconv/base/version.h"

namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

int fail(const char* what) {
  std::cerr << "error: " << what << "\n";
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Octave convolution: count, train, convert and run networks that keep a part of their "
      "channels "
      "at half resolution."};
  app.name("octconv");
  app.set_version_flag("--version", "octconv " OCTCONV_VERSION);
  app.require_subcommand(1);
  octconv::tool::add_zoo(app);
  octconv::tool::add_cost(app);
  octconv::tool::add_paper(app);
  octconv::tool::add_train(app);
  octconv::tool::add_launch(app);
  octconv::tool::add_export(app);
  octconv::tool::add_octavize(app);
  octconv::tool::add_inspect(app);
  octconv::tool::add_compare(app);
  octconv::tool::add_eval(app);
  octconv::tool::add_predict(app);
  octconv::tool::add_raise(app);
  octconv::tool::add_recipe(app);
  octconv::tool::add_report(app);
  octconv::tool::add_study(app);
  octconv::tool::add_decompose(app);
  octconv::tool::add_run(app);
  octconv::tool::add_diff(app);
  octconv::tool::add_profile(app);
  octconv::tool::add_bench(app);
  int result = 0;
  try {
    app.parse(argc, argv);
  } catch (const octconv::tool::Disagreement&) {
    result = kFailed;
  } catch (const octconv::tool::ExitCode& exit) {
    return exit.code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  } catch (const octconv::Error& error) {
    return fail(error.what());
  } catch (const std::bad_alloc&) {
    return fail("out of memory");
  } catch (const std::exception& error) {
    return fail(error.what());
  }
  std::cout.flush();
  if (!std::cout) return fail("cannot write to standard output");
  return result;
}
