// SPDX-License-Identifier: Apache-2.0
#include "report/chart.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "octconv/base/error.h"
#include "report/number.h"
#include "report/text.h"
#include "report/ticks.h"

namespace octconv::report {
namespace {

constexpr double kTextSize = 13;
constexpr double kTitleSize = 15;
constexpr double kLineHeight = 20;
constexpr double kMarkerRadius = 4.5;
constexpr double kGap = 8;
// Mean width of a character as a share of the text size in common sans-serif fonts, rounded up: SVG
// has no way to ask, and too much room is better than too little.
constexpr double kCharacterWidth = 0.58;
constexpr std::size_t kColours = 6;

// Colours that people with any colour vision tell apart (Okabe and Ito, "Color Universal Design",
// 2008), darkened for a light and lightened for a dark ground to keep a contrast of 3 : 1.
constexpr const char* kStyle = R"(<style>
.chart { font: 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --ink: #1b1f24; --soft: #59636e; --grid: #dfe3e8; --ground: #ffffff;
  --c0: #0072b2; --c1: #d55e00; --c2: #00865f; --c3: #b5508c; --c4: #8a6d00; --c5: #5b5bd6; }
@media screen and (prefers-color-scheme: dark) {
  .chart { --ink: #e6e8eb; --soft: #9aa4af; --grid: #343b43; --ground: #15181c;
    --c0: #56b4e9; --c1: #ff8b47; --c2: #2fc79a; --c3: #e48fc0; --c4: #e3c33b; --c5: #a5a5ff; }
}
.chart text { fill: #1b1f24; fill: var(--ink); stroke: none; }
.chart .title { font-size: 15px; font-weight: 600; }
.chart .tick, .chart .axis-label { fill: #59636e; fill: var(--soft); }
.chart .tick { font-variant-numeric: tabular-nums; }
.chart .grid { stroke: #dfe3e8; stroke: var(--grid); stroke-width: 1; }
.chart .base { stroke: #59636e; stroke: var(--soft); stroke-width: 1; }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.chart .marker { stroke: #ffffff; stroke: var(--ground); stroke-width: 1.5; }
.chart .halo { paint-order: stroke; stroke: #ffffff; stroke: var(--ground); stroke-width: 3px;
  stroke-linejoin: round; }
</style>
)";

double text_width(const std::string& text, double size = kTextSize) {
  return static_cast<double>(characters(text)) * size * kCharacterWidth;
}

std::string number(double value) {
  return fixed(value, 1);
}

// `property` in the series' colour. Renderers that know no variables take the first value, that for
// a light ground.
std::string coloured(const char* property, std::size_t series) {
  constexpr std::array<const char*, kColours> kLight{"#0072b2", "#d55e00", "#00865f",
                                                     "#b5508c", "#8a6d00", "#5b5bd6"};
  const std::size_t index = series % kColours;
  return std::string(property) + ": " + kLight[index] + "; " + property + ": var(--c" +
         std::to_string(index) + ")";
}

std::string text_element(double x, double y, const char* kind, const char* anchor,
                         const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" class=\"" + kind +
         "\" text-anchor=\"" + anchor + "\">" + escape(text) + "</text>\n";
}

std::string line_element(double x1, double y1, double x2, double y2, const char* kind) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) +
         "\" y2=\"" + number(y2) + "\" class=\"" + kind + "\"/>\n";
}

/// Circle, square, triangle, diamond: series stay apart in black and white.
std::string marker_element(std::size_t series, double x, double y) {
  const std::string style = "\" class=\"marker\" style=\"" + coloured("fill", series) + "\"/>\n";
  constexpr std::size_t kShapes = 4;
  const std::size_t shape = series % kShapes;
  if (shape == 0) {
    return "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"" +
           number(kMarkerRadius) + style;
  }
  using Corners = std::vector<std::pair<double, double>>;
  static const std::array<Corners, kShapes> kCorners{
      Corners{},                                                    // the circle above
      Corners{{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}},  // square
      Corners{{0, -1.2}, {1.1, 0.8}, {-1.1, 0.8}},                  // triangle
      Corners{{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}},            // diamond
  };
  std::string points;
  for (const auto& [dx, dy] : kCorners[shape]) {
    points += number(x + dx * kMarkerRadius) + "," + number(y + dy * kMarkerRadius) + " ";
  }
  points.pop_back();
  return "<polygon points=\"" + points + style;
}

// Lines without markers are told apart by their dashes too.
std::string dash(std::size_t series, Marks marks) {
  constexpr std::array<const char*, 3> kDashes{"", "; stroke-dasharray: 7 4",
                                               "; stroke-dasharray: 2 4"};
  return kDashes[(marks == Marks::kPlainLine ? series : series / kColours) % kDashes.size()];
}

struct Range {
  double low = 0;
  double high = 0;
};

Range range(const Chart& chart, double Point::*coordinate) {
  bool found = false;
  Range range;
  for (const Series& series : chart.series) {
    for (const Point& point : series.points) {
      const double value = point.*coordinate;
      if (!std::isfinite(value)) {
        throw InvalidArgument("chart '" + chart.title + "': series '" + series.name +
                              "' has a point that is not finite");
      }
      range.low = found ? std::min(range.low, value) : value;
      range.high = found ? std::max(range.high, value) : value;
      found = true;
    }
  }
  if (!found) throw InvalidArgument("chart '" + chart.title + "' has no points");
  return range;
}

struct Box {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;

  /// The area that both cover.
  [[nodiscard]] double overlap(const Box& other) const noexcept {
    const double width = std::min(right, other.right) - std::max(left, other.left);
    const double height = std::min(bottom, other.bottom) - std::max(top, other.top);
    return width > 0 && height > 0 ? width * height : 0;
  }
  [[nodiscard]] bool inside(const Box& other) const noexcept {
    return left >= other.left && right <= other.right && top >= other.top && bottom <= other.bottom;
  }
};

/// From the chart's top to its bottom: title, legend, name of the y axis, plot, ticks, name of the
/// x axis.
class Drawing {
 public:
  explicit Drawing(const Chart& chart)
      : chart_(chart),
        x_ticks_(ticks_of(&Point::x, 9, chart.x)),
        y_ticks_(ticks_of(&Point::y, 7, chart.y)) {}

  std::string draw() {
    double y = kGap;
    if (!chart_.title.empty()) {
      y += kTitleSize;
      body_ += text_element(0, y, "title", "start", chart_.title);
      y += kGap;
    }
    if (chart_.series.size() > 1) y = draw_legend(y);
    y += kLineHeight;
    body_ += text_element(0, y - 4, "axis-label", "start", chart_.y.label);
    draw_axes(y + kGap);
    for (std::size_t i = 0; i < chart_.series.size(); ++i) draw_line(i);
    for (std::size_t i = 0; i < chart_.series.size(); ++i) draw_markers(i);
    for (std::size_t i = 0; i < chart_.series.size(); ++i) draw_labels(i);
    const std::string width = std::to_string(chart_.width);
    const std::string height = std::to_string(chart_.height);
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 " + width +
           " " + height + "\" width=\"" + width + "\" height=\"" + height +
           "\" role=\"img\">\n<title>" + escape(chart_.title) + "</title>\n" + kStyle + body_ +
           "</svg>\n";
  }

 private:
  [[nodiscard]] Ticks ticks_of(double Point::*coordinate, int most, const Axis& axis) const {
    const Range data = range(chart_, coordinate);
    if (!axis.logarithmic) return nice_ticks(data.low, data.high, most, axis.integer);
    if (data.low <= 0) {
      throw InvalidArgument("chart '" + chart_.title + "': the logarithmic axis '" + axis.label +
                            "' cannot show " + shortest(data.low));
    }
    return log_ticks(data.low, data.high, most);
  }

  /// Where a value is between the first tick (0) and the last (1).
  static double share(double value, const Ticks& ticks, const Axis& axis) {
    const double low = ticks.values.front();
    const double high = ticks.values.back();
    if (axis.logarithmic) return std::log(value / low) / std::log(high / low);
    return (value - low) / (high - low);
  }

  [[nodiscard]] double px(double x) const {
    return plot_.left + share(x, x_ticks_, chart_.x) * (plot_.right - plot_.left);
  }
  [[nodiscard]] double py(double y) const {
    return plot_.bottom - share(y, y_ticks_, chart_.y) * (plot_.bottom - plot_.top);
  }

  double draw_legend(double y) {
    constexpr double kSample = 26;
    double x = 0;
    y += kLineHeight;
    for (std::size_t i = 0; i < chart_.series.size(); ++i) {
      const Series& series = chart_.series[i];
      const double width = kSample + kGap / 2 + text_width(series.name);
      if (x > 0 && x + width > chart_.width) {
        x = 0;
        y += kLineHeight;
      }
      const double middle = y - 4.5;
      if (series.marks != Marks::kPoints) {
        body_ += "<line x1=\"" + number(x + 1) + "\" y1=\"" + number(middle) + "\" x2=\"" +
                 number(x + kSample - 3) + "\" y2=\"" + number(middle) +
                 "\" class=\"line\" style=\"" + coloured("stroke", i) + dash(i, series.marks) +
                 "\"/>\n";
      }
      if (series.marks != Marks::kPlainLine) {
        body_ += marker_element(i, x + kSample / 2 - 1, middle);
      }
      body_ += text_element(x + kSample + kGap / 2, y, "legend", "start", series.name);
      x += width + 2 * kGap;
    }
    return y + kGap;
  }

  void draw_axes(double top) {
    double label_width = 0;
    for (std::size_t i = 0; i < y_ticks_.values.size(); ++i) {
      label_width = std::max(label_width, text_width(y_ticks_.label(i)));
    }
    const double right_label = text_width(x_ticks_.label(x_ticks_.values.size() - 1)) / 2;
    plot_ = {label_width + kGap, top, chart_.width - std::max(right_label, kMarkerRadius + 2),
             chart_.height - 2 * kLineHeight - kGap / 2};
    for (std::size_t i = 0; i < y_ticks_.values.size(); ++i) {
      const double y = py(y_ticks_.values[i]);
      body_ += line_element(plot_.left, y, plot_.right, y, i == 0 ? "base" : "grid");
      body_ += text_element(plot_.left - kGap, y + 4.5, "tick", "end", y_ticks_.label(i));
    }
    for (std::size_t i = 0; i < x_ticks_.values.size(); ++i) {
      const double x = px(x_ticks_.values[i]);
      body_ += line_element(x, plot_.bottom, x, plot_.bottom + 5, "base");
      body_ += text_element(x, plot_.bottom + kLineHeight, "tick", "middle", x_ticks_.label(i));
    }
    body_ += text_element((plot_.left + plot_.right) / 2, chart_.height - 4.0, "axis-label",
                          "middle", chart_.x.label);
  }

  void draw_line(std::size_t i) {
    const Series& series = chart_.series[i];
    if (series.marks == Marks::kPoints || series.points.size() < 2) return;
    std::string points;
    for (const Point& point : series.points) {
      points += number(px(point.x)) + "," + number(py(point.y)) + " ";
    }
    points.pop_back();
    body_ += "<polyline points=\"" + points + "\" class=\"line\" style=\"" + coloured("stroke", i) +
             dash(i, series.marks) + "\"/>\n";
    for (std::size_t p = 1; p < series.points.size(); ++p) {
      take_segment(series.points[p - 1], series.points[p]);
    }
  }

  /// Keeps labels off a stretch of line.
  void take_segment(const Point& from, const Point& to) {
    constexpr double kStep = 4;
    const double dx = px(to.x) - px(from.x);
    const double dy = py(to.y) - py(from.y);
    const double steps = std::ceil(std::hypot(dx, dy) / kStep);
    for (double step = 0; step < steps; ++step) {
      const double x = px(from.x) + dx * step / steps;
      const double y = py(from.y) + dy * step / steps;
      taken_.push_back({x - 1, y - 1, x + 1, y + 1});
    }
  }

  void draw_markers(std::size_t i) {
    const Series& series = chart_.series[i];
    // A line of one point would not be seen without its marker.
    if (series.marks == Marks::kPlainLine && series.points.size() > 1) return;
    for (const Point& point : series.points) {
      const double x = px(point.x);
      const double y = py(point.y);
      body_ += marker_element(i, x, y);
      taken_.push_back(
          {x - kMarkerRadius, y - kMarkerRadius, x + kMarkerRadius, y + kMarkerRadius});
    }
  }

  /// Above, below, beside or askew of its point: where it covers least.
  void draw_labels(std::size_t i) {
    const Box sheet{plot_.left, plot_.top - kLineHeight, static_cast<double>(chart_.width),
                    plot_.bottom};
    for (const Point& point : chart_.series[i].points) {
      if (point.label.empty()) continue;
      const double x = px(point.x);
      const double y = py(point.y);
      const double half = text_width(point.label) / 2;
      constexpr double kRise = 16;  // from the middle of one line of text to that of its neighbour
      const double aside = half + 6;
      const std::array<std::pair<double, double>, 8> middles{{{x, y - kRise},
                                                              {x, y + kRise},
                                                              {x + aside + 4, y},
                                                              {x - aside - 4, y},
                                                              {x + aside, y - kRise},
                                                              {x + aside, y + kRise},
                                                              {x - aside, y - kRise},
                                                              {x - aside, y + kRise}}};
      const auto box = [&](const std::pair<double, double>& middle) {
        return Box{middle.first - half, middle.second - 8, middle.first + half, middle.second + 8};
      };
      // What it would cover, by area; out of the picture is worse than any of that.
      const auto cost = [&](const std::pair<double, double>& middle) {
        double covered = box(middle).inside(sheet) ? 0 : 1e6;
        for (const Box& other : taken_) covered += box(middle).overlap(other);
        return covered;
      };
      const auto* chosen =
          std::min_element(middles.begin(), middles.end(),
                           [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
      taken_.push_back(box(*chosen));
      body_ += text_element(chosen->first, chosen->second + 4.5, "halo", "middle", point.label);
    }
  }

  const Chart& chart_;
  Ticks x_ticks_;
  Ticks y_ticks_;
  Box plot_;
  std::vector<Box> taken_;  // by lines, markers and labels
  std::string body_;
};

}  // namespace

std::string to_svg(const Chart& chart) {
  constexpr int kSmallest = 200;
  if (chart.width < kSmallest || chart.height < kSmallest) {
    throw InvalidArgument("chart '" + chart.title + "': needs at least 200 x 200 pixels, got " +
                          std::to_string(chart.width) + " x " + std::to_string(chart.height));
  }
  return Drawing(chart).draw();
}

}  // namespace octconv::report
