// SPDX-License-Identifier: Apache-2.0
// Tables as text and as HTML.
#include "report/table.h"

#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "report/xml.h"

namespace octconv::report {
namespace {

Table sample() {
  Table table({{"\xce\xb1", Align::kLeft}, {"accuracy"}, {"note", Align::kLeft}});
  table.add_row({"0", "91.4 %", "<ordinary>"});
  table.add_row({"0.25", "9.0 %", ""});
  return table;
}

TEST(Table, TextIsAlignedByCharactersNotBytes) {
  EXPECT_EQ(sample().text(),
            "\xce\xb1     accuracy  note\n"
            "----  --------  ----------\n"
            "0       91.4 %  <ordinary>\n"
            "0.25     9.0 %\n");
}

TEST(Table, HtmlIsWellFormedAndHoldsEveryCell) {
  expect_xml(sample().html(),
             "assert root.tag == \"table\"\n"
             "rows = [[cell.text for cell in row] for row in root.iter(\"tr\")]\n"
             "assert rows[1] == [\"0\", \"91.4 %\", \"<ordinary>\"], rows\n"
             "assert rows[2] == [\"0.25\", \"9.0 %\", None], rows\n"
             "assert [cell.get(\"class\") for cell in root.iter(\"th\")] == [\"left\", \"right\", "
             "\"left\"]\n");
}

TEST(Table, RowsMustFitTheColumns) {
  Table table = sample();
  EXPECT_THROW(table.add_row({"1"}), InvalidArgument);
  EXPECT_THROW(Table({}), InvalidArgument);
}

}  // namespace
}  // namespace octconv::report
