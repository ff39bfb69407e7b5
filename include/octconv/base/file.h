// SPDX-License-Identifier: Apache-2.0
// Files in and out; a file is replaced whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "octconv/base/api.h"

namespace octconv {

/// The bytes of a file.
/// @throws FileError if it cannot be read, is a folder, or is larger than `max_bytes`
[[nodiscard]] OCTCONV_API std::string read_file(const std::filesystem::path& path,
                                                std::int64_t max_bytes = std::int64_t{1} << 34);

/// A file that is read once, from its beginning, piece by piece.
class OCTCONV_API InputFile {
 public:
  /// @throws FileError if it cannot be opened
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// Fills the beginning of `buffer` with what comes next; returns how many bytes, 0 at the end.
  /// @throws FileError if it cannot be read, or is a folder
  [[nodiscard]] std::size_t read(std::span<char> buffer);

 private:
  std::filesystem::path path_;
  int descriptor_;
};

/// Replaces `path` by `bytes`: written to a temporary name beside it, synced, renamed.
///
/// Whenever the process or machine stops, `path` holds either its old contents or all of the new.
/// @throws FileError (naming the path and the reason) and leaves no temporary file; also for a path
///         that is a device, pipe or folder
OCTCONV_API void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Makes `to` another name of the file `from`, or a copy where the file system has one name for
/// each file. What `to` was is replaced whole; it stays what it is when `write_file` replaces
/// `from`.
/// @throws FileError (naming the path and the reason)
OCTCONV_API void keep_as(const std::filesystem::path& from, const std::filesystem::path& to);

/// Removes what `write_file` left in a folder when the process that called it was killed: temporary
/// files of processes that are no more.
OCTCONV_API void remove_unfinished(const std::filesystem::path& folder);

/// Adds `bytes` to the end of a file, which is made if it is not there: in one go, and synced.
///
/// Readers of the file see it grow; if the process or machine stops meanwhile, a part of the bytes
/// may be there.
/// @throws FileError (naming the path and the reason)
OCTCONV_API void append_to_file(const std::filesystem::path& path, std::string_view bytes);

/// Makes a folder and those above it.
/// @throws FileError if it cannot be made, is a file, or cannot be written to
OCTCONV_API void make_folder(const std::filesystem::path& path);

}  // namespace octconv
