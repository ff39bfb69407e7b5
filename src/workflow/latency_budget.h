// SPDX-License-Identifier: Apache-2.0
// The alphas, stage by stage, with which a network keeps to a share of its time on this machine.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "octconv/graph/model.h"
#include "octconv/graph/octavize.h"

namespace octconv::workflow {

struct LatencyOptions {
  double budget = 1;  // share of the network's time, in (0, 1]
  int threads = 1;
  std::int64_t rounds = 9;
  bool exact = false;  // no Winograd
};

// Convolutions whose results have the same extents.
struct LatencyStage {
  Shape extents;
  std::int64_t convs = 0;
  double alpha = 0;
  double ordinary_ms = 0;  // of all that works on its values, in the network
  double ms = 0;           // the same in the twin of that alpha everywhere
};

// One alpha for all stages.
struct UniformAlpha {
  double alpha = 0;
  double time_share = 1;
  double macs_share = 1;
};

struct LatencyChoice {
  std::map<std::string, double> layer_alphas;  // for OctavizeOptions
  std::vector<LatencyStage> stages;            // from the finest grid on
  double ordinary_ms = 0;
  double ms = 0;
  double time_share = 1;  // median of the ratios within a round
  double macs_share = 1;
  std::optional<UniformAlpha> uniform;  // the smallest that keeps to the budget, if one does
};

// Profiles the twin of every alpha in eighths up to 7/8, adds up by stage, chooses
// (`choose_alphas`, weights: multiply-adds), times the chosen twin and the network in turns, and
// corrects what it aims at by what came out, until that does not get better. One image of
// `extents`.
//
// `options.alpha` and `options.layer_alphas` are not read. `progress` gets sentence parts.
//
// Throws InvalidArgument for a budget outside (0, 1], a network that has no convolution to make
// octave, or if no choice keeps to the budget: it names the least share that came out.
LatencyChoice meet_latency_budget(const Model& model, const Shape& extents,
                                  const OctavizeOptions& options, const LatencyOptions& latency,
                                  const std::function<void(const std::string&)>& progress);

}  // namespace octconv::workflow
