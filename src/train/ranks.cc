// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/ranks.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

constexpr int kMostPort = 65535;

using Variable = std::function<std::optional<std::string>(const char* name)>;

// Who says which process this is.
struct Names {
  const char* rank;
  const char* size;
};
constexpr Names kTorchrun{"RANK", "WORLD_SIZE"};
constexpr Names kOpenMpi{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"};
constexpr Names kSlurm{"SLURM_PROCID", "SLURM_NTASKS"};

std::string needed(const Variable& variable, const char* name, const std::string& because) {
  const auto value = variable(name);
  if (!value || value->empty())
    throw InvalidArgument("train: " + because + ", and " + name + " is not set");
  return *value;
}

int number(const char* name, const std::string& text, int least, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    throw InvalidArgument("train: " + std::string(name) + " must be a whole number in [" +
                          std::to_string(least) + ", " + std::to_string(most) + "], got '" + text +
                          "'");
  }
  return value;
}

template <class Value>
void require(bool holds, const char* name, const Value& value, const char* range) {
  if (holds) return;
  std::ostringstream text;
  text << "train: " << name << " must be " << range << ", got " << value;
  throw InvalidArgument(text.str());
}

}  // namespace

Ranks ranks_from_environment(const Variable& variable) {
  constexpr int kMostProcesses = 1 << 20;
  for (const Names& names : {kTorchrun, kOpenMpi, kSlurm}) {
    const auto rank = variable(names.rank);
    const auto size = variable(names.size);
    if (!rank && !size) continue;
    if (!rank) static_cast<void>(needed(variable, names.rank, std::string(names.size) + " is set"));
    if (!size) static_cast<void>(needed(variable, names.size, std::string(names.rank) + " is set"));
    Ranks ranks;
    ranks.size = number(names.size, *size, 1, kMostProcesses);
    ranks.rank = number(names.rank, *rank, 0, ranks.size - 1);
    if (ranks.size == 1) return ranks;
    const std::string because = std::string(names.size) + " is " + *size;
    ranks.address = needed(variable, "MASTER_ADDR", because);
    ranks.port = number("MASTER_PORT", needed(variable, "MASTER_PORT", because), 1, kMostPort);
    return ranks;
  }
  return {};
}

Ranks ranks_from_environment() {
  return ranks_from_environment([](const char* name) -> std::optional<std::string> {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
}

void check_ranks(const Ranks& ranks) {
  require(ranks.size >= 1, "ranks.size", ranks.size, "at least 1");
  require(ranks.rank >= 0 && ranks.rank < ranks.size, "ranks.rank", ranks.rank,
          "at least 0 and less than ranks.size");
  require(ranks.timeout > 0 && std::isfinite(ranks.timeout), "ranks.timeout", ranks.timeout,
          "positive");
  if (ranks.size == 1) return;
  require(!ranks.address.empty(), "ranks.address", "''", "a name or number of a machine");
  require(ranks.port >= 1 && ranks.port <= kMostPort, "ranks.port", ranks.port, "in [1, 65535]");
}

}  // namespace octconv::train
