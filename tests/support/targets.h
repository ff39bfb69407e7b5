// SPDX-License-Identifier: Apache-2.0
// Running a test for every instruction set that this build has and this processor knows.
#pragma once

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#ifdef OCTCONV_SKIPPED_TARGETS
#define HWY_DISABLED_TARGETS OCTCONV_SKIPPED_TARGETS
#endif
#include <hwy/targets.h>

namespace octconv::testing {

/// A test with the instruction set as its parameter: INSTANTIATE_TEST_SUITE_P(Targets, MyTest,
/// all_targets(), target_name).
class TargetTest : public ::testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

inline auto all_targets() {
  return ::testing::ValuesIn(hwy::SupportedAndGeneratedTargets());
}

inline std::string target_name(const ::testing::TestParamInfo<std::int64_t>& target) {
  return hwy::TargetName(target.param);
}

}  // namespace octconv::testing
