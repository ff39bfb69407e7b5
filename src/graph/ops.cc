// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/ops.h"

namespace octconv {

std::string_view op_name(const Op& op) noexcept {
  return std::visit(
      Overloaded{[](const Input&) -> std::string_view { return "input"; },
                 [](const Conv&) -> std::string_view { return "conv"; },
                 [](const ConvTranspose&) -> std::string_view { return "conv_transpose"; },
                 [](const BatchNorm&) -> std::string_view { return "batch_norm"; },
                 [](const Activation&) -> std::string_view { return "activation"; },
                 [](const Add&) -> std::string_view { return "add"; },
                 [](const Multiply&) -> std::string_view { return "multiply"; },
                 [](const Concat&) -> std::string_view { return "concat"; },
                 [](const Select&) -> std::string_view { return "select"; },
                 [](const Scale&) -> std::string_view { return "scale"; },
                 [](const Attention&) -> std::string_view { return "attention"; },
                 [](const Softmax&) -> std::string_view { return "softmax"; },
                 [](const Pool&) -> std::string_view { return "pool"; },
                 [](const Resize&) -> std::string_view { return "resize"; },
                 [](const GlobalPool&) -> std::string_view { return "global_pool"; },
                 [](const Linear&) -> std::string_view { return "linear"; }},
      op);
}

std::string_view to_string(ActivationKind kind) noexcept {
  switch (kind) {
    case ActivationKind::kNone:
      return "none";
    case ActivationKind::kRelu:
      return "relu";
    case ActivationKind::kRelu6:
      return "relu6";
    case ActivationKind::kSigmoid:
      return "sigmoid";
    case ActivationKind::kLeakyRelu:
      return "leaky_relu";
    case ActivationKind::kHardSigmoid:
      return "hard_sigmoid";
    case ActivationKind::kHardSwish:
      return "hard_swish";
    case ActivationKind::kSilu:
      return "silu";
  }
  return "?";
}

std::string_view to_string(PoolKind kind) noexcept {
  return kind == PoolKind::kMax ? "max" : "average";
}

std::string_view to_string(ResizeMode mode) noexcept {
  return mode == ResizeMode::kNearest ? "nearest" : "linear";
}

}  // namespace octconv
