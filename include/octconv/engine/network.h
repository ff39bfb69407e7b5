// SPDX-License-Identifier: Apache-2.0
// The CPU engine: compile a network once, run it many times, from many threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/base/executor.h"
#include "octconv/graph/model.h"
#include "octconv/octave/conv.h"
#include "octconv/tensor/tensor.h"

namespace octconv {

/// What `compile` keeps beside the result.
struct CompileOptions {
  /// Nodes whose values `Session::value` can give after a run. Each costs the fusions that would
  /// skip it, and memory of its own.
  std::vector<std::string> keep;
  /// Extents for which ways to compute are chosen; empty: those of `image_extents`. Any others work
  /// too.
  Shape extents = {};
  /// No Winograd: convolutions are computed tap by tap, which rounds a little less and takes
  /// longer.
  bool exact = false;
  /// Measures which way is the fastest for every convolution, with as many threads as the caller
  /// has, instead of estimating it. Takes about a second for a large network.
  bool measure = false;
  /// File that remembers what was measured, by processor, threads and convolution; empty: none.
  std::filesystem::path choices = {};
};

/// An input or output of a network.
struct NetworkPort {
  std::string name;           ///< of its node
  std::int64_t channels = 0;  ///< of every image
};

/// A compiled network: its steps and its packed weights. Immutable; a copy shares the memory, and
/// any number of sessions may use it at once.
class OCTCONV_API Network {
 public:
  /// The graph's name.
  [[nodiscard]] const std::string& name() const noexcept;
  /// Inputs and outputs, in the order in which a session takes and gives them.
  /// @{
  [[nodiscard]] const std::vector<NetworkPort>& inputs() const noexcept;
  [[nodiscard]] const std::vector<NetworkPort>& outputs() const noexcept;
  /// @}
  /// Channels of the first input.
  [[nodiscard]] std::int64_t channels() const noexcept;
  /// Spatial axes of the inputs.
  [[nodiscard]] std::size_t rank() const noexcept;
  /// Steps that a run performs, after fusion.
  [[nodiscard]] std::int64_t steps() const noexcept;

  /// What was compiled; private to the engine.
  struct Program;
  /// For `compile` alone.
  explicit Network(std::shared_ptr<const Program> program) noexcept;
  /// For sessions alone.
  [[nodiscard]] const Program& program() const noexcept { return *program_; }

 private:
  std::shared_ptr<const Program> program_;
};

/// Chooses the steps and packs the weights for this processor; the model is not needed afterwards.
///
/// Batch norm is folded into the convolution before it, activations and residual additions become
/// part of it, wherever nothing else reads the value in between.
///
/// @throws InvalidArgument if the weights do not fit the graph, the graph contradicts itself, a
/// kept name
///         is unknown, or `options.extents` do not fit; FileError or FormatError for the file of
/// choices; Unsupported if the graph has no input or no
///         output
/// @{
[[nodiscard]] OCTCONV_API Network compile(const Model& model, const CompileOptions& options = {});
/// Frees every weight as soon as it is packed, so that the weights are never held twice.
[[nodiscard]] OCTCONV_API Network compile(Model&& model, const CompileOptions& options = {});
/// @}

/// Who does the work of a session's runs.
struct SessionOptions {
  /// Threads of OpenMP, in [1, 1024]; 0: what `thread_count()` says when a run begins. With 1,
  /// the caller's thread does it all and OpenMP is not called.
  int threads = 0;
  /// Threads of the caller's own in place of OpenMP's; excludes `threads`.
  std::shared_ptr<Executor> executor = {};
};

/// Runs a network. One thread at a time may use a session; several sessions of one network are
/// independent.
///
/// A batch whose values no cache would hold is run in parts of some images.
///
/// Plans of the last sixteen input shapes are kept. Work inside a run is divided by `parallel_for`;
/// results have the same bits for any number of threads, and for each image of a batch as for the
/// image alone.
class OCTCONV_API Session {
 public:
  /// Plans nothing yet: the first run of each input shape does.
  /// @throws InvalidArgument for threads outside their range, or threads and an executor
  explicit Session(Network network, SessionOptions options = {});
  ~Session();
  /// What was moved from may only be assigned to or destroyed.
  /// @{
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  /// @}

  /// @param input  [batch, channels, extents...]; batch may be 0
  /// @return [batch, channels] or [batch, channels, extents...]
  /// @throws InvalidArgument if the rank, the channels or the extents do not fit the network, or it
  /// has several inputs or outputs
  [[nodiscard]] Tensor run(const Tensor& input);
  /// The same into `output`, which is replaced if it has another shape. Allocates nothing if it has
  /// not and the input's shape is one of the last sixteen.
  void run(const Tensor& input, Tensor& output);

  /// The same for any number of inputs and outputs.
  ///
  /// @param inputs  in the order of `Network::inputs`, all of one batch; each has extents of its
  /// own
  /// @return the outputs in the order of `Network::outputs`
  /// @throws InvalidArgument as above, naming the input
  [[nodiscard]] std::vector<Tensor> run(std::span<const Tensor> inputs);
  /// The same into `outputs`, one for each output of the network.
  void run(std::span<const Tensor> inputs, std::span<Tensor> outputs);

  /// A kept value of the last run: [batch, channels, extents...], or [batch, channels].
  /// @throws InvalidArgument if `name` was not kept, or nothing has run yet
  [[nodiscard]] Tensor value(std::string_view name, Frequency frequency = Frequency::kHigh) const;

  /// Floats of working memory: activations and scratch, by lifetime in one block.
  [[nodiscard]] std::int64_t arena_elements() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace octconv
