// SPDX-License-Identifier: Apache-2.0
// octconv predict: what a model sees in pictures.
#include <iostream>
#include <memory>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "octconv/onnx/onnx.h"
#include "report/number.h"
#include "report/table.h"
#include "workflow/predict.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string model;
  std::vector<std::string> pictures;
  std::int64_t top = 5;
  bool json = false;
};

nlohmann::ordered_json to_json(const std::string& picture,
                               const std::vector<workflow::Prediction>& predictions) {
  nlohmann::ordered_json json = {{"file", picture},
                                 {"predictions", nlohmann::ordered_json::array()}};
  for (const workflow::Prediction& prediction : predictions) {
    json["predictions"].push_back({{"class", prediction.index},
                                   {"label", prediction.label},
                                   {"probability", prediction.probability}});
  }
  return json;
}

void print(const std::string& picture, const std::vector<workflow::Prediction>& predictions) {
  constexpr int kPercent = 100;
  report::Table table({{picture, report::Align::kLeft}, {"probability"}});
  for (const workflow::Prediction& prediction : predictions) {
    table.add_row({prediction.label, report::fixed(kPercent * prediction.probability, 2) + " %"});
  }
  std::cout << table.text();
}

void run(const Arguments& arguments) {
  const Model model = load_onnx(arguments.model);
  workflow::Predictor predictor(model, arguments.model);
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < arguments.pictures.size(); ++i) {
    const std::string& picture = arguments.pictures[i];
    const std::vector<workflow::Prediction> predictions =
        predictor.predict(std::filesystem::path(picture), arguments.top);
    if (arguments.json) {
      json.push_back(to_json(picture, predictions));
    } else {
      if (i > 0) std::cout << "\n";
      print(picture, predictions);
    }
  }
  if (arguments.json) {
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  }
}

}  // namespace

void add_predict(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("predict", "Name what is in pictures");
  command->footer("Example: octconv predict out/resnet20-alpha0.25.onnx shoe.png --top 3");
  command->add_option("model", arguments->model, "an ONNX file")->required();
  command
      ->add_option("image", arguments->pictures,
                   "pictures (JPEG, PNG, ...); resized to the model's size")
      ->required();
  command->add_option("--top", arguments->top, "how many classes to name; default 5")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
