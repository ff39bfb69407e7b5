// SPDX-License-Identifier: Apache-2.0
// octconv decompose: the two frequencies of a picture, or inside a network.
#include <iostream>
#include <memory>

#include "commands.h"
#include "octconv/onnx/onnx.h"
#include "report/number.h"
#include "report/table.h"
#include "workflow/decompose.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string picture;
  std::string out;
  std::string upsample = "nearest";
  std::string model;
  std::string layer;
  bool json = false;
};

std::string percent(double share) {
  return report::fixed(100 * share, 2) + " %";
}

void print(const workflow::Decomposed& decomposed, const std::filesystem::path& folder) {
  report::Table table({{"part", report::Align::kLeft}, {"channels"}, {"size"}, {"energy"}});
  for (const workflow::Decomposed::Part& part : decomposed.parts) {
    const double share = part.name == "low"    ? decomposed.low_share
                         : part.name == "high" ? decomposed.high_share
                                               : 1;
    table.add_row({part.name, std::to_string(part.channels),
                   std::to_string(part.height) + " x " + std::to_string(part.width),
                   percent(share)});
  }
  std::cout << table.text();
  if (decomposed.fine_share) {
    std::cout << percent(*decomposed.fine_share)
              << " of the high channels' energy is finer than the low grid\n";
  }
  for (const workflow::Decomposed::File& file : decomposed.files) {
    std::cout << (folder / file.name).string() << "\n";
  }
}

void run(const Arguments& arguments) {
  const workflow::Decomposed decomposed =
      arguments.model.empty()
          ? workflow::decompose_picture(arguments.picture, parse_upsample(arguments.upsample))
          : workflow::decompose_layer(load_onnx(arguments.model), arguments.model, arguments.layer,
                                      arguments.picture);
  workflow::write(decomposed, arguments.out);
  if (arguments.json) {
    std::cout << workflow::to_json(decomposed);
  } else {
    print(decomposed, arguments.out);
  }
}

}  // namespace

void add_decompose(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "decompose", "Show the low and high frequencies of a picture, or inside a network");
  command->footer("Example: octconv decompose photo.jpg --out parts");
  command->add_option("image", arguments->picture, "a picture (JPEG, PNG, ...)")->required();
  command
      ->add_option("--out", arguments->out,
                   "folder for the pictures, the chart and summary.json; made if need be")
      ->required();
  CLI::Option* upsample =
      command
          ->add_option("--upsample", arguments->upsample,
                       "how the low grid comes back to full size: nearest or bilinear")
          ->capture_default_str();
  CLI::Option* model = command
                           ->add_option("--model", arguments->model,
                                        "an ONNX file: show the channels of one of its layers")
                           ->excludes(upsample);
  CLI::Option* layer =
      command->add_option("--layer", arguments->layer, "name of the layer")->needs(model);
  model->needs(layer);
  command->add_flag("--json", arguments->json, "print summary.json instead of the table");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
