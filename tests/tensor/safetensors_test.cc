// SPDX-License-Identifier: Apache-2.0
// Files written byte by byte after the format's description.
#include "octconv/tensor/safetensors.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "support/scratch.h"

namespace octconv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string length_of(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((length >> (8 * i)) & 255);
  return bytes;
}

std::string file(const std::string& header, const std::string& data) {
  return length_of(header.size()) + header + data;
}

template <class T>
std::string raw(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string entry(const std::string& type, const std::string& shape, std::size_t begin,
                  std::size_t end) {
  return R"({"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":[)" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::vector<float> values(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

std::string complaint(const std::string& bytes) {
  try {
    static_cast<void>(parse_safetensors(bytes, "f.safetensors"));
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'f.safetensors'"));
    return error.what();
  } catch (const Unsupported& error) {
    return std::string("unsupported: ") + error.what();
  }
  return "";
}

TEST(Safetensors, ReadsEveryTypeAsFloat) {
  const std::string data = raw<double>({1.5, -2}) + raw<float>({0.25F}) +
                           raw<std::uint16_t>({0x3C00, 0xC000}) +  // 1 and -2 as binary16
                           raw<std::uint16_t>({0x3F80, 0xC040}) +  // 1 and -3 as bfloat16
                           raw<std::int64_t>({-7}) + raw<std::uint8_t>({200});
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"d":)" + entry("F64", "[2,1]", 0, 16) + R"(,"f":)" +
      entry("F32", "[]", 16, 20) + R"(,"h":)" + entry("F16", "[2]", 20, 24) + R"(,"b":)" +
      entry("BF16", "[2]", 24, 28) + R"(,"i":)" + entry("I64", "[]", 28, 36) + R"(,"u":)" +
      entry("U8", "[1]", 36, 37) + R"(,"none":)" + entry("F32", "[3,0]", 37, 37) +
      "}   ";  // padded with spaces, as writers do
  const auto tensors = parse_safetensors(file(header, data), "x");
  ASSERT_EQ(tensors.size(), 7U);
  EXPECT_EQ(tensors.at("d").shape(), (Shape{2, 1}));
  EXPECT_THAT(values(tensors.at("d")), ElementsAre(1.5F, -2));
  EXPECT_EQ(tensors.at("f").shape(), Shape());
  EXPECT_THAT(values(tensors.at("f")), ElementsAre(0.25F));
  EXPECT_THAT(values(tensors.at("h")), ElementsAre(1, -2));
  EXPECT_THAT(values(tensors.at("b")), ElementsAre(1, -3));
  EXPECT_THAT(values(tensors.at("i")), ElementsAre(-7));
  EXPECT_THAT(values(tensors.at("u")), ElementsAre(200));
  EXPECT_EQ(tensors.at("none").shape(), (Shape{3, 0}));
}

TEST(Safetensors, BfloatKeepsInfinitiesAndNaNs) {
  const auto tensors = parse_safetensors(
      file("{\"b\":" + entry("BF16", "[2]", 0, 4) + "}", raw<std::uint16_t>({0x7F80, 0x7FC0})),
      "x");
  EXPECT_TRUE(std::isinf(values(tensors.at("b"))[0]));
  EXPECT_TRUE(std::isnan(values(tensors.at("b"))[1]));
}

TEST(Safetensors, AnEmptyFileOfTheFormatHoldsNothing) {
  EXPECT_TRUE(parse_safetensors(file("{}", ""), "x").empty());
}

class SafetensorsFile : public ScratchFolder {};

TEST_F(SafetensorsFile, IsRead) {
  const auto path =
      write("w", file("{\"w\":" + entry("F32", "[2]", 0, 8) + "}", raw<float>({1, 2})));
  EXPECT_THAT(values(read_safetensors(path).at("w")), ElementsAre(1, 2));
  EXPECT_THROW(static_cast<void>(read_safetensors(folder_ / "none")), FileError);
}

TEST(Safetensors, RefusesWhatIsNoHeader) {
  EXPECT_THAT(complaint(""), HasSubstr("truncated"));
  EXPECT_THAT(complaint("1234567"), HasSubstr("truncated"));
  EXPECT_THAT(complaint(length_of(10) + "{}"), HasSubstr("truncated"));
  EXPECT_THAT(complaint(length_of(~std::uint64_t{0}) + "{}"), HasSubstr("its header would have"));
  EXPECT_THAT(complaint(file("{", "")), HasSubstr("not JSON"));
  EXPECT_THAT(complaint(file("[]", "")), HasSubstr("not a JSON object"));
  EXPECT_THAT(complaint(file(std::string(1'000'000, '['), "")), HasSubstr("nested too deeply"));
  EXPECT_THAT(complaint(file("{\"\\\"[\": 1}", "")), HasSubstr("not described by an object"));
}

TEST(Safetensors, RefusesTensorsThatDoNotFitAndNamesThem) {
  const auto with = [](const std::string& described, std::size_t bytes) {
    return complaint(file("{\"w\":" + described + "}", std::string(bytes, '\0')));
  };
  EXPECT_THAT(with("1", 0), HasSubstr("'w' is not described by an object"));
  EXPECT_THAT(with("{}", 0), HasSubstr("'w' has no dtype"));
  EXPECT_THAT(with(R"({"dtype":7})", 0), HasSubstr("dtype that is not text"));
  EXPECT_THAT(with(R"({"dtype":"F32"})", 0), HasSubstr("no shape"));
  EXPECT_THAT(with(R"({"dtype":"F32","shape":[1]})", 0), HasSubstr("no data_offsets"));
  EXPECT_THAT(with(entry("F32", "3", 0, 4), 4), HasSubstr("shape that is not a list"));
  EXPECT_THAT(with(entry("F32", "[-1]", 0, 4), 4), HasSubstr("-1 in its shape"));
  EXPECT_THAT(with(entry("F32", "[1.5]", 0, 4), 4), HasSubstr("1.5 in its shape"));
  EXPECT_THAT(with(entry("F32", "[2147483648]", 0, 4), 4), HasSubstr("2147483648 in its shape"));
  EXPECT_THAT(with(entry("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4), 4), HasSubstr("9 extents"));
  EXPECT_THAT(with(entry("F32", "[2147483647,2147483647,2147483647]", 0, 4), 4),
              HasSubstr("impossible shape"));
  EXPECT_THAT(with(entry("F32", "[1073741824,4294967]", 0, 4), 4), HasSubstr("4 bytes for shape"));
  EXPECT_THAT(with(entry("F32", "[2]", 0, 4), 4), HasSubstr("4 bytes for shape [2] of F32"));
  EXPECT_THAT(with(entry("F32", "[1]", 4, 0), 4), HasSubstr("not a begin and an end"));
  EXPECT_THAT(with(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", 4),
              HasSubstr("not a begin and an end"));
  EXPECT_THAT(with(entry("F8_E4M3", "[1]", 0, 1), 1),
              HasSubstr("unsupported: 'f.safetensors': tensor 'w' is of type 'F8_E4M3'"));
}

TEST(Safetensors, RefusesGapsOverlapsAndDataThatIsMissing) {
  const std::string one = entry("F32", "[1]", 0, 4);
  EXPECT_THAT(complaint(file("{\"w\":" + one + "}", "123")), HasSubstr("3 bytes of data"));
  EXPECT_THAT(complaint(file("{\"w\":" + one + "}", "12345")), HasSubstr("5 bytes of data"));
  EXPECT_THAT(complaint(file("{\"v\":" + one + ",\"w\":" + one + "}", "1234")),
              HasSubstr("begins at byte 0 of the data instead of 4"));
  EXPECT_THAT(complaint(file("{\"v\":" + one + ",\"w\":" + entry("F32", "[1]", 8, 12) + "}",
                             "123456789012")),
              HasSubstr("'w' begins at byte 8 of the data instead of 4"));
}

}  // namespace
}  // namespace octconv
