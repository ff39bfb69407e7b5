// SPDX-License-Identifier: Apache-2.0
// Charts: well-formed SVG in which everything is where its numbers say.
#include "report/chart.h"

#include <limits>

#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "report/xml.h"

namespace octconv::report {
namespace {

constexpr const char* kSvg = "s = \"{http://www.w3.org/2000/svg}\"\n";

Chart sample() {
  Chart chart{
      .title = "Accuracy & <work>", .x = {.label = "multiply-adds"}, .y = {.label = "accuracy"}};
  chart.series.push_back({"first", Marks::kLine, {{0, 0, "a<b"}, {5, 10, ""}, {10, 5, ""}}});
  chart.series.push_back({"second \"quoted\"", Marks::kPoints, {{5, 5, "middle"}}});
  return chart;
}

TEST(Chart, IsWellFormedAndHoldsItsTexts) {
  expect_xml(to_svg(sample()),
             std::string(kSvg) +
                 "assert root.tag == s + \"svg\"\n"
                 "texts = [t.text for t in root.iter(s + \"text\")]\n"
                 "for text in [\"Accuracy & <work>\", \"multiply-adds\", \"accuracy\", \"first\","
                 " \"second \\\"quoted\\\"\", \"a<b\", \"middle\", \"0\", \"10\"]:\n"
                 "  assert text in texts, (text, texts)\n");
}

TEST(Chart, PointsLieWhereTheAxesSay) {
  // Ticks run from 0 to 10 on both axes, so the point (5, 5) is the middle of the plot's diagonal,
  // and the polyline's corners are its ends.
  expect_xml(
      to_svg(sample()),
      std::string(kSvg) +
          "lines = [l for l in root.iter(s + \"line\") if l.get(\"class\") in (\"grid\", "
          "\"base\")]\n"
          "left = min(float(l.get(\"x1\")) for l in lines)\n"
          "right = max(float(l.get(\"x2\")) for l in lines)\n"
          "across = [float(l.get(\"y1\")) for l in lines if l.get(\"x1\") != l.get(\"x2\")]\n"
          "top, bottom = min(across), max(across)\n"
          "corners = [tuple(map(float, p.split(\",\"))) for p in\n"
          "           root.find(s + \"polyline\").get(\"points\").split()]\n"
          "expected = [(left, bottom), ((left + right) / 2, top), (right, (top + bottom) / 2)]\n"
          "for (x, y), (ex, ey) in zip(corners, expected):\n"
          "  assert abs(x - ex) < 0.2 and abs(y - ey) < 0.2, (corners, expected)\n");
}

TEST(Chart, EqualRatiosAreEquallyLongOnALogarithmicAxis) {
  const Chart chart{.title = "t",
                    .x = {.label = "x", .logarithmic = true},
                    .y = {.label = "y"},
                    .series = {{"s", Marks::kLine, {{1, 0, ""}, {10, 1, ""}, {100, 2, ""}}}}};
  expect_xml(
      to_svg(chart),
      std::string(kSvg) +
          "xs = [float(p.split(\",\")[0]) for p in\n"
          "      root.find(s + \"polyline\").get(\"points\").split()]\n"
          "assert xs[2] - xs[0] > 500 and abs((xs[2] - xs[1]) - (xs[1] - xs[0])) < 0.3, xs\n");
  Chart zero = chart;
  zero.series[0].points[0].x = 0;
  EXPECT_THROW(static_cast<void>(to_svg(zero)), InvalidArgument);
}

TEST(Chart, ALegendNeedsTwoSeries) {
  Chart chart = sample();
  EXPECT_NE(to_svg(chart).find("class=\"legend\""), std::string::npos);
  chart.series.pop_back();
  EXPECT_EQ(to_svg(chart).find("class=\"legend\""), std::string::npos);
}

TEST(Chart, PlainLinesHaveNoMarkersUnlessTheyAreAPoint) {
  const auto markers = [](Marks marks, const std::vector<Point>& points) {
    const std::string svg =
        to_svg({.title = "t", .series = {{"s", marks, points}}, .width = 300, .height = 300});
    return svg.find("class=\"marker\"") != std::string::npos;
  };
  EXPECT_TRUE(markers(Marks::kLine, {{0, 0, ""}, {1, 1, ""}}));
  EXPECT_FALSE(markers(Marks::kPlainLine, {{0, 0, ""}, {1, 1, ""}}));
  EXPECT_TRUE(markers(Marks::kPlainLine, {{0, 0, ""}}));
}

TEST(Chart, OnePointAndManySeriesAreFine) {
  Chart chart{.title = "t", .x = {"epoch", true}, .y = {"loss"}};
  for (int i = 0; i < 30; ++i) {
    chart.series.push_back({"alpha " + std::to_string(i), Marks::kLine, {{1, 0.5, "label"}}});
  }
  expect_xml(to_svg(chart));
}

TEST(Chart, LabelsStayInsideThePicture) {
  Chart chart{.title = "t", .x = {"x"}, .y = {"y"}};
  chart.series.push_back(
      {"s",
       Marks::kPoints,
       {{0, 0, "a long label"}, {10, 10, "a long label"}, {0, 10, "a long label"}}});
  expect_xml(to_svg(chart),
             std::string(kSvg) +
                 "for t in root.iter(s + \"text\"):\n"
                 "  if t.get(\"class\") != \"halo\": continue\n"
                 "  half = 13 * 0.58 * len(t.text) / 2\n"
                 "  assert float(t.get(\"x\")) - half >= 0 and float(t.get(\"x\")) + half <= 760\n"
                 "  assert 10 <= float(t.get(\"y\")) <= 400\n");
}

TEST(Chart, RefusesWhatItCannotDraw) {
  Chart chart{.title = "t"};
  EXPECT_THROW(static_cast<void>(to_svg(chart)), InvalidArgument);
  chart.series.push_back({"empty", Marks::kLine, {}});
  EXPECT_THROW(static_cast<void>(to_svg(chart)), InvalidArgument);
  chart.series[0].points.push_back({0, std::numeric_limits<double>::quiet_NaN(), ""});
  EXPECT_THROW(static_cast<void>(to_svg(chart)), InvalidArgument);
  chart.series[0].points[0].y = 1;
  EXPECT_NO_THROW(static_cast<void>(to_svg(chart)));
  chart.width = 100;
  EXPECT_THROW(static_cast<void>(to_svg(chart)), InvalidArgument);
}

}  // namespace
}  // namespace octconv::report
