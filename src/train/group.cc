// SPDX-License-Identifier: Apache-2.0
// Over LibTorch's c10d with Gloo: the only file that knows either.
#include "train/group.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <ATen/ATen.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "octconv/base/error.h"

#ifdef USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace octconv::train {

#ifdef USE_C10D_GLOO
namespace {

using Milliseconds = std::chrono::milliseconds;

// When a process dies, whoever started it learns that at the same time as the others do. They wait
// so long before they fail, so that the cause is reported rather than its consequences.
constexpr std::chrono::milliseconds kLetTheCauseBeReported{1500};

std::string who(const World& world) {
  return "train: process " + std::to_string(world.rank) + " of " + std::to_string(world.size);
}

std::string meeting_place(const World& world) {
  return world.address + ":" + std::to_string(world.port);
}

bool contains_any(const std::string& text, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const char* part) { return text.find(part) != std::string::npos; });
}

// Is this what c10d and Gloo say when they have waited long enough?
bool tells_of_time(const std::string& text) {
  return contains_any(text, {"imed out", "imeout", "IMEDOUT"});
}

struct Addresses {
  addrinfo* first = nullptr;
  Addresses() = default;
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;
  ~Addresses() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
};

// This machine's address on the way to rank 0: what others reach it by. A machine's name often
// stands for its loopback address only.
std::string own_address(const World& world) {
  Addresses found;
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  if (::getaddrinfo(world.address.c_str(), std::to_string(world.port).c_str(), &hints,
                    &found.first) != 0) {
    throw InvalidArgument("several processes: there is no host MASTER_ADDR '" + world.address +
                          "'");
  }
  for (const addrinfo* at = found.first; at != nullptr; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (socket < 0) continue;
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    char text[NI_MAXHOST] = "";
    // Of datagrams nothing is sent.
    const bool known = ::connect(socket, at->ai_addr, at->ai_addrlen) == 0 &&
                       ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
                       ::getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text, sizeof text,
                                     nullptr, 0, NI_NUMERICHOST) == 0;
    ::close(socket);
    if (known) return text;
  }
  throw Error(who(world) + " has no way to " + meeting_place(world));
}

}  // namespace

class Group::Impl {
 public:
  Impl(const World& world, std::chrono::seconds timeout)
      : world_(world), timeout_(timeout), address_(own_address(world)) {
    const auto rank = static_cast<int>(world.rank);
    const auto size = static_cast<int>(world.size);
    try {
      c10d::TCPStoreOptions options;
      options.port = static_cast<std::uint16_t>(world.port);
      options.isServer = rank == 0;
      options.numWorkers = static_cast<std::size_t>(size);
      options.timeout = timeout;
      store_ = c10::make_intrusive<c10d::TCPStore>(world.address, options);
      store_->setTimeout(timeout);
      sums_ = connect("sums", rank, size);
      messages_ = connect("messages", rank, size);
    } catch (const std::exception& error) {
      const std::string why = error.what();
      if (contains_any(why, {"in use", "EADDRINUSE"})) {
        throw Error(who(world) + ": port " + std::to_string(world.port) +
                    " (MASTER_PORT) is in use");
      }
      if (tells_of_time(why)) {
        throw Error(who(world) + " waited " + std::to_string(timeout.count()) +
                    " s for the others at " + meeting_place(world) + " (--timeout)");
      }
      throw Error(who(world) + " cannot meet the others at " + meeting_place(world) + ": " +
                  why.substr(0, why.find('\n')));
    }
  }

  void start(c10d::ProcessGroup& group, at::Tensor values) {
    guard([&] {
      std::vector<at::Tensor> all{std::move(values)};
      open_.push_back(group.allreduce(all));
    });
  }

  void finish() {
    guard([&] {
      for (const auto& work : open_) work->wait();
      open_.clear();
    });
  }

  void add_up(at::Tensor values) {
    guard([&] {
      std::vector<at::Tensor> all{std::move(values)};
      messages_->allreduce(all)->wait();
    });
  }

  void broadcast(at::Tensor values) {
    guard([&] {
      std::vector<at::Tensor> all{std::move(values)};
      messages_->broadcast(all)->wait();
    });
  }

  c10d::ProcessGroup& sums() { return *sums_; }

 private:
  // Two sets of connections, each with threads of its own: a short message does not wait for long
  // sums.
  c10::intrusive_ptr<c10d::ProcessGroupGloo> connect(const char* purpose, int rank, int size) {
    const auto options = c10d::ProcessGroupGloo::Options::create(timeout_);
    // As for PyTorch: where the way to rank 0 is not the way to all.
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(interface != nullptr && *interface != '\0'
                                   ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                                   : c10d::ProcessGroupGloo::createDeviceForHostname(address_));
    options->threads = 2;
    return c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>(purpose, store_), rank, size, options);
  }

  template <class Act>
  void guard(const Act& act) {
    try {
      act();
    } catch (const std::exception& error) {
      open_.clear();
      std::this_thread::sleep_for(kLetTheCauseBeReported);
      if (tells_of_time(error.what())) {
        throw Error(who(world_) + " waited " + std::to_string(timeout_.count()) +
                    " s for the others: one of them hangs, or the network between them is cut "
                    "(--timeout)");
      }
      throw Error(who(world_) + " lost its connection to another one, which has ended");
    }
  }

  World world_;
  std::chrono::seconds timeout_;
  std::string address_;
  c10::intrusive_ptr<c10d::TCPStore> store_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> sums_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> messages_;
  std::vector<c10::intrusive_ptr<c10d::Work>> open_;
};

Group::Group(const World& world, std::chrono::seconds timeout)
    : world_(world), impl_(std::make_unique<Impl>(world, timeout)) {}

void Group::add_up(std::span<double> numbers) {
  impl_->add_up(
      at::from_blob(numbers.data(), {static_cast<std::int64_t>(numbers.size())}, at::kDouble));
}

void Group::broadcast(const std::vector<at::Tensor>& tensors) {
  const at::NoGradGuard guard;
  for (const at::Tensor& tensor : tensors) {
    const at::Tensor values = tensor.detach().contiguous();
    impl_->broadcast(values);
    if (!values.is_alias_of(tensor)) tensor.detach().copy_(values);
  }
}

void Group::start_sum(const at::Tensor& values) {
  impl_->start(impl_->sums(), values);
}

void Group::finish_sums() {
  impl_->finish();
}

#else

class Group::Impl {};

Group::Group(const World& world, std::chrono::seconds) : world_(world) {
  throw Unsupported("train: " + std::to_string(world.size) +
                    " processes, and this LibTorch was built without Gloo");
}
void Group::add_up(std::span<double>) {}
void Group::broadcast(const std::vector<at::Tensor>&) {}
void Group::start_sum(const at::Tensor&) {}
void Group::finish_sums() {}

#endif

Group::~Group() = default;

std::vector<std::string> Group::gather(const std::string& text) {
  const auto size = static_cast<std::size_t>(world_.size);
  const auto rank = static_cast<std::size_t>(world_.rank);
  std::vector<double> lengths(size);
  lengths[rank] = static_cast<double>(text.size());
  add_up(lengths);
  std::size_t begin = 0;
  std::size_t all = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (i < rank) begin += static_cast<std::size_t>(lengths[i]);
    all += static_cast<std::size_t>(lengths[i]);
  }
  // Of each character only one process has another number than 0.
  std::vector<double> letters(all);
  for (std::size_t i = 0; i < text.size(); ++i) {
    letters[begin + i] = static_cast<unsigned char>(text[i]);
  }
  if (all > 0) add_up(letters);
  std::vector<std::string> texts;
  auto letter = letters.begin();
  for (const double length : lengths) {
    std::string& own = texts.emplace_back();
    for (std::size_t i = 0; i < static_cast<std::size_t>(length); ++i) {
      own += static_cast<char>(static_cast<unsigned char>(*letter++));
    }
  }
  return texts;
}

}  // namespace octconv::train
