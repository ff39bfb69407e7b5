// SPDX-License-Identifier: Apache-2.0
// Files of torch.save, written byte by byte; PyTorch's own are read in tests/onnx/pytorch_test.py.
#include "octconv/tensor/pth.h"

#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "support/pth_file.h"

namespace octconv {
namespace {

using examples::pickled;
using examples::pickled_dict;
using examples::pickled_tensor;
using examples::pth;
using testing::ElementsAre;
using testing::HasSubstr;

std::string floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<float> values(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

std::string complaint(const std::string& bytes) {
  try {
    static_cast<void>(parse_pth(bytes, "f.pth"));
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'f.pth'"));
    return error.what();
  }
  return "";
}

const std::string kSix = floats({1, 2, 3, 4, 5, 6});

std::string one(const std::string& tensor, const std::string& data = kSix) {
  return pth(pickled_dict({{"w", tensor}}), {{"0", data}});
}

TEST(Pth, ReadsTensorsWithOffsetsAndStrides) {
  const auto tensors = parse_pth(
      pth(pickled_dict({{"a", pickled_tensor("FloatStorage", "0", 0, {2, 3}, {3, 1})},
                        {"transposed", pickled_tensor("FloatStorage", "0", 0, {3, 2}, {1, 3})},
                        {"part", pickled_tensor("FloatStorage", "0", 4, {2}, {1})},
                        {"scalar", pickled_tensor("LongStorage", "7", 0, {}, {})},
                        {"none", pickled_tensor("FloatStorage", "0", 6, {0, 4}, {4, 1})},
                        {"text", pickled("ignored")}}),
          {{"0", kSix}, {"7", std::string("\x05\0\0\0\0\0\0\0", 8)}}),
      "x");
  ASSERT_EQ(tensors.size(), 5U);
  EXPECT_EQ(tensors.at("a").shape(), (Shape{2, 3}));
  EXPECT_THAT(values(tensors.at("a")), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(values(tensors.at("transposed")), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(values(tensors.at("part")), ElementsAre(5, 6));
  EXPECT_EQ(tensors.at("scalar").shape(), Shape());
  EXPECT_THAT(values(tensors.at("scalar")), ElementsAre(5));
  EXPECT_EQ(tensors.at("none").elements(), 0);
}

TEST(Pth, FindsTheStateDictInACheckpoint) {
  const std::string tensor = pickled_tensor("FloatStorage", "0", 0, {6}, {1});
  const std::string inner = pickled_dict({{"w", tensor}});
  const std::string parameter = "ctorch._utils\n_rebuild_parameter\n(" + tensor + "\x88}tR";
  for (const char* key : {"state_dict", "model_state_dict", "model", "net", "network"}) {
    const auto tensors = parse_pth(pth("}(" + pickled("best") + tensor + pickled("epoch") +
                                           pickled(3) + pickled(key) + inner + "u",
                                       {{"0", kSix}}),
                                   "x");
    EXPECT_EQ(tensors.size(), 1U) << key;
    EXPECT_TRUE(tensors.contains("w")) << key;
  }
  EXPECT_EQ(parse_pth(one(parameter), "x").size(), 1U);
}

TEST(Pth, RefusesTensorsThatReachBeyondTheirStorage) {
  const auto tensor = [](std::uint64_t offset, const std::vector<std::uint64_t>& extents,
                         const std::vector<std::uint64_t>& strides) {
    return complaint(one(pickled_tensor("FloatStorage", "0", offset, extents, strides)));
  };
  EXPECT_EQ(tensor(0, {2, 3}, {3, 1}), "");
  EXPECT_THAT(tensor(1, {2, 3}, {3, 1}), HasSubstr("'w' is larger than its storage of 6 elements"));
  EXPECT_THAT(tensor(0, {7}, {1}), HasSubstr("larger than its storage"));
  EXPECT_THAT(tensor(6, {}, {}), HasSubstr("larger than its storage"));
  EXPECT_THAT(tensor(0, {2}, {6}), HasSubstr("larger than its storage"));
  EXPECT_THAT(tensor(0, {1 << 20}, {0}), HasSubstr("larger than its storage"));  // one, repeated
  EXPECT_THAT(tensor(0, {0x7fffffff, 0x7fffffff, 0x7fffffff}, {0, 0, 0}),
              HasSubstr("larger than its storage"));
  EXPECT_THAT(tensor(0xffffffff, {1}, {1}), HasSubstr("larger than its storage"));  // -1
  EXPECT_THAT(tensor(0, {0xffffffff}, {1}), HasSubstr("impossible shape"));
  EXPECT_THAT(tensor(0, {2, 3}, {1}), HasSubstr("impossible shape"));
  EXPECT_THAT(tensor(0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}),
              HasSubstr("impossible shape"));
}

TEST(Pth, BoundsWhatAStorageReadManyTimesCanAskFor) {
  std::vector<std::pair<std::string, std::string>> all;
  const std::string data(1 << 16, '\0');
  for (int i = 0; i < 100; ++i)
    all.emplace_back("w" + std::to_string(i),
                     pickled_tensor("ByteStorage", "0", 0, {1 << 16}, {1}));
  EXPECT_THAT(complaint(pth(pickled_dict(all), {{"0", data}})),
              HasSubstr("far larger than the file"));
}

TEST(Pth, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(complaint(one(pickled_tensor("ComplexFloatStorage", "0", 0, {1}, {1}))),
              HasSubstr("'w' is of type 'torch.ComplexFloatStorage'"));
  EXPECT_THAT(complaint(one(pickled_tensor("FloatStorage", "1", 0, {1}, {1}))),
              HasSubstr("data of tensor 'w' are missing"));
  EXPECT_THAT(complaint("\x80\x02\x8a\x0a"), HasSubstr("PyTorch before 1.6"));
  EXPECT_THAT(complaint(pth("}", {})), HasSubstr("no dictionary of tensors"));
  EXPECT_THAT(complaint(pth(pickled("x"), {})), HasSubstr("no dictionary of tensors"));
  // What would be a call of os.system is an object like others.
  EXPECT_THAT(complaint(pth("cos\nsystem\n(" + pickled("true") + "tR", {})),
              HasSubstr("no dictionary of tensors"));
  EXPECT_THAT(complaint(examples::zip({{"archive/other", ""}})), HasSubstr("no data.pkl"));
  EXPECT_THAT(complaint(pth("P", {})), HasSubstr("opcode 80"));
}

TEST(Pth, EveryTruncationIsRefused) {
  const std::string whole = one(pickled_tensor("FloatStorage", "0", 0, {6}, {1}));
  ASSERT_EQ(complaint(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(complaint(whole.substr(0, size)), "") << size;
}

TEST(Pth, DamagedPicklesAreErrors) {
  for (const std::string pickle : {"t", "u", "s", "R", "b", "Q", "a", "e", "(u", "h\x01", "j\x01",
                                   "X", "}(K\x01u", "0", "q\x01", "cabc"}) {
    EXPECT_THAT(complaint(pth(pickle, {})), HasSubstr("pickle is damaged")) << pickle;
  }
}

}  // namespace
}  // namespace octconv
