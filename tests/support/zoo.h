// SPDX-License-Identifier: Apache-2.0
// The zoo as test parameters.
#pragma once

#include <cstdlib>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "octconv/graph/zoo.h"

namespace octconv {

inline void PrintTo(const ZooEntry& entry, std::ostream* out) {
  *out << entry.name;
}

inline std::string name_of(const testing::TestParamInfo<ZooEntry>& info) {
  return std::string(info.param.name);
}

// Whether the networks that differ from others in depth only, and take many seconds each, are
// tested in full too: scripts/check-all.sh asks for it.
inline bool tests_everything() {
  return std::getenv("OCTCONV_TEST_EVERYTHING") != nullptr;
}

}  // namespace octconv
