// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/recipe.h"

#include "octconv/base/error.h"
#include "octconv/base/text.h"

namespace octconv::train {
namespace {

// What the authors' script for ImageNet does unless it is told otherwise
// (facebookresearch/OctConv), for as long and in such batches as GluonCV's ResNets are trained.
TrainOptions of_the_script() {
  TrainOptions options;
  options.epochs = 120;
  options.batch_size = 128;
  options.accumulate = 8;
  options.learning_rate = 0.4;
  options.momentum = 0.9;
  options.weight_decay = 1e-4;
  options.no_weight_decay_on_norm = false;
  options.schedule = Schedule::kCosine;
  options.warmup_epochs = 5;
  options.crop = Crop::kResized;
  options.flip = true;
  options.colour_jitter = 0.4;
  options.colour_noise = 0.1;
  return options;
}

constexpr const char* kScript =
    "Rate, schedule, warm-up, momentum, weight decay, crop, mirror and colours: README and "
    "train_imagenet.py of facebookresearch/OctConv.";

Recipe ablation() {
  return {.name = "paper-ablation",
          .summary = "the networks of figure 4 and tables 2 and 3 (ResNet to DenseNet)",
          .notes = {kScript,
                    "Epochs and batch: the article does not say; the authors refer to "
                    "GluonCV, whose ResNets take 120 epochs and 8 x 128 images.",
                    "Whether they decayed batch norm is not known; their script does unless "
                    "it is told otherwise."},
          .options = of_the_script()};
}

Recipe mobilenet() {
  Recipe recipe{
      .name = "paper-mobilenet",
      .summary = "the MobileNets of table 5",
      .notes = {kScript,
                "Label smoothing for MobileNet v2: the article, section 4.1; for v1, epochs, "
                "batch and no decay of batch norm: GluonCV, to which the authors refer.",
                "GluonCV trains MobileNet v2 for 480 epochs of 4 x 40 images with another "
                "schedule; the authors write of a cosine from 0.4 for their networks."},
      .options = of_the_script()};
  recipe.options.no_weight_decay_on_norm = true;
  recipe.options.label_smoothing = 0.1;
  return recipe;
}

Recipe resnet152() {
  Recipe recipe{
      .name = "paper-resnet152",
      .summary = "the ResNet-152 of table 7",
      .notes = {kScript,
                "Label smoothing and mixup: the article, section 4.1, and the script's "
                "numbers for them.",
                "Rate, epochs, batch, closed residual branches and no decay of batch norm: "
                "GluonCV's ResNet-152 v1d with mixup, to which the authors refer."},
      .options = of_the_script(),
      .zero_gamma = true};
  recipe.options.learning_rate = 0.1;
  recipe.options.epochs = 200;
  recipe.options.batch_size = 32;
  recipe.options.no_weight_decay_on_norm = true;
  recipe.options.label_smoothing = 0.1;
  recipe.options.mixup = 0.2;
  return recipe;
}

}  // namespace

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all{ablation(), mobilenet(), resnet152()};
  return all;
}

const Recipe& find_recipe(std::string_view name) {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return recipe;
    names.push_back(recipe.name);
  }
  throw InvalidArgument("unknown recipe '" + std::string(name) + "'; known are " +
                        join(names, ", "));
}

}  // namespace octconv::train
