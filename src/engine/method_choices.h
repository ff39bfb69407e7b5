// SPDX-License-Identifier: Apache-2.0
// Methods chosen by measuring, and the file that remembers them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "octconv/octave/conv_method.h"
#include "octconv/tensor/shape.h"

namespace octconv::engine {

/// The fastest methods of single convolutions on this machine, for the present number of threads.
/// What was measured once is not measured again.
class MethodChoices {
 public:
  /// @param file  what earlier ones remembered; it need not exist; empty: nothing is remembered
  /// @throws FileError if it cannot be read, FormatError if it is not such a file
  explicit MethodChoices(std::filesystem::path file);

  /// Measures unless it is known.
  [[nodiscard]] ConvMethods choose(const ConvOptions& options, const Shape& extents);

  /// Writes the file if anything new was measured.
  /// @throws FileError
  void save() const;

 private:
  std::filesystem::path file_;
  std::map<std::string, ConvMethods> known_;  // by processor, threads and convolution
  bool changed_ = false;
};

}  // namespace octconv::engine
