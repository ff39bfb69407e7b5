// SPDX-License-Identifier: Apache-2.0
// Weights under the names that PyTorch's users give them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "octconv/base/api.h"
#include "octconv/graph/model.h"

namespace octconv {

/// Tensors by name, as `torch.nn.Module.state_dict()` gives them.
using StateDict = std::map<std::string, Tensor>;

/// The tensors in a file of `torch.save` (read_pth) or in the safetensors format
/// (read_safetensors): its first bytes tell which it is.
/// @throws what these throw
[[nodiscard]] OCTCONV_API StateDict read_state_dict(const std::filesystem::path& path);

/// The network with the parameters of a state dict.
///
/// Names are those of the network's nodes (`layer1.0.conv1.weight`), or:
/// - all behind `module.` (DataParallel), or `state_dict.`, `model.`, `network.`;
/// - torchvision's of DenseNet (`features.denseblock1.denselayer1.conv1.weight`, also in its older
///   spelling `conv.1.weight`) and of MobileNet v2 (`features.1.conv.0.0.weight`). Batch norms then
///   have torchvision's epsilon, 1e-5. MobileNet v2's first block has no expansion there: it
///   becomes the identity, which a relu6 after a relu6 does not change;
/// - one kernel per path, in place of a weight, and one batch norm per frequency, as in
///   d-li14/octconv.pytorch: `layer1.0.conv1.conv.conv_h2l.weight` (or `h2l`) is the block of
///   `layer1.0.conv1.weight` that takes high to low, `layer1.0.conv1.bn_h` and `.bn_l` are the
///   parts of the batch norm that follows `layer1.0.conv1`. The network must have the state dict's
///   splits.
///
/// `num_batches_tracked` is ignored. A block of a weight that no path reads is zero.
///
/// Sources: pytorch/vision, torchvision/models/{resnet,densenet,mobilenetv2}.py;
/// d-li14/octconv.pytorch, octconv.py and oct_resnet.py.
///
/// @throws InvalidArgument naming every parameter that is missing or misshapen and every tensor
/// that
///         belongs nowhere
[[nodiscard]] OCTCONV_API Model with_state_dict(const Graph& graph, StateDict state);

}  // namespace octconv
