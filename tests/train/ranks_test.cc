// SPDX-License-Identifier: Apache-2.0
// What the environment says of the processes that train together.
#include "octconv/train/ranks.h"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Environment = std::map<std::string, std::string>;

Ranks read(const Environment& environment) {
  return ranks_from_environment([&](const char* name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  });
}

const Environment kMaster{{"MASTER_ADDR", "node0"}, {"MASTER_PORT", "29500"}};

Environment with_master(Environment environment) {
  environment.insert(kMaster.begin(), kMaster.end());
  return environment;
}

TEST(Ranks, AreOneProcessWhereNothingIsSaid) {
  for (const Environment& environment : {Environment{}, kMaster}) {
    const Ranks ranks = read(environment);
    EXPECT_EQ(ranks.rank, 0);
    EXPECT_EQ(ranks.size, 1);
  }
}

TEST(Ranks, AreThoseOfTorchrunOpenMpiAndSlurm) {
  for (const auto& [rank, size] :
       {std::pair("RANK", "WORLD_SIZE"), std::pair("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        std::pair("SLURM_PROCID", "SLURM_NTASKS")}) {
    const Ranks ranks = read(with_master({{rank, "2"}, {size, "4"}}));
    EXPECT_EQ(ranks.rank, 2);
    EXPECT_EQ(ranks.size, 4);
    EXPECT_EQ(ranks.address, "node0");
    EXPECT_EQ(ranks.port, 29500);
    check_ranks(ranks);
  }
}

TEST(Ranks, OfTorchrunGoBeforeTheOthers) {
  const Ranks ranks = read(with_master(
      {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}));
  EXPECT_EQ(ranks.rank, 1);
  EXPECT_EQ(ranks.size, 2);
}

TEST(Ranks, OfASingleProcessNeedNoAddress) {
  EXPECT_EQ(read({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}}).size, 1);
}

TEST(Ranks, NameWhatIsMissing) {
  const auto missing = [](const Environment& environment, const char* name) {
    EXPECT_THAT([&] { static_cast<void>(read(environment)); },
                ThrowsMessage<InvalidArgument>(HasSubstr(std::string(name) + " is not set")));
  };
  missing(with_master({{"RANK", "0"}}), "WORLD_SIZE");
  missing(with_master({{"WORLD_SIZE", "2"}}), "RANK");
  missing({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}, "MASTER_PORT");
  missing({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "1"}}, "MASTER_ADDR");
  missing({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", ""}, {"MASTER_PORT", "1"}},
          "MASTER_ADDR");
  missing({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}}, "MASTER_ADDR");
}

TEST(Ranks, NameValuesThatAreNone) {
  const auto wrong = [](Environment environment, const char* name, const std::string& value) {
    environment[name] = value;
    EXPECT_THAT(
        [&] { static_cast<void>(read(environment)); },
        ThrowsMessage<InvalidArgument>(AllOf(HasSubstr(name), HasSubstr("'" + value + "'"))))
        << name << " " << value;
  };
  const Environment good = with_master({{"RANK", "1"}, {"WORLD_SIZE", "2"}});
  for (const char* value : {"2", "-1", "x", "", "1x", "1.5"}) wrong(good, "RANK", value);
  for (const char* value : {"0", "-2", "two", "99999999999999999999"})
    wrong(good, "WORLD_SIZE", value);
  for (const char* value : {"0", "65536", "http"}) wrong(good, "MASTER_PORT", value);
}

TEST(Ranks, OutOfRangeAreRefusedByNameAndValue) {
  const Ranks good{.rank = 1, .size = 2, .address = "a", .port = 5, .timeout = 1};
  check_ranks(good);
  const auto refused = [](const Ranks& ranks, const char* what) {
    EXPECT_THAT([&] { check_ranks(ranks); }, ThrowsMessage<InvalidArgument>(HasSubstr(what)));
  };
  Ranks bad = good;
  bad.rank = 2;
  refused(bad, "ranks.rank must be at least 0 and less than ranks.size, got 2");
  bad = good;
  bad.timeout = 0;
  refused(bad, "ranks.timeout must be positive, got 0");
  bad = good;
  bad.address.clear();
  refused(bad, "ranks.address");
  bad = good;
  bad.port = 0;
  refused(bad, "ranks.port must be in [1, 65535], got 0");
  refused({.size = 0}, "ranks.size must be at least 1, got 0");
}

}  // namespace
}  // namespace octconv::train
