// SPDX-License-Identifier: Apache-2.0
#include "onnx/constant.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include <onnx/onnx_pb.h>

#include "octconv/base/error.h"
#include "tensor/half.h"

namespace octconv::onnx {
namespace {

using ::onnx::TensorProto;

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

// The shape, if it has that many elements. Division before multiplication: the product of extents
// from a file may not fit in 64 bits.
Shape shape_with(const TensorProto& proto, std::size_t elements) {
  if (proto.dims_size() > static_cast<int>(Shape::kMaxRank))
    throw Unsupported("initialiser '" + proto.name() + "' has " +
                      std::to_string(proto.dims_size()) + " dimensions");
  Shape shape;
  std::size_t left = elements;
  bool fits = true;
  bool empty = false;
  for (const std::int64_t extent : proto.dims()) {
    if (extent < 0) fits = false;
    if (extent == 0) empty = true;
    if (fits && extent > 0 && elements > 0) {
      fits = left % static_cast<std::size_t>(extent) == 0;
      left /= static_cast<std::size_t>(extent);
    }
    shape.push_back(extent);
  }
  if (!fits || (empty ? elements != 0 : elements == 0 || left != 1)) {
    throw FormatError("initialiser '" + proto.name() + "' has " + std::to_string(elements) +
                      " elements, which do not fill " + shape.to_string());
  }
  return shape;
}

// The elements of raw bytes, in the file's type.
template <class Stored>
std::vector<Stored> from_raw(const TensorProto& proto) {
  const std::string& raw = proto.raw_data();
  if (raw.size() % sizeof(Stored) != 0)
    throw FormatError("initialiser '" + proto.name() + "' has " + std::to_string(raw.size()) +
                      " bytes, which are no whole number of elements");
  std::vector<Stored> values(raw.size() / sizeof(Stored));
  if (!raw.empty()) std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

template <class To, class Values>
std::vector<To> converted(const Values& values) {
  std::vector<To> result;
  result.reserve(static_cast<std::size_t>(values.size()));
  for (const auto value : values) result.push_back(static_cast<To>(value));
  return result;
}

template <class Values>
std::vector<float> from_halves(const Values& values) {
  std::vector<float> result;
  for (const auto bits : values) result.push_back(half_to_float(static_cast<std::uint16_t>(bits)));
  return result;
}

std::uint64_t to_size(const std::string& text, const std::string& who) {
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size())
    throw FormatError(who + " begins or ends at '" + text + "', which is no number");
  return size;
}

// The tensor with its data from another file beside the model's: never from anywhere else.
TensorProto with_external_data(const TensorProto& proto, const std::filesystem::path& folder) {
  const std::string who = "the data of initialiser '" + proto.name() + "'";
  if (folder.empty()) throw Unsupported(who + " are in another file");
  std::filesystem::path location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = to_size(entry.value(), who);
    if (entry.key() == "length") length = to_size(entry.value(), who);
  }
  const bool inside =
      !location.empty() && location.is_relative() &&
      std::none_of(location.begin(), location.end(), [](const auto& part) { return part == ".."; });
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(folder / location, error);
  const std::filesystem::path root = std::filesystem::canonical(folder);
  const bool below =
      !error &&
      std::mismatch(root.begin(), root.end(), path.begin(), path.end()).first == root.end();
  if (!inside || (!error && !below))
    throw FormatError(who + " are said to be in '" + location.string() +
                      "', which is not in the folder of the model");
  const std::uint64_t size = error ? 0 : std::filesystem::file_size(path, error);
  if (error) throw FormatError(who + " are in '" + location.string() + "': " + error.message());
  if (offset > size || length.value_or(0) > size - offset)
    throw FormatError(who + " are beyond the end of '" + location.string() + "', which has " +
                      std::to_string(size) + " bytes");
  std::string bytes(length.value_or(size - offset), '\0');
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    throw FormatError(who + " cannot be read from '" + location.string() + "'");
  TensorProto whole;
  whole.set_name(proto.name());
  whole.set_data_type(proto.data_type());
  *whole.mutable_dims() = proto.dims();
  whole.set_raw_data(std::move(bytes));
  return whole;
}

}  // namespace

Constant read_constant(const TensorProto& proto, const std::filesystem::path& folder) {
  if (proto.data_location() != ::onnx::TensorProto_DataLocation_DEFAULT ||
      proto.external_data_size() > 0)
    return read_constant(with_external_data(proto, folder));
  const bool raw = proto.has_raw_data();
  Constant constant;
  switch (proto.data_type()) {
    case ::onnx::TensorProto_DataType_FLOAT:
      constant.values = raw ? from_raw<float>(proto) : converted<float>(proto.float_data());
      break;
    case ::onnx::TensorProto_DataType_DOUBLE:
      constant.values =
          raw ? converted<float>(from_raw<double>(proto)) : converted<float>(proto.double_data());
      break;
    case ::onnx::TensorProto_DataType_FLOAT16:
      constant.values =
          raw ? from_halves(from_raw<std::uint16_t>(proto)) : from_halves(proto.int32_data());
      break;
    case ::onnx::TensorProto_DataType_INT64:
      constant.values =
          raw ? from_raw<std::int64_t>(proto) : converted<std::int64_t>(proto.int64_data());
      break;
    case ::onnx::TensorProto_DataType_INT32:
      constant.values = raw ? converted<std::int64_t>(from_raw<std::int32_t>(proto))
                            : converted<std::int64_t>(proto.int32_data());
      break;
    default:
      throw Unsupported("initialiser '" + proto.name() + "' is of type " +
                        ::onnx::TensorProto_DataType_Name(
                            static_cast<::onnx::TensorProto_DataType>(proto.data_type())));
  }
  constant.shape = shape_with(
      proto, std::visit([](const auto& values) { return values.size(); }, constant.values));
  return constant;
}

}  // namespace octconv::onnx
