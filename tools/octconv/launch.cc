// SPDX-License-Identifier: Apache-2.0
// octconv launch: the processes of one training on this machine.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "octconv/base/error.h"

namespace octconv::tool {
namespace {

// For those that are told to end, before they are killed.
constexpr timespec kGrace{.tv_sec = 5, .tv_nsec = 0};

struct Arguments {
  int processes = 2;
  std::vector<std::string> command;
};

[[noreturn]] void fail(const char* what) {
  throw Error(std::string("launch: cannot ") + what + ": " +
              std::generic_category().message(errno));
}

// One at which nobody listens now.
int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("make a socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  const bool bound = ::bind(listener, any, size) == 0 && ::getsockname(listener, any, &size) == 0;
  const int code = errno;
  ::close(listener);
  errno = code;
  if (!bound) fail("find a free port");
  return ntohs(address.sin_port);
}

// The signals that end this command, and that of a child that ended.
sigset_t awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// The processes, in the order of their ranks; 0 for one that has ended.
class Children {
 public:
  explicit Children(const Arguments& arguments) {
    const sigset_t set = awaited();
    sigprocmask(SIG_BLOCK, &set, &before_);
    const std::string port = std::to_string(free_port());
    for (int rank = 0; rank < arguments.processes; ++rank)
      all_.push_back(start(arguments, rank, port));
  }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  ~Children() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  // Returns the exit code of the first that failed, after all have ended; 0 if none did.
  int wait() {
    const sigset_t set = awaited();
    while (running()) {
      const int signal =
          ending_ ? sigtimedwait(&set, nullptr, &kGrace) : sigwaitinfo(&set, nullptr);
      if (signal < 0 && errno == EAGAIN) tell(SIGKILL);
      if (signal > 0 && signal != SIGCHLD) end(signal);
      collect();
    }
    return failure_;
  }

 private:
  pid_t start(const Arguments& arguments, int rank, const std::string& port) {
    const pid_t child = ::fork();
    if (child < 0) {
      const int code = errno;
      tell(SIGKILL);
      errno = code;
      fail("start a process");
    }
    if (child > 0) return child;
    sigprocmask(SIG_SETMASK, &before_, nullptr);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // nobody trains on without this command
    const auto set = [](const char* name, const std::string& value) {
      ::setenv(name, value.c_str(), 1);
    };
    set("RANK", std::to_string(rank));
    set("WORLD_SIZE", std::to_string(arguments.processes));
    set("MASTER_ADDR", "127.0.0.1");
    set("MASTER_PORT", port);
    set("GLOO_SOCKET_IFNAME", "lo");
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    const unsigned threads = std::max(1U, cores / static_cast<unsigned>(arguments.processes));
    ::setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), 0);
    std::vector<char*> words;
    std::string own = "octconv";
    words.push_back(own.data());
    for (const std::string& word : arguments.command)
      words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::execv("/proc/self/exe", words.data());
    ::_exit(127);
  }

  [[nodiscard]] bool running() const {
    return std::any_of(all_.begin(), all_.end(), [](pid_t child) { return child != 0; });
  }

  void tell(int signal) const {
    for (const pid_t child : all_) {
      if (child != 0) ::kill(child, signal);
    }
  }

  void end(int signal) {
    ending_ = true;
    tell(signal);
  }

  void collect() {
    int status = 0;
    for (pid_t child = 0; (child = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto found = std::find(all_.begin(), all_.end(), child);
      if (found == all_.end()) continue;
      *found = 0;
      const bool exited = WIFEXITED(status);
      const int code = exited ? WEXITSTATUS(status) : 1;
      if (code == 0 || failure_ != 0) continue;
      failure_ = code;
      if (!ending_) {
        std::cerr << "error: launch: process " << found - all_.begin() << " of " << all_.size()
                  << (exited ? " ended with exit code " : " was ended by signal ")
                  << (exited ? code : WTERMSIG(status)) << ", and so do the others\n";
        end(SIGTERM);
      }
    }
  }

  sigset_t before_{};
  std::vector<pid_t> all_;
  bool ending_ = false;
  int failure_ = 0;
};

}  // namespace

void add_launch(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "launch", "Train with several processes on this machine, each with a part of every batch");
  command->footer(
      "Example: octconv launch --processes 2 -- train --model resnet20 --epochs 10 --out run");
  command->add_option("--processes", arguments->processes, "")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command->add_option("command", arguments->command, "after --: `train` and its options")
      ->required();
  command->callback([arguments] {
    if (arguments->command.front() != "train") {
      throw CLI::ValidationError("launch",
                                 "starts train, not '" + arguments->command.front() + "'");
    }
    if (const int code = Children(*arguments).wait(); code != 0) throw Ended{code};
  });
}

}  // namespace octconv::tool
