// SPDX-License-Identifier: Apache-2.0
// octconv eval: how well a model does on a data set's test images or videos.
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "octconv/base/file.h"
#include "octconv/base/parallel.h"
#include "octconv/image/dataset.h"
#include "octconv/onnx/onnx.h"
#include "report/number.h"
#include "workflow/evaluate_report.h"

namespace octconv::tool {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string model;
  std::string data;
  std::int64_t images = 0;
  std::vector<std::int64_t> sizes;
  std::int64_t views = 0;
  std::int64_t frame_stride = 0;
  bool per_class = false;
  std::string confusion;
  int threads = 0;
  bool json = false;
};

Json to_json(const workflow::DetailedEvaluation& result) {
  Json json = {{"images", result.total.images},
               {"accuracy", result.total.top1()},
               {"top5_accuracy", result.total.top5()},
               {"loss", result.total.loss},
               {"height", result.height},
               {"width", result.width},
               {"macs", result.macs}};
  if (result.frames > 0) {
    json["frames"] = result.frames;
    json["frame_stride"] = result.frame_stride;
    json["views"] = result.views;
  }
  return json;
}

Json classes_json(const workflow::DetailedEvaluation& result, const Dataset& data) {
  const std::size_t count = data.classes.size();
  Json classes = Json::array();
  for (std::size_t label = 0; label < count; ++label) {
    const workflow::Evaluation& own = result.classes[label];
    const auto row = result.taken_for.begin() + static_cast<std::ptrdiff_t>(label * count);
    // The accuracy of no images is null.
    classes.push_back({{"class", data.classes[label]},
                       {"images", own.images},
                       {"accuracy", own.top1()},
                       {"top5_accuracy", own.top5()},
                       {"loss", own.images == 0 ? Json() : Json(own.loss)},
                       {"taken_for", std::vector(row, row + static_cast<std::ptrdiff_t>(count))}});
  }
  return classes;
}

void print_json(const Arguments& arguments, const Dataset& data,
                const std::vector<workflow::DetailedEvaluation>& results) {
  Json json = {{"model", arguments.model}, {"data", data.name}};
  if (arguments.sizes.empty()) {
    json.update(to_json(results.front()));
  } else {
    json["sizes"] = Json::array();
    for (const workflow::DetailedEvaluation& result : results) {
      json["sizes"].push_back(to_json(result));
    }
  }
  if (arguments.per_class) json["classes"] = classes_json(results.front(), data);
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
}

void print(const Arguments& arguments, const Dataset& data,
           const std::vector<workflow::DetailedEvaluation>& results) {
  constexpr int kPercent = 100;
  std::cout << arguments.model << " on " << data.name << "\n";
  if (arguments.sizes.empty()) {
    const workflow::Evaluation& total = results.front().total;
    const auto share = [&](std::int64_t correct, double part) {
      return report::fixed(kPercent * part, 2) + " % (" + std::to_string(correct) + " of " +
             std::to_string(total.images) + ")";
    };
    std::cout << "  accuracy  " << share(total.top1_correct, total.top1()) << "\n"
              << "  top 5     " << share(total.top5_correct, total.top5()) << "\n"
              << "  loss      " << report::fixed(total.loss, 4) << "\n";
  } else {
    std::cout << workflow::size_table(results).text();
  }
  if (arguments.per_class) {
    std::cout << "\n" << workflow::class_table(results.front(), data.classes).text();
  }
}

// ".png" or ".html".
std::string ending(const std::string& file) {
  return std::filesystem::path(file).extension().string();
}

void check_usage(const Arguments& arguments) {
  if (!arguments.confusion.empty() && ending(arguments.confusion) != ".png" &&
      ending(arguments.confusion) != ".html") {
    throw CLI::ValidationError("--confusion",
                               "writes .png or .html, not '" + arguments.confusion + "'");
  }
  if (arguments.sizes.size() <= 1) return;
  const std::string several =
      "is for one size, and --size names " + std::to_string(arguments.sizes.size());
  if (arguments.per_class) throw CLI::ValidationError("--per-class", several);
  if (!arguments.confusion.empty()) throw CLI::ValidationError("--confusion", several);
}

void run(const Arguments& arguments) {
  check_usage(arguments);
  if (arguments.threads != 0) set_thread_count(arguments.threads);
  const Model model = load_onnx(arguments.model);
  const Dataset data = open_dataset(arguments.data);
  std::vector<workflow::DetailedEvaluation> results;
  for (const std::int64_t size :
       arguments.sizes.empty() ? std::vector<std::int64_t>{0} : arguments.sizes) {
    results.push_back(workflow::evaluate_in_detail(model, arguments.model, data,
                                                   {.images = arguments.images,
                                                    .size = size,
                                                    .views = arguments.views,
                                                    .frame_stride = arguments.frame_stride}));
  }
  if (ending(arguments.confusion) == ".png") {
    write_file(arguments.confusion, encode_png(workflow::confusion_image(results.front())));
  } else if (!arguments.confusion.empty()) {
    write_file(arguments.confusion,
               workflow::confusion_html(results.front(), arguments.model, data));
  }
  if (arguments.json) {
    print_json(arguments, data, results);
  } else {
    print(arguments, data, results);
  }
}

}  // namespace

void add_eval(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("eval", "Measure a model's accuracy on a data set's test images");
  command->footer(
      "Example: octconv eval out/resnet20-alpha0.25.onnx --data fashion-mnist\n"
      "         octconv eval resnet50.onnx --data photos --size 224,256,320\n"
      "         octconv eval resnet50.onnx --data photos --per-class --confusion confusion.html\n"
      "         octconv eval i3d.onnx --data videos --size 256 --views 30");
  command->add_option("model", arguments->model, "an ONNX file")->required();
  command->add_option("--data", arguments->data, kDataHelp)->required();
  command->add_option("--images", arguments->images, "only the first so many test images")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--size", arguments->sizes,
                   "heights and widths of the network's input, one after the other; default: the "
                   "model's own")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command
      ->add_option(
          "--views", arguments->views,
          "clips of a video times crops of each, whose answers are averaged: 1, 3 (1 x 3), "
          "10 (10 x 1) or 30 (10 x 3); default: 1")
      ->check(CLI::IsMember({1, 3, 10, 30}));
  command
      ->add_option(
          "--frame-stride", arguments->frame_stride,
          "frames of a video from one of a clip to the next; default: the model's own, or 8 "
          "where it does not say")
      ->check(CLI::PositiveNumber);
  command->add_flag("--per-class", arguments->per_class, "also say how each class does");
  command->add_option("--confusion", arguments->confusion,
                      "also draw what each class is taken for: FILE.png, or FILE.html with names "
                      "and numbers");
  command
      ->add_option("--threads", arguments->threads,
                   "threads of the engine; default: all processors")
      ->check(CLI::PositiveNumber);
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
