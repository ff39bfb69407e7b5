// SPDX-License-Identifier: Apache-2.0
// Helpers for messages.
#include "octconv/base/text.h"

#include <gtest/gtest.h>

namespace octconv {
namespace {

TEST(Join, PutsTheSeparatorBetweenParts) {
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a"}, ", "), "a");
  EXPECT_EQ(join({"a", "b", "c"}, ", "), "a, b, c");
  EXPECT_EQ(join({"", "b", ""}, "-"), "-b-");
}

TEST(NearestName, IsTheOneWithTheFewestEdits) {
  const std::vector<std::string> names = {"resnet20", "resnet50v2", "mobilenet"};
  EXPECT_EQ(nearest_name("resnet2", names), "resnet20");     // one letter missing
  EXPECT_EQ(nearest_name("resnet50", names), "resnet20");    // one replaced, not two missing
  EXPECT_EQ(nearest_name("moblienet", names), "mobilenet");  // two swapped
  EXPECT_EQ(nearest_name("mobilenet", names), "mobilenet");
}

TEST(NearestName, IsEmptyIfNothingIsNear) {
  EXPECT_EQ(nearest_name("vgg", {"resnet20", "mobilenet"}), "");
  EXPECT_EQ(nearest_name("abcd", {"abxy"}), "abxy");  // half of its letters
  EXPECT_EQ(nearest_name("abcd", {"axyz"}), "");      // more than half
  EXPECT_EQ(nearest_name("a", {}), "");
}

TEST(NearestNames, ComeByGrowingDistanceThenInTheirOrder) {
  const std::vector<std::string> names = {"stage2.conv", "stem.conv", "stage1.conv", "x"};
  EXPECT_EQ(nearest_names("stage1.con", names, 2),
            (std::vector<std::string>{"stage1.conv", "stage2.conv"}));
  EXPECT_EQ(nearest_names("stage3.conv", names, 2),
            (std::vector<std::string>{"stage2.conv", "stage1.conv"}));
  EXPECT_EQ(nearest_names("x", names, 9).size(), 4U);
  EXPECT_TRUE(nearest_names("x", {}, 3).empty());
}

}  // namespace
}  // namespace octconv
