// SPDX-License-Identifier: Apache-2.0
#include "report/html.h"

#include <algorithm>
#include <cmath>

#include "octconv/base/error.h"
#include "report/number.h"
#include "report/text.h"

namespace octconv::report {
namespace {

constexpr const char* kPageStyle = R"(<style>
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --rule: #dfe3e8;
  --ground: #ffffff; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #9aa4af; --rule: #343b43; --ground: #15181c; }
}
body { margin: 2.5rem auto; padding: 0 1.25rem; max-width: 47.5rem;
  color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.75rem; break-after: avoid; }
p { margin: 0.75rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1.5rem;
  margin: 1rem 0; font-size: 0.95rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.5rem; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom;
  border-bottom-color: var(--soft); }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.left { text-align: left; }
.right { text-align: right; }
figure { margin: 1.5rem 0; break-inside: avoid; }
figure > svg { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: 0.9rem; margin-top: 0.6rem; max-width: 44rem; }
.pictures { display: grid; grid-template-columns: max-content 1fr; gap: 0.6rem 1.25rem;
  align-items: center; }
.pictures .name { color: var(--soft); font-size: 0.9rem; }
.pictures .row { display: flex; flex-wrap: wrap; gap: 6px; align-items: flex-end; }
.pictures img { image-rendering: pixelated; display: block; }
.bars { display: grid; grid-template-columns: minmax(0, max-content) minmax(8rem, 1fr) max-content;
  gap: 2px 0.75rem; align-items: center; font-size: 0.8rem; }
.bars .what { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.bars .what span { color: var(--soft); }
.bars .bar { background: #9ecae1; height: 0.8rem; }
.bars .bar div { background: #08519c; height: 100%; }
.bars .much { text-align: right; font-variant-numeric: tabular-nums; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } .wide { overflow: visible; } }
</style>
)";

std::string element(const char* tag, std::string_view text) {
  return std::string("<") + tag + ">" + escape(text) + "</" + tag + ">\n";
}

}  // namespace

HtmlPage::HtmlPage(std::string title) : title_(std::move(title)) {}

void HtmlPage::heading(std::string_view text) {
  body_ += element("h2", text);
}

void HtmlPage::paragraph(std::string_view text) {
  body_ += element("p", text);
}

void HtmlPage::facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  body_ += "<dl>\n";
  for (const auto& [name, value] : facts) body_ += element("dt", name) + element("dd", value);
  body_ += "</dl>\n";
}

void HtmlPage::table(const Table& table) {
  body_ += "<div class=\"wide\">\n" + table.html() + "</div>\n";
}

void HtmlPage::chart(const Chart& chart, std::string_view caption) {
  body_ += "<figure>\n" + to_svg(chart) + element("figcaption", caption) + "</figure>\n";
}

void HtmlPage::matrix(const Matrix& matrix, std::string_view caption) {
  body_ += "<figure>\n" + to_svg(matrix) + element("figcaption", caption) + "</figure>\n";
}

void HtmlPage::bars(const std::vector<Bar>& bars, std::string_view unit, std::string_view caption) {
  double most = 0;
  for (const Bar& bar : bars) {
    if (!(bar.value >= 0 && bar.part >= 0 && bar.part <= bar.value) || std::isinf(bar.value)) {
      throw InvalidArgument("bar '" + bar.label + "' has value " + shortest(bar.value) +
                            " and part " + shortest(bar.part));
    }
    most = std::max(most, bar.value);
  }
  const auto width = [](double part, double whole) {
    return "<div style=\"width: " + fixed(whole > 0 ? 100 * part / whole : 0, 2) + "%\"";
  };
  body_ += "<figure>\n<div class=\"bars\">\n";
  for (const Bar& bar : bars) {
    const std::string label = escape(bar.label);
    const std::string detail = escape(bar.detail);
    body_ += "<div class=\"what\" title=\"" + label + ": " + detail + "\">" + label + " <span>" +
             detail + "</span></div>\n<div>" + width(bar.value, most) + " class=\"bar\">" +
             width(bar.part, bar.value) + "></div></div></div>\n<div class=\"much\">" +
             fixed(bar.value, 3) + " " + escape(unit) + "</div>\n";
  }
  body_ += "</div>\n" + element("figcaption", caption) + "</figure>\n";
}

void HtmlPage::pictures(const std::vector<PictureRow>& rows, std::string_view caption) {
  body_ += "<figure>\n<div class=\"pictures\">\n";
  for (const PictureRow& row : rows) {
    body_ += "<div class=\"name\">" + escape(row.title) + "</div>\n<div class=\"row\">\n";
    for (const Picture& picture : row.pictures) {
      body_ += "<img width=\"" + std::to_string(picture.width) + "\" height=\"" +
               std::to_string(picture.height) + "\" alt=\"" + escape(picture.alt) +
               "\" src=\"data:image/png;base64," + base64(picture.png) + "\"/>\n";
    }
    body_ += "</div>\n";
  }
  body_ += "</div>\n" + element("figcaption", caption) + "</figure>\n";
}

std::string HtmlPage::str() const {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n" +
         element("title", title_) + kPageStyle + "</head>\n<body>\n" + element("h1", title_) +
         body_ + "</body>\n</html>\n";
}

}  // namespace octconv::report
