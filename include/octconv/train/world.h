// SPDX-License-Identifier: Apache-2.0
// Which processes train together.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "octconv/base/api.h"

namespace octconv::train {

/// The processes of a training, and which of them this one is.
struct World {
  std::int64_t rank = 0;  ///< of this process, in [0, size)
  std::int64_t size = 1;  ///< processes in all
  std::string address;    ///< host at which rank 0 is reached, where there are several
  std::int64_t port = 0;  ///< in [1, 65535]: of rank 0, where there are several
};

/// The value of an environment variable, null where it is not set.
using Environment = std::function<const char*(const char* name)>;

/// What whoever started this process says in its environment: RANK and WORLD_SIZE as torchrun sets
/// them, or else OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE (Open MPI), or else SLURM_PROCID and
/// SLURM_NTASKS (SLURM); with MASTER_ADDR and MASTER_PORT. Without any of them, one process. Where
/// torchrun listens at MASTER_PORT itself (TORCHELASTIC_USE_AGENT_STORE is "True") it is the next
/// one.
///
/// @throws InvalidArgument naming the variable and its value if one cannot be read, contradicts
///         another, or is missing beside others
[[nodiscard]] OCTCONV_API World world_from(const Environment& environment);

}  // namespace octconv::train
