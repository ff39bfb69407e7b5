// SPDX-License-Identifier: Apache-2.0
#include "workflow/latency_budget.h"

#include <algorithm>
#include <span>
#include <utility>
#include <variant>

#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/engine/profile.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/permute.h"
#include "report/number.h"
#include "workflow/alpha_choice.h"
#include "workflow/measure.h"

namespace octconv::workflow {
namespace {

constexpr int kSteps = 8;               // alphas are eighths
constexpr double kTighter = 0.97;       // where what is aimed at gave a choice that was too slow
constexpr int kTries = 8;               // corrections of what is aimed at
constexpr std::size_t kMostStages = 6;  // all choices are tried: 8 to the power of the stages
constexpr double kProbe = 0.5;          // an alpha that shows which values can be octave
constexpr double kNsPerMs = 1e6;
constexpr std::size_t kNoStage = static_cast<std::size_t>(-1);

// Values by stage: tied ones are in one, and so are those on one grid.
struct Staging {
  std::vector<LatencyStage> stages;
  std::vector<std::size_t> stage_of;               // by node; kNoStage: ordinary
  std::vector<std::vector<std::string>> convs_of;  // by stage, those that choose
};

bool finer(const Shape& a, const Shape& b) {
  std::int64_t of_a = 1;
  std::int64_t of_b = 1;
  for (const std::int64_t extent : a) of_a *= extent;
  for (const std::int64_t extent : b) of_b *= extent;
  return of_a > of_b;
}

Staging find_stages(const Graph& twin, const Shape& extents) {
  std::vector<TiedValues> ties;
  static_cast<void>(number_channels(twin, [&](const TiedValues& values) {
    if (values.low > 0) ties.push_back(values);
    return order_by_score(values, {});
  }));
  const std::vector<ValueShape> shapes = infer_shapes(twin, 1, extents);
  Staging staging{.stages = {},
                  .stage_of = std::vector<std::size_t>(twin.nodes().size(), kNoStage),
                  .convs_of = {}};
  const auto grid_of = [&](const TiedValues& tied) {
    return shapes[static_cast<std::size_t>(tied.nodes.front())].high;
  };
  std::stable_sort(ties.begin(), ties.end(), [&](const TiedValues& a, const TiedValues& b) {
    return finer(grid_of(a), grid_of(b));
  });
  for (const TiedValues& tied : ties) {
    const Shape grid = grid_of(tied);
    // Beyond the most stages, the coarsest grids share one.
    if (staging.stages.empty() ||
        (staging.stages.back().extents != grid && staging.stages.size() < kMostStages)) {
      staging.stages.push_back({.extents = grid});
      staging.convs_of.emplace_back();
    }
    for (const NodeId id : tied.nodes) {
      staging.stage_of[static_cast<std::size_t>(id)] = staging.stages.size() - 1;
      if (!std::holds_alternative<Conv>(twin.node(id).op)) continue;
      staging.convs_of.back().push_back(twin.node(id).name);
      ++staging.stages.back().convs;
    }
  }
  // What concatenations add up to.
  for (std::size_t id = 0; id < shapes.size(); ++id) {
    if (shapes[id].channels.low == 0 || staging.stage_of[id] != kNoStage) continue;
    const auto same =
        std::find_if(staging.stages.begin(), staging.stages.end(),
                     [&](const LatencyStage& stage) { return stage.extents == shapes[id].high; });
    if (same != staging.stages.end())
      staging.stage_of[id] = static_cast<std::size_t>(same - staging.stages.begin());
  }
  return staging;
}

// The stage whose alpha changes a step the most: that of its value, or of what it reads.
std::size_t stage_of_step(const Graph& graph, const Staging& staging, const StepProfile& step) {
  const NodeId id = graph.find(step.name);
  if (id < 0) return kNoStage;
  const std::size_t own = staging.stage_of[static_cast<std::size_t>(id)];
  if (own != kNoStage) return own;
  for (const NodeId input : graph.node(id).inputs) {
    const std::size_t read = staging.stage_of[static_cast<std::size_t>(input)];
    if (read != kNoStage) return read;
  }
  return kNoStage;
}

class Budget {
 public:
  Budget(const Model& model, const Shape& extents, OctavizeOptions options,
         const LatencyOptions& latency, const std::function<void(const std::string&)>& progress)
      : model_(model),
        extents_(extents),
        options_(std::move(options)),
        latency_(latency),
        progress_(progress),
        macs_(cost(model.graph, extents).macs),
        ordinary_(compile(model, compile_options())),
        input_(timed_input(model.graph, 1, extents)) {
    for (int step = 0; step < kSteps; ++step) alphas_.push_back(static_cast<double>(step) / kSteps);
    options_.layer_alphas.clear();
    staging_ = find_stages(twin_of(kProbe, {}).graph, extents);
    if (staging_.stages.empty())
      throw InvalidArgument("network '" + model.graph.name() +
                            "' has no convolution whose result can be octave");
  }

  LatencyChoice run() {
    profile_alphas();
    double aim = latency_.budget * ordinary_steps_ns_;
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const auto choice = choose_alphas(alphas_, stages_, aim - fixed_ns_);
      if (!choice) break;
      if (std::find(tried_.begin(), tried_.end(), *choice) == tried_.end()) {
        aim *= latency_.budget / try_out(*choice);
      } else if (!best_) {
        aim *= kTighter;
      } else {
        break;
      }
    }
    if (!best_) try_uniform();
    if (!best_) {
      throw InvalidArgument("network '" + model_.graph.name() +
                            "': no alphas keep to a latency budget of " +
                            report::shortest(latency_.budget) + " on this machine; the least is " +
                            report::fixed(least_, 3));
    }
    return *std::move(best_);
  }

 private:
  [[nodiscard]] CompileOptions compile_options() const {
    return {.extents = extents_, .exact = latency_.exact};
  }

  [[nodiscard]] Model twin_of(double alpha, std::map<std::string, double> layer_alphas) const {
    OctavizeOptions options = options_;
    options.alpha = alpha;
    options.layer_alphas = std::move(layer_alphas);
    return make_twin(model_, options).model;
  }

  static double sum(const NetworkProfile& profile) {
    double ns = 0;
    for (const StepProfile& step : profile.steps) ns += step.median_ns;
    return ns;
  }

  // Time of every stage under every alpha; what no stage has is the same under all.
  void profile_alphas() {
    stages_.assign(staging_.stages.size(),
                   {.ns = std::vector<double>(alphas_.size(), 0), .weight = 0});
    for (std::size_t i = 0; i < alphas_.size(); ++i) {
      progress_("timing alpha " + report::shortest(alphas_[i]));
      const std::optional<Model> made =
          alphas_[i] == 0 ? std::nullopt : std::optional(twin_of(alphas_[i], {}));
      const Model& twin = made ? *made : model_;
      const NetworkProfile profiled = profile(made ? compile(twin, compile_options()) : ordinary_,
                                              std::span(&input_, 1), latency_.rounds);
      if (!made) {
        ordinary_steps_ns_ = sum(profiled);
        ordinary_run_ns_ = profiled.run_ns;
      }
      for (const StepProfile& step : profiled.steps) {
        const std::size_t stage = stage_of_step(twin.graph, staging_, step);
        if (stage == kNoStage) {
          fixed_ns_ += step.median_ns / static_cast<double>(alphas_.size());
          continue;
        }
        stages_[stage].ns[i] += step.median_ns;
        if (i == 0)
          stages_[stage].weight += static_cast<double>(step.macs) / static_cast<double>(macs_);
      }
      const double share = profiled.run_ns / ordinary_run_ns_;
      const std::int64_t macs = cost(twin.graph, extents_).macs;
      uniforms_.push_back({.alpha = alphas_[i],
                           .time_share = share,
                           .macs_share = static_cast<double>(macs) / static_cast<double>(macs_)});
      least_ = std::min(least_, share);
    }
  }

  // Times a choice, keeps it if it is the best so far, and returns its share of the time.
  double try_out(const std::vector<std::size_t>& choice) {
    tried_.push_back(choice);
    LatencyChoice timed = time(choice);
    const double share = timed.time_share;
    progress_("alphas " + written(choice) + " take " + report::fixed(share, 3) + " of the time");
    least_ = std::min(least_, share);
    const double loss = alpha_loss(alphas_, stages_, choice);
    if (share <= latency_.budget && (!best_ || loss < best_loss_)) {
      best_loss_ = loss;
      best_ = std::move(timed);
    }
    return share;
  }

  // Times of stages do not add up exactly; what was profiled whole may do.
  void try_uniform() {
    for (std::size_t i = 0; i < alphas_.size() && !best_; ++i) {
      if (uniforms_[i].time_share <= latency_.budget)
        try_out(std::vector<std::size_t>(stages_.size(), i));
    }
  }

  LatencyChoice time(const std::vector<std::size_t>& choice) {
    LatencyChoice timed{.layer_alphas = {}, .stages = staging_.stages};
    bool octave = false;
    for (std::size_t stage = 0; stage < choice.size(); ++stage) {
      const double alpha = alphas_[choice[stage]];
      octave = octave || alpha > 0;
      timed.stages[stage].alpha = alpha;
      timed.stages[stage].ordinary_ms = stages_[stage].ns.front() / kNsPerMs;
      timed.stages[stage].ms = stages_[stage].ns[choice[stage]] / kNsPerMs;
      for (const std::string& name : staging_.convs_of[stage]) timed.layer_alphas[name] = alpha;
    }
    const std::optional<Model> made =
        octave ? std::optional(twin_of(0, timed.layer_alphas)) : std::nullopt;
    const Model& twin = made ? *made : model_;
    timed.macs_share =
        static_cast<double>(cost(twin.graph, extents_).macs) / static_cast<double>(macs_);
    Session ordinary(ordinary_);
    Session chosen(octave ? compile(twin, compile_options()) : ordinary_);
    Tensor output;
    const std::vector<Timing> timings = measure_in_turns(
        {[&] { ordinary.run(input_, output); }, [&] { chosen.run(input_, output); }},
        latency_.rounds);
    timed.ordinary_ms = timings[0].median_ns / kNsPerMs;
    timed.ms = timings[1].median_ns / kNsPerMs;
    timed.time_share = octave ? timings[1].ratio : 1;
    const auto uniform =
        std::find_if(uniforms_.begin(), uniforms_.end(),
                     [&](const UniformAlpha& each) { return each.time_share <= latency_.budget; });
    if (uniform != uniforms_.end()) timed.uniform = *uniform;
    return timed;
  }

  [[nodiscard]] std::string written(const std::vector<std::size_t>& choice) const {
    std::string text;
    for (const std::size_t number : choice)
      text += (text.empty() ? "" : ", ") + report::shortest(alphas_[number]);
    return text;
  }

  const Model& model_;
  const Shape& extents_;
  OctavizeOptions options_;
  const LatencyOptions& latency_;
  const std::function<void(const std::string&)>& progress_;
  std::int64_t macs_;
  Network ordinary_;
  Tensor input_;
  std::vector<double> alphas_;
  Staging staging_;
  double ordinary_steps_ns_ = 0;        // its steps one by one
  double ordinary_run_ns_ = 0;          // and whole
  std::vector<UniformAlpha> uniforms_;  // by alpha
  std::vector<StageTimes> stages_;
  double fixed_ns_ = 0;
  std::vector<std::vector<std::size_t>> tried_;
  std::optional<LatencyChoice> best_;
  double best_loss_ = 0;
  double least_ = 1;  // share of the time that came out
};

}  // namespace

LatencyChoice meet_latency_budget(const Model& model, const Shape& extents,
                                  const OctavizeOptions& options, const LatencyOptions& latency,
                                  const std::function<void(const std::string&)>& progress) {
  if (!(latency.budget > 0 && latency.budget <= 1))
    throw InvalidArgument("a latency budget must be in (0, 1], got " +
                          report::shortest(latency.budget));
  if (model.graph.inputs().size() != 1)
    throw Unsupported("network '" + model.graph.name() + "' has " +
                      std::to_string(model.graph.inputs().size()) +
                      " inputs; networks of one are timed");
  set_thread_count(latency.threads);
  return Budget(model, extents, options, latency, progress).run();
}

}  // namespace octconv::workflow
