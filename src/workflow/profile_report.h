// SPDX-License-Identifier: Apache-2.0
// A network's profile as people and programs read it.
#pragma once

#include <cstdint>
#include <string>

#include "octconv/engine/profile.h"
#include "report/table.h"
#include "workflow/limits.h"

namespace octconv::workflow {

struct Profiled {
  std::string network;
  std::string processor;
  int threads = 1;
  std::int64_t batch = 1;
  Shape extents;
  NetworkProfile profile;
  MachineLimits limits;
};

// Time that a step or a network needs at least: its multiply-adds at the machine's peak, or its
// bytes at its bandwidth, whichever takes longer (Williams et al., "Roofline", 2009). A method with
// fewer multiplies than multiply-adds are counted may need less.
double roofline_ns(std::int64_t macs, std::int64_t bytes, const MachineLimits& limits);

report::Table profile_table(const Profiled& profiled);
// The whole network: time, rate, shares of the limits.
std::string profile_summary(const Profiled& profiled);
std::string profile_json(const Profiled& profiled);
std::string profile_html(const Profiled& profiled);

}  // namespace octconv::workflow
