// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/world.h"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

World world_of(const Variables& variables) {
  return world_from([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string error_of(const Variables& variables) {
  try {
    static_cast<void>(world_of(variables));
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "no error";
}

// With where to meet.
Variables meeting(Variables variables) {
  variables.insert({{"MASTER_ADDR", "node7"}, {"MASTER_PORT", "29500"}});
  return variables;
}

TEST(World, WithoutVariablesIsOneProcess) {
  const World world = world_of({{"HOME", "/"}});
  EXPECT_EQ(world.rank, 0);
  EXPECT_EQ(world.size, 1);
}

TEST(World, ReadsEachStartersVariables) {
  for (const auto& [rank, size] :
       {std::pair{"RANK", "WORLD_SIZE"}, std::pair{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
        std::pair{"SLURM_PROCID", "SLURM_NTASKS"}}) {
    const World world = world_of(meeting({{rank, "3"}, {size, "4"}}));
    EXPECT_EQ(world.rank, 3) << rank;
    EXPECT_EQ(world.size, 4) << size;
    EXPECT_EQ(world.address, "node7");
    EXPECT_EQ(world.port, 29500);
  }
}

// srun may start one torchrun on each machine.
TEST(World, RankAndWorldSizeWinOverTheOthers) {
  const World world = world_of(
      meeting({{"RANK", "5"}, {"WORLD_SIZE", "8"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}}));
  EXPECT_EQ(world.rank, 5);
  EXPECT_EQ(world.size, 8);
}

TEST(World, WhereTorchrunListensAtThePortItIsTheNextOne) {
  const auto port_of = [](const char* port, const char* taken) {
    return world_of({{"RANK", "0"},
                     {"WORLD_SIZE", "2"},
                     {"MASTER_ADDR", "a"},
                     {"MASTER_PORT", port},
                     {"TORCHELASTIC_USE_AGENT_STORE", taken}})
        .port;
  };
  EXPECT_EQ(port_of("29500", "True"), 29501);
  EXPECT_EQ(port_of("29500", "False"), 29500);
  EXPECT_EQ(port_of("65535", "True"), 65534);
}

TEST(World, OneProcessNeedsNoPlaceToMeet) {
  EXPECT_EQ(world_of({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).size, 1);
}

TEST(World, HalfSetVariablesAreRefusedByName) {
  EXPECT_THAT(error_of({{"RANK", "1"}}), AllOf(HasSubstr("RANK is '1'"), HasSubstr("WORLD_SIZE")));
  EXPECT_THAT(error_of({{"WORLD_SIZE", "2"}}),
              AllOf(HasSubstr("WORLD_SIZE is '2'"), HasSubstr("RANK is not set")));
  EXPECT_THAT(error_of({{"SLURM_NTASKS", "2"}}), HasSubstr("SLURM_PROCID is not set"));
  EXPECT_THAT(error_of({{"RANK", "1"}, {"WORLD_SIZE", "2"}}), HasSubstr("MASTER_ADDR is not set"));
  EXPECT_THAT(error_of({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", ""}}),
              HasSubstr("MASTER_ADDR is empty"));
  EXPECT_THAT(error_of({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}),
              HasSubstr("MASTER_PORT is not set"));
  EXPECT_THAT(error_of({{"MASTER_ADDR", "node7"}}),
              AllOf(HasSubstr("MASTER_ADDR is 'node7'"), HasSubstr("RANK")));
}

TEST(World, ValuesThatCannotBeReadOrContradictAreRefusedByName) {
  const auto with = [](const char* rank, const char* size) {
    return error_of(meeting({{"RANK", rank}, {"WORLD_SIZE", size}}));
  };
  EXPECT_THAT(with("2", "2"), AllOf(HasSubstr("RANK is '2'"), HasSubstr("WORLD_SIZE")));
  EXPECT_THAT(with("-1", "2"), HasSubstr("RANK is '-1'"));
  EXPECT_THAT(with("one", "2"), HasSubstr("RANK is 'one'"));
  EXPECT_THAT(with("1x", "2"), HasSubstr("RANK is '1x'"));
  EXPECT_THAT(with("", "2"), HasSubstr("RANK is ''"));
  EXPECT_THAT(with("0", "0"), HasSubstr("WORLD_SIZE is '0'"));
  EXPECT_THAT(with("0", "99999999999999999999"), HasSubstr("WORLD_SIZE is '9999"));
  for (const char* port : {"0", "65536", "http"}) {
    EXPECT_THAT(
        error_of({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", port}}),
        HasSubstr("MASTER_PORT is '" + std::string(port) + "'"));
  }
}

}  // namespace
}  // namespace octconv::train
