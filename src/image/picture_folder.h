// SPDX-License-Identifier: Apache-2.0
// Data sets that are folders of pictures, or of videos, by class.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "octconv/image/dataset.h"

namespace octconv::image {

// Whether the folder has a folder `train`.
bool is_picture_folder(const std::filesystem::path& folder);

// Lists train/CLASS/ and val/CLASS/ (or test/CLASS/); clips have the timing by default. Throws
// FileError if one is missing, a class of `val` is none of `train`, a class has nothing to learn
// from, or there are both pictures and videos.
Dataset open_picture_folder(const std::filesystem::path& folder, std::string name,
                            std::int64_t size);

}  // namespace octconv::image
