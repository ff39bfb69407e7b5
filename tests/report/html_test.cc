// SPDX-License-Identifier: Apache-2.0
// The page: whole, escaped, and in need of nothing else.
#include "report/html.h"

#include <gmock/gmock.h>

#include "report/xml.h"

namespace octconv::report {
namespace {

using testing::HasSubstr;
using testing::Not;

HtmlPage sample() {
  HtmlPage page("<title> & \"more\"");
  page.heading("h<2>");
  page.paragraph("p&p");
  page.facts({{"name<", "value>"}});
  Table table({{"column"}});
  table.add_row({"<cell>"});
  page.table(table);
  Chart chart{.title = "chart"};
  chart.series.push_back({"s", Marks::kLine, {{0, 0, ""}, {1, 1, ""}}});
  page.chart(chart, "<caption>");
  page.pictures({{"row<", {{.png = "foobar", .width = 56, .height = 28, .alt = "\"alt\""}}}},
                "maps");
  return page;
}

TEST(HtmlPage, IsWellFormedWithEveryText) {
  expect_xml(sample().str(),
             "texts = [e.text for e in root.iter()]\n"
             "for text in [\"<title> & \\\"more\\\"\", \"h<2>\", \"p&p\", \"name<\", \"value>\", "
             "\"<cell>\","
             " \"<caption>\", \"row<\", \"maps\"]:\n"
             "  assert text in texts, (text, texts)\n"
             "image = next(root.iter(\"img\"))\n"
             "assert image.get(\"alt\") == \"\\\"alt\\\"\"\n"
             "assert (image.get(\"width\"), image.get(\"height\")) == (\"56\", \"28\")\n"
             "assert image.get(\"src\") == \"data:image/png;base64,Zm9vYmFy\"\n");
}

TEST(HtmlPage, NeedsNoScriptAndNoOtherFile) {
  const std::string page = sample().str();
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<link")));
  EXPECT_THAT(page, Not(HasSubstr("url(")));
  EXPECT_THAT(page, Not(HasSubstr("@import")));
  EXPECT_THAT(page, Not(HasSubstr("href=")));
  expect_xml(page,
             "for e in root.iter():\n"
             "  assert e.get(\"src\") is None or e.get(\"src\").startswith(\"data:\")\n");
}

TEST(HtmlPage, ElementsKeepTheirOrder) {
  const std::string page = sample().str();
  std::size_t at = 0;
  for (const char* part : {"<h1>", "<h2>", "<p>", "<dl>", "<table>", "<svg", "<img"}) {
    const std::size_t found = page.find(part);
    ASSERT_NE(found, std::string::npos) << part;
    EXPECT_GT(found, at) << part;
    at = found;
  }
}

}  // namespace
}  // namespace octconv::report
