// SPDX-License-Identifier: Apache-2.0
// The families of the zoo, one source file each.
#pragma once

#include <vector>

#include "octconv/graph/zoo.h"

namespace octconv::zoo {

std::vector<ZooEntry> cifar_resnets();
std::vector<ZooEntry> wide_resnets();
std::vector<ZooEntry> basic_resnets();
std::vector<ZooEntry> pre_activation_resnets();
std::vector<ZooEntry> post_activation_resnets();
std::vector<ZooEntry> densenets();
std::vector<ZooEntry> mobilenets_v1();
std::vector<ZooEntry> mobilenets_v2();
std::vector<ZooEntry> video_resnets();

}  // namespace octconv::zoo
