// SPDX-License-Identifier: Apache-2.0
// Escaping, base64 and numbers against published vectors and plain rules.
#include "report/text.h"

#include <limits>

#include <gtest/gtest.h>

#include "report/number.h"

namespace octconv::report {
namespace {

TEST(Escape, MarkupBecomesText) {
  EXPECT_EQ(escape("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  EXPECT_EQ(escape(""), "");
}

TEST(Escape, ValidUtf8StaysAsItIs) {
  const std::string text = "tab\tline\n \xce\xb1 \xe2\x82\xac \xf0\x9f\x99\x82 \xef\xbf\xbd";
  EXPECT_EQ(escape(text), text);
}

TEST(Escape, WhatXmlForbidsIsReplaced) {
  const std::string mark = "\xef\xbf\xbd";
  EXPECT_EQ(escape(std::string("a\0b", 3)), "a" + mark + "b");
  EXPECT_EQ(escape("\x1b[0m"), mark + "[0m");
  EXPECT_EQ(escape("\xff"), mark);
  EXPECT_EQ(escape("\xc3"), mark);                                   // cut off
  EXPECT_EQ(escape("\xc0\xaf"), mark + mark);                        // overlong
  EXPECT_EQ(escape("\xed\xa0\x80"), mark + mark + mark);             // surrogate
  EXPECT_EQ(escape("\xf4\x90\x80\x80"), mark + mark + mark + mark);  // above U+10FFFF
  EXPECT_EQ(escape("\xef\xbf\xbe"), mark + mark + mark);             // U+FFFE
}

TEST(Base64, EqualsTheVectorsOfRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xfb\xff\xfe"), "+//+");
  EXPECT_EQ(base64(std::string("\0\0", 2)), "AAA=");
}

TEST(Characters, AreCodePoints) {
  EXPECT_EQ(characters("abc"), 3U);
  EXPECT_EQ(characters("\xce\xb1 0.25"), 6U);
}

TEST(Fixed, RoundsAndHasNoNegativeZero) {
  EXPECT_EQ(fixed(0.9146, 2), "0.91");
  EXPECT_EQ(fixed(-0.001, 2), "0.00");
  EXPECT_EQ(fixed(-0.006, 2), "-0.01");
  EXPECT_EQ(fixed(12, 0), "12");
  EXPECT_EQ(fixed(std::numeric_limits<double>::max(), 1).size(), 311U);
}

TEST(Shortest, ReadsBackAsTheSameNumber) {
  EXPECT_EQ(shortest(0), "0");
  EXPECT_EQ(shortest(0.25), "0.25");
  for (const double value :
       {0.1, 1.0 / 3, 1e-300, -123456.789, std::numeric_limits<double>::min()}) {
    EXPECT_EQ(std::stod(shortest(value)), value);
  }
}

TEST(Grouped, SeparatesThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
}

}  // namespace
}  // namespace octconv::report
