// SPDX-License-Identifier: Apache-2.0
// octconv launch: one command in several processes on this machine, which train together.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <netdb.h>
#include <sys/poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"

namespace octconv::tool {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How often children are looked at.
constexpr int kPollMilliseconds = 50;
// If one process and rank 0 find the same fault, rank 0's words stand.
constexpr milliseconds kSameFault{500};
// From the request to end until the end is made.
constexpr milliseconds kPatience{3000};
constexpr std::array kForwarded{SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t signal_received = 0;

void receive(int signal) {
  signal_received = signal;
}

struct Arguments {
  int processes = 2;
  std::vector<std::string> command;
};

[[noreturn]] void fail(const std::string& what) {
  throw Error("launch: " + what + ": " + std::strerror(errno));
}

// One that nobody listens on now.
std::string free_port() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo("127.0.0.1", "0", &hints, &found) != 0) fail("no address 127.0.0.1");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> address(found, ::freeaddrinfo);
  const int socket = ::socket(found->ai_family, found->ai_socktype, found->ai_protocol);
  if (socket < 0) fail("no socket");
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  std::array<char, NI_MAXSERV> port{};
  const bool known = ::bind(socket, found->ai_addr, found->ai_addrlen) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) == 0 &&
                     ::getnameinfo(reinterpret_cast<sockaddr*>(&bound), size, nullptr, 0,
                                   port.data(), port.size(), NI_NUMERICSERV) == 0;
  ::close(socket);
  if (!known) fail("no free port");
  return port.data();
}

struct Child {
  pid_t pid = 0;
  int rank = 0;
  int said = -1;      // reads what it writes to standard error; -1 of rank 0, whose is ours
  std::string words;  // read so far
  bool running = true;
  int status = 0;  // of waitpid, once it has ended

  bool failed() const { return !running && status != 0; }
  bool ended_by_signal() const { return WIFSIGNALED(status); }
};

// The environment of a child: ours, and where it stands.
std::vector<std::string> environment_of(int rank, int processes, const std::string& port) {
  std::vector<std::pair<std::string, std::string>> own{{"RANK", std::to_string(rank)},
                                                       {"LOCAL_RANK", std::to_string(rank)},
                                                       {"WORLD_SIZE", std::to_string(processes)},
                                                       {"MASTER_ADDR", "127.0.0.1"},
                                                       {"MASTER_PORT", port}};
  // Together they use each processor once.
  if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    own.emplace_back("OMP_NUM_THREADS", std::to_string(std::max(1, thread_count() / processes)));
  }
  std::vector<std::string> all;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('='));
    if (std::none_of(own.begin(), own.end(), [&](const auto& o) { return o.first == name; })) {
      all.push_back(text);
    }
  }
  for (const auto& [name, value] : own) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

Child start(const Arguments& arguments, int rank, const std::string& port) {
  std::vector<std::string> words{"octconv"};
  words.insert(words.end(), arguments.command.begin(), arguments.command.end());
  std::vector<std::string> variables = environment_of(rank, arguments.processes, port);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(variables);
  std::array<int, 2> pipe{-1, -1};
  if (rank > 0 && ::pipe(pipe.data()) != 0) fail("no pipe");
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) fail("no process");
  if (pid == 0) {
    // Only what may be done between fork and exec.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    if (rank > 0) {
      ::dup2(pipe[1], STDERR_FILENO);
      ::close(pipe[0]);
      ::close(pipe[1]);
    }
    ::execve("/proc/self/exe", argv.data(), envp.data());
    ::_exit(127);
  }
  if (rank > 0) ::close(pipe[1]);
  return {.pid = pid, .rank = rank, .said = pipe[0]};
}

class Children {
 public:
  explicit Children(const Arguments& arguments) : count_(arguments.processes) {
    const std::string port = free_port();
    for (int rank = 0; rank < count_; ++rank) all_.push_back(start(arguments, rank, port));
  }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  // Leaves none behind.
  ~Children() {
    end_all();
    for (const Child& child : all_) {
      if (child.said >= 0) ::close(child.said);
    }
  }

  // Until all have ended well, or one has not; returns the exit code.
  int wait() {
    for (;;) {
      look();
      if (signal_received != 0) return stopped(signal_received);
      for (const Child& child : all_) {
        if (child.failed()) return failed(child.rank);
      }
      if (!any_running()) return 0;
    }
  }

 private:
  bool any_running() const {
    return std::any_of(all_.begin(), all_.end(), [](const Child& child) { return child.running; });
  }

  // Takes note of what children say, and of those that have ended.
  void look() {
    std::vector<pollfd> open;
    std::vector<Child*> whose;
    for (Child& child : all_) {
      if (child.said < 0) continue;
      open.push_back({.fd = child.said, .events = POLLIN, .revents = 0});
      whose.push_back(&child);
    }
    ::poll(open.data(), open.size(), kPollMilliseconds);
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (open[i].revents != 0) read(*whose[i]);
    }
    for (Child& child : all_) {
      if (child.running && ::waitpid(child.pid, &child.status, WNOHANG) == child.pid) {
        child.running = false;
      }
    }
  }

  static void read(Child& child) {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(child.said, buffer.data(), buffer.size());
    if (count > 0) {
      child.words.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      ::close(child.said);
      child.said = -1;
    }
  }

  void look_for(milliseconds time) {
    const auto until = Clock::now() + time;
    while (any_running() && Clock::now() < until) look();
  }

  void signal_all(int signal) {
    for (const Child& child : all_) {
      if (child.running) ::kill(child.pid, signal);
    }
  }

  void end_all() {
    signal_all(SIGTERM);
    signal_all(SIGCONT);  // one that is stopped hears nothing else
    look_for(kPatience);
    signal_all(SIGKILL);
    while (any_running()) look();
  }

  std::string name(int rank) const {
    return "process " + std::to_string(rank) + " of " + std::to_string(count_);
  }

  int stopped(int signal) {
    signal_all(signal);
    end_all();
    std::cerr << "error: launch: ended by signal " << signal << " (" << ::strsignal(signal)
              << ")\n";
    return 1;
  }

  int failed(int rank) {
    Child& child = all_[static_cast<std::size_t>(rank)];
    if (child.ended_by_signal()) {
      const int signal = WTERMSIG(child.status);
      end_all();
      std::cerr << "error: launch: " << name(rank) << " was ended by signal " << signal << " ("
                << ::strsignal(signal) << ")\n";
      return 1;
    }
    const int code = WEXITSTATUS(child.status);
    // Rank 0 has said why on the standard error that is also ours.
    if (rank == 0 || rank_0_fails_too()) return code;
    const bool silent = child.words.empty();
    end_all();
    if (silent) {
      std::cerr << "error: launch: " << name(rank) << " ended with exit code " << code << "\n";
    } else {
      repeat(child);
    }
    return code;
  }

  bool rank_0_fails_too() {
    const auto until = Clock::now() + kSameFault;
    while (all_[0].running && Clock::now() < until) look();
    return all_[0].failed() && !all_[0].ended_by_signal();
  }

  // What it said, and who it is.
  void repeat(const Child& child) const {
    const std::string mark = "error: ";
    const bool error = child.words.compare(0, mark.size(), mark) == 0;
    std::cerr << mark << "launch: " << name(child.rank) << ": "
              << (error ? child.words.substr(mark.size()) : child.words);
    if (child.words.back() != '\n') std::cerr << "\n";
  }

  int count_;
  std::vector<Child> all_;
};

void run(const Arguments& arguments) {
  struct sigaction action {};
  action.sa_handler = receive;
  for (const int signal : kForwarded) {
    if (::sigaction(signal, &action, nullptr) != 0) fail("no signal handler");
  }
  int code = 0;
  {
    Children children(arguments);
    code = children.wait();
  }
  if (code != 0) throw ExitCode{code};
}

}  // namespace

void add_launch(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("launch", "Train in several processes on this machine, together");
  command->footer("Example: octconv launch --processes 2 -- train --model resnet20 --out run");
  command->add_option("--processes", arguments->processes, "how many")
      ->required()
      ->check(CLI::Range(1, 1024));
  command->add_option("command", arguments->command, "of octconv, after `--`")->required();
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
