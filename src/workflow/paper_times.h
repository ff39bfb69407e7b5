// SPDX-License-Identifier: Apache-2.0
// The article's times on a CPU beside those of this machine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workflow/paper_tables.h"

namespace octconv::workflow {

struct PaperTimingOptions {
  int threads = 1;  // the article's figures are of one
  std::int64_t rounds = 15;
  bool exact = false;  // no Winograd
};

// A network under one alpha: one image of 224 x 224 in octconv's engine, random weights.
struct MeasuredNetwork {
  std::string_view label;  // the article's name for it, or the zoo's where the article has no time
  std::string_view network;
  double alpha = 0;
  double ms = 0;          // median
  double time_share = 1;  // of alpha 0, median of the ratios within a round
  std::int64_t macs = 0;
  double macs_share = 1;          // of alpha 0
  std::int64_t memory_bytes = 0;  // of activations and scratch together, weights apart
  double memory_share = 1;        // of alpha 0
  std::optional<double> published_ms;
  std::optional<double> published_share;  // of the article's time for alpha 0, if there is one

  // The speed-up over alpha 0, as a share of what the multiply-adds promise.
  [[nodiscard]] double saving_share() const { return macs_share / time_share; }
};

struct TimedTable {
  const PaperTable* table = nullptr;
  std::vector<MeasuredNetwork> networks;  // those of a family begin with alpha 0
};

// Whether the article prints times in the table.
bool has_times(const PaperTable& table);

// Times all networks of a family (one network, alpha 0 and the table's alphas) in turns.
// `progress` gets a sentence part before each family. Requires has_times(table).
TimedTable measure_times(const PaperTable& table, const PaperTimingOptions& options,
                         const std::function<void(const std::string&)>& progress);

}  // namespace octconv::workflow
