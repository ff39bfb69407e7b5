// SPDX-License-Identifier: Apache-2.0
// The families of the zoo, one source file each.
#pragma once

#include <vector>

#include "octconv/graph/zoo.h"

namespace octconv::zoo {

std::vector<ZooEntry> cifar_resnets();
std::vector<ZooEntry> resnets();

}  // namespace octconv::zoo
