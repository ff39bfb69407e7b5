// SPDX-License-Identifier: Apache-2.0
// The trainer of a build without LibTorch.
#include "octconv/base/error.h"
#include "workflow/trainer.h"

namespace octconv::workflow {

std::string training_obstacle() {
  return "this octconv was built without LibTorch (OCTCONV_WITH_TORCH=OFF) and cannot train";
}

void check_plan(const TrainingPlan& /*plan*/) {
  throw Unsupported(training_obstacle());
}

TrainingResult train_network(const Graph& /*graph*/, const Dataset& /*data*/,
                             const TrainingPlan& /*plan*/, const TrainingListener& /*listener*/) {
  throw Unsupported(training_obstacle());
}

std::int64_t check_training(const NamedTraining& /*training*/) {
  throw Unsupported(training_obstacle());
}

TrainingResult train_network(const Graph& /*graph*/, const Dataset& /*data*/,
                             const NamedTraining& /*training*/,
                             const TrainingListener& /*listener*/) {
  throw Unsupported(training_obstacle());
}

}  // namespace octconv::workflow
