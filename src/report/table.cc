// SPDX-License-Identifier: Apache-2.0
#include "report/table.h"

#include <algorithm>

#include "octconv/base/error.h"
#include "report/text.h"

namespace octconv::report {

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  if (columns_.empty()) throw InvalidArgument("table: it needs a column");
}

void Table::add_row(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) {
    throw InvalidArgument("table: a row has " + std::to_string(cells.size()) +
                          " cells, but there are " + std::to_string(columns_.size()) + " columns");
  }
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::string> titles;
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    titles.push_back(columns_[c].title);
    std::size_t width = characters(columns_[c].title);
    for (const auto& row : rows_) width = std::max(width, characters(row[c]));
    widths.push_back(width);
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string padding(widths[c] - characters(cells[c]), ' ');
      if (c > 0) line += "  ";
      line += columns_[c].align == Align::kRight ? padding + cells[c] : cells[c] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line(titles);
  std::vector<std::string> rules;
  for (const std::size_t width : widths) rules.emplace_back(width, '-');
  add_line(rules);
  for (const auto& row : rows_) add_line(row);
  return text;
}

std::string Table::html() const {
  const auto cell = [&](const char* tag, std::size_t column, const std::string& content) {
    const char* align = columns_[column].align == Align::kRight ? "right" : "left";
    return std::string("<") + tag + " class=\"" + align + "\">" + escape(content) + "</" + tag +
           ">";
  };
  std::string html = "<table>\n<thead><tr>";
  for (std::size_t c = 0; c < columns_.size(); ++c) html += cell("th", c, columns_[c].title);
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : rows_) {
    html += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) html += cell("td", c, row[c]);
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table>\n";
}

}  // namespace octconv::report
