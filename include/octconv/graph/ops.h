// SPDX-License-Identifier: Apache-2.0
// The operations a network is made of: one closed variant. Whoever handles an Op visits it
// exhaustively, so that a new operation does not compile until every layer knows it.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "octconv/base/api.h"
#include "octconv/octave/options.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// A tensor from outside: [batch, channels, extents...].
struct Input {
  std::int64_t channels = 0;
  friend bool operator==(const Input&, const Input&) = default;
};

/// Convolution; parameters `weight` [out, in / groups, kernel...] and, with `bias`, `bias` [out].
struct Conv {
  std::int64_t out_channels = 0;
  Shape kernel;
  Shape stride;
  Shape dilation;
  Shape padding_begin;
  Shape padding_end;
  std::int64_t groups = 1;
  bool bias = false;
  StrideMode stride_mode = StrideMode::kStrided;
  Exchange exchange = Exchange::kBoth;
  friend bool operator==(const Conv&, const Conv&) = default;
};

/// Batch normalisation per channel; parameters `weight`, `bias`, `running_mean`, `running_var`, all
/// [channels]. An octave value has separate channels, so each frequency has its own parameters and
/// statistics.
struct BatchNorm {
  double epsilon = 1e-5;
  double momentum =
      0.1;  ///< weight of the new batch in the running statistics (PyTorch's convention)
  friend bool operator==(const BatchNorm&, const BatchNorm&) = default;
};

enum class ActivationKind { kRelu, kRelu6, kSigmoid };

struct Activation {
  ActivationKind kind = ActivationKind::kRelu;
  friend bool operator==(const Activation&, const Activation&) = default;
};

/// Element-wise sum of two values of the same channels and extents.
struct Add {
  friend bool operator==(const Add&, const Add&) = default;
};

enum class PoolKind { kMax, kAverage };

/// Pooling window. Padding counts neither in the maximum nor in the average.
struct Pool {
  PoolKind kind = PoolKind::kMax;
  Shape kernel;
  Shape stride;
  Shape padding_begin;
  Shape padding_end;
  friend bool operator==(const Pool&, const Pool&) = default;
};

/// Mean over all pixels of each channel: [batch, channels], a value without extents or frequency.
struct GlobalPool {
  friend bool operator==(const GlobalPool&, const GlobalPool&) = default;
};

/// Fully connected layer on [batch, channels]; parameters `weight` [out, in] and `bias` [out].
struct Linear {
  std::int64_t out_channels = 0;
  bool bias = true;
  friend bool operator==(const Linear&, const Linear&) = default;
};

using Op = std::variant<Input, Conv, BatchNorm, Activation, Add, Pool, GlobalPool, Linear>;

/// "conv", "batch_norm", ...
[[nodiscard]] OCTCONV_API std::string_view op_name(const Op& op) noexcept;
/// "relu", "relu6", "sigmoid".
[[nodiscard]] OCTCONV_API std::string_view to_string(ActivationKind kind) noexcept;
/// "max", "average".
[[nodiscard]] OCTCONV_API std::string_view to_string(PoolKind kind) noexcept;

/// Makes a visitor of lambdas: `std::visit(Overloaded{[](const Conv&) {...}, ...}, op)`.
template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace octconv
