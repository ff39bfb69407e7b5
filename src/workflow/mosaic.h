// SPDX-License-Identifier: Apache-2.0
// Pictures side by side in one.
#pragma once

#include <cstdint>
#include <vector>

#include "octconv/image/image.h"

namespace octconv::workflow {

// Every pixel becomes zoom x zoom. Requires zoom >= 1.
Image enlarged(const Image& image, std::int64_t zoom);

// Pictures in rows of `columns`, each centred in a cell as large as the largest, four pixels of
// dark blue-grey around each. Grey pictures become coloured ones. Requires a picture and columns
// >= 1.
Image mosaic(const std::vector<Image>& images, std::int64_t columns);

}  // namespace octconv::workflow
