// SPDX-License-Identifier: Apache-2.0
// A training as a file: all that continuing it takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "octconv/graph/graph.h"
#include "octconv/graph/model.h"
#include "octconv/train/trainer.h"

namespace octconv::train {

/// What a training is: runs that agree in it give the same result. Compared as text, so that an
/// error can name what differs.
struct Identity {
  std::string network;                         ///< dump(graph)
  std::map<std::string, std::string> options;  ///< all that affects the result, and the data set
};

/// @param start  the weights that training begins with; null for those of the seed
[[nodiscard]] Identity identity_of(const Graph& graph, const Dataset& data,
                                   const TrainOptions& options, const Weights* start = nullptr);

/// An epoch that is not over.
struct EpochPart {
  std::int64_t batches = 0;  ///< that are done
  double loss = 0;           ///< sum over images
  std::int64_t correct = 0;  ///< images
  std::int64_t images = 0;
};

struct Checkpoint {
  Identity identity;
  std::vector<EpochRecord> history;              ///< its size is the number of epochs done
  std::map<std::string, at::Tensor> tensors;     ///< parameters and buffers, by name
  std::map<std::string, at::Tensor> velocities;  ///< of the optimiser, by the parameter's name
  EpochPart part;                                ///< of the epoch after them
};

/// The file in the folder of a training.
[[nodiscard]] std::filesystem::path checkpoint_path(const std::filesystem::path& folder);

/// A dictionary of tensors and text in LibTorch's archive format, and a checksum; written whole or
/// not at all.
/// @throws FileError
void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

/// @throws FileError if it cannot be read, FormatError if it is not a whole checkpoint
[[nodiscard]] Checkpoint read_checkpoint(const std::filesystem::path& path);

/// @throws InvalidArgument naming the first thing in which the checkpoint differs
void check_same(const Identity& checkpoint, const Identity& wanted,
                const std::filesystem::path& path);

}  // namespace octconv::train
