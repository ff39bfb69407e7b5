// SPDX-License-Identifier: Apache-2.0
// Lines and points on two axes, as SVG.
#pragma once

#include <string>
#include <vector>

namespace octconv::report {

struct Point {
  double x = 0;
  double y = 0;
  std::string label;  // written beside the point unless empty
};

enum class Marks { kPoints, kLine, kPlainLine };

// Points alone, joined in their order, or joined and not marked (many of them). Each series has its
// own colour, marker and dash.
struct Series {
  std::string name;
  Marks marks = Marks::kLine;
  std::vector<Point> points;
};

struct Axis {
  std::string label;
  bool integer = false;      // ticks at whole numbers only
  bool logarithmic = false;  // equal ratios are equally long
};

struct Chart {
  std::string title;
  Axis x;
  Axis y;
  std::vector<Series> series;
  int width = 760;
  int height = 400;
};

// An <svg> element that also stands alone as a file; readable on a light and on a dark ground. With
// two or more series there is a legend.
//
// Throws InvalidArgument for a chart without points, a point that is not finite, one that is not
// above 0 on a logarithmic axis, or width or height < 200.
std::string to_svg(const Chart& chart);

}  // namespace octconv::report
