// SPDX-License-Identifier: Apache-2.0
// The drawing of a square of shares: a cell for each that is not 0, named, of its strength.
#include "report/matrix.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "report/xml.h"

namespace octconv::report {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

Matrix sample() {
  return {.title = "t < u",
          .rows = "is",
          .columns = "taken for",
          .labels = {"cat & mouse", "dog"},
          .shares = {{0.75, 0.25}, {0, 1}}};
}

TEST(Matrix, HasACellForEachShareThatIsNot0) {
  expect_xml(
      to_svg(sample()),
      "ns = \"{http://www.w3.org/2000/svg}\"\n"
      "cells = [e for e in root.iter(ns + \"rect\") if e.get(\"class\") == \"cell\"]\n"
      "found = [(e.find(ns + \"title\").text, float(e.get(\"fill-opacity\"))) for e in cells]\n"
      "assert found == [(\"cat & mouse, cat & mouse: 75.0 %\", 0.75),\n"
      "                 (\"cat & mouse, dog: 25.0 %\", 0.25), (\"dog, dog: 100.0 %\", 1)], found\n"
      "x, y = ([float(e.get(n)) for e in cells] for n in \"xy\")\n"
      "assert x[0] < x[1] == x[2] and y[0] == y[1] < y[2], (x, y)\n"
      "side = float(cells[0].get(\"width\"))\n"
      "assert x[1] - x[0] == y[2] - y[0] == side == float(cells[0].get(\"height\"))\n");
}

TEST(Matrix, HasNamesAndNumbers) {
  expect_xml(
      to_svg(sample()),
      "texts = [e.text for e in root.iter(\"{http://www.w3.org/2000/svg}text\")]\n"
      "for text, count in [(\"t < u\", 1), (\"is\", 1), (\"taken for\", 1),\n"
      "                    (\"cat & mouse\", 2), (\"dog\", 2), (\"75.0\", 1), (\"100.0\", 1)]:\n"
      "  assert texts.count(text) == count, (text, texts)\n");
}

TEST(Matrix, ManyClassesHaveCellsAlone) {
  constexpr std::size_t kCount = 400;
  Matrix matrix{.labels = std::vector<std::string>(kCount, "name"),
                .shares = std::vector(kCount, std::vector<double>(kCount))};
  for (std::size_t i = 0; i < kCount; ++i) matrix.shares[i][i] = 0.5;
  const std::string svg = to_svg(matrix);
  EXPECT_THAT(svg, Not(HasSubstr(">name<")));
  EXPECT_THAT(svg, Not(HasSubstr(">50.0<")));
  EXPECT_THAT(svg, HasSubstr("name, name: 50.0 %"));
  EXPECT_LT(svg.size(), 200 * kCount);  // nothing for the 159,600 that are 0
}

TEST(Matrix, LongNamesAreCutBetweenCharacters) {
  Matrix matrix = sample();
  std::string name;
  for (int i = 0; i < 30; ++i) name += "\xc3\xa4";  // a umlaut
  matrix.labels[0] = name;
  expect_xml(to_svg(matrix),
             "texts = [e.text for e in root.iter(\"{http://www.w3.org/2000/svg}text\")]\n"
             "assert texts.count(23 * \"\\u00e4\" + \"\\u2026\") == 2, texts\n");
}

TEST(Matrix, RefusesWhatIsNoSquareOfShares) {
  const auto refuses = [](const Matrix& matrix, const std::string& why) {
    EXPECT_THAT([&] { static_cast<void>(to_svg(matrix)); },
                ThrowsMessage<InvalidArgument>("matrix 't < u' " + why));
  };
  Matrix matrix = sample();
  matrix.shares.pop_back();
  refuses(matrix, "has 2 labels and 1 rows");
  matrix = sample();
  matrix.shares[1].push_back(0);
  refuses(matrix, "has 2 labels, and row 'dog' has 3 columns");
  matrix = sample();
  matrix.shares[0][1] = 1.5;
  refuses(matrix, "has 1.5 in row 'cat & mouse'");
  matrix.shares[0][1] = std::numeric_limits<double>::quiet_NaN();
  refuses(matrix, "has nan in row 'cat & mouse'");
  refuses({.title = "t < u"}, "has no labels");
}

}  // namespace
}  // namespace octconv::report
