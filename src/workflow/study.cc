// SPDX-License-Identifier: Apache-2.0
#include "workflow/study.h"

#include <map>
#include <optional>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/zoo.h"
#include "octconv/onnx/onnx.h"
#include "workflow/json_lines.h"
#include "workflow/study_report.h"

namespace octconv::workflow {
namespace {

using Json = nlohmann::json;
using RunKey = std::pair<std::string, std::uint64_t>;  // variant and seed
using Runs = std::map<RunKey, StudyRun>;

Graph graph_of(const StudyVariant& variant, const Dataset& data) {
  return octavize(make_network(variant.network,
                               {.in_channels = data.train.channels,
                                .classes = static_cast<std::int64_t>(data.classes.size()),
                                .zero_gamma = variant.zero_gamma}),
                  variant.octave)
      .graph;
}

// All that the result of a run depends on, but for its seed.
Json settings_of(const StudyVariant& variant, const Dataset& data) {
  Json train = Json::object();
  for (const auto& [name, value] : variant.train) train[name] = Json::parse(value);
  const OctavizeOptions& octave = variant.octave;
  Json settings{{"data", data.name},
                {"height", data.train.height},
                {"width", data.train.width},
                {"network", variant.network},
                {"alpha", octave.alpha},
                {"stride_mode", octave.stride_mode ? Json(to_string(*octave.stride_mode)) : Json()},
                {"exchange", to_string(octave.exchange)},
                {"downsample", to_string(octave.downsample)},
                {"low_to_high", to_string(octave.low_to_high)},
                {"zero_gamma", variant.zero_gamma},
                {"train", train}};
  if (data.train.are_clips()) {
    settings["frames"] = data.train.frames;
    settings["frame_stride"] = data.train.frame_stride;
  }
  return settings;
}

struct Changed {
  std::string name;  // "train/epochs"
  std::string before;
  std::string now;
};

// The first setting that is not the same.
std::optional<Changed> difference(const Json& before, const Json& now) {
  const Json old_members = before.flatten();
  const Json new_members = now.flatten();
  const auto show = [](const Json& members, const std::string& name) {
    const auto found = members.find(name);
    return found == members.end() || found->is_null() ? std::string("unset") : found->dump();
  };
  Json names = old_members;
  names.update(new_members);
  for (const auto& [name, value] : names.items()) {
    Changed changed{
        .name = name, .before = show(old_members, name), .now = show(new_members, name)};
    if (changed.before == changed.now) continue;
    changed.name.erase(0, 1);  // the first slash
    return changed;
  }
  return std::nullopt;
}

std::string line_of(const StudyRun& run, const Json& settings) {
  const nlohmann::ordered_json line{
      {"variant", run.variant},   {"seed", run.seed},
      {"accuracy", run.accuracy}, {"top5_accuracy", run.top5_accuracy},
      {"loss", run.loss},         {"train_loss", run.train_loss},
      {"epochs", run.epochs},     {"seconds", run.seconds},
      {"macs", run.macs},         {"params", run.params},
      {"settings", settings}};
  return line.dump() + "\n";
}

StudyRun run_from(const JsonLine& line) {
  const nlohmann::json& seed = line.member("seed");
  if (!seed.is_number_unsigned()) line.fail("'seed' is no seed");
  return {.variant = line.text("variant"),
          .seed = seed.get<std::uint64_t>(),
          .accuracy = line.number("accuracy"),
          .top5_accuracy = line.number("top5_accuracy"),
          .loss = line.number("loss"),
          .train_loss = line.number("train_loss"),
          .epochs = line.whole("epochs"),
          .seconds = line.number("seconds"),
          .macs = line.whole("macs"),
          .params = line.whole("params")};
}

// Of a line that was being written when the machine stopped nothing is left.
void drop_torn_line(const std::filesystem::path& file) {
  std::string text = read_file(file);
  if (text.empty() || text.back() == '\n') return;
  const std::size_t end = text.rfind('\n');
  write_file(file, text.substr(0, end == std::string::npos ? 0 : end + 1));
}

class Driver {
 public:
  Driver(const Study& study, const StudyPlace& place, const Progress& progress)
      : study_(study), place_(place), folder_(place.folder), progress_(progress) {}

  StudyResult run() {
    prepare();
    const std::size_t all = study_.seeds.size() * study_.variants.size();
    std::size_t position = 0;
    for (const std::uint64_t seed : study_.seeds) {
      for (std::size_t i = 0; i < study_.variants.size(); ++i) {
        ++position;
        const StudyVariant& variant = study_.variants[i];
        if (runs_.contains({variant.name, seed})) continue;
        const std::string who = variant.name + ", seed " + std::to_string(seed) + " (" +
                                std::to_string(position) + " of " + std::to_string(all) + ")";
        StudyRun finished = train(i, seed, who);
        append_to_file(folder_ / kStudyResults, line_of(finished, settings_[i]));
        runs_.emplace(RunKey{variant.name, seed}, std::move(finished));
        write_report();
      }
    }
    write_report();
    return result();
  }

 private:
  // Everything that can be refused before hours of training.
  void prepare() {
    if (const std::string obstacle = training_obstacle(); !obstacle.empty()) {
      throw Unsupported("study: " + obstacle);
    }
    data_ = open_dataset(study_.data, study_.opening);
    for (const StudyVariant& variant : study_.variants) {
      try {
        epochs_.push_back(check_training(training_of(variant)));
        const std::vector<std::int64_t> extents = data_.train.extents();
        costs_.push_back(cost(graph_of(variant, data_), Shape(std::span(extents))));
      } catch (const Error& error) {
        throw InvalidArgument("study: variant '" + variant.name + "': " + error.what());
      }
      settings_.push_back(settings_of(variant, data_));
    }
    make_folder(folder_);
    read_results();
  }

  [[nodiscard]] NamedTraining training_of(const StudyVariant& variant) const {
    return {.options = variant.train, .checkpoint_steps = place_.checkpoint_steps};
  }

  void read_results() {
    const std::filesystem::path file = folder_ / kStudyResults;
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return;
    drop_torn_line(file);
    for (const JsonLine& line : read_json_lines(file)) {
      StudyRun run = run_from(line);
      const Json& settings = line.member("settings");
      if (!settings.is_object()) line.fail("'settings' is no object");
      const RunKey key{run.variant, run.seed};
      for (std::size_t i = 0; i < study_.variants.size(); ++i) {
        if (study_.variants[i].name != run.variant) continue;
        const std::optional<Changed> other = difference(settings, settings_[i]);
        if (!other) continue;
        throw InvalidArgument(line.where() + ": variant '" + run.variant + "' was trained with " +
                              other->name + " " + other->before + ", now " + other->now +
                              "; name another folder, or remove the line and '" +
                              (folder_ / run_folder(run.variant, run.seed)).string() + "'");
      }
      if (!runs_.emplace(key, std::move(run)).second) {
        line.fail("variant '" + key.first + "', seed " + std::to_string(key.second) +
                  " is there already");
      }
    }
  }

  StudyRun train(std::size_t index, std::uint64_t seed, const std::string& who) {
    const StudyVariant& variant = study_.variants[index];
    const std::filesystem::path folder = folder_ / run_folder(variant.name, seed);
    std::error_code error;
    const bool begun = std::filesystem::exists(folder / "checkpoint.pt", error);
    progress_(who + (begun ? ": going on from its checkpoint" : ": begins"));
    try {
      NamedTraining training = training_of(variant);
      training.seed = seed;
      training.folder = folder;
      training.resume = begun;
      const TrainingResult trained = train_network(graph_of(variant, data_), data_, training,
                                                   tell_lines(who, epochs_[index], progress_));
      save_onnx(folder / "model.onnx", trained.model,
                {.extents = trained.model.preprocessing.extents});
      const EpochResult& last = trained.epochs.back();
      StudyRun run{.variant = variant.name,
                   .seed = seed,
                   .accuracy = last.test_accuracy,
                   .top5_accuracy = last.test_top5_accuracy,
                   .loss = last.test_loss,
                   .train_loss = last.train_loss,
                   .epochs = last.epoch,
                   .macs = costs_[index].macs,
                   .params = costs_[index].params};
      for (const EpochResult& epoch : trained.epochs) run.seconds += epoch.seconds;
      return run;
    } catch (const Error& failure) {
      throw Error("study: variant '" + variant.name + "', seed " + std::to_string(seed) + ": " +
                  failure.what());
    }
  }

  [[nodiscard]] StudyResult result() const {
    StudyResult result{.study = study_, .data_name = data_.name};
    for (const StudyVariant& variant : study_.variants) {
      for (const std::uint64_t seed : study_.seeds) {
        const auto found = runs_.find({variant.name, seed});
        if (found != runs_.end()) result.runs.push_back(found->second);
      }
    }
    return result;
  }

  void write_report() const {
    const StudyResult so_far = result();
    write_file(folder_ / kStudyTable, study_table(so_far).text());
    write_file(folder_ / kStudyPage, study_html(so_far));
  }

  const Study& study_;
  const StudyPlace& place_;
  const std::filesystem::path& folder_;
  const Progress& progress_;
  Dataset data_;
  std::vector<std::int64_t> epochs_;  // of each variant, as the next
  std::vector<Cost> costs_;
  std::vector<Json> settings_;
  Runs runs_;
};

}  // namespace

StudyResult run_study(const Study& study, const StudyPlace& place, const Progress& progress) {
  return Driver(study, place, progress).run();
}

}  // namespace octconv::workflow
