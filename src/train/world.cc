// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/world.h"

#include <array>
#include <charconv>
#include <limits>
#include <string_view>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

struct Names {
  const char* rank;
  const char* size;
};

// By whom processes are started; torchrun may itself have been started by one of the others.
constexpr std::array<Names, 3> kStarters{Names{"RANK", "WORLD_SIZE"},
                                         Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                         Names{"SLURM_PROCID", "SLURM_NTASKS"}};
constexpr const char* kAddress = "MASTER_ADDR";
constexpr const char* kPort = "MASTER_PORT";
// Set to "True" where torchrun itself listens at the port.
constexpr const char* kPortIsTaken = "TORCHELASTIC_USE_AGENT_STORE";
constexpr std::int64_t kMostProcesses = 65536;

[[noreturn]] void fail(const std::string& what) {
  throw InvalidArgument("several processes: " + what);
}

std::string named(const char* name, const char* value) {
  return std::string("environment variable ") + name + " is '" + value + "'";
}

std::int64_t whole(const char* name, const char* value, std::int64_t least, std::int64_t most) {
  const std::string_view text(value);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    fail(named(name, value) + ", not a whole number from " + std::to_string(least) + " to " +
         std::to_string(most));
  }
  return number;
}

// The value of a variable that another one calls for.
const char* needed(const Environment& environment, const char* name, const std::string& reason) {
  const char* value = environment(name);
  if (value == nullptr || *value == '\0') {
    fail(reason + ", and " + name + " is " + (value == nullptr ? "not set" : "empty"));
  }
  return value;
}

}  // namespace

World world_from(const Environment& environment) {
  for (const Names& names : kStarters) {
    const char* rank = environment(names.rank);
    const char* size = environment(names.size);
    if (rank == nullptr && size == nullptr) continue;
    if (rank == nullptr) needed(environment, names.rank, named(names.size, size));
    if (size == nullptr) needed(environment, names.size, named(names.rank, rank));
    World world{.size = whole(names.size, size, 1, kMostProcesses)};
    world.rank = whole(names.rank, rank, 0, kMostProcesses);
    if (world.rank >= world.size) {
      fail(named(names.rank, rank) + ", and must be less than " + names.size + ", which is '" +
           size + "'");
    }
    if (world.size == 1) return world;
    const std::string reason = named(names.size, size);
    world.address = needed(environment, kAddress, reason);
    constexpr std::int64_t kLast = std::numeric_limits<std::uint16_t>::max();
    world.port = whole(kPort, needed(environment, kPort, reason), 1, kLast);
    const char* taken = environment(kPortIsTaken);
    // What is said there differs between versions, so that its own port is not of use.
    if (taken != nullptr && std::string_view(taken) == "True") {
      world.port += world.port < kLast ? 1 : -1;
    }
    return world;
  }
  // Whoever says where to meet means several processes: each must not train by itself.
  for (const char* name : {kAddress, kPort}) {
    if (const char* value = environment(name)) {
      fail(named(name, value) + ", and RANK and WORLD_SIZE are not set");
    }
  }
  return {};
}

}  // namespace octconv::train
