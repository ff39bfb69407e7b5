// SPDX-License-Identifier: Apache-2.0
// One self-contained HTML page: no script, no file beside it, light and dark, printable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/chart.h"
#include "report/matrix.h"
#include "report/table.h"

namespace octconv::report {

// A picture inside the page. Enlarged pixels stay sharp squares.
struct Picture {
  std::string png;         // the bytes of a PNG file
  std::int64_t width = 0;  // on the page, in CSS pixels
  std::int64_t height = 0;
  std::string alt;  // what one sees, for those who do not
};

struct PictureRow {
  std::string title;
  std::vector<Picture> pictures;
};

// A bar of a bar chart, of which the first part stands out.
struct Bar {
  std::string label;
  std::string detail;  // what it is, in smaller letters
  double value = 0;
  double part = 0;  // at most the value
};

// Elements appear in the order of the calls. All text is escaped here.
class HtmlPage {
 public:
  explicit HtmlPage(std::string title);

  void heading(std::string_view text);
  void paragraph(std::string_view text);
  // Names and what they are.
  void facts(const std::vector<std::pair<std::string, std::string>>& facts);
  void table(const Table& table);
  void chart(const Chart& chart, std::string_view caption);
  void matrix(const Matrix& matrix, std::string_view caption);
  // Bars below one another, as long as their values; each says its value in `unit`. Throws
  // InvalidArgument for a value that is negative or not finite, or a part that is larger.
  void bars(const std::vector<Bar>& bars, std::string_view unit, std::string_view caption);
  void pictures(const std::vector<PictureRow>& rows, std::string_view caption);

  // The whole page, also well-formed as XML.
  [[nodiscard]] std::string str() const;

 private:
  std::string title_;
  std::string body_;
};

}  // namespace octconv::report
