// SPDX-License-Identifier: Apache-2.0
// The errors that octconv throws. The library never prints and never aborts.
#pragma once

#include <stdexcept>
#include <string>

#include "octconv/base/api.h"

namespace octconv {

/// Base of every error; `what()` is one sentence that names the thing and the value.
class OCTCONV_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Error() override;
};

/// An argument out of its range, or shapes that do not fit each other.
class OCTCONV_API InvalidArgument : public Error {
 public:
  using Error::Error;
  ~InvalidArgument() override;
};

/// A valid request that octconv cannot honour; never silently ignored.
class OCTCONV_API Unsupported : public Error {
 public:
  using Error::Error;
  ~Unsupported() override;
};

/// A file that cannot be opened, read or written.
class OCTCONV_API FileError : public Error {
 public:
  using Error::Error;
  ~FileError() override;
};

/// A file whose contents are not what they should be.
class OCTCONV_API FormatError : public Error {
 public:
  using Error::Error;
  ~FormatError() override;
};

}  // namespace octconv
