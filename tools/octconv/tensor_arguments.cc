// SPDX-License-Identifier: Apache-2.0
#include "tensor_arguments.h"

#include <algorithm>

#include "octconv/base/error.h"
#include "octconv/base/text.h"
#include "octconv/tensor/npy.h"

namespace octconv::tool {
namespace {

std::string names(const std::vector<NetworkPort>& ports) {
  std::vector<std::string> all;
  for (const NetworkPort& port : ports) all.push_back("'" + port.name + "'");
  return join(all, ", ");
}

}  // namespace

std::vector<NetworkPort> ports(const Graph& graph, const std::vector<NodeId>& nodes) {
  std::vector<NetworkPort> ports;
  for (const NodeId id : nodes)
    ports.push_back({.name = graph.node(id).name, .channels = graph.node(id).channels.total()});
  return ports;
}

std::vector<PortFile> port_files(const std::vector<NetworkPort>& ports,
                                 const std::vector<std::string>& arguments,
                                 const std::string& what) {
  std::vector<PortFile> files;
  for (const std::string& argument : arguments) {
    // A name may hold a '=', and so may a path.
    const auto named = std::find_if(ports.begin(), ports.end(), [&](const NetworkPort& port) {
      return argument.starts_with(port.name + "=");
    });
    PortFile file;
    if (named != ports.end()) {
      file = {.port = static_cast<std::size_t>(named - ports.begin()),
              .path = argument.substr(named->name.size() + 1)};
    } else if (ports.size() == 1) {
      file = {.port = 0, .path = argument};
    } else {
      throw InvalidArgument("--" + what + " '" + argument + "' names no " + what +
                            " of the network: write NAME=FILE with one of " + names(ports));
    }
    for (const PortFile& other : files) {
      if (other.port == file.port)
        throw InvalidArgument(what + " '" + ports[file.port].name + "' is given twice: '" +
                              other.path + "' and '" + file.path + "'");
    }
    files.push_back(std::move(file));
  }
  return files;
}

std::vector<Tensor> read_inputs(const std::vector<NetworkPort>& ports,
                                const std::vector<std::string>& arguments) {
  const std::vector<PortFile> files = port_files(ports, arguments, "input");
  std::vector<const PortFile*> by_port(ports.size(), nullptr);
  for (const PortFile& file : files) by_port[file.port] = &file;
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (by_port[i] == nullptr)
      throw InvalidArgument("input '" + ports[i].name + "' has no file: write --input " +
                            ports[i].name + "=FILE");
    tensors.push_back(read_npy(by_port[i]->path));
  }
  return tensors;
}

}  // namespace octconv::tool
