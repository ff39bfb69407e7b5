// SPDX-License-Identifier: Apache-2.0
#include "train/processes.h"

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/ATen.h>

#include "octconv/base/error.h"

#if defined(USE_C10D_GLOO) && __has_include(<torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>) && \
    __has_include(<gloo/algorithm.h>)
#define OCTCONV_HAVE_GLOO 1
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace octconv::train {

#ifdef OCTCONV_HAVE_GLOO

namespace {

// LibTorch's messages go on for pages, and name its source files first.
std::string first_line(std::string_view what) {
  const std::string_view line = what.substr(0, what.find('\n'));
  const std::size_t source = line.rfind("] ");
  return std::string(source == std::string_view::npos ? line : line.substr(source + 2));
}

[[noreturn]] void fail(const Ranks& ranks, const char* what, const std::exception& error) {
  throw Error("train: process " + std::to_string(ranks.rank) + " of " + std::to_string(ranks.size) +
              " " + what + ": " + first_line(error.what()));
}

template <class Act>
auto guarded(const Ranks& ranks, const char* what, const Act& act) {
  try {
    return act();
  } catch (const std::exception& error) {
    fail(ranks, what, error);
  }
}

constexpr const char* kLost = "has lost the others";

class GlooSum : public Processes::Sum {
 public:
  GlooSum(const Ranks& ranks, at::Tensor values, c10::intrusive_ptr<c10d::Work> work)
      : ranks_(ranks), values_(std::move(values)), work_(std::move(work)) {}
  void wait() override {
    guarded(ranks_, kLost, [&] { return work_->wait(); });
  }

 private:
  const Ranks& ranks_;
  at::Tensor values_;  // must live as long as it is summed
  c10::intrusive_ptr<c10d::Work> work_;
};

}  // namespace

struct Processes::Group {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
};

Processes::Processes(const Ranks& ranks) : ranks_(ranks) {
  check_ranks(ranks);
  if (alone()) return;
  const auto timeout = std::chrono::milliseconds(static_cast<std::int64_t>(1000 * ranks.timeout));
  const std::string where =
      "cannot meet the others at " + ranks.address + ":" + std::to_string(ranks.port);
  group_ = std::make_unique<Group>();
  guarded(ranks_, where.c_str(), [&] {
    c10d::TCPStoreOptions store;
    store.port = static_cast<std::uint16_t>(ranks.port);
    store.isServer = first();
    store.numWorkers = static_cast<std::size_t>(size());
    store.timeout = timeout;
    const auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    // As PyTorch has it: the network interface by name, where a machine has several.
    const char* const interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(interface != nullptr
                                   ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                                   : c10d::ProcessGroupGloo::createDefaultDevice());
    group_->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::TCPStore>(ranks.address, store), rank(), size(), options);
  });
}

Processes::~Processes() = default;

std::unique_ptr<Processes::Sum> Processes::start_sum(const at::Tensor& values) {
  return guarded(ranks_, kLost, [&]() -> std::unique_ptr<Sum> {
    std::vector<at::Tensor> all{values};
    return std::make_unique<GlooSum>(ranks_, values, group_->gloo->allreduce(all));
  });
}

void Processes::sum(const at::Tensor& values) {
  if (!alone()) start_sum(values)->wait();
}

void Processes::hand_on(const at::Tensor& values) {
  if (alone()) return;
  guarded(ranks_, kLost, [&] {
    std::vector<at::Tensor> all{values};
    return group_->gloo->broadcast(all)->wait();
  });
}

#else

struct Processes::Group {};

Processes::Processes(const Ranks& ranks) : ranks_(ranks) {
  check_ranks(ranks);
  if (!alone())
    throw Unsupported("train: several processes need a LibTorch with Gloo, which this one has not");
}

Processes::~Processes() = default;

std::unique_ptr<Processes::Sum> Processes::start_sum(const at::Tensor&) {
  return nullptr;
}

void Processes::sum(const at::Tensor&) {}

void Processes::hand_on(const at::Tensor&) {}

#endif

void Processes::sum(std::span<double> values) {
  if (alone() || values.empty()) return;
  sum(at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kDouble));
}

}  // namespace octconv::train
