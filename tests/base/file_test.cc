// SPDX-License-Identifier: Apache-2.0
// A file is replaced whole or not at all, whatever goes wrong.
#include "octconv/base/file.h"

#include <csignal>
#include <set>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "octconv/base/error.h"
#include "support/scratch.h"

namespace octconv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;
using File = ScratchFolder;

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

// While it lives, a write past `bytes` of a file fails like one on a full disk (with EFBIG instead
// of ENOSPC).
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int);
};

TEST_F(File, KeptUnderAnotherNameStaysWhenTheFirstIsReplaced) {
  write_file(folder_ / "f", "first");
  write_file(folder_ / "kept", "older");
  for (int again = 0; again < 2; ++again) keep_as(folder_ / "f", folder_ / "kept");
  write_file(folder_ / "f", "second");
  EXPECT_EQ(read_file(folder_ / "kept"), "first");
  EXPECT_THAT(names_in(folder_), ElementsAre("f", "kept"));
  EXPECT_THAT([&] { keep_as(folder_ / "absent", folder_ / "kept"); },
              ThrowsMessage<FileError>(HasSubstr("absent")));
  EXPECT_EQ(read_file(folder_ / "kept"), "first");
}

TEST_F(File, OnlyTemporariesOfProcessesThatAreGoneAreRemoved) {
  const std::string own = ".octconv-f-" + std::to_string(::getpid()) + "-0";
  for (const std::string& name :
       {own, std::string(".octconv-f-2147483647-0"), std::string(".octconv-f"),
        std::string("f-2147483647-0"), std::string(".octconv-a-b-2147483647-12")}) {
    write_file(folder_ / name, "x");
  }
  remove_unfinished(folder_);
  EXPECT_THAT(names_in(folder_),
              testing::UnorderedElementsAre(own, ".octconv-f", "f-2147483647-0"));
  remove_unfinished(folder_ / "absent");
}

TEST_F(File, ReadsBackWhatWasWritten) {
  std::string all(70000, '\0');  // more than the reader's buffer
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>(i * 7);
  for (const std::string& bytes : {std::string(), std::string("a\0\r\n", 4), all}) {
    write_file(folder_ / "f", bytes);
    EXPECT_EQ(read_file(folder_ / "f"), bytes);
  }
  EXPECT_THAT(names_in(folder_), ElementsAre("f"));
}

TEST_F(File, IsWrittenInTheCurrentFolder) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  write_file("f", "text");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_file(folder_ / "f"), "text");
}

TEST_F(File, ReplacesALongerFileWhole) {
  write_file(folder_ / "f", std::string(1000, 'x'));
  write_file(folder_ / "f", "short");
  EXPECT_EQ(read_file(folder_ / "f"), "short");
}

TEST_F(File, KeepsTheOldContentsAndLeavesNothingWhenTheDiskIsFull) {
  write_file(folder_ / "f", "old");
  {
    const FullDisk full(4096);
    EXPECT_THAT([&] { write_file(folder_ / "f", std::string(10000, 'x')); },
                ThrowsMessage<FileError>(
                    AllOf(HasSubstr((folder_ / "f").string()), HasSubstr("File too large"))));
  }
  EXPECT_EQ(read_file(folder_ / "f"), "old");
  EXPECT_THAT(names_in(folder_), ElementsAre("f"));
}

TEST_F(File, KeepsTheOldContentsWhenTheProcessIsKilledWhileWriting) {
  write_file(folder_ / "f", "old");
  const auto write_too_much = [&] {
    const rlimit limit{.rlim_cur = 4096, .rlim_max = 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    write_file(folder_ / "f", std::string(10000, 'x'));
  };
  EXPECT_EXIT(write_too_much(), testing::KilledBySignal(SIGXFSZ), "");
  EXPECT_EQ(read_file(folder_ / "f"), "old");
}

TEST_F(File, LeavesNothingWhenTheNameIsAFolder) {
  std::filesystem::create_directories(folder_ / "f" / "inside");
  EXPECT_THAT([&] { write_file(folder_ / "f", "x"); },
              ThrowsMessage<FileError>(HasSubstr((folder_ / "f").string())));
  EXPECT_THAT(names_in(folder_), ElementsAre("f"));
}

TEST_F(File, SaysThatTheFolderIsMissing) {
  EXPECT_THAT([&] { write_file(folder_ / "no" / "f", "x"); },
              ThrowsMessage<FileError>(AllOf(HasSubstr((folder_ / "no" / "f").string()),
                                             HasSubstr("No such file or directory"))));
  EXPECT_THAT(names_in(folder_), IsEmpty());
}

TEST_F(File, AReaderSeesOneVersionWhole) {
  const std::string versions[] = {std::string(200000, 'a'), std::string(300000, 'b')};
  write_file(folder_ / "f", versions[0]);
  std::thread writer([&] {
    for (int i = 1; i <= 20; ++i) write_file(folder_ / "f", versions[i % 2]);
  });
  for (int i = 0; i < 200; ++i) {
    const std::string seen = read_file(folder_ / "f");
    EXPECT_TRUE(seen == versions[0] || seen == versions[1]) << seen.size() << " bytes";
  }
  writer.join();
}

TEST_F(File, WritersOfOneNameDoNotDisturbEachOther) {
  const std::string versions[] = {std::string(100000, 'a'), std::string(200000, 'b')};
  const auto write = [&](int which) {
    for (int i = 0; i < 20; ++i) write_file(folder_ / "f", versions[which]);
  };
  std::thread other(write, 0);
  write(1);
  other.join();
  const std::string seen = read_file(folder_ / "f");
  EXPECT_TRUE(seen == versions[0] || seen == versions[1]) << seen.size() << " bytes";
  EXPECT_THAT(names_in(folder_), ElementsAre("f"));
}

TEST_F(File, ReadErrorsNameTheFileAndTheReason) {
  EXPECT_THAT([&] { static_cast<void>(read_file(folder_ / "none")); },
              ThrowsMessage<FileError>(AllOf(HasSubstr((folder_ / "none").string()),
                                             HasSubstr("No such file or directory"))));
  EXPECT_THAT(
      [&] { static_cast<void>(read_file(folder_)); },
      ThrowsMessage<FileError>(AllOf(HasSubstr(folder_.string()), HasSubstr("Is a directory"))));
}

TEST_F(File, IsReadUpToTheGivenSize) {
  write_file(folder_ / "f", "12345");
  EXPECT_EQ(read_file(folder_ / "f", 5), "12345");
  EXPECT_THAT([&] { static_cast<void>(read_file(folder_ / "f", 4)); },
              ThrowsMessage<FileError>(HasSubstr("larger than 4 bytes")));
  EXPECT_THROW(static_cast<void>(read_file("/dev/zero", 1 << 20)), FileError);  // has no end
}

TEST_F(File, FoldersAreMadeWithThoseAboveThem) {
  make_folder(folder_ / "a" / "b");
  make_folder(folder_ / "a" / "b");  // there already
  EXPECT_TRUE(std::filesystem::is_directory(folder_ / "a" / "b"));
}

TEST_F(File, MakeFolderRefusesAFileInItsWay) {
  write_file(folder_ / "f", "");
  EXPECT_THAT([&] { make_folder(folder_ / "f"); },
              ThrowsMessage<FileError>(HasSubstr((folder_ / "f").string())));
  EXPECT_THAT([&] { make_folder(folder_ / "f" / "g"); },
              ThrowsMessage<FileError>(HasSubstr((folder_ / "f" / "g").string())));
}

TEST_F(File, GrowsByWhatIsAppended) {
  append_to_file(folder_ / "f", "one\n");
  append_to_file(folder_ / "f", std::string_view("\0two", 4));
  EXPECT_EQ(read_file(folder_ / "f"), std::string("one\n\0two", 8));
}

TEST_F(File, WhatCannotBeAppendedToIsNamed) {
  EXPECT_THAT([&] { append_to_file(folder_, "x"); },
              ThrowsMessage<FileError>(HasSubstr("cannot write '" + folder_.string() + "'")));
  append_to_file(folder_ / "f", "0123456789");
  const FullDisk full(12);
  EXPECT_THAT([&] { append_to_file(folder_ / "f", "0123456789"); },
              ThrowsMessage<FileError>(HasSubstr((folder_ / "f").string())));
}

}  // namespace
}  // namespace octconv
