// SPDX-License-Identifier: Apache-2.0
// Several networks, each trained with several seeds: what accuracy, and how much it varies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "octconv/graph/octavize.h"
#include "octconv/image/dataset.h"
#include "workflow/trainer.h"
#include "workflow/training_lines.h"

namespace octconv::workflow {

// A network, and how it is trained.
struct StudyVariant {
  std::string name;
  std::string network;  // of the zoo
  OctavizeOptions octave;
  bool zero_gamma = false;
  NamedOptions train;
};

// What a study file says.
struct Study {
  std::string data;     // name or folder
  OpenOptions opening;  // of images and videos from files
  std::vector<std::uint64_t> seeds;
  std::vector<StudyVariant> variants;  // the first is what the others are compared with
};

// Throws FileError if the file cannot be read, and FormatError naming it for what is no JSON (with
// the line), for an unknown or missing member or a value of another type; InvalidArgument naming
// it for a value that nothing can be made of, seeds or names that are listed twice, and names whose
// runs would have the same folder.
Study read_study(const std::filesystem::path& file);
// The same of a file's text; `file` is what errors call it.
Study parse_study(const std::string& text, const std::string& file);

// A training that is finished. Accuracies are those after its last epoch.
struct StudyRun {
  std::string variant;
  std::uint64_t seed = 0;
  double accuracy = 0;
  double top5_accuracy = 0;
  double loss = 0;
  double train_loss = 0;
  std::int64_t epochs = 0;
  double seconds = 0;
  std::int64_t macs = 0;  // for one image
  std::int64_t params = 0;
};

struct StudyResult {
  Study study;
  std::string data_name;
  std::vector<StudyRun> runs;  // those of the study that are finished, in the order of the file
};

// Names of files in the folder of a study.
inline constexpr const char* kStudyResults = "results.jsonl";
inline constexpr const char* kStudyPage = "report.html";
inline constexpr const char* kStudyTable = "report.txt";
// "alpha-0.5-seed1", of the training's checkpoint and model.
std::string run_folder(const std::string& variant, std::uint64_t seed);

// Where a study's runs go, and how often each is made safe.
struct StudyPlace {
  std::filesystem::path folder;
  std::int64_t checkpoint_steps = 0;  // also after so many steps of an epoch; 0: after epochs only
};

// Trains every variant with every seed, one after the other, seed by seed. Each that is finished
// becomes a line of results.jsonl, and page and table are written anew; what the lines say is
// finished is not trained again, and what was stopped goes on from its checkpoint. `progress` is
// told what is being done, one line at a time.
//
// Throws, before it trains, Unsupported in a build that cannot; what open_dataset throws;
// InvalidArgument naming the variant for a network that cannot be made, an unknown option of
// training, or one out of range; FormatError for a line of results.jsonl that is not whole, and
// InvalidArgument for one of a run with other settings than the study's. Error naming the run if a
// training fails.
StudyResult run_study(const Study& study, const StudyPlace& place, const Progress& progress);

}  // namespace octconv::workflow
