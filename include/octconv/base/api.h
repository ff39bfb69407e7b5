// SPDX-License-Identifier: Apache-2.0
// The one export macro: everything else stays inside the library.
#pragma once

#define OCTCONV_API __attribute__((visibility("default")))
