// SPDX-License-Identifier: Apache-2.0
// The processes that train one network together, and how they find each other.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "octconv/base/api.h"

namespace octconv::train {

/// One of several processes. Each is started with the same options but for its rank.
struct Ranks {
  int rank = 0;          ///< in [0, size)
  int size = 1;          ///< >= 1; 1: nobody else
  std::string address;   ///< of the machine of rank 0, name or number; for size > 1
  int port = 0;          ///< at which rank 0 listens, in [1, 65535]; for size > 1
  double timeout = 300;  ///< seconds, > 0, that a process waits for the others before it gives up
};

/// What the environment says: RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, as torchrun sets them;
/// or MASTER_ADDR and MASTER_PORT with OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE (OpenMPI), or
/// with SLURM_PROCID and SLURM_NTASKS (Slurm's srun). One process if it says nothing.
///
/// @param variable  the value of a variable, if it is set
/// @throws InvalidArgument naming a variable that is missing, contradicts another, or has a value
/// that is none
[[nodiscard]] OCTCONV_API Ranks
ranks_from_environment(const std::function<std::optional<std::string>(const char* name)>& variable);
/// Of this process's environment.
[[nodiscard]] OCTCONV_API Ranks ranks_from_environment();

/// @throws InvalidArgument naming the member and its value
OCTCONV_API void check_ranks(const Ranks& ranks);

}  // namespace octconv::train
