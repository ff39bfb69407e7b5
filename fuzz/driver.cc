// SPDX-License-Identifier: Apache-2.0
// Feeds a target changed seeds, and keeps those that reach new code: a small fuzzer that needs no
// more than GCC.
//
// The layers are compiled with -fsanitize-coverage=trace-pc, which calls __sanitizer_cov_trace_pc
// below in every basic block. A given seed and number of runs give the same inputs again.
#include <algorithm>
#include <array>
#include <bitset>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>
#include <csignal>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/random.h"
#include "target.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace {

constexpr std::size_t kMostBytes = 1 << 16;
constexpr std::size_t kSlots = 1 << 16;
constexpr int kHangSeconds = 60;  // of processor time for one input

// Blocks are counted in the slot of their address.
std::bitset<kSlots> seen;
bool found_new = false;

// What the target is reading, for whoever must save it.
const std::string* current = nullptr;
std::string crash_path;

// Called in the middle of a crash: no allocation.
void save_current() {
  if (current == nullptr) return;
  const int file = ::open(crash_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) return;
  static_cast<void>(::write(file, current->data(), current->size()));
  ::close(file);
  constexpr const char* kTold = "fuzz: the input is saved in ";
  static_cast<void>(::write(2, kTold, std::strlen(kTold)));
  static_cast<void>(::write(2, crash_path.c_str(), crash_path.size()));
  static_cast<void>(::write(2, "\n", 1));
}

void on_hang(int) {
  constexpr const char* kTold = "fuzz: an input takes too long\n";
  static_cast<void>(::write(2, kTold, std::strlen(kTold)));
  save_current();
  ::_exit(1);
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_.below(bound)); }

  std::string changed(const std::vector<std::string>& pool) {
    std::string bytes = pool[below(pool.size())];
    // Mostly few changes: a file that is broken in many places fails at the first.
    std::size_t changes = 1;
    while (changes < 16 && below(2) == 0) ++changes;
    for (std::size_t i = 0; i < changes; ++i) change(bytes, pool[below(pool.size())]);
    if (bytes.size() > kMostBytes) bytes.resize(kMostBytes);
    return bytes;
  }

 private:
  void change(std::string& bytes, const std::string& other) {
    if (bytes.empty()) {
      bytes = other;
      return;
    }
    const std::size_t at = below(bytes.size());
    const std::size_t count = std::min(bytes.size() - at, below(16) + 1);
    switch (below(9)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random_.below(256));
        break;
      case 2:
        bytes.erase(at, below(4) == 0 ? bytes.size() : count);
        break;
      case 3:
        bytes.insert(at, bytes.substr(below(bytes.size()), below(32) + 1));
        break;
      case 4: {  // a number that is often wrong
        constexpr std::array<std::uint64_t, 9> kNumbers{
            0, 1, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 0x80000000, ~std::uint64_t{0}};
        const std::uint64_t number = kNumbers[below(kNumbers.size())];
        const std::size_t width =
            std::min<std::size_t>(std::size_t{1} << below(4), bytes.size() - at);
        const bool big_endian = below(2) == 0;
        for (std::size_t i = 0; i < width; ++i) {
          const std::size_t byte = big_endian ? width - 1 - i : i;
          bytes[at + i] = static_cast<char>(number >> (8 * byte));
        }
        break;
      }
      case 5: {  // a digit of a number in text
        const std::size_t digit = bytes.find_first_of("0123456789", at);
        if (digit != std::string::npos) {
          constexpr std::array<const char*, 8> kTexts{
              "0", "1", "9", "-", "", "1e99", "4294967296", "9223372036854775807"};
          bytes.replace(digit, 1, kTexts[below(kTexts.size())]);
        }
        break;
      }
      case 6: {  // the rest of another input
        const std::size_t from = other.empty() ? 0 : below(other.size());
        bytes = bytes.substr(0, at) + other.substr(from);
        break;
      }
      case 7:
        if (!other.empty()) bytes.replace(at, count, other.substr(below(other.size()), count));
        break;
      default:
        for (std::size_t i = 0; i < count; ++i) {
          bytes[at + i] = static_cast<char>(random_.below(256));
        }
    }
  }

  octconv::Random random_;
};

// Whether the input reached code that none did before.
bool run(const std::string& bytes) {
  // An allocation of its own size, so that the sanitizer sees reads beyond it.
  const auto exact = std::make_unique<std::uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  current = &bytes;
  found_new = false;
  const itimerval limit{{0, 0}, {kHangSeconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
  try {
    LLVMFuzzerTestOneInput(exact.get(), bytes.size());
  } catch (const std::exception& error) {
    std::cerr << "fuzz: the target let out: " << error.what() << "\n";
    save_current();
    ::_exit(1);
  }
  current = nullptr;
  return found_new;
}

struct Arguments {
  std::uint64_t seed = 1;
  std::int64_t seconds = 0;  // 0: no limit
  std::int64_t runs = 0;     // 0: no limit
  std::vector<std::filesystem::path> inputs;
};

[[noreturn]] void usage() {
  std::cerr << "usage: [--seed N] [--seconds N] [--runs N] FILE_OR_FOLDER...\n"
               "Without a limit the files are only read.\n";
  std::exit(2);
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    if (text.rfind("--", 0) != 0) {
      arguments.inputs.emplace_back(text);
      continue;
    }
    char* end = nullptr;
    const long long number = ++i < argc ? std::strtoll(argv[i], &end, 10) : -1;
    if (end == nullptr || *end != '\0' || number < 0) usage();
    if (text == "--seed") {
      arguments.seed = static_cast<std::uint64_t>(number);
    } else if (text == "--seconds") {
      arguments.seconds = number;
    } else if (text == "--runs") {
      arguments.runs = number;
    } else {
      usage();
    }
  }
  if (arguments.inputs.empty()) usage();
  return arguments;
}

std::vector<std::string> read_all(const std::vector<std::filesystem::path>& inputs) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& input : inputs) {
    if (!std::filesystem::is_directory(input)) {
      files.push_back(input);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(input)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> all;
  for (const std::filesystem::path& file : files) all.push_back(octconv::read_file(file));
  return all;
}

}  // namespace

extern "C" {

// Called in every basic block of the layers.
__attribute__((no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc() {
  const auto address = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  const std::size_t slot = (address ^ (address >> 16)) % kSlots;
  if (!seen[slot]) {
    seen[slot] = true;
    found_new = true;
  }
}

const char* __asan_default_options() {
  return "handle_abort=1:detect_leaks=1:hard_rss_limit_mb=4096:quarantine_size_mb=16";
}

}  // extern "C"

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  crash_path = "crash-" + std::filesystem::path(argv[0]).filename().string();
  __sanitizer_set_death_callback(save_current);
  std::signal(SIGPROF, on_hang);

  std::vector<std::string> pool;
  try {
    pool = read_all(arguments.inputs);
  } catch (const octconv::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  if (pool.empty()) {
    std::cerr << "error: no file to begin with\n";
    return 1;
  }
  for (const std::string& bytes : pool) static_cast<void>(run(bytes));
  const std::size_t given = pool.size();
  const std::size_t blocks = seen.count();

  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(arguments.seconds);
  Mutator mutator(arguments.seed);
  std::int64_t runs = 0;
  const auto goes_on = [&] {
    if (arguments.seconds == 0 && arguments.runs == 0) return false;
    return (arguments.runs == 0 || runs < arguments.runs) &&
           (arguments.seconds == 0 || Clock::now() < end);
  };
  for (; goes_on(); ++runs) {
    std::string bytes = mutator.changed(pool);
    if (run(bytes)) pool.push_back(std::move(bytes));
  }
  std::cout << "fuzz: " << given << " seeds reach " << blocks << " blocks; " << runs
            << " changed inputs, of which " << pool.size() - given << " are kept, reach "
            << seen.count() << "\n";
  // Nothing reached means that nothing was compiled to tell.
  return blocks > 0 ? 0 : 1;
}
