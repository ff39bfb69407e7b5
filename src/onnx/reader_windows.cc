// SPDX-License-Identifier: Apache-2.0
// Convolutions, pools, padding and enlarging.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "octconv/base/error.h"
#include "octconv/base/text.h"
#include "onnx/fold_constants.h"
#include "onnx/reader.h"

namespace octconv::onnx {
namespace {

constexpr std::int64_t kMaxSize = std::numeric_limits<std::int32_t>::max();

std::string show(const Ints& values) {
  std::string text;
  for (const std::int64_t value : values)
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  return "[" + text + "]";
}

Shape shape_of(const Ints& values) {
  if (values.size() > Shape::kMaxRank) refuse("it has too many axes");
  Shape shape;
  for (const std::int64_t value : values) shape.push_back(value);
  return shape;
}

bool all_are(const Shape& shape, std::int64_t value) {
  return std::all_of(shape.begin(), shape.end(), [&](auto extent) { return extent == value; });
}

Shape sum(const Shape& a, const Shape& b) {
  Shape all = a;
  for (std::size_t axis = 0; axis < all.rank(); ++axis) all[axis] += b[axis];
  return all;
}

}  // namespace

Reader::Window Reader::window(Attributes& attributes, const std::optional<Shape>& weight_kernel,
                              const Shape& in) const {
  const std::size_t rank = graph_.rank();
  const auto list = [&](const char* name, std::int64_t fallback, std::size_t count,
                        std::int64_t least) {
    Ints values = attributes.integers(name).value_or(Ints(count, fallback));
    if (values.size() != count) refuse(std::string(name) + " " + show(values) + " do not fit");
    for (const std::int64_t value : values) {
      if (value < least || value > kMaxSize)
        refuse(std::string(name) + " " + show(values) + " are out of range");
    }
    return values;
  };
  Window w;
  const std::optional<Ints> kernel = attributes.integers("kernel_shape");
  if (!kernel && !weight_kernel) refuse("it has no kernel_shape");
  w.kernel = kernel ? shape_of(*kernel) : *weight_kernel;
  if (w.kernel.rank() != rank || (weight_kernel && w.kernel != *weight_kernel))
    refuse("its kernel " + w.kernel.to_string() + " does not fit");
  for (const std::int64_t extent : w.kernel) {
    if (extent < 1 || extent > kMaxSize) refuse("its kernel is out of range");
  }
  w.stride = shape_of(list("strides", 1, rank, 1));
  w.dilation = shape_of(list("dilations", 1, rank, 1));
  const std::string automatic = attributes.text("auto_pad", "NOTSET");
  const Ints pads = list("pads", 0, 2 * rank, 0);
  w.begin = shape_of(Ints(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank)));
  w.end = shape_of(Ints(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end()));
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const std::int64_t reach = w.dilation[axis] * (w.kernel[axis] - 1);
      std::int64_t all = reach;
      if (w.stride[axis] != 1) {
        if (!fixed_extents_) refuse("auto_pad with strides needs an input of fixed extents");
        const std::int64_t out = (in[axis] + w.stride[axis] - 1) / w.stride[axis];
        all = std::max<std::int64_t>(0, (out - 1) * w.stride[axis] + reach + 1 - in[axis]);
      }
      w.begin[axis] = automatic == "SAME_LOWER" ? all - all / 2 : all / 2;
      w.end[axis] = all - w.begin[axis];
    }
  } else if (automatic != "NOTSET" && automatic != "VALID") {
    refuse("auto_pad '" + automatic + "' is not known");
  }
  return w;
}

// Zeros around the map that wait become part of the padding.
void Reader::take_conv(const NodeProto& node, Attributes& attributes) {
  Value x = input(node, 0);
  Shape begin = Shape::filled(graph_.rank(), 0);
  Shape end = begin;
  if (x.scale == 1 && x.shift == 0 && !x.pad_begin.empty()) {
    begin = std::exchange(x.pad_begin, {});
    end = std::exchange(x.pad_end, {});
  }
  x = settle(node, x);
  const NodeId src = x.node;
  if (x.form != Form::kPlain && x.form != Form::kOnes)
    refuse("its input is flattened, grouped or turned");
  const Shape& weight = constant_input(node, 1).shape;
  if (weight.rank() != graph_.rank() + 2) refuse("its weight has shape " + weight.to_string());
  Shape kernel;
  for (std::size_t axis = 2; axis < weight.rank(); ++axis) kernel.push_back(weight[axis]);
  Shape padded = grid(src);
  if (spatial(src)) padded = sum(sum(padded, begin), end);
  Window w = window(attributes, kernel, padded);
  const std::int64_t groups = attributes.integer("group", 1);
  attributes.check_all_read();
  w.begin = sum(w.begin, begin);
  w.end = sum(w.end, end);
  const std::int64_t in = channels(src);
  if (groups < 1 || in % groups != 0 || weight[1] != in / groups)
    refuse(std::to_string(groups) + " groups and a weight of " + weight.to_string() +
           " do not fit " + std::to_string(in) + " channels");
  const std::string name = unique(name_by(node, 1));
  const bool bias = has_input(node, 2);
  Tensor weights = parameter(node, 1, weight);
  NodeId id = -1;
  if (!spatial(src)) {
    // On one pixel a convolution of one tap is a fully connected layer.
    if (kernel.elements() != 1 || groups != 1 || !all_are(w.begin, 0) || !all_are(w.end, 0))
      refuse("it reads a value without extents");
    id = add(name, Linear{.out_channels = weight[0], .bias = bias}, {src});
    weights = std::move(weights).reshaped({weight[0], weight[1]});
  } else {
    id = add(name,
             Conv{.out_channels = weight[0],
                  .kernel = w.kernel,
                  .stride = w.stride,
                  .dilation = w.dilation,
                  .padding_begin = w.begin,
                  .padding_end = w.end,
                  .groups = groups,
                  .bias = bias},
             {src});
  }
  keep(name, "weight", std::move(weights));
  if (bias) keep(name, "bias", parameter(node, 2, {weight[0]}));
  result(node, {.node = id, .form = spatial(id) ? Form::kPlain : Form::kOnes});
}

void Reader::take_conv_transpose(const NodeProto& node, Attributes& attributes) {
  const NodeId x = map_input(node, 0);
  const std::size_t rank = graph_.rank();
  const Shape& weight = constant_input(node, 1).shape;
  if (weight.rank() != rank + 2 || weight[0] != channels(x))
    refuse("its weight has shape " + weight.to_string());
  Shape kernel;
  for (std::size_t axis = 2; axis < weight.rank(); ++axis) kernel.push_back(weight[axis]);
  if (attributes.text("auto_pad", "NOTSET") != "NOTSET" || attributes.integers("output_shape"))
    refuse("its padding is computed (auto_pad or output_shape)");
  const Window w = window(attributes, kernel, grid(x));
  const std::int64_t groups = attributes.integer("group", 1);
  const Ints added = attributes.integers("output_padding").value_or(Ints(rank, 0));
  attributes.check_all_read();
  if (groups < 1 || weight[1] > kMaxSize / groups || added.size() != rank)
    refuse("its groups or output_padding do not fit");
  Shape end = w.end;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (added[axis] < 0 || added[axis] >= w.stride[axis])
      refuse("output_padding " + show(added) + " is not less than the stride");
    end[axis] -= added[axis];
  }
  const std::int64_t out = weight[1] * groups;
  const std::string name = unique(name_by(node, 1));
  const bool bias = has_input(node, 2);
  const NodeId id = add(name,
                        ConvTranspose{.out_channels = out,
                                      .kernel = w.kernel,
                                      .stride = w.stride,
                                      .dilation = w.dilation,
                                      .padding_begin = w.begin,
                                      .padding_end = end,
                                      .groups = groups,
                                      .bias = bias},
                        {x});
  keep(name, "weight", parameter(node, 1, weight));
  if (bias) keep(name, "bias", parameter(node, 2, {out}));
  result(node, {.node = id});
}

// ---- Pools

void Reader::take_pool(const NodeProto& node, Attributes& attributes, PoolKind kind) {
  const NodeId x = map_input(node, 0);
  const Shape& in = grid(x);
  Window w = window(attributes, std::nullopt, in);
  const bool up = attributes.integer("ceil_mode", 0) != 0;
  const bool counts_padding = attributes.integer("count_include_pad", 0) != 0;
  attributes.ignore("storage_order");  // of indices, which are a second output
  attributes.check_all_read();
  if (outputs_read(node) > 1) refuse("its indices are asked for");
  if (!all_are(w.dilation, 1)) refuse("its dilations are not 1");
  const bool pads = !all_are(w.begin, 0) || !all_are(w.end, 0);
  if (up) {
    if (!fixed_extents_) refuse("ceil_mode needs an input of fixed extents");
    if (counts_padding && pads) refuse("it counts padding as pixels, in windows beyond it too");
    // As much more padding as the last window needs, if it begins on the image or its near edge.
    for (std::size_t axis = 0; axis < in.rank(); ++axis) {
      const std::int64_t room = in[axis] + w.begin[axis] + w.end[axis] - w.kernel[axis];
      if (room < 0) refuse("its window does not fit");
      std::int64_t windows = (room + w.stride[axis] - 1) / w.stride[axis] + 1;
      if ((windows - 1) * w.stride[axis] >= in[axis] + w.begin[axis]) --windows;
      const std::int64_t needed =
          (windows - 1) * w.stride[axis] + w.kernel[axis] - in[axis] - w.begin[axis];
      w.end[axis] = std::max(w.end[axis], needed);
    }
  }
  if (kind == PoolKind::kAverage && counts_padding && pads) {
    result(node, {.node = add_counting_average(node, x, w)});
    return;
  }
  if (all_are(w.kernel, 1) && all_are(w.stride, 1) && !pads) {
    result(node, {.node = x});
    return;
  }
  const NodeId id = add(node,
                        Pool{.kind = kind,
                             .kernel = w.kernel,
                             .stride = w.stride,
                             .padding_begin = w.begin,
                             .padding_end = w.end},
                        {x});
  result(node, {.node = id});
}

// The mean of a window that counts zeros around the map is a depthwise convolution.
NodeId Reader::add_counting_average(const NodeProto& node, NodeId x, const Window& w) {
  const std::int64_t count = channels(x);
  Shape shape{count, 1};
  for (const std::int64_t extent : w.kernel) shape.push_back(extent);
  std::int64_t taps = 1;
  for (const std::int64_t extent : w.kernel) {
    if (__builtin_mul_overflow(taps, extent, &taps)) refuse("its window is too large");
  }
  allowance_.take(taps > kMaxSize ? taps : taps * count);
  const std::string name = unique(name_by(node, node.input_size()));
  const NodeId id = add(name,
                        Conv{.out_channels = count,
                             .kernel = w.kernel,
                             .stride = w.stride,
                             .dilation = w.dilation,
                             .padding_begin = w.begin,
                             .padding_end = w.end,
                             .groups = count},
                        {x});
  Tensor weight(shape);
  for (float& value : weight.values()) value = 1.0F / static_cast<float>(taps);
  keep(name, "weight", std::move(weight));
  return id;
}

void Reader::take_max_pool(const NodeProto& node, Attributes& attributes) {
  take_pool(node, attributes, PoolKind::kMax);
}
void Reader::take_average_pool(const NodeProto& node, Attributes& attributes) {
  take_pool(node, attributes, PoolKind::kAverage);
}

void Reader::take_global_pool(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  const NodeId x = map_input(node, 0);
  result(node, {.node = add(node, GlobalPool{}, {x}), .form = Form::kOnes});
}

// A window as large as the map.
void Reader::take_global_max_pool(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  const NodeId x = map_input(node, 0);
  if (!fixed_extents_) refuse("a maximum over all extents needs an input of fixed extents");
  const Shape none = Shape::filled(graph_.rank(), 0);
  const NodeId most = add(node,
                          Pool{.kind = PoolKind::kMax,
                               .kernel = grid(x),
                               .stride = Shape::filled(graph_.rank(), 1),
                               .padding_begin = none,
                               .padding_end = none},
                          {x});
  result(node, {.node = add(node, GlobalPool{}, {most}), .form = Form::kOnes});
}

// Are these the axes of the extents, all of them?
bool Reader::are_extents(const Ints& axes, Form form) const {
  const auto dims = static_cast<std::int64_t>(graph_.rank()) + 2;
  const std::int64_t first = form == Form::kLast ? 1 : 2;
  std::set<std::int64_t> named;
  for (const std::int64_t axis : axes) named.insert(axis < 0 ? axis + dims : axis);
  return named.size() == axes.size() && named.size() == graph_.rank() && *named.begin() == first &&
         *named.rbegin() == first + dims - 3;
}

// The mean over all extents is a global pool.
void Reader::take_reduce_mean(const NodeProto& node, Attributes& attributes) {
  const Value x = settled_input(node, 0);
  const bool kept = attributes.integer("keepdims", 1) != 0;
  std::optional<Ints> axes = attributes.integers("axes");
  if (!axes && has_input(node, 1)) axes = sizes_input(node, 1);
  attributes.ignore("noop_with_empty_axes");
  attributes.check_all_read();
  const bool map = spatial(x.node) && (x.form == Form::kPlain || x.form == Form::kLast);
  if (!map || !axes || !are_extents(*axes, x.form)) refuse("it is no mean over all extents");
  Form form = kept ? Form::kOnes : Form::kPlain;
  if (kept && x.form == Form::kLast) form = Form::kLast;
  result(node, {.node = add(node, GlobalPool{}, {x.node}), .form = form});
}

// ---- Padding

// Zeros around a map wait for the convolution that reads them.
void Reader::take_pad(const NodeProto& node, Attributes& attributes) {
  Value x = input(node, 0);
  const std::size_t dims = graph_.rank() + 2;
  std::optional<Ints> given = attributes.integers("pads");
  if (!given) given = attributes.integers("paddings");
  const std::string mode = attributes.text("mode", "constant");
  double value = attributes.number("value", 0);
  attributes.check_all_read();
  if (!given) given = sizes_input(node, 1);
  if (has_input(node, 2)) {
    const std::vector<float>& numbers = numbers_input(node, 2);
    if (numbers.size() != 1) refuse("its value is not one number");
    value = static_cast<double>(numbers[0]);
  }
  Ints pads(2 * dims, 0);
  if (has_input(node, 3)) {
    const Ints& axes = sizes_input(node, 3);
    if (given->size() != 2 * axes.size()) refuse("its pads " + show(*given) + " do not fit");
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const auto count = static_cast<std::int64_t>(dims);
      const std::int64_t axis = axes[i] < 0 ? axes[i] + count : axes[i];
      if (axis < 0 || axis >= count) refuse("its axes " + show(axes) + " do not fit");
      pads[static_cast<std::size_t>(axis)] = (*given)[i];
      pads[static_cast<std::size_t>(axis) + dims] = (*given)[i + axes.size()];
    }
  } else {
    if (given->size() != 2 * dims) refuse("its pads " + show(*given) + " do not fit");
    pads = *given;
  }
  if (std::all_of(pads.begin(), pads.end(), [](auto padding) { return padding == 0; })) {
    result(node, x);
    return;
  }
  if (mode != "constant" || value != 0)
    refuse("it pads with mode '" + mode + "', and zeros can be taken");
  if (pads[0] != 0 || pads[1] != 0 || pads[dims] != 0 || pads[dims + 1] != 0)
    refuse("it pads by " + show(pads) + ", and extents alone can be padded");
  for (const std::int64_t padding : pads) {
    if (padding < 0 || padding > kMaxSize) refuse("it pads by " + show(pads));
  }
  x = settle(node, x);
  if (x.form != Form::kPlain || !spatial(x.node)) refuse("it does not pad a map");
  for (std::size_t axis = 0; axis < graph_.rank(); ++axis) {
    x.pad_begin.push_back(pads[2 + axis]);
    x.pad_end.push_back(pads[dims + 2 + axis]);
  }
  result(node, x);
}

// ---- Enlarging

namespace {

// The input pixel that ONNX's nearest Resize takes for output pixel `i`.
std::int64_t nearest_pixel(std::int64_t i, std::int64_t in, std::int64_t out, double scale,
                           const std::string& where, const std::string& nearest) {
  const auto at = static_cast<double>(i);
  double place = 0;
  if (where == "asymmetric") {
    place = at / scale;
  } else if (where == "half_pixel" || (where == "pytorch_half_pixel" && out > 1)) {
    place = (at + 0.5) / scale - 0.5;
  } else if (where == "pytorch_half_pixel") {
    place = 0;
  } else if (where == "align_corners") {
    place = out == 1 ? 0 : at * static_cast<double>(in - 1) / static_cast<double>(out - 1);
  } else {
    refuse("coordinate_transformation_mode '" + where + "' is not known");
  }
  double pixel = 0;
  if (nearest == "floor") {
    pixel = std::floor(place);
  } else if (nearest == "ceil") {
    pixel = std::ceil(place);
  } else if (nearest == "round_prefer_floor") {
    pixel = std::ceil(place - 0.5);
  } else if (nearest == "round_prefer_ceil") {
    pixel = std::floor(place + 0.5);
  } else {
    refuse("nearest_mode '" + nearest + "' is not known");
  }
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(pixel), 0, in - 1);
}

constexpr std::int64_t kMaxEnlarged = 1
                                      << 16;  // pixels along an axis that are looked at one by one

}  // namespace

void Reader::take_resize(const NodeProto& node, Attributes& attributes) {
  const Value x = settled_input(node, 0);
  const std::string mode = attributes.text("mode", "nearest");
  // Opset 10 had no choice.
  const std::string where =
      attributes.text("coordinate_transformation_mode", opset_ < 11 ? "asymmetric" : "half_pixel");
  const std::string nearest =
      attributes.text("nearest_mode", opset_ < 11 ? "floor" : "round_prefer_floor");
  for (const char* name : {"cubic_coeff_a", "extrapolation_value"}) attributes.ignore(name);
  if (attributes.integer("exclude_outside", 0) != 0 || attributes.integer("antialias", 0) != 0)
    refuse("exclude_outside and antialias are not known");
  if (attributes.text("keep_aspect_ratio_policy", "stretch") != "stretch")
    refuse("it keeps aspect ratios");
  const std::optional<Ints> axes = attributes.integers("axes");
  attributes.check_all_read();
  const int scales_at = opset_ < 11 ? 1 : 2;
  std::optional<Ints> sizes;
  std::vector<float> scales;
  if (has_input(node, 3)) sizes = sizes_input(node, 3);
  if (has_input(node, scales_at)) scales = numbers_input(node, scales_at);
  if (axes) {  // the others stay
    const auto dims = graph_.rank() + 2;
    const Ints now = tail(x);
    if (now.size() != dims - 1) refuse("it does not resize a map");
    Ints all_sizes{batch_};
    all_sizes.insert(all_sizes.end(), now.begin(), now.end());
    std::vector<float> all_scales(dims, 1.0F);
    for (std::size_t i = 0; i < axes->size(); ++i) {
      const std::int64_t axis =
          (*axes)[i] < 0 ? (*axes)[i] + static_cast<std::int64_t>(dims) : (*axes)[i];
      if (axis < 0 || axis >= static_cast<std::int64_t>(dims)) refuse("its axes do not fit");
      const auto at = static_cast<std::size_t>(axis);
      if (sizes && i < sizes->size()) all_sizes[at] = (*sizes)[i];
      if (i < scales.size()) all_scales[at] = scales[i];
    }
    if (sizes) sizes = all_sizes;
    if (!scales.empty()) scales = all_scales;
  }
  enlarge(node, x, sizes, scales.empty() ? nullptr : &scales, mode, where, nearest);
}

// Opset 7 had the scales as an attribute, 9 as an input.
void Reader::take_upsample(const NodeProto& node, Attributes& attributes) {
  const Value x = settled_input(node, 0);
  const std::string mode = attributes.text("mode", "nearest");
  std::vector<float> scales = attributes.numbers("scales").value_or(std::vector<float>());
  attributes.check_all_read();
  if (scales.empty()) scales = numbers_input(node, 1);
  enlarge(node, x, std::nullopt, &scales, mode, "asymmetric", "floor");
}

// Whole factors, of which the far edge may lack some pixels. Where the file says more than that,
// each output pixel is held against what it says.
void Reader::enlarge(const NodeProto& node, const Value& x, const std::optional<Ints>& sizes,
                     const std::vector<float>* scales, const std::string& mode,
                     const std::string& where, const std::string& nearest) {
  const std::size_t rank = graph_.rank();
  if (x.form != Form::kPlain || !spatial(x.node)) refuse("it does not resize a map");
  if (mode != "nearest" && mode != "linear" && mode != "bilinear")
    refuse("its mode '" + mode + "' is not known");
  const bool is_nearest = mode == "nearest";
  if (sizes ? sizes->size() != rank + 2 : scales == nullptr || scales->size() != rank + 2)
    refuse("its scales or sizes do not fit");
  const Shape& in = grid(x.node);
  Shape factor;
  Shape crop;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::int64_t from = in[axis];
    const double scale = sizes ? static_cast<double>((*sizes)[axis + 2]) / static_cast<double>(from)
                               : static_cast<double>((*scales)[axis + 2]);
    if (!(scale >= 1 && scale * static_cast<double>(from) <= static_cast<double>(kMaxEnlarged)))
      refuse("it resizes " + std::to_string(from) + " pixels by " + std::to_string(scale) +
             ", and enlarging can be taken");
    const std::int64_t to =
        sizes ? (*sizes)[axis + 2]
              : static_cast<std::int64_t>(std::floor(static_cast<double>(from) * scale));
    factor.push_back((to + from - 1) / from);
    crop.push_back(factor[axis] * from - to);
    const bool whole = scale == static_cast<double>(factor[axis]);
    if (!fixed_extents_ && !whole) refuse("it resizes by a fraction, of open extents");
    if (crop[axis] >= factor[axis]) refuse("it resizes by a fraction");
    if (!is_nearest) {
      const bool centred =
          where == "half_pixel" || (where == "pytorch_half_pixel" && to > 1) || factor[axis] == 1;
      if (!whole || !(centred || from == 1))
        refuse("it interpolates by " + std::to_string(scale) + " with '" + where +
               "', and whole factors with half_pixel can be taken");
      continue;
    }
    for (std::int64_t i = 0; i < to; ++i) {
      if (nearest_pixel(i, from, to, scale, where, nearest) != i / factor[axis])
        refuse("output pixel " + std::to_string(i) + " is not input pixel floor(" +
               std::to_string(i) + " / " + std::to_string(factor[axis]) + ")");
    }
  }
  if ((sizes && ((*sizes)[1] != channels(x.node) || (*sizes)[0] != batch_)) ||
      (!sizes && ((*scales)[0] != 1 || (*scales)[1] != 1)))
    refuse("it resizes batch or channels");
  if (all_are(factor, 1)) {
    result(node, x);
    return;
  }
  const NodeId id = add(node,
                        Resize{.mode = is_nearest ? ResizeMode::kNearest : ResizeMode::kLinear,
                               .factor = factor,
                               .crop = crop},
                        {x.node});
  result(node, {.node = id});
}

// A transposed convolution whose weights are 0 and 1 puts each channel in its place.
void Reader::take_depth_to_space(const NodeProto& node, Attributes& attributes) {
  const NodeId x = map_input(node, 0);
  const std::int64_t block = attributes.integer("blocksize", 0);
  const std::string mode = attributes.text("mode", "DCR");
  attributes.check_all_read();
  const std::size_t rank = graph_.rank();
  if (rank != 2 || block < 1 || block > 16 || channels(x) % (block * block) != 0)
    refuse("its blocksize " + std::to_string(block) + " does not fit");
  if (mode != "DCR" && mode != "CRD") refuse("its mode '" + mode + "' is not known");
  const std::int64_t cell = block * block;
  const std::int64_t out = channels(x) / cell;
  Shape shape{channels(x), out, block, block};
  std::int64_t count = 0;
  if (__builtin_mul_overflow(channels(x), out * cell, &count)) refuse("it has too many channels");
  allowance_.take(count);
  const std::string name = unique(name_by(node, node.input_size()));
  const NodeId id = add(name,
                        ConvTranspose{.out_channels = out,
                                      .kernel = {block, block},
                                      .stride = {block, block},
                                      .dilation = {1, 1},
                                      .padding_begin = {0, 0},
                                      .padding_end = {0, 0}},
                        {x});
  Tensor weight(shape);
  for (std::int64_t c = 0; c < channels(x); ++c) {
    const std::int64_t to = mode == "DCR" ? c % out : c / cell;
    const std::int64_t place = mode == "DCR" ? c / out : c % cell;
    weight.data()[(c * out + to) * cell + place] = 1;
  }
  keep(name, "weight", std::move(weight));
  result(node, {.node = id});
}

}  // namespace octconv::onnx
