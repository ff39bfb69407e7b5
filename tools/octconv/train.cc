// SPDX-License-Identifier: Apache-2.0
// octconv train: trains a network of the zoo, or its octave twin, on a data set.
#include "commands.h"

#ifdef OCTCONV_WITH_TORCH

#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/image/dataset.h"
#include "octconv/onnx/onnx.h"
#include "octconv/train/recipe.h"
#include "octconv/train/trainer.h"
#include "progress.h"
#include "report/number.h"
#include "report/table.h"

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
  std::string recipe;
  OpenOptions opening;
  train::TrainOptions training;
  // Whether the command line says something that only one crop, or one schedule, heeds.
  bool shifts = false;
  bool steps = false;
  // Puts what the command line says of training into other options.
  std::vector<std::function<void(train::TrainOptions&)>> given;
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
  const NetworkOptions network{
      .in_channels = data.train.channels,
      .classes = static_cast<std::int64_t>(data.classes.size()),
      .zero_gamma = arguments.zero_gamma ||
                    (!arguments.recipe.empty() && train::find_recipe(arguments.recipe).zero_gamma)};
  return octavize(make_network(arguments.model, network), options).graph;
}

// As options of the command.
void print(const train::Recipe& recipe) {
  const train::TrainOptions& o = recipe.options;
  std::cout << recipe.name << ": " << recipe.summary << "\n\noctconv train --epochs " << o.epochs
            << " --batch-size " << o.batch_size << " --accumulate " << o.accumulate
            << " --learning-rate " << o.learning_rate << " --momentum " << o.momentum
            << " --weight-decay " << o.weight_decay << " --schedule "
            << train::to_string(o.schedule) << " --warmup-epochs " << o.warmup_epochs
            << " --label-smoothing " << o.label_smoothing << " --mixup " << o.mixup
            << " --mixup-off-epochs " << o.mixup_off_epochs << " --dropout " << o.dropout
            << " --clip-norm " << o.clip_norm << " --average-decay " << o.average_decay
            << " --colour-jitter " << o.colour_jitter << " --colour-noise " << o.colour_noise;
  if (!o.no_weight_decay_on_norm) std::cout << " --decay-norm";
  if (o.crop) std::cout << " --crop " << train::to_string(*o.crop);
  if (!o.flip) std::cout << " --no-flip";
  if (recipe.zero_gamma) std::cout << " --zero-gamma";
  std::cout << "\n\n";
  for (const std::string& note : recipe.notes) std::cout << "- " << note << "\n";
}

// Where the time of steps went.
void print(const train::TrainResult& result) {
  report::Table table(
      {{"part of a step", report::Align::kLeft}, {"operations"}, {"ms"}, {"% of a step"}});
  const auto steps = static_cast<double>(result.steps);
  double all = 0;
  for (const train::StepTime& part : result.step_times) all += part.seconds;
  for (const train::StepTime& part : result.step_times) {
    table.add_row({part.name,
                   part.calls == 0 ? "" : report::fixed(static_cast<double>(part.calls) / steps, 0),
                   report::fixed(1e3 * part.seconds / steps, 2),
                   report::fixed(100 * part.seconds / all, 1)});
  }
  table.add_row({"a step (mean of " + std::to_string(result.steps) + ")", "",
                 report::fixed(1e3 * all / steps, 2), "100.0"});
  std::cout << table.text();
}

void run(const Arguments& arguments) {
  train::TrainOptions options = arguments.recipe.empty()
                                    ? train::TrainOptions{}
                                    : train::find_recipe(arguments.recipe).options;
  for (const auto& take : arguments.given) take(options);
  train::check(options);
  if (const std::string why = train::bfloat16_obstacle(); options.bfloat16 && !why.empty()) {
    throw Unsupported("--bfloat16: " + why);
  }
  if (arguments.steps && options.schedule != train::Schedule::kStep) {
    throw InvalidArgument("--step-epochs and --step-factor are for --schedule step, and it is " +
                          std::string(train::to_string(options.schedule)));
  }
  options.world = train::world_from([](const char* name) { return std::getenv(name); });
  const bool first = options.world.rank == 0;
  if (first && !options.resume && std::filesystem::exists(options.folder / "checkpoint.pt")) {
    throw InvalidArgument(
        "'" + options.folder.string() +
        "' holds a training already; continue it with --resume or name another folder");
  }
  const Dataset data = open_dataset(arguments.data, arguments.opening);
  const train::Crop usual = data.train.are_files() ? train::Crop::kResized : train::Crop::kShift;
  if (arguments.shifts && options.crop.value_or(usual) != train::Crop::kShift) {
    throw InvalidArgument("--crop-padding is for --crop shift, and images are cropped by " +
                          std::string(train::to_string(options.crop.value_or(usual))));
  }
  const bool trained_on = is_file(arguments.model);
  std::ostringstream title;
  title << arguments.model;
  if (!trained_on) title << " alpha " << arguments.alpha;
  // Of several processes one shows and writes what all of them do.
  std::optional<ProgressDisplay> display;
  if (first) display.emplace(title.str());
  train::Observer* const observer = first ? &*display : nullptr;
  const train::TrainResult result =
      trained_on ? train::train(load_onnx(arguments.model), data, options, observer)
                 : train::train(chosen_network(arguments, data), data, options, observer);
  if (!first) return;
  if (options.profile && result.steps > 0) print(result);
  const std::filesystem::path file = options.folder / "model.onnx";
  save_onnx(file, result.model, {.extents = result.model.preprocessing.extents});
  const train::EpochRecord& last = result.history.back();
  std::cout << title.str() << ": test accuracy " << 100 * last.test_accuracy << " % after "
            << result.history.size() << " epochs on " << result.train_images << " images\n"
            << "model: " << file.string() << "\n";
  if (result.best) {
    const std::filesystem::path best = options.folder / "best.onnx";
    save_onnx(best, *result.best, {.extents = result.best->preprocessing.extents});
    const auto& record = result.history[static_cast<std::size_t>(result.best_epoch - 1)];
    std::cout << "best: " << best.string() << ", " << 100 * record.test_accuracy
              << " % after epoch " << result.best_epoch << "\n";
  }
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
  command->add_option("--size", arguments->opening.size,
                      "height and width of images from files; 0: 224");
  command->add_option("--frames", arguments->opening.frames, "of a clip of a video; 0: 8");
  command->add_option("--frame-stride", arguments->opening.frame_stride,
                      "frames of a video from one of a clip to the next; 0: 8");
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
  command->add_option("--recipe", arguments->recipe,
                      "how to train, by name (`octconv recipe`); options beside it win");
  // An option of training: where it is given, it wins over a recipe.
  const auto wins = [&](CLI::Option* option, auto take) {
    arguments->given.push_back([option, take, own = arguments.get()](train::TrainOptions& options) {
      if (option->count() > 0) take(options, *own);
    });
    return option;
  };
  const auto number = [&](const char* name, auto train::TrainOptions::*member, const char* help) {
    return wins(command->add_option(name, training.*member, help),
                [member](train::TrainOptions& options, const Arguments& own) {
                  options.*member = own.training.*member;
                });
  };
  using Options = train::TrainOptions;
  number("--epochs", &Options::epochs, "passes over the training images");
  number("--batch-size", &Options::batch_size, "images of a batch");
  number("--accumulate", &Options::accumulate, "batches of a step");
  number("--learning-rate", &Options::learning_rate, "at its highest");
  number("--momentum", &Options::momentum, "Nesterov momentum");
  number("--weight-decay", &Options::weight_decay, "on weights");
  wins(command->add_flag("--decay-norm", arguments->decay_norm,
                         "weight decay also on batch norm and biases"),
       [](Options& options, const Arguments& own) {
         options.no_weight_decay_on_norm = !own.decay_norm;
       });
  number("--label-smoothing", &Options::label_smoothing,
         "share of the target spread over all classes");
  wins(command->add_option("--schedule", arguments->schedule,
                           "of the learning rate: cosine, onecycle, step or constant"),
       [](Options& options, const Arguments& own) {
         options.schedule = train::parse_schedule(own.schedule);
       });
  number("--warmup-epochs", &Options::warmup_epochs, "epochs in which the learning rate rises");
  CLI::Option* const step_epochs =
      wins(command
               ->add_option("--step-epochs", training.step_epochs,
                            "epochs before each change of the rate, of --schedule step")
               ->delimiter(','),
           [](Options& options, const Arguments& own) {
             options.step_epochs = own.training.step_epochs;
           });
  CLI::Option* const step_factor =
      number("--step-factor", &Options::step_factor, "of each change of the rate");
  const std::array<CLI::Option*, 2> step_options{step_epochs, step_factor};
  number("--clip-norm", &Options::clip_norm, "largest norm of all gradients; 0: any");
  number("--dropout", &Options::dropout, "share of the last layer's inputs set to 0");
  number("--mixup", &Options::mixup, "images are blended in pairs, as Beta(mixup, mixup) says");
  number("--mixup-off-epochs", &Options::mixup_off_epochs, "last epochs without mixup");
  number("--average-decay", &Options::average_decay,
         "of a moving average of the weights, which is tested and kept; 0: none");
  CLI::Option* const crop = command->add_option(
      "--crop", arguments->crop,
      "shift, or resized: a random part of random size and shape; default: resized for picture "
      "files, shift for others");
  wins(crop,
       [](Options& options, const Arguments& own) { options.crop = train::parse_crop(own.crop); });
  CLI::Option* const padding = number("--crop-padding", &Options::crop_padding,
                                      "pixels by which training images are shifted at most");
  wins(command->add_flag("--no-flip", arguments->no_flip, "do not mirror training images"),
       [](Options& options, const Arguments& own) { options.flip = !own.no_flip; });
  number("--colour-jitter", &Options::colour_jitter,
         "strength of random brightness, contrast and saturation, 0 to 1");
  number("--colour-noise", &Options::colour_noise,
         "strength of random shifts along the colours' principal components");
  number("--seed", &Options::seed, "of weights, order and augmentation");
  number("--threads", &Options::threads, "0: one per processor");
  number("--workers", &Options::workers,
         "threads that decode and vary images; 0: as many as threads");
  wins(command->add_flag("--sync-batch-norm", training.sync_batch_norm,
                         "batch norm takes the statistics of all processes' images together"),
       [](Options& options, const Arguments& own) {
         options.sync_batch_norm = own.training.sync_batch_norm;
       });
  wins(command->add_flag("--composed", training.composed,
                         "convolutions run as LibTorch's own operations"),
       [](Options& options, const Arguments& own) { options.composed = own.training.composed; });
  wins(command->add_flag("--bfloat16", training.bfloat16,
                         "convolutions run in bfloat16, for processors with instructions for it"),
       [](Options& options, const Arguments& own) { options.bfloat16 = own.training.bfloat16; });
  wins(command->add_flag("--checkpoint-blocks", training.checkpoint_blocks,
                         "blocks are computed again instead of kept for gradients: less memory"),
       [](Options& options, const Arguments& own) {
         options.checkpoint_blocks = own.training.checkpoint_blocks;
       });
  wins(command->add_flag("--profile", training.profile,
                         "say at the end where the time of steps went"),
       [](Options& options, const Arguments& own) { options.profile = own.training.profile; });
  number("--timeout", &Options::timeout, "seconds to wait for another process");
  number("--train-images", &Options::train_images, "train on so many of the images; 0: all");
  number("--keep", &Options::keep,
         "epochs whose checkpoints are kept, beside that of the best one");
  number("--checkpoint-steps", &Options::checkpoint_steps,
         "a checkpoint also after every so many steps of an epoch; 0: after epochs only");
  number("--out", &Options::folder, "folder for checkpoint.pt and model.onnx")->required();
  wins(command->add_flag("--resume", training.resume, "continue the training in the folder"),
       [](Options& options, const Arguments& own) { options.resume = own.training.resume; });
  command->callback([arguments, of_new_networks, padding, step_options] {
    arguments->shifts = padding->count() > 0;
    arguments->steps = step_options[0]->count() + step_options[1]->count() > 0;
    for (const CLI::Option* option : of_new_networks) {
      if (is_file(arguments->model) && option->count() > 0) {
        throw CLI::ValidationError(option->get_name(),
                                   "is for new networks, and '" + arguments->model + "' is a file");
      }
    }
    run(*arguments);
  });
}

void add_recipe(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("recipe", "Show a named way of training: `octconv train --recipe NAME`");
  command->footer("Example: octconv recipe paper-ablation");
  command->add_option("name", *name, "of a recipe; none: all are listed");
  command->callback([name] {
    if (!name->empty()) {
      print(train::find_recipe(*name));
      return;
    }
    for (const train::Recipe& recipe : train::recipes()) {
      std::cout << recipe.name << ": " << recipe.summary << "\n";
    }
  });
}

}  // namespace octconv::tool

#else

#include <string>

#include "octconv/base/error.h"

namespace octconv::tool {

namespace {

void refuse(CLI::App& app, const std::string& name) {
  CLI::App* command =
      app.add_subcommand(name, "About training (this octconv was built without LibTorch)");
  command->allow_extras();
  command->callback([name] {
    throw Unsupported(name + ": this octconv was built without LibTorch (OCTCONV_WITH_TORCH)");
  });
}

}  // namespace

void add_train(CLI::App& app) {
  refuse(app, "train");
}

void add_recipe(CLI::App& app) {
  refuse(app, "recipe");
}

}  // namespace octconv::tool

#endif
