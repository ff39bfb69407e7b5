// SPDX-License-Identifier: Apache-2.0
#include "engine/execution.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/memory.h"
#include "kernels/attention.h"
#include "kernels/layout.h"
#include "kernels/pointwise.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"

namespace octconv::engine {
namespace {

// Floats to read for which waking another thread is worth its time.
constexpr std::int64_t kGrain = 16'384;

std::int64_t grain(std::int64_t floats_each) {
  return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, floats_each));
}

// src [image][rows][columns] to out [image][columns][rows].
void transpose_images(const float* src, std::int64_t images, std::int64_t rows,
                      std::int64_t columns, float* out) {
  parallel_for(images * columns, grain(rows), [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t image = begin / columns;
      const std::int64_t first = begin % columns;
      const std::int64_t last = std::min(columns, first + end - begin);
      kernels::transpose(src + image * rows * columns, rows, columns, first, last,
                         out + image * rows * columns);
      begin += last - first;
    }
  });
}

// body(image, begin, end) for the parts of the pixels [begin, end) that lie in one image each.
template <class Body>
void for_images(std::int64_t begin, std::int64_t end, std::int64_t pixels_per_image,
                const Body& body) {
  while (begin < end) {
    const std::int64_t image = begin / pixels_per_image;
    const std::int64_t stop = std::min(end, (image + 1) * pixels_per_image);
    body(image, begin, stop);
    begin = stop;
  }
}

// Rows [begin, end) of `columns` floats to rows that are `pitch` apart.
void copy_rows(const float* src, std::int64_t columns, std::int64_t begin, std::int64_t end,
               float* out, std::int64_t pitch) {
  for (std::int64_t row = begin; row < end; ++row) {
    std::copy_n(src + row * columns, columns, out + row * pitch);
  }
}

// Windows of one frequency of a pool, checked to hold a real pixel each.
kernels::PoolRows pool_rows(const Pool& pool, const Shape& in, const Shape& out,
                            std::int64_t channels, const std::string& node) {
  for (std::size_t axis = 0; axis < in.rank(); ++axis) {
    const std::int64_t last = (out[axis] - 1) * pool.stride[axis] - pool.padding_begin[axis];
    if (last >= in[axis]) {
      throw Unsupported("node '" + node + "': a window of pool " + pool.kernel.to_string() +
                        " with stride " + pool.stride.to_string() + " is outside of extents " +
                        in.to_string());
    }
  }
  return {
      .channels = channels,
      .pitch = channels,
      .in = kernels::to_three(in, 1),
      .extents = kernels::to_three(out, 1),
      .kernel = kernels::to_three(pool.kernel, 1),
      .stride = kernels::to_three(pool.stride, 1),
      .padding = kernels::to_three(pool.padding_begin, 0),
      .kind = pool.kind == PoolKind::kMax ? kernels::PoolKind::kMax : kernels::PoolKind::kAverage};
}

kernels::ResizeRows resize_rows(const Resize& resize, const Shape& in, const Shape& out,
                                std::int64_t channels) {
  return {.channels = channels,
          .in = kernels::to_three(in, 1),
          .extents = kernels::to_three(out, 1),
          .factor = kernels::to_three(resize.factor, 1),
          .mode = resize.mode == ResizeMode::kNearest ? kernels::ResizeMode::kNearest
                                                      : kernels::ResizeMode::kLinear};
}

// The operand that a step may overwrite if nothing reads it later; -1: none.
NodeId overwritable(const Step& step, const std::vector<std::size_t>& last_read, std::size_t at) {
  const auto dies = [&](NodeId id) { return last_read[static_cast<std::size_t>(id)] == at; };
  const auto if_dies = [&](NodeId id) { return dies(id) ? id : -1; };
  return std::visit(
      Overloaded{[](const LoadInput&) -> NodeId { return -1; },
                 [&](const RunConv& conv) -> NodeId {
                   // A convolution reads its input's pixels again and again.
                   if (conv.residual < 0 || conv.residual == conv.src) return -1;
                   return if_dies(conv.residual);
                 },
                 [](const RunConvTranspose&) -> NodeId { return -1; },
                 [&](const RunScale& scale) -> NodeId { return if_dies(scale.src); },
                 [&](const RunAdd& add) -> NodeId { return dies(add.a) ? add.a : if_dies(add.b); },
                 [&](const RunMultiply& multiply) -> NodeId {
                   return dies(multiply.a) ? multiply.a : if_dies(multiply.b);
                 },
                 [&](const RunActivation& activation) -> NodeId { return if_dies(activation.src); },
                 [](const RunConcat&) -> NodeId { return -1; },
                 [](const RunSelect&) -> NodeId { return -1; },
                 [&](const RunSoftmax& softmax) -> NodeId { return if_dies(softmax.src); },
                 [](const RunResize&) -> NodeId { return -1; },
                 [&](const RunGate& gate) -> NodeId { return if_dies(gate.src); },
                 [](const RunAttention&) -> NodeId { return -1; },
                 [](const RunPool&) -> NodeId { return -1; },
                 [](const RunGlobalPool&) -> NodeId { return -1; }},
      step.kind);
}

}  // namespace

Execution::Execution(const Network::Program& program, std::int64_t batch,
                     std::vector<Shape> extents, bool keep)
    : batch_(batch),
      extents_(std::move(extents)),
      outputs_(program.graph.outputs()),
      shapes_(infer_shapes(program.graph, batch, extents_)) {
  for (const NodeId output : outputs_) {
    output_shapes_.push_back(
        shapes_[static_cast<std::size_t>(output)].tensor_shape(Frequency::kHigh));
  }
  for (const ValueShape& shape : shapes_) {
    Places places;
    places[0] = {.pixels = batch * shape.high.elements(), .channels = shape.channels.high};
    places[1] = {.pixels = batch * shape.low.elements(), .channels = shape.channels.low};
    places_.push_back(places);
    averages_.push_back({.pixels = batch * shape.low.elements(), .channels = shape.channels.high});
  }
  prepare(program);
  link_weights();
  place(program, keep);
}

void Execution::prepare(const Network::Program& program) {
  const auto shape = [&](NodeId id) -> const ValueShape& {
    return shapes_[static_cast<std::size_t>(id)];
  };
  for (const Step& step : program.steps) {
    Prepared prepared{.dst = step.dst, .kind = static_cast<const LoadInput*>(nullptr)};
    std::visit(
        Overloaded{[&](const LoadInput& load) { prepared.kind = &load; },
                   [&](const RunConv& conv) {
                     const bool spatial = program.graph.node(conv.src).spatial;
                     prepared.kind =
                         Conv{.plan = OctConvPlan(conv.weights, batch_,
                                                  spatial ? shape(conv.src).high : Shape{1},
                                                  conv.epilogue, conv.src_averages, conv.feed),
                              .step = &conv};
                   },
                   [&](const RunConvTranspose& conv) {
                     prepared.kind = transposed(conv, shape(conv.src), shape(step.dst));
                   },
                   [&](const RunScale& scale) { prepared.kind = &scale; },
                   [&](const RunMultiply& multiply) { prepared.kind = &multiply; },
                   [&](const RunSelect& select) { prepared.kind = &select; },
                   [&](const RunSoftmax& softmax) { prepared.kind = &softmax; },
                   [&](const RunResize& resize) {
                     const ValueShape& in = shape(resize.src);
                     const ValueShape& out = shape(step.dst);
                     Resized rows{.src = resize.src};
                     rows.rows[0] = resize_rows(resize.resize, in.high, out.high, in.channels.high);
                     rows.rows[1] = resize_rows(resize.resize, in.low, out.low, in.channels.low);
                     prepared.kind = rows;
                   },
                   [&](const RunAdd& add) { prepared.kind = &add; },
                   [&](const RunActivation& activation) { prepared.kind = &activation; },
                   [&](const RunConcat& concat) { prepared.kind = &concat; },
                   [&](const RunGate& gate) { prepared.kind = &gate; },
                   [&](const RunAttention& attention) { prepared.kind = &attention; },
                   [&](const RunPool& pool) {
                     const ValueShape& in = shape(pool.src);
                     const ValueShape& out = shape(step.dst);
                     const std::string& name = program.graph.node(step.dst).name;
                     Pool rows{.src = pool.src};
                     rows.rows[0] = pool_rows(pool.pool, in.high, out.high, in.channels.high, name);
                     if (in.channels.octave()) {
                       rows.rows[1] = pool_rows(pool.pool, in.low, out.low, in.channels.low, name);
                     }
                     prepared.kind = rows;
                   },
                   [&](const RunGlobalPool& pool) { prepared.kind = &pool; }},
        step.kind);
    steps_.push_back(std::move(prepared));
  }
}

Execution::Transposed Execution::transposed(const RunConvTranspose& step, const ValueShape& in,
                                            const ValueShape& out) const {
  const Shape small = output_extents(step.weights.options(), in.high);
  return {.plan = OctConvPlan(step.weights, batch_, in.high, step.epilogue),
          .step = &step,
          .cells = {.channels = step.conv.out_channels,
                    .groups = step.conv.groups,
                    .grid = kernels::to_three(small, 1),
                    .extents = kernels::to_three(out.high, 1),
                    .cell = kernels::to_three(step.conv.stride, 1),
                    .first = kernels::to_three(step.conv.padding_begin, 0)},
          .small_elements = batch_ * small.elements() * step.weights.options().out.high};
}

void Execution::place(const Network::Program& program, bool keep) {
  const std::size_t end = program.steps.size();
  std::vector<std::size_t> last_read(places_.size(), 0);
  for (std::size_t i = 0; i < end; ++i) {
    last_read[static_cast<std::size_t>(program.steps[i].dst)] = i;
    if (const NodeId second = second_of(program.steps[i]); second >= 0)
      last_read[static_cast<std::size_t>(second)] = i;
    for (const NodeId id : reads(program.steps[i])) last_read[static_cast<std::size_t>(id)] = i;
  }
  std::vector<std::size_t> averages_read(places_.size(), 0);
  for (std::size_t i = 0; i < end; ++i) {
    const auto* conv = std::get_if<RunConv>(&program.steps[i].kind);
    if (conv != nullptr && conv->src_averages) {
      averages_read[static_cast<std::size_t>(conv->src)] = i;
    }
  }
  for (const NodeId id : outputs_) last_read[static_cast<std::size_t>(id)] = end;
  if (keep) {
    for (const NodeId id : program.keep) last_read[static_cast<std::size_t>(id)] = end;
  }

  // Buffers of the values, by frequency; a step that overwrites an operand takes over its buffers.
  std::vector<Lifetime> buffers;
  std::vector<std::array<std::size_t, 2>> buffer_of(places_.size());
  std::vector<std::pair<std::size_t, std::size_t>> scratch_of;  // step, buffer
  std::vector<std::pair<NodeId, std::size_t>> average_buffers;
  for (std::size_t i = 0; i < end; ++i) {
    const auto dst = static_cast<std::size_t>(program.steps[i].dst);
    const NodeId victim = overwritable(program.steps[i], last_read, i);
    for (std::size_t frequency = 0; frequency < 2; ++frequency) {
      if (victim >= 0) {
        buffer_of[dst][frequency] = buffer_of[static_cast<std::size_t>(victim)][frequency];
        buffers[buffer_of[dst][frequency]].last = last_read[dst];
      } else {
        buffer_of[dst][frequency] = buffers.size();
        buffers.push_back(
            {.elements = places_[dst][frequency].elements(), .first = i, .last = last_read[dst]});
      }
      if (const NodeId second = second_of(program.steps[i]); second >= 0) {
        const auto id = static_cast<std::size_t>(second);
        buffer_of[id][frequency] = buffers.size();
        buffers.push_back(
            {.elements = places_[id][frequency].elements(), .first = i, .last = last_read[id]});
      }
    }
    if (const NodeId id = averages_of(program.steps[i]); id >= 0) {
      average_buffers.emplace_back(id, buffers.size());
      buffers.push_back({.elements = averages_[static_cast<std::size_t>(id)].elements(),
                         .first = i,
                         .last = averages_read[static_cast<std::size_t>(id)]});
    }
    if (const auto* conv = std::get_if<Conv>(&steps_[i].kind)) {
      scratch_of.emplace_back(i, buffers.size());
      buffers.push_back({.elements = conv->plan.scratch_elements(), .first = i, .last = i});
    }
    if (const auto* conv = std::get_if<Transposed>(&steps_[i].kind)) {
      scratch_of.emplace_back(i, buffers.size());
      buffers.push_back({.elements = conv->plan.scratch_elements() + conv->small_elements,
                         .first = i,
                         .last = i});
    }
  }
  const MemoryPlan memory = plan_memory(buffers);
  arena_elements_ = memory.elements;
  for (const Step& step : program.steps) {
    for (const NodeId id : {step.dst, second_of(step)}) {
      if (id < 0) continue;
      const auto at = static_cast<std::size_t>(id);
      for (std::size_t frequency = 0; frequency < 2; ++frequency) {
        places_[at][frequency].offset = memory.offsets[buffer_of[at][frequency]];
      }
    }
  }
  for (const auto& [id, buffer] : average_buffers) {
    averages_[static_cast<std::size_t>(id)].offset = memory.offsets[buffer];
  }
  for (const auto& [step, buffer] : scratch_of) {
    const std::int64_t offset = memory.offsets[buffer];
    if (auto* conv = std::get_if<Conv>(&steps_[step].kind)) {
      conv->scratch = offset;
    } else {
      std::get<Transposed>(steps_[step].kind).scratch = offset;
    }
  }
}

void Execution::link_weights() {
  const OctConvWeights* next = nullptr;
  for (std::size_t i = steps_.size(); i-- > 0;) {
    auto* conv = std::get_if<Conv>(&steps_[i].kind);
    if (conv == nullptr) continue;
    if (next != nullptr) conv->plan.set_next(*next);
    next = &conv->step->weights;
  }
}

void Execution::run(std::span<const Tensor> inputs, std::span<Tensor> outputs, float* arena,
                    std::int64_t first_image) const noexcept {
  for (const Prepared& step : steps_) run_step(step, inputs, arena, first_image);
  finish(arena, outputs, first_image);
}

void Execution::run_step(const Prepared& prepared, std::span<const Tensor> inputs, float* arena,
                         std::int64_t first_image) const noexcept {
  const Places& dst = places(prepared.dst);
  const auto at = [&](const Place& place) { return arena + place.offset; };
  const auto view = [&](NodeId id) -> OctaveView<const float> {
    return {at(places(id)[0]), at(places(id)[1]), at(averages_[static_cast<std::size_t>(id)])};
  };
  // Calls body(frequency, first element, end) on the elements of every frequency of the result.
  const auto for_elements = [&](auto body) {
    for (std::size_t frequency = 0; frequency < 2; ++frequency) {
      parallel_for(dst[frequency].elements(), kGrain,
                   [&](std::int64_t begin, std::int64_t end) { body(frequency, begin, end); });
    }
  };
  std::visit(
      Overloaded{
          [&](const LoadInput* load) {
            const std::int64_t pixels = extents_[load->index].elements();
            transpose_images(inputs[load->index].data() + first_image * dst[0].channels * pixels,
                             batch_, dst[0].channels, pixels, at(dst[0]));
          },
          [&](const Conv& conv) {
            OctaveView<const float> residual;
            if (conv.step->residual >= 0) residual = view(conv.step->residual);
            float* const averages =
                at(averages_[static_cast<std::size_t>(conv.step->averaged(prepared.dst))]);
            OctaveView<float> second;
            if (conv.step->second >= 0) {
              const Places& beside = places(conv.step->second);
              second = {at(beside[0]), at(beside[1]), averages};
            }
            conv.plan.run(view(conv.step->src), residual, {at(dst[0]), at(dst[1]), averages},
                          arena + conv.scratch, second);
          },
          [&](const Transposed& conv) {
            float* small = arena + conv.scratch + conv.plan.scratch_elements();
            conv.plan.run(view(conv.step->src), {}, {small, nullptr}, arena + conv.scratch);
            kernels::CellsRows cells = conv.cells;
            cells.src = small;
            cells.out = at(dst[0]);
            parallel_for(dst[0].pixels / cells.extents[2], grain(cells.extents[2] * cells.channels),
                         [&](std::int64_t begin, std::int64_t end) {
                           kernels::spread_cells(cells, begin, end);
                         });
          },
          [&](const RunScale* scale) {
            for (std::size_t frequency = 0; frequency < 2; ++frequency) {
              const Place& to = dst[frequency];
              const std::int64_t first = frequency == 0 ? dst[1].channels : 0;  // low come first
              const float* src = at(places(scale->src)[frequency]);
              parallel_for(to.channels == 0 ? 0 : to.pixels, grain(to.channels),
                           [&](std::int64_t begin, std::int64_t end) {
                             kernels::scale_shift(src + begin * to.channels, end - begin,
                                                  to.channels, scale->scale.data() + first,
                                                  scale->shift.data() + first, scale->activation,
                                                  at(to) + begin * to.channels);
                           });
            }
          },
          [&](const RunAdd* add) {
            for_elements([&](std::size_t frequency, std::int64_t begin, std::int64_t end) {
              kernels::add(at(places(add->a)[frequency]) + begin,
                           at(places(add->b)[frequency]) + begin, end - begin, add->activation,
                           at(dst[frequency]) + begin);
            });
          },
          [&](const RunMultiply* multiply) {
            for_elements([&](std::size_t frequency, std::int64_t begin, std::int64_t end) {
              kernels::multiply(at(places(multiply->a)[frequency]) + begin,
                                at(places(multiply->b)[frequency]) + begin, end - begin,
                                multiply->activation, at(dst[frequency]) + begin);
            });
          },
          [&](const RunSelect* select) {
            const Place& from = places(select->src)[0];
            parallel_for(dst[0].pixels, grain(dst[0].channels),
                         [&](std::int64_t begin, std::int64_t end) {
                           kernels::select(at(from) + begin * from.channels, end - begin,
                                           from.channels, select->channels.data(), dst[0].channels,
                                           at(dst[0]) + begin * dst[0].channels);
                         });
          },
          [&](const RunSoftmax* softmax) {
            const std::int64_t channels = dst[0].channels;
            parallel_for(dst[0].pixels, grain(channels), [&](std::int64_t begin, std::int64_t end) {
              kernels::softmax(at(places(softmax->src)[0]) + begin * channels, end - begin,
                               channels, at(dst[0]) + begin * channels);
            });
          },
          [&](const Resized& resized) {
            for (std::size_t frequency = 0; frequency < 2; ++frequency) {
              if (dst[frequency].elements() == 0) continue;
              kernels::ResizeRows rows = resized.rows[frequency];
              rows.src = at(places(resized.src)[frequency]);
              rows.out = at(dst[frequency]);
              parallel_for(
                  dst[frequency].pixels / rows.extents[2], grain(rows.extents[2] * rows.channels),
                  [&](std::int64_t begin, std::int64_t end) { kernels::resize(rows, begin, end); });
            }
          },
          [&](const RunActivation* activation) {
            for_elements([&](std::size_t frequency, std::int64_t begin, std::int64_t end) {
              kernels::activate(at(places(activation->src)[frequency]) + begin, end - begin,
                                activation->activation, at(dst[frequency]) + begin);
            });
          },
          [&](const RunConcat* concat) {
            for (std::size_t frequency = 0; frequency < 2; ++frequency) {
              const Place& to = dst[frequency];
              parallel_for(to.channels == 0 ? 0 : to.pixels, grain(to.channels),
                           [&](std::int64_t begin, std::int64_t end) {
                             std::int64_t first = 0;
                             for (const NodeId part : concat->parts) {
                               const Place& from = places(part)[frequency];
                               copy_rows(at(from), from.channels, begin, end, at(to) + first,
                                         to.channels);
                               first += from.channels;
                             }
                           });
            }
          },
          [&](const RunGate* gate) {
            for (std::size_t frequency = 0; frequency < 2; ++frequency) {
              const Place& to = dst[frequency];
              if (to.elements() == 0) continue;
              const std::int64_t pixels = to.pixels / batch_;
              const Place& gates = places(gate->gate)[0];
              const std::int64_t first = frequency == 0 ? dst[1].channels : 0;  // low come first
              const float* src = at(places(gate->src)[frequency]);
              parallel_for(
                  to.pixels, grain(to.channels),
                  [&](std::int64_t first_pixel, std::int64_t last_pixel) {
                    for_images(first_pixel, last_pixel, pixels,
                               [&](std::int64_t image, std::int64_t begin, std::int64_t end) {
                                 kernels::scale(src + begin * to.channels, end - begin, to.channels,
                                                at(gates) + image * gates.channels + first,
                                                at(to) + begin * to.channels);
                               });
                  });
            }
          },
          [&](const RunAttention* attention) {
            const Place& keys = places(attention->keys)[0];
            if (dst[0].elements() == 0) return;
            const std::int64_t queries = dst[0].pixels / batch_;
            const std::int64_t positions = keys.pixels / batch_;
            parallel_for(
                dst[0].pixels, grain(positions * keys.channels),
                [&](std::int64_t first_pixel, std::int64_t last_pixel) {
                  for_images(
                      first_pixel, last_pixel, queries,
                      [&](std::int64_t image, std::int64_t begin, std::int64_t end) {
                        const std::int64_t start = image * queries;
                        kernels::attention(
                            {.queries = at(places(attention->queries)[0]) + start * keys.channels,
                             .keys = at(keys) + image * positions * keys.channels,
                             .values = at(places(attention->values)[0]) +
                                       image * positions * dst[0].channels,
                             .out = at(dst[0]) + start * dst[0].channels,
                             .channels = keys.channels,
                             .positions = positions,
                             .width = dst[0].channels,
                             .factor = attention->factor},
                            begin - start, end - start);
                      });
                });
          },
          [&](const Pool& pool) {
            for (std::size_t frequency = 0; frequency < 2; ++frequency) {
              kernels::PoolRows rows = pool.rows[frequency];
              if (dst[frequency].elements() == 0) continue;
              rows.src = at(places(pool.src)[frequency]);
              rows.out = at(dst[frequency]);
              const std::int64_t all = dst[frequency].pixels / rows.extents[2];
              parallel_for(
                  all, grain(rows.kernel[0] * rows.kernel[1] * rows.in[2] * rows.channels),
                  [&](std::int64_t begin, std::int64_t end) { kernels::pool(rows, begin, end); });
            }
          },
          [&](const RunGlobalPool* pool) {
            constexpr std::int64_t kChannels = 64;  // of one task: cache lines are not shared
            for (std::size_t frequency = 0; frequency < 2; ++frequency) {
              const Place& from = places(pool->src)[frequency];
              if (from.elements() == 0) continue;
              const std::int64_t pixels = from.pixels / batch_;
              const std::int64_t parts = (from.channels + kChannels - 1) / kChannels;
              const std::int64_t first_out = frequency == 0 ? places(pool->src)[1].channels : 0;
              parallel_for(batch_ * parts, grain(pixels * kChannels),
                           [&](std::int64_t begin, std::int64_t end) {
                             for (std::int64_t i = begin; i < end; ++i) {
                               const std::int64_t image = i / parts;
                               const std::int64_t first = i % parts * kChannels;
                               kernels::global_average(
                                   at(from) + image * pixels * from.channels + first, pixels,
                                   from.channels, std::min(kChannels, from.channels - first),
                                   at(dst[0]) + image * dst[0].channels + first_out + first);
                             }
                           });
            }
          }},
      prepared.kind);
}

void Execution::store(NodeId id, std::size_t frequency, const float* arena,
                      float* out) const noexcept {
  const Place& place = places(id)[frequency];
  if (place.elements() == 0) return;
  transpose_images(arena + place.offset, batch_, place.pixels / batch_, place.channels, out);
}

Tensor Execution::read(NodeId id, Frequency frequency, const float* arena) const {
  Tensor tensor(shapes_[static_cast<std::size_t>(id)].tensor_shape(frequency));
  store(id, frequency == Frequency::kHigh ? 0 : 1, arena, tensor.data());
  return tensor;
}

}  // namespace octconv::engine
