// SPDX-License-Identifier: Apache-2.0
// A table for terminals and for HTML.
#pragma once

#include <string>
#include <vector>

namespace octconv::report {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kRight;
};

class Table {
 public:
  // Throws InvalidArgument for no columns.
  explicit Table(std::vector<Column> columns);

  // Throws InvalidArgument unless there is one cell per column.
  void add_row(std::vector<std::string> cells);

  // Header, a line, the rows; columns two spaces apart; each line ends with a newline and no
  // spaces.
  [[nodiscard]] std::string text() const;
  // A <table> element.
  [[nodiscard]] std::string html() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace octconv::report
