// SPDX-License-Identifier: Apache-2.0
// Tensors by name in the files of torch.save.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "octconv/base/api.h"
#include "octconv/tensor/tensor.h"

namespace octconv {

/// The tensors of a state dict that `torch.save` of PyTorch 1.6 or later wrote, converted to
/// float32: a dictionary of tensors by name, or one that holds such a dictionary under
/// `state_dict`, `model_state_dict`, `model`, `net` or `network`. What else it holds is ignored.
/// LibTorch is not needed, and nothing in the file is ever executed: of what a pickle can name only
/// tensors, their storages and OrderedDict mean anything.
///
/// Sources of the format: PKWARE's APPNOTE.TXT (the archive), Lib/pickletools.py of Python (the
/// opcodes), torch/serialization.py and torch/_utils.py of PyTorch (what they describe).
///
/// @throws FileError if the file cannot be read; FormatError if it is damaged or holds no state
///         dict; Unsupported for PyTorch's older format, for compressed entries, opcodes that
///         torch.save does not write, and types other than floats, integers and booleans
[[nodiscard]] OCTCONV_API std::map<std::string, Tensor> read_pth(const std::filesystem::path& path);

/// The same from bytes; `name` stands for the file in errors. Allocates no more than a small
/// multiple of the bytes.
[[nodiscard]] OCTCONV_API std::map<std::string, Tensor> parse_pth(std::string_view bytes,
                                                                  std::string_view name);

}  // namespace octconv
