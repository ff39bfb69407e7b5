// SPDX-License-Identifier: Apache-2.0
#include "report/matrix.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "octconv/base/error.h"
#include "report/number.h"
#include "report/text.h"

namespace octconv::report {
namespace {

constexpr double kSide = 600;  // of all cells together, unless they would be too small or large
constexpr double kSmallestCell = 2;
constexpr double kLargestCell = 56;
constexpr double kCellOfNames = 11;    // from this side on rows and columns have names
constexpr double kCellOfNumbers = 26;  // and cells numbers
constexpr double kGap = 8;
constexpr double kTitleHeight = 24;
constexpr double kNameHeight = 20;  // of what rows and columns are
// Mean width of a character as a share of the text size in common sans-serif fonts, rounded up.
constexpr double kCharacterWidth = 0.58;
constexpr std::size_t kLongestLabel = 24;
// Darker cells have white numbers.
constexpr double kDark = 0.55;

constexpr const char* kStyle = R"(<style>
.matrix { font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --ink: #1b1f24; --soft: #59636e; --grid: #dfe3e8; --cell: #08519c; --on: #ffffff; }
@media screen and (prefers-color-scheme: dark) {
  .matrix { --ink: #e6e8eb; --soft: #9aa4af; --grid: #343b43; --cell: #6baed6; --on: #10151a; }
}
.matrix text { fill: #1b1f24; fill: var(--ink); }
.matrix .title { font-size: 15px; font-weight: 600; }
.matrix .side { fill: #59636e; fill: var(--soft); font-size: 13px; }
.matrix .number { font-variant-numeric: tabular-nums; }
.matrix .on { fill: #ffffff; fill: var(--on); }
.matrix .cell { fill: #08519c; fill: var(--cell); }
.matrix .frame { fill: none; stroke: #59636e; stroke: var(--soft); }
.matrix .grid { stroke: #dfe3e8; stroke: var(--grid); }
</style>
)";

std::string number(double value) {
  return fixed(value, 1);
}

// The first characters of a long label: a whole number of UTF-8 sequences.
std::string shortened(const std::string& label) {
  if (characters(label) <= kLongestLabel) return label;
  std::string kept;
  for (const char byte : label) {
    const bool begins = (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
    if (begins && characters(kept) == kLongestLabel - 1) break;
    kept += byte;
  }
  return kept + "\xe2\x80\xa6";
}

void check(const Matrix& matrix) {
  const auto fail = [&](const std::string& why) {
    throw InvalidArgument("matrix '" + matrix.title + "' " + why);
  };
  const std::size_t count = matrix.labels.size();
  if (count == 0) fail("has no labels");
  if (matrix.shares.size() != count) {
    fail("has " + std::to_string(count) + " labels and " + std::to_string(matrix.shares.size()) +
         " rows");
  }
  for (std::size_t row = 0; row < count; ++row) {
    const std::string which = "row '" + matrix.labels[row] + "'";
    if (matrix.shares[row].size() != count) {
      fail("has " + std::to_string(count) + " labels, and " + which + " has " +
           std::to_string(matrix.shares[row].size()) + " columns");
    }
    for (const double share : matrix.shares[row]) {
      if (!(share >= 0 && share <= 1)) fail("has " + shortest(share) + " in " + which);
    }
  }
}

class Drawing {
 public:
  explicit Drawing(const Matrix& matrix)
      : matrix_(matrix),
        count_(static_cast<double>(matrix.labels.size())),
        cell_(std::clamp(kSide / count_, kSmallestCell, kLargestCell)),
        names_(cell_ >= kCellOfNames),
        text_size_(std::min(13.0, cell_ - 1)) {
    double longest = 0;
    for (const std::string& label : matrix.labels) {
      longest = std::max(longest, static_cast<double>(characters(shortened(label))));
    }
    const double room = names_ ? longest * text_size_ * kCharacterWidth + kGap : 0;
    left_ = kNameHeight + room;
    top_ = (matrix.title.empty() ? 0 : kTitleHeight) + kNameHeight + room;
  }

  std::string draw() {
    const double side = count_ * cell_;
    const std::string width = number(left_ + side + 1);
    const std::string height = number(top_ + side + 1);
    if (!matrix_.title.empty()) {
      body_ += "<text x=\"0\" y=\"15\" class=\"title\">" + escape(matrix_.title) + "</text>\n";
    }
    draw_sides(side);
    for (std::size_t row = 0; row < matrix_.labels.size(); ++row) {
      if (names_) draw_names(row);
      for (std::size_t column = 0; column < matrix_.labels.size(); ++column) {
        draw_cell(row, column);
      }
    }
    body_ += "<rect x=\"" + number(left_) + "\" y=\"" + number(top_) + "\" width=\"" +
             number(side) + "\" height=\"" + number(side) + "\" class=\"frame\"/>\n";
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"matrix\" viewBox=\"0 0 " + width +
           " " + height + "\" width=\"" + width + "\" height=\"" + height +
           "\" role=\"img\">\n<title>" + escape(matrix_.title) + "</title>\n" + kStyle + body_ +
           "</svg>\n";
  }

 private:
  void draw_sides(double side) {
    const std::string middle = number(top_ + side / 2);
    body_ += "<text x=\"14\" y=\"" + middle + "\" class=\"side\" text-anchor=\"middle\"" +
             " transform=\"rotate(-90 14 " + middle + ")\">" + escape(matrix_.rows) + "</text>\n";
    const double y = (matrix_.title.empty() ? 0 : kTitleHeight) + 14;
    body_ += "<text x=\"" + number(left_ + side / 2) + "\" y=\"" + number(y) +
             "\" class=\"side\" text-anchor=\"middle\">" + escape(matrix_.columns) + "</text>\n";
  }

  // Of a row, and of the column of the same label.
  void draw_names(std::size_t index) {
    const std::string name = escape(shortened(matrix_.labels[index]));
    const std::string size = "\" font-size=\"" + number(text_size_) + "\"";
    const double along = (static_cast<double>(index) + 0.5) * cell_ + text_size_ / 3;
    body_ += "<text x=\"" + number(left_ - kGap) + "\" y=\"" + number(top_ + along) +
             "\" text-anchor=\"end" + size + ">" + name + "</text>\n";
    const std::string x = number(left_ + along);
    const std::string y = number(top_ - kGap);
    body_ += "<text x=\"" + x + "\" y=\"" + y + size + " transform=\"rotate(-90 " + x + " " + y +
             ")\">" + name + "</text>\n";
  }

  void draw_cell(std::size_t row, std::size_t column) {
    const double share = matrix_.shares[row][column];
    if (share == 0) return;
    const double x = left_ + static_cast<double>(column) * cell_;
    const double y = top_ + static_cast<double>(row) * cell_;
    const std::string percent = fixed(100 * share, 1);
    body_ += "<rect x=\"" + number(x) + "\" y=\"" + number(y) + "\" width=\"" + number(cell_) +
             "\" height=\"" + number(cell_) + "\" class=\"cell\" fill-opacity=\"" +
             fixed(share, 3) + "\"><title>" +
             escape(matrix_.labels[row] + ", " + matrix_.labels[column] + ": " + percent + " %") +
             "</title></rect>\n";
    if (cell_ < kCellOfNumbers) return;
    const double size = std::min(13.0, cell_ / 3.2);
    body_ += "<text x=\"" + number(x + cell_ / 2) + "\" y=\"" + number(y + cell_ / 2 + size / 3) +
             "\" class=\"number" + (share > kDark ? " on" : "") +
             "\" text-anchor=\"middle\" pointer-events=\"none\" font-size=\"" + number(size) +
             "\">" + percent + "</text>\n";
  }

  const Matrix& matrix_;
  double count_;
  double cell_;
  bool names_;
  double text_size_;
  double left_ = 0;
  double top_ = 0;
  std::string body_;
};

}  // namespace

std::string to_svg(const Matrix& matrix) {
  check(matrix);
  return Drawing(matrix).draw();
}

}  // namespace octconv::report
