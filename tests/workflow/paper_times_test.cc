// SPDX-License-Identifier: Apache-2.0
// The article's CPU times, and the networks that are timed beside them.
#include "workflow/paper_times.h"

#include <algorithm>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "report/xml.h"
#include "workflow/paper_times_report.h"

namespace octconv::workflow {
namespace {

const PaperTable& table(std::string_view name) {
  const auto tables = paper_tables();
  return *std::find_if(tables.begin(), tables.end(),
                       [&](const PaperTable& each) { return each.name == name; });
}

// Two MobileNets of table 5, one round: their figures matter here, not how good they are.
struct Measured : ::testing::Test {
  static const TimedTable& timed() {
    static const PaperTable small{.name = "table 5",
                                  .title = "Small models",
                                  .note = {},
                                  .rows = table("table 5").rows.subspan(3, 3)};
    static const TimedTable measured = measure_times(small, {.rounds = 1}, [](auto&) {});
    return measured;
  }
};

TEST(PaperTimes, AreThoseOfTables2And5) {
  std::vector<std::pair<std::string_view, int>> timed;
  for (const PaperTable& each : paper_tables()) {
    if (!has_times(each)) continue;
    timed.emplace_back(each.name, 0);
    for (const PaperRow& row : each.rows) timed.back().second += row.cpu_ms.empty() ? 0 : 1;
  }
  const std::vector<std::pair<std::string_view, int>> expected{{"table 2", 6}, {"table 5", 6}};
  EXPECT_EQ(timed, expected);
  EXPECT_THROW(measure_times(table("table 3"), {.rounds = 1}, [](auto&) {}), InvalidArgument);
}

TEST_F(Measured, EveryFamilyBeginsWithItsOrdinaryNetwork) {
  std::vector<std::pair<std::string_view, double>> networks;
  for (const MeasuredNetwork& each : timed().networks)
    networks.emplace_back(each.network, each.alpha);
  const std::vector<std::pair<std::string_view, double>> expected{{"mobilenet_v1_075", 0},
                                                                  {"mobilenet_v1_075", 0.375},
                                                                  {"mobilenet_v1", 0},
                                                                  {"mobilenet_v1", 0.5}};
  EXPECT_EQ(networks, expected);
  EXPECT_FALSE(timed().networks[2].published_ms) << "the article has no time for it";
}

TEST_F(Measured, PublishedTimesAreTheArticles) {
  EXPECT_EQ(timed().networks[1].published_ms, 11.9);
  EXPECT_DOUBLE_EQ(*timed().networks[1].published_share, 11.9 / 13.4);
  EXPECT_EQ(timed().networks[3].published_ms, 18.4);
  EXPECT_FALSE(timed().networks[3].published_share) << "of what is not there";
}

TEST_F(Measured, SharesAreOfTheOrdinaryNetwork) {
  for (const MeasuredNetwork& each : timed().networks) {
    SCOPED_TRACE(std::string(each.network) + " " + std::to_string(each.alpha));
    const Graph graph = octavize(make_network(each.network), {.alpha = each.alpha}).graph;
    EXPECT_EQ(each.macs, cost(graph, {224, 224}).macs);
    EXPECT_GT(each.ms, 0);
    const std::int64_t stem_bytes = 24 * 112 * 112 * static_cast<std::int64_t>(sizeof(float));
    EXPECT_GT(each.memory_bytes, stem_bytes) << "the narrower stem's result";
    if (each.alpha != 0) continue;
    EXPECT_EQ(each.time_share, 1);
    EXPECT_EQ(each.macs_share, 1);
    EXPECT_EQ(each.memory_share, 1);
    EXPECT_EQ(each.saving_share(), 1);
  }
  EXPECT_DOUBLE_EQ(timed().networks[3].macs_share,
                   static_cast<double>(timed().networks[3].macs) /
                       static_cast<double>(timed().networks[2].macs));
}

TEST_F(Measured, TextJsonAndPageTellTheSame) {
  const PaperTimes times{
      .options = {.rounds = 1}, .processor = "a <processor>", .tables = {timed()}};
  const std::string text = paper_times_text(times);
  EXPECT_NE(text.find("a <processor>, 1 thread, "), std::string::npos);
  EXPECT_NE(text.find("Table 5: Small models\n"), std::string::npos);
  EXPECT_NE(text.find("0.75 Oct-MobileNet v1"), std::string::npos);
  const auto json = nlohmann::json::parse(paper_times_json(times));
  const auto& networks = json["tables"][0]["networks"];
  ASSERT_EQ(networks.size(), timed().networks.size());
  EXPECT_EQ(networks[1]["ms"], timed().networks[1].ms);
  EXPECT_TRUE(networks[2]["published_ms"].is_null());
  const std::string page = paper_times_html(times);
  report::expect_xml(page);
  EXPECT_NE(page.find("a &lt;processor&gt;"), std::string::npos);
  EXPECT_NE(page.find("<svg"), std::string::npos);
}

}  // namespace
}  // namespace octconv::workflow
