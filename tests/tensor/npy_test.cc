// SPDX-License-Identifier: Apache-2.0
// .npy files as NumPy writes them, byte by byte, and damaged in every way.
#include "octconv/tensor/npy.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "support/scratch.h"

namespace octconv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A file as numpy/lib/format.py writes it: mark, version, length of the header, the header padded
// with blanks and a line feed to a multiple of 64 bytes, data.
std::string npy(const std::string& header, const std::string& data, int version = 1) {
  std::string text = header;
  const std::size_t before = 6 + 2 + (version == 1 ? 2 : 4);
  while ((before + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>((text.size() >> (8 * i)) & 255);
  }
  return bytes + text + data;
}

std::string header(const std::string& type, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }";
}

template <class T>
std::string little(std::initializer_list<T> values) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

template <class T>
std::string big(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) {
    const std::string one = little({value});
    bytes.append(one.rbegin(), one.rend());
  }
  return bytes;
}

Tensor counting(Shape shape) {
  Tensor tensor(shape);
  std::iota(tensor.values().begin(), tensor.values().end(), 0.5F);
  return tensor;
}

using NpyFile = ScratchFolder;

TEST_F(NpyFile, ReadsBackWhatWasWritten) {
  for (const Shape& shape :
       {Shape{}, Shape{0}, Shape{1}, Shape{5}, Shape{2, 3}, Shape{3, 0, 2}, Shape{1, 2, 3, 4},
        Shape{2, 1, 2, 1, 2, 1, 2, 1}, Shape{1000000000, 0}}) {
    const Tensor tensor = counting(shape);
    write_npy(folder_ / "x.npy", tensor);
    const Tensor back = read_npy(folder_ / "x.npy");
    EXPECT_EQ(back.shape(), shape);
    EXPECT_THAT(back.values(), testing::ElementsAreArray(tensor.values())) << shape.to_string();
  }
}

TEST_F(NpyFile, KeepsEveryBitOfUnusualFloats) {
  Tensor tensor({5});
  tensor.data()[0] = -0.0F;
  tensor.data()[1] = std::numeric_limits<float>::denorm_min();
  tensor.data()[2] = -kInfinity;
  tensor.data()[3] = std::bit_cast<float>(0x7fc12345U);  // a NaN with a payload
  tensor.data()[4] = std::numeric_limits<float>::max();
  write_npy(folder_ / "x.npy", tensor);
  const Tensor back = read_npy(folder_ / "x.npy");
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(back.values()[i]),
              std::bit_cast<std::uint32_t>(tensor.values()[i]));
  }
}

TEST_F(NpyFile, IsWrittenAsTheFormatDescribes) {
  write_npy(folder_ / "x.npy", counting({2, 3}));
  const std::string bytes = read_file(folder_ / "x.npy");
  const std::string mark("\x93NUMPY\x01\x00", 8);
  ASSERT_EQ(bytes.substr(0, 8), mark);
  const std::size_t length = static_cast<unsigned char>(bytes[8]) +
                             256 * static_cast<std::size_t>(static_cast<unsigned char>(bytes[9]));
  EXPECT_EQ((10 + length) % 64, 0u);
  ASSERT_EQ(bytes.size(), 10 + length + 6 * sizeof(float));
  EXPECT_EQ(bytes[10 + length - 1], '\n');
  EXPECT_THAT(bytes.substr(10, length),
              testing::StartsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (2,3,), }"));
  EXPECT_EQ(bytes.substr(10 + length), little({0.5F, 1.5F, 2.5F, 3.5F, 4.5F, 5.5F}));
}

TEST_F(NpyFile, ReadErrorsNameThePath) {
  EXPECT_THAT([&] { static_cast<void>(read_npy(folder_ / "none.npy")); },
              ThrowsMessage<FileError>(HasSubstr((folder_ / "none.npy").string())));
  const std::filesystem::path path = write("bad.npy", "not an array");
  EXPECT_THAT([&] { static_cast<void>(read_npy(path)); },
              ThrowsMessage<FormatError>(HasSubstr(path.string())));
}

TEST(Npy, ReadsEveryTypeInBothByteOrders) {
  struct Case {
    std::string type;
    std::string data;
    std::vector<float> values;
  };
  const float rounded = static_cast<float>((std::int64_t{1} << 53) + 1);
  for (const Case& c : {
           Case{"<f4", little({1.5F, -2.0F}), {1.5F, -2.0F}},
           Case{">f4", big({1.5F, -2.0F}), {1.5F, -2.0F}},
           Case{"=f4", little({1.5F, -2.0F}), {1.5F, -2.0F}},
           Case{"<f8", little({0.1, -1e30}), {0.1F, -1e30F}},
           Case{">f8", big({0.1, -1e30}), {0.1F, -1e30F}},
           // 1, -2, largest, least normal, least, -infinity, -0, 1/3 to 11 bits.
           Case{"<f2",
                little<std::uint16_t>(
                    {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0xfc00, 0x8000, 0x3555}),
                {1, -2, 65504, 0x1p-14F, 0x1p-24F, -kInfinity, -0.0F, 0x1.554p-2F}},
           Case{">f2", big<std::uint16_t>({0x3c00, 0xc000}), {1, -2}},
           Case{"|i1", little<std::int8_t>({-128, 127}), {-128, 127}},
           Case{"<i2", little<std::int16_t>({-32768, 32767}), {-32768, 32767}},
           Case{">i2", big<std::int16_t>({-32768, 32767}), {-32768, 32767}},
           Case{"<i4", little<std::int32_t>({-65536, 16777216}), {-65536, 16777216}},
           Case{">i4", big<std::int32_t>({-65536, 16777216}), {-65536, 16777216}},
           Case{"<i8", little<std::int64_t>({-3, (std::int64_t{1} << 53) + 1}), {-3, rounded}},
           Case{">i8", big<std::int64_t>({-3, std::int64_t{1} << 40}), {-3, 0x1p40F}},
           Case{"|u1", little<std::uint8_t>({0, 255}), {0, 255}},
           Case{"<u2", little<std::uint16_t>({0, 65535}), {0, 65535}},
           Case{">u2", big<std::uint16_t>({1, 65535}), {1, 65535}},
           Case{"<u4", little<std::uint32_t>({0, 0xffffff00}), {0, 4294967040.0F}},
           Case{">u4", big<std::uint32_t>({1, 0xffffff00}), {1, 4294967040.0F}},
           Case{"<u8", little<std::uint64_t>({0, ~std::uint64_t{0}}), {0, 0x1p64F}},
           Case{">u8", big<std::uint64_t>({1, ~std::uint64_t{0}}), {1, 0x1p64F}},
           Case{"|b1", little<std::uint8_t>({0, 1}), {0, 1}},
       }) {
    const std::string shape = "(" + std::to_string(c.values.size()) + ",)";
    const Tensor tensor = parse_npy(npy(header(c.type, shape), c.data), "x");
    ASSERT_EQ(tensor.shape(), (Shape{static_cast<std::int64_t>(c.values.size())})) << c.type;
    for (std::size_t i = 0; i < c.values.size(); ++i) {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(tensor.values()[i]),
                std::bit_cast<std::uint32_t>(c.values[i]))
          << c.type << " " << i << ": " << tensor.values()[i] << " is not " << c.values[i];
    }
  }
}

TEST(Npy, ReadsHalfPrecisionNan) {
  const Tensor tensor =
      parse_npy(npy(header("<f2", "(2,)"), little<std::uint16_t>({0x7e00, 0xfc01})), "x");
  EXPECT_TRUE(std::isnan(tensor.values()[0]));
  EXPECT_TRUE(std::isnan(tensor.values()[1]));
}

TEST(Npy, ReadsFortranOrder) {
  // Element (i, j) of a 2 x 3 matrix is 10 i + j; Fortran order stores columns.
  const Tensor matrix = parse_npy(
      npy(header("<i2", "(2, 3)", true), little<std::int16_t>({0, 10, 1, 11, 2, 12})), "x");
  EXPECT_EQ(matrix.shape(), (Shape{2, 3}));
  EXPECT_THAT(matrix.values(), ElementsAre(0, 1, 2, 10, 11, 12));

  // Element (i, j, k) is 100 i + 10 j + k; the first index runs fastest.
  std::string data;
  for (std::int16_t k = 0; k < 4; ++k) {
    for (std::int16_t j = 0; j < 3; ++j) {
      for (std::int16_t i = 0; i < 2; ++i) {
        data += little({static_cast<std::int16_t>(100 * i + 10 * j + k)});
      }
    }
  }
  const Tensor cube = parse_npy(npy(header("<i2", "(2, 3, 4)", true), data), "x");
  const float* value = cube.data();
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int k = 0; k < 4; ++k) EXPECT_EQ(*value++, 100 * i + 10 * j + k);
    }
  }
  EXPECT_EQ(parse_npy(npy(header("<f4", "()", true), little({3.0F})), "x").values()[0], 3.0F);
  EXPECT_EQ(parse_npy(npy(header("<f4", "(2, 0)", true), ""), "x").shape(), (Shape{2, 0}));
}

TEST(Npy, ReadsEveryFormatVersion) {
  for (const int version : {1, 2, 3}) {
    const Tensor tensor = parse_npy(npy(header("<f4", "(1,)"), little({2.0F}), version), "x");
    EXPECT_THAT(tensor.values(), ElementsAre(2)) << version;
  }
  for (const int version : {0, 4, 255}) {
    EXPECT_THROW(
        static_cast<void>(parse_npy(npy(header("<f4", "(1,)"), little({2.0F}), version), "x")),
        FormatError)
        << version;
  }
}

TEST(Npy, ReadsAHeaderLongerThan64KilobytesOfVersionTwo) {
  const std::string padded = header("<f4", "(1,)") + std::string(70000, ' ');
  EXPECT_THAT(parse_npy(npy(padded, little({2.0F}), 2), "x").values(), ElementsAre(2));
}

TEST(Npy, ReadsKeysInAnyOrderAndQuotesOfBothKinds) {
  const std::string text = "{'shape':(2, ),'fortran_order':False,'descr':\"<f4\"}";
  EXPECT_THAT(parse_npy(npy(text, little({1.0F, 2.0F})), "x").values(), ElementsAre(1, 2));
}

TEST(Npy, RefusesAFileCutAnywhere) {
  for (const int version : {1, 2}) {
    const std::string whole =
        npy(header("<f4", "(2, 3)"), little({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}), version);
    ASSERT_EQ(parse_npy(whole, "x").elements(), 6);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      // A copy of just this length, so that a sanitizer sees a read past its end.
      const std::vector<char> cut(whole.begin(),
                                  whole.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_THAT(
          [&] { static_cast<void>(parse_npy(std::string_view(cut.data(), cut.size()), "x.npy")); },
          ThrowsMessage<FormatError>(HasSubstr("x.npy")))
          << length;
    }
    EXPECT_THROW(static_cast<void>(parse_npy(whole + '\0', "x")), FormatError);
  }
}

TEST(Npy, ReadsOrRefusesAFileWithAnyByteChanged) {
  const std::string whole = npy(header("<f4", "(2, 3)"), std::string(24, '\0'));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(value);
      try {
        // Whatever is read, its elements are those 24 bytes.
        EXPECT_LE(parse_npy(damaged, "x").elements(), 24);
      } catch (const FormatError&) {
      }
    }
  }
}

TEST(Npy, NamesATypeThatIsNotANumber) {
  for (const std::string type :
       {"<c8", "|S3", "<U1", "|O", "<M8[s]", "<f3", "<f16", "f4", "", "<"}) {
    EXPECT_THAT([&] { static_cast<void>(parse_npy(npy(header(type, "(1,)"), "12345678"), "x")); },
                ThrowsMessage<FormatError>(HasSubstr("'" + type + "'")));
  }
  const std::string record = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
  EXPECT_THROW(static_cast<void>(parse_npy(npy(record, "1234"), "x")), FormatError);
}

TEST(Npy, RefusesShapesThatAreNone) {
  for (const std::string shape :
       {"(-1,)", "(a,)", "(1", "1", "", "(1.5,)", "(1,1,1,1,1,1,1,1,1)", "(99999999999999999999,)",
        "(4294967296, 4294967296)", "(4611686018427387904,)", "(18446744073709551617,)"}) {
    EXPECT_THROW(static_cast<void>(parse_npy(npy(header("<f4", shape), "1234"), "x")), FormatError)
        << shape;
  }
}

TEST(Npy, RefusesAShapeThatDoesNotFitTheData) {
  for (const std::string shape : {"()", "(1,)", "(3,)", "(2, 2)", "(0,)"}) {
    EXPECT_THAT(
        [&] { static_cast<void>(parse_npy(npy(header("<f4", shape), std::string(8, '\0')), "x")); },
        ThrowsMessage<FormatError>(HasSubstr("8 bytes")))
        << shape;
  }
  // Bytes that are no whole number of elements.
  EXPECT_THROW(static_cast<void>(parse_npy(npy(header("<f4", "(1,)"), "12345"), "x")), FormatError);
}

TEST(Npy, NamesAMissingKey) {
  for (const std::string key : {"descr", "fortran_order", "shape"}) {
    std::string text = header("<f4", "(1,)");
    text.replace(text.find(key), 1, "X");
    EXPECT_THAT([&] { static_cast<void>(parse_npy(npy(text, "1234"), "x")); },
                ThrowsMessage<FormatError>(AllOf(HasSubstr("'x'"), HasSubstr("'" + key + "'"))));
  }
}

}  // namespace
}  // namespace octconv
