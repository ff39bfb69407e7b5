// SPDX-License-Identifier: Apache-2.0
// A network and its octave twins: trained, exported, reloaded, evaluated and timed side by side.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "octconv/graph/octavize.h"
#include "octconv/image/dataset.h"
#include "workflow/evaluate.h"
#include "workflow/frequency_maps.h"
#include "workflow/measure.h"
#include "workflow/predict.h"
#include "workflow/trainer.h"
#include "workflow/training_lines.h"

namespace octconv::workflow {

struct CompareOptions {
  std::string data;            // name or folder
  std::string network;         // of the zoo
  std::vector<double> alphas;  // the first is what the others are compared with
  std::optional<StrideMode> stride_mode;
  TrainingPlan plan;
  std::filesystem::path out;  // folder, made if it is not there
};

// One alpha.
struct Variant {
  double alpha = 0;
  std::filesystem::path file;  // the exported model
  std::int64_t params = 0;
  std::int64_t macs = 0;            // for one image
  std::vector<EpochResult> epochs;  // at least one
  // What the trained module came to in LibTorch, where `evaluation` is what the file comes to.
  [[nodiscard]] double module_accuracy() const { return epochs.back().test_accuracy; }
  Evaluation evaluation;  // of the reloaded file, in the engine
  Timing batch;           // for kTimedBatch images at once
  Timing single;          // for one image
};

inline constexpr std::int64_t kTimedBatch = 32;

// The maps of the first octave variant for one test image.
struct InsideView {
  double alpha = 0;
  std::int64_t image = 0;  // index of the test image
  std::vector<Prediction> predictions;
  std::vector<FrequencyMaps> maps;
};

struct Comparison {
  CompareOptions options;
  std::string data_name;
  std::int64_t train_images = 0;
  std::int64_t test_images = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
  std::int64_t classes = 0;
  int threads = 0;
  std::string processor;
  std::string started;  // UTC, as ISO 8601
  Image picture;        // test image of the inside view
  std::string picture_class;
  std::vector<Variant> variants;
  std::optional<InsideView> inside;
};

// Names of files in the output folder.
inline constexpr const char* kResultsName = "results.json";
inline constexpr const char* kReportName = "report.html";
// "resnet20-alpha0.25.onnx".
std::string variant_file_name(const std::string& network, double alpha);

// Everything that can be refused before minutes of training: no trainer, unknown network or data
// set, alphas that are no fractions, twice the same or impossible for the network, no epoch, a
// folder that cannot be written to. Makes the folder. Returns the opened data set.
Dataset check_compare(const CompareOptions& options);

// Trains every variant, writes OUT/<network>-alpha<a>.onnx, OUT/results.json and OUT/report.html.
// Throws what check_compare throws, before it trains.
Comparison compare(const CompareOptions& options, const Progress& progress);

}  // namespace octconv::workflow
