// SPDX-License-Identifier: Apache-2.0
#include "octconv/tensor/npy.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "tensor/half.h"

namespace octconv {
namespace {

constexpr std::string_view kMagic{"\x93NUMPY", 6};

struct Header {
  std::string type;  // "<f4"
  bool fortran_order = false;
  Shape shape;
};

[[noreturn]] void fail(std::string_view name, const std::string& why) {
  throw FormatError("'" + std::string(name) + "' is not a usable .npy file: " + why);
}

// The text after `'key':` in the header's Python dictionary, without leading blanks.
std::string_view field(std::string_view header, std::string_view key, std::string_view name) {
  const std::string quoted = "'" + std::string(key) + "'";
  const std::size_t at = header.find(quoted);
  const std::size_t colon =
      at == std::string_view::npos ? at : header.find(':', at + quoted.size());
  if (colon == std::string_view::npos) fail(name, "its header has no " + quoted);
  std::string_view rest = header.substr(colon + 1);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

Shape parse_shape(std::string_view text, std::string_view name) {
  const std::size_t close = text.find(')');
  if (!text.starts_with('(') || close == std::string_view::npos)
    fail(name, "its shape is not a tuple");
  text = text.substr(1, close - 1);
  Shape shape;
  while (text.find_first_not_of(" ,") != std::string_view::npos) {
    text.remove_prefix(text.find_first_not_of(" ,"));
    std::int64_t extent = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), extent);
    if (error != std::errc{} || extent < 0)
      fail(name, "its shape holds something that is not a size");
    if (shape.rank() == Shape::kMaxRank) fail(name, "it has more than 8 axes");
    shape.push_back(extent);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return shape;
}

Header parse_header(std::string_view text, std::string_view name) {
  Header header;
  const std::string_view type = field(text, "descr", name);
  const std::size_t quote = type.size() > 1 ? type.find(type[0], 1) : std::string_view::npos;
  if (quote == std::string_view::npos || (type[0] != '\'' && type[0] != '"')) {
    fail(name, "its type is not a plain one");
  }
  header.type = std::string(type.substr(1, quote - 1));
  header.fortran_order = field(text, "fortran_order", name).starts_with("True");
  header.shape = parse_shape(field(text, "shape", name), name);
  return header;
}

template <class T>
T load(const char* bytes, bool swap) {
  char copy[sizeof(T)];
  for (std::size_t i = 0; i < sizeof(T); ++i) copy[i] = bytes[swap ? sizeof(T) - 1 - i : i];
  return std::bit_cast<T>(copy);
}

using Load = float (*)(const char*, bool);

template <class T>
float load_as_float(const char* bytes, bool swap) {
  return static_cast<float>(load<T>(bytes, swap));
}

struct ElementType {
  std::string_view name;
  std::size_t bytes;
  Load load;
};

constexpr ElementType kTypes[] = {
    {"f4", 4, load_as_float<float>},
    {"f8", 8, load_as_float<double>},
    {"f2", 2, [](const char* b, bool swap) { return half_to_float(load<std::uint16_t>(b, swap)); }},
    {"i1", 1, load_as_float<std::int8_t>},
    {"i2", 2, load_as_float<std::int16_t>},
    {"i4", 4, load_as_float<std::int32_t>},
    {"i8", 8, load_as_float<std::int64_t>},
    {"u1", 1, load_as_float<std::uint8_t>},
    {"u2", 2, load_as_float<std::uint16_t>},
    {"u4", 4, load_as_float<std::uint32_t>},
    {"u8", 8, load_as_float<std::uint64_t>},
    {"b1", 1, load_as_float<std::uint8_t>},
};

const ElementType& element_type(const std::string& type, std::string_view name) {
  for (const ElementType& known : kTypes) {
    if (type.size() == 3 && std::string_view("<>|=").find(type[0]) != std::string_view::npos &&
        type.substr(1) == known.name) {
      return known;
    }
  }
  fail(name, "its type '" + type + "' is not a float, integer or boolean");
}

}  // namespace

Tensor parse_npy(std::string_view bytes, std::string_view name) {
  if (!bytes.starts_with(kMagic) || bytes.size() < 10)
    fail(name, "it does not start with NumPy's mark");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3)
    fail(name, "format version " + std::to_string(version) + " is not 1, 2 or 3");
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (bytes.size() < 8 + length_bytes) fail(name, "it is truncated");
  const bool host_is_big = std::endian::native == std::endian::big;
  const std::size_t length = version == 1 ? load<std::uint16_t>(bytes.data() + 8, host_is_big)
                                          : load<std::uint32_t>(bytes.data() + 8, host_is_big);
  std::string_view rest = bytes.substr(8 + length_bytes);
  if (rest.size() < length) fail(name, "it is truncated");
  const Header header = parse_header(rest.substr(0, length), name);
  rest.remove_prefix(length);

  const ElementType& type = element_type(header.type, name);
  std::int64_t count = 0;
  try {
    count = header.shape.elements();
  } catch (const InvalidArgument&) {
    fail(name, "its shape " + header.shape.to_string() + " is too large");
  }
  // Compare by division: count * bytes may overflow.
  if (rest.size() % type.bytes != 0 ||
      rest.size() / type.bytes != static_cast<std::size_t>(count)) {
    fail(name, "shape " + header.shape.to_string() + " of '" + header.type + "' does not fit its " +
                   std::to_string(rest.size()) + " bytes of data");
  }

  Tensor tensor(header.shape);
  const bool swap =
      type.bytes > 1 && (header.type[0] == '>') != host_is_big && header.type[0] != '=';
  const std::size_t rank = header.shape.rank();
  Shape index = Shape::filled(rank, 0);
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t at = i;
    if (header.fortran_order) {
      at = 0;
      for (std::size_t axis = rank; axis-- > 0;) at = at * header.shape[axis] + index[axis];
      for (std::size_t axis = rank; axis-- > 0;) {
        if (++index[axis] < header.shape[axis]) break;
        index[axis] = 0;
      }
    }
    tensor.data()[i] = type.load(rest.data() + static_cast<std::size_t>(at) * type.bytes, swap);
  }
  return tensor;
}

Tensor read_npy(const std::filesystem::path& path) {
  return parse_npy(read_file(path), path.string());
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  static_assert(std::endian::native == std::endian::little, "write_npy says '<f4'");
  std::string shape;
  for (const std::int64_t extent : tensor.shape()) shape += std::to_string(extent) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  // The data starts on a multiple of 64 bytes; the header ends with a line feed.
  const std::size_t unpadded = 10 + header.size() + 1;
  header.append((64 - unpadded % 64) % 64, ' ');
  header += '\n';

  std::string bytes(kMagic);
  bytes += {'\x01', '\x00'};
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(tensor.data()),
               static_cast<std::size_t>(tensor.elements()) * sizeof(float));
  write_file(path, bytes);
}

}  // namespace octconv
