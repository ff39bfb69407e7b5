// SPDX-License-Identifier: Apache-2.0
#include "octconv/base/file.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "octconv/base/error.h"

namespace octconv {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& path, int code) {
  throw FileError(std::string("cannot ") + what + " '" + path.string() +
                  "': " + std::generic_category().message(code));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  /// Closes now and reports what close() says: some file systems report a full disk only then.
  [[nodiscard]] bool close() noexcept { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

bool write_all(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// A rename is durable once its folder is synced. Not every file system can, and not every folder
// may be opened; the rename itself stands then. Returns the error of a disk that cannot keep it.
int sync_folder(const std::filesystem::path& folder) noexcept {
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) == 0) return 0;
  return errno == EIO || errno == ENOSPC || errno == EDQUOT ? errno : 0;
}

constexpr std::string_view kTemporary = ".octconv-";

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

// Beside `path`, of this process alone.
std::string temporary_name(const std::filesystem::path& path) {
  static std::atomic<int> serial{0};
  return (folder_of(path) /
          (std::string(kTemporary) + path.filename().string() + "-" + std::to_string(::getpid()) +
           "-" + std::to_string(serial.fetch_add(1))))
      .string();
}

// Of a temporary name that `write_file` made, whose process; 0 for another name.
pid_t process_of(const std::string& name) {
  if (!name.starts_with(kTemporary)) return 0;
  const std::size_t serial = name.rfind('-');
  const std::size_t process = name.rfind('-', serial - 1);
  if (process == std::string::npos || process < kTemporary.size()) return 0;
  const auto all_digits = [&](std::size_t from, std::size_t to) {
    return from < to && name.find_first_not_of("0123456789", from) >= to;
  };
  if (!all_digits(process + 1, serial) || !all_digits(serial + 1, name.size())) return 0;
  pid_t id = 0;
  const auto [end, error] = std::from_chars(name.data() + process + 1, name.data() + serial, id);
  return error == std::errc{} ? id : 0;
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path)
    : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (descriptor_ < 0) fail("open", path_, errno);
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

std::size_t InputFile::read(std::span<char> buffer) {
  for (;;) {
    const ssize_t got = ::read(descriptor_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path_, errno);
    return static_cast<std::size_t>(got);
  }
}

std::string read_file(const std::filesystem::path& path, std::int64_t max_bytes) {
  InputFile file(path);
  std::string bytes;
  std::array<char, 1 << 16> buffer;  // NOLINT(*-member-init): read() fills it
  while (const std::size_t got = file.read(buffer)) {
    bytes.append(buffer.data(), got);
    if (static_cast<std::int64_t>(bytes.size()) > max_bytes) {
      throw FileError("cannot read '" + path.string() + "': larger than " +
                      std::to_string(max_bytes) + " bytes");
    }
  }
  return bytes;
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  // The rename would put a file in the place of a device or pipe, /dev/null for one.
  struct stat old {};
  if (::stat(path.c_str(), &old) == 0 && !S_ISREG(old.st_mode)) {
    throw FileError("cannot write '" + path.string() + "': it is not a regular file");
  }
  const std::string temporary = temporary_name(path);
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) fail("write", path, errno);
  const auto give_up = [&](int code) {
    ::unlink(temporary.c_str());
    fail("write", path, code);
  };
  if (!write_all(file.get(), bytes) || ::fsync(file.get()) != 0) give_up(errno);
  if (!file.close()) give_up(errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) give_up(errno);
  if (const int code = sync_folder(folder_of(path)); code != 0) fail("write", path, code);
}

void keep_as(const std::filesystem::path& from, const std::filesystem::path& to) {
  const std::string temporary = temporary_name(to);
  std::error_code error;
  std::filesystem::create_hard_link(from, temporary, error);
  if (error) {
    write_file(to, read_file(from));
    return;
  }
  if (::rename(temporary.c_str(), to.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary.c_str());
    fail("write", to, code);
  }
  // Two names of one file: rename() leaves both.
  ::unlink(temporary.c_str());
  if (const int code = sync_folder(folder_of(to)); code != 0) fail("write", to, code);
}

void remove_unfinished(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const pid_t process = process_of(entry.path().filename().string());
    if (process > 0 && ::kill(process, 0) != 0 && errno == ESRCH)
      std::filesystem::remove(entry.path(), error);
  }
}

void append_to_file(const std::filesystem::path& path, std::string_view bytes) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (file.get() < 0) fail("write", path, errno);
  if (!write_all(file.get(), bytes) || ::fsync(file.get()) != 0) fail("write", path, errno);
  if (!file.close()) fail("write", path, errno);
}

void make_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) fail("make folder", path, error.value());
  if (!std::filesystem::is_directory(path)) fail("make folder", path, ENOTDIR);
  if (::access(path.c_str(), W_OK) != 0) fail("write to folder", path, errno);
}

}  // namespace octconv
