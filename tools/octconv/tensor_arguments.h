// SPDX-License-Identifier: Apache-2.0
// What `name=file.npy` on the command line means: the files of a network's inputs and outputs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "octconv/engine/network.h"
#include "octconv/tensor/tensor.h"

namespace octconv::tool {

/// Index of a port, and the file of its tensor.
struct PortFile {
  std::size_t port = 0;
  std::string path;
};

/// The inputs or outputs of a network, in the order of `nodes`.
[[nodiscard]] std::vector<NetworkPort> ports(const Graph& graph, const std::vector<NodeId>& nodes);

/// Whose file each argument is: `name=path` with the name of a port, or the path alone where there
/// is one port.
///
/// @param what  "input" or "output", for errors
/// @throws InvalidArgument for an unknown name, and for two files of one port
[[nodiscard]] std::vector<PortFile> port_files(const std::vector<NetworkPort>& ports,
                                               const std::vector<std::string>& arguments,
                                               const std::string& what);

/// The tensors of all inputs, in the network's order.
/// @throws InvalidArgument as above, and for an input without a file; what `read_npy` throws
[[nodiscard]] std::vector<Tensor> read_inputs(const std::vector<NetworkPort>& ports,
                                              const std::vector<std::string>& arguments);

}  // namespace octconv::tool
