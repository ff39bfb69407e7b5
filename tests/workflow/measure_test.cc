// SPDX-License-Identifier: Apache-2.0
// Measuring in turns. What it measures is not tested: the machine decides that.
#include "workflow/measure.h"

#include <gmock/gmock.h>

#include "base/processor.h"
#include "octconv/base/error.h"

namespace octconv::workflow {
namespace {

TEST(Median, IsTheMiddleOfTheSortedValues) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 4}), 4);
  EXPECT_EQ(median({8, 1, 2, 100}), 5);
}

TEST(MeasureInTurns, RunsEveryBodyOnceARoundAfterOneToWarmUp) {
  std::string order;
  const std::vector<Timing> timings =
      measure_in_turns({[&] { order += 'a'; }, [&] { order += 'b'; }, [&] { order += 'c'; }}, 3);
  EXPECT_EQ(order, "abcabcabcabc");
  ASSERT_EQ(timings.size(), 3U);
  EXPECT_EQ(timings[0].ratio, 1);
}

TEST(MeasureInTurns, NeedsARound) {
  EXPECT_THROW(measure_in_turns({[] {}}, 0), InvalidArgument);
}

TEST(ProcessorName, IsOneLine) {
  const std::string name = processor_name();
  EXPECT_NE(name, "");
  EXPECT_EQ(name.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace octconv::workflow
