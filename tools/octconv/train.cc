// SPDX-License-Identifier: Apache-2.0
// octconv train: trains a network of the zoo, or its octave twin, on a data set.
#include "commands.h"

#ifdef OCTCONV_WITH_TORCH

#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/image/dataset.h"
#include "octconv/onnx/onnx.h"
#include "octconv/train/trainer.h"
#include "progress.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string data = "fashion-mnist";
  std::string model = "resnet20";
  double alpha = 0;
  std::string stride_mode;
  std::string exchange = "both";
  std::string downsample = "average";
  std::string low_to_high = "conv_then_upsample";
  std::string schedule{train::to_string(train::TrainOptions{}.schedule)};
  bool zero_gamma = false;
  bool decay_norm = false;
  bool no_flip = false;
  std::string crop;
  std::int64_t size = 0;
  train::TrainOptions training;
};

bool is_file(const std::string& model) {
  return std::filesystem::path(model).extension() == ".onnx";
}

Graph chosen_network(const Arguments& arguments, const Dataset& data) {
  OctavizeOptions options{.alpha = arguments.alpha,
                          .exchange = parse_exchange(arguments.exchange),
                          .downsample = parse_downsample(arguments.downsample),
                          .low_to_high = parse_low_to_high(arguments.low_to_high)};
  if (!arguments.stride_mode.empty())
    options.stride_mode = parse_stride_mode(arguments.stride_mode);
  const NetworkOptions network{.in_channels = data.train.channels,
                               .classes = static_cast<std::int64_t>(data.classes.size()),
                               .zero_gamma = arguments.zero_gamma};
  return octavize(make_network(arguments.model, network), options).graph;
}

void run(const Arguments& arguments) {
  train::TrainOptions options = arguments.training;
  options.schedule = train::parse_schedule(arguments.schedule);
  options.no_weight_decay_on_norm = !arguments.decay_norm;
  options.flip = !arguments.no_flip;
  if (!arguments.crop.empty()) options.crop = train::parse_crop(arguments.crop);
  train::check(options);
  if (!options.resume && std::filesystem::exists(options.folder / "checkpoint.pt")) {
    throw InvalidArgument(
        "'" + options.folder.string() +
        "' holds a training already; continue it with --resume or name another folder");
  }
  const Dataset data = open_dataset(arguments.data, {.size = arguments.size});
  const bool trained_on = is_file(arguments.model);
  std::ostringstream title;
  title << arguments.model;
  if (!trained_on) title << " alpha " << arguments.alpha;
  ProgressDisplay display(title.str());
  const train::TrainResult result =
      trained_on ? train::train(load_onnx(arguments.model), data, options, &display)
                 : train::train(chosen_network(arguments, data), data, options, &display);
  const std::filesystem::path file = options.folder / "model.onnx";
  save_onnx(file, result.model, {.extents = result.model.preprocessing.extents});
  const train::EpochRecord& last = result.history.back();
  std::cout << title.str() << ": test accuracy " << 100 * last.test_accuracy << " % after "
            << result.history.size() << " epochs on " << result.train_images << " images\n"
            << "model: " << file.string() << "\n";
}

}  // namespace

void add_train(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  train::TrainOptions& training = arguments->training;
  CLI::App* command =
      app.add_subcommand("train", "Train a network, or its octave twin, on labelled images");
  command->footer(
      "Example: octconv train --model resnet20 --alpha 0.25 --epochs 10 --out run\n"
      "         octconv train --model resnet20 --alpha 0.25 --epochs 10 --out run --resume\n"
      "         octconv train --model octave.onnx --epochs 1 --learning-rate 0.02 --out tuned");
  command->option_defaults()->always_capture_default();
  command->add_option("--data", arguments->data, kDataHelp);
  command->add_option("--size", arguments->size,
                      "height and width of images from picture files; 0: 224");
  command->add_option("--model", arguments->model,
                      "name from `octconv zoo`, or an ONNX file to train on from");
  // What a file says itself.
  const std::vector<CLI::Option*> of_new_networks{
      command->add_option("--alpha", arguments->alpha,
                          "fraction of channels at half resolution, 0 to 1"),
      command->add_option(
          "--stride-mode", arguments->stride_mode,
          "pool, pool_twice, pool_low or strided; default: the family's own where alpha > 0"),
      command->add_option("--exchange", arguments->exchange,
                          "both, high_to_low, low_to_high or none"),
      command->add_option("--downsample", arguments->downsample,
                          "how high comes to the low grid: average, max or strided_conv"),
      command->add_option("--low-to-high", arguments->low_to_high,
                          "conv_then_upsample or upsample_then_conv"),
      command->add_flag("--zero-gamma", arguments->zero_gamma,
                        "start with residual branches closed: scale 0 in their last batch norm")};
  command->add_option("--epochs", training.epochs, "passes over the training images");
  command->add_option("--batch-size", training.batch_size, "images a step");
  command->add_option("--learning-rate", training.learning_rate, "at its highest");
  command->add_option("--momentum", training.momentum, "Nesterov momentum");
  command->add_option("--weight-decay", training.weight_decay, "on weights");
  command->add_flag("--decay-norm", arguments->decay_norm,
                    "weight decay also on batch norm and biases");
  command->add_option("--label-smoothing", training.label_smoothing,
                      "share of the target spread over all classes");
  command->add_option("--schedule", arguments->schedule,
                      "of the learning rate: cosine, onecycle or constant");
  command->add_option("--warmup-epochs", training.warmup_epochs,
                      "epochs in which the learning rate rises");
  CLI::Option* const crop = command->add_option(
      "--crop", arguments->crop,
      "shift, or resized: a random part of random size and shape; default: resized for picture "
      "files, shift for others");
  CLI::Option* const padding =
      command->add_option("--crop-padding", training.crop_padding,
                          "pixels by which training images are shifted at most");
  command->add_flag("--no-flip", arguments->no_flip, "do not mirror training images");
  command->add_option("--seed", training.seed, "of weights, order and augmentation");
  command->add_option("--threads", training.threads, "0: one per processor");
  command->add_option("--workers", training.workers,
                      "threads that decode and vary images; 0: as many as threads");
  command->add_option("--train-images", training.train_images,
                      "train on so many of the images; 0: all");
  command->add_option("--out", training.folder, "folder for checkpoint.pt and model.onnx")
      ->required();
  command->add_flag("--resume", training.resume, "continue the training in the folder");
  command->callback([arguments, of_new_networks, crop, padding] {
    if (padding->count() > 0 && crop->count() > 0 && arguments->crop == "resized") {
      throw CLI::ValidationError("--crop-padding", "is for --crop shift");
    }
    for (const CLI::Option* option : of_new_networks) {
      if (is_file(arguments->model) && option->count() > 0) {
        throw CLI::ValidationError(option->get_name(),
                                   "is for new networks, and '" + arguments->model + "' is a file");
      }
    }
    run(*arguments);
  });
}

}  // namespace octconv::tool

#else

#include "octconv/base/error.h"

namespace octconv::tool {

void add_train(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("train", "Train a network (this octconv was built without LibTorch)");
  command->allow_extras();
  command->callback([] {
    throw Unsupported("train: this octconv was built without LibTorch (OCTCONV_WITH_TORCH)");
  });
}

}  // namespace octconv::tool

#endif
