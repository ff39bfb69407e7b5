// SPDX-License-Identifier: Apache-2.0
#include "octconv/base/file.h"

#include <array>
#include <atomic>
#include <cerrno>
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

// A rename is durable once its folder is synced. Not every file system can; the rename itself
// stands.
void sync_folder(const std::filesystem::path& folder) noexcept {
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) static_cast<void>(::fsync(directory.get()));
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
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  static std::atomic<int> serial{0};
  const std::string temporary =
      (folder / (".octconv-" + path.filename().string() + "-" + std::to_string(::getpid()) + "-" +
                 std::to_string(serial.fetch_add(1))))
          .string();
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) fail("write", path, errno);
  const auto give_up = [&](int code) {
    ::unlink(temporary.c_str());
    fail("write", path, code);
  };
  if (!write_all(file.get(), bytes) || ::fsync(file.get()) != 0) give_up(errno);
  if (!file.close()) give_up(errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) give_up(errno);
  sync_folder(folder);
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
