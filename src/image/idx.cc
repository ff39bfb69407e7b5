// SPDX-License-Identifier: Apache-2.0
#include "image/idx.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include <zlib.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"

namespace octconv::image {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 33;

/// The bytes of a file one after the other, inflated if it is a gzip file.
class ByteReader {
 public:
  ByteReader(std::string bytes, std::string name)
      : bytes_(std::move(bytes)), name_(std::move(name)) {
    constexpr std::string_view kGzipSignature = "\x1f\x8b";
    constexpr int kGzipFormat = 16;
    compressed_ = bytes_.starts_with(kGzipSignature);
    if (compressed_ && inflateInit2(&stream_, MAX_WBITS + kGzipFormat) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;
  ~ByteReader() {
    if (compressed_) inflateEnd(&stream_);
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw FormatError("'" + name_ + "': " + why);
  }

  /// No more bytes than this can follow.
  [[nodiscard]] std::int64_t bound() const noexcept {
    constexpr std::int64_t kLargestDeflateRatio =
        1032;  // zlib's FAQ, and Deflate's 258 bytes in 2 bits
    const auto left = static_cast<std::int64_t>(bytes_.size() - at_);
    return compressed_ ? kLargestDeflateRatio * static_cast<std::int64_t>(bytes_.size()) : left;
  }

  /// Fills `dst`. @throws FormatError if the file ends before
  void read(std::span<std::uint8_t> dst) {
    while (!dst.empty()) {
      const std::size_t got = compressed_ ? inflate_some(dst) : copy_some(dst);
      if (got == 0) fail("it is truncated");
      dst = dst.subspan(got);
    }
  }

  /// @throws FormatError if there is anything left
  void finish() {
    std::array<std::uint8_t, 1> extra{};
    if ((compressed_ ? inflate_some(extra) : copy_some(extra)) != 0) {
      fail("it goes on after the last value");
    }
    if (compressed_ && !ended_) fail("it is truncated");
    if (at_ != bytes_.size()) fail("bytes follow the compressed data");
  }

 private:
  std::size_t copy_some(std::span<std::uint8_t> dst) noexcept {
    const std::size_t got = std::min(dst.size(), bytes_.size() - at_);
    std::memcpy(dst.data(), bytes_.data() + at_, got);
    at_ += got;
    return got;
  }

  /// 0 at the end of the compressed data and at the end of the file.
  std::size_t inflate_some(std::span<std::uint8_t> dst) {
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    stream_.next_out = dst.data();
    const std::size_t wanted = std::min(dst.size(), kMost);
    stream_.avail_out = static_cast<uInt>(wanted);
    while (!ended_ && stream_.avail_out == wanted) {
      const std::size_t given = std::min(bytes_.size() - at_, kMost);
      stream_.next_in = reinterpret_cast<Bytef*>(bytes_.data() + at_);
      stream_.avail_in = static_cast<uInt>(given);
      const int code = inflate(&stream_, Z_NO_FLUSH);
      at_ += given - stream_.avail_in;
      if (code == Z_MEM_ERROR) throw std::bad_alloc();
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        fail(std::string("its compressed data is broken") +
             (stream_.msg == nullptr ? "" : std::string(": ") + stream_.msg));
      }
      ended_ = code == Z_STREAM_END;
      if (code == Z_BUF_ERROR || (given == 0 && !ended_)) break;
    }
    return wanted - stream_.avail_out;
  }

  std::string bytes_;
  std::string name_;
  std::size_t at_ = 0;
  bool compressed_ = false;
  bool ended_ = false;
  z_stream stream_{};
};

std::int64_t read_big_endian_32(ByteReader& reader) {
  std::array<std::uint8_t, 4> bytes{};
  reader.read(bytes);
  return std::int64_t{bytes[0]} << 24 | std::int64_t{bytes[1]} << 16 | std::int64_t{bytes[2]} << 8 |
         bytes[3];
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& path, std::size_t rank) {
  return parse_idx(read_file(path), path.string(), rank);
}

IdxArray parse_idx(std::string bytes, const std::string& name, std::size_t rank) {
  ByteReader reader(std::move(bytes), name);
  constexpr std::int64_t kUnsignedBytes = 0x0800;
  const std::int64_t magic = read_big_endian_32(reader);
  if (magic != (kUnsignedBytes | static_cast<std::int64_t>(rank))) {
    reader.fail("it is not an idx file of unsigned bytes with " + std::to_string(rank) +
                " extents");
  }
  IdxArray array;
  std::int64_t elements = 1;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::int64_t extent = read_big_endian_32(reader);
    if (extent < 1) reader.fail("extent " + std::to_string(axis) + " is 0");
    if (elements > kMaxElements / extent) reader.fail("its extents are too large");
    elements *= extent;
    array.extents.push_back(extent);
  }
  // A few bytes can claim any size: believe them only as far as the file could hold it.
  if (elements > reader.bound()) reader.fail("it is truncated");
  array.values.resize(static_cast<std::size_t>(elements));
  reader.read(array.values);
  reader.finish();
  return array;
}

}  // namespace octconv::image
