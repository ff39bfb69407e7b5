// SPDX-License-Identifier: Apache-2.0
// Event files, held against a reading of the published formats that shares no line with the writer.
#include "train/event_file.h"

#include <bit>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/event_reader.h"

namespace octconv::train {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::string counting(int first, int step) {
  std::string bytes;
  for (int i = 0; i < 32; ++i) bytes += static_cast<char>(first + i * step);
  return bytes;
}

// RFC 3720, appendix B.4; the last is the check value of the catalogues of such codes.
TEST(Crc32c, HasThePublishedValues) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c(counting(0, 1)), 0x46DD794Eu);
  EXPECT_EQ(crc32c(counting(31, -1)), 0x113FDB5Cu);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(EventReader, ChecksumIsTheRfcs) {
  EXPECT_EQ(bitwise_crc("123456789"), 0xE3069283u);
  EXPECT_EQ(bitwise_crc(std::string(32, '\xff')), 0x62A8AB43u);
}

// Byte by byte, as written down from the formats' definitions.
TEST(EventFile, VersionEventIsTheseBytes) {
  const std::string record = version_event(1.0);
  const std::string event(
      "\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x1a\x0d"
      "brain.Event:2",
      24);
  ASSERT_EQ(record.size(), 8 + 4 + event.size() + 4);
  EXPECT_EQ(record.substr(0, 8), std::string("\x18\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, event.size()), event);
}

TEST(EventFile, ScalarsComeBackAsTheyWere) {
  const std::int64_t late = (std::int64_t{1} << 40) + 300;
  const std::vector<Event> events =
      read_events(version_event(1.5) + scalar_event(2.25, 7, {{"loss/train", 0.5}}) +
                  scalar_event(3.75, late, {{"a", -1e-30}, {std::string(200, 'x'), 3}}));
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].time, 1.5);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[1].time, 2.25);
  EXPECT_EQ(events[1].step, 7);
  EXPECT_THAT(events[1].scalars, ElementsAre(Pair("loss/train", 0.5F)));
  EXPECT_EQ(events[2].step, late);
  EXPECT_THAT(events[2].scalars, ElementsAre(Pair("a", -1e-30F), Pair(std::string(200, 'x'), 3.F)));
}

TEST(EventReader, NoticesEveryChangedBit) {
  const std::string file = scalar_event(2.25, 7, {{"loss", 0.5}});
  for (std::size_t i = 0; i < file.size(); ++i) {
    std::string broken = file;
    broken[i] = static_cast<char>(broken[i] ^ 4);
    EXPECT_THROW(read_events(broken), std::runtime_error) << i;
  }
}

}  // namespace
}  // namespace octconv::train
