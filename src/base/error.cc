// SPDX-License-Identifier: Apache-2.0
// Destructors live here so that each error's type information has one home in the library.
#include "octconv/base/error.h"

namespace octconv {

Error::~Error() = default;
InvalidArgument::~InvalidArgument() = default;
Unsupported::~Unsupported() = default;
FileError::~FileError() = default;
FormatError::~FormatError() = default;

}  // namespace octconv
