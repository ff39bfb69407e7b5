// SPDX-License-Identifier: Apache-2.0
// Channels: joined, chosen, reshaped and connected fully.
#include <algorithm>
#include <numeric>
#include <utility>

#include "octconv/base/error.h"
#include "onnx/fold_constants.h"
#include "onnx/reader.h"

namespace octconv::onnx {
namespace {

std::string show(const Ints& values) {
  std::string text;
  for (const std::int64_t value : values)
    text += (text.empty() ? "" : ", ") +
            (value == kOpenBatch ? std::string("batch") : std::to_string(value));
  return "[" + text + "]";
}

std::int64_t product(const Ints& values) {
  std::int64_t all = 1;
  for (const std::int64_t value : values) {
    if (value < 0 || __builtin_mul_overflow(all, value, &all)) refuse("its shape does not fit");
  }
  return all;
}

}  // namespace

// ---- Joined and chosen

void Reader::take_concat(const NodeProto& node, Attributes& attributes) {
  std::int64_t axis = attributes.integer("axis", 1);
  attributes.check_all_read();
  std::vector<NodeId> parts;
  std::optional<Form> form;
  for (int i = 0; i < node.input_size(); ++i) {
    const Value part = settled_input(node, i);
    if (form && *form != part.form) refuse("it joins values in different axes");
    form = part.form;
    parts.push_back(part.node);
  }
  if (parts.empty()) refuse("it joins nothing");
  const auto dims = static_cast<std::int64_t>(tail({.node = parts[0], .form = *form}).size()) + 1;
  if (axis < 0) axis += dims;
  const bool along_channels = *form == Form::kLast
                                  ? axis == dims - 1
                                  : (*form == Form::kPlain || *form == Form::kOnes) && axis == 1;
  if (!along_channels) refuse("it does not join channels");
  for (const NodeId part : parts) {
    if (grid(part) != grid(parts[0])) refuse("it joins maps of different extents");
  }
  result(node, {.node = add(node, Concat{}, parts), .form = *form});
}

Reader::Value Reader::select(const std::string& name, NodeId x, Ints chosen) {
  if (chosen.empty()) refuse("it takes no channel");
  return {.node = add(name, Select{std::move(chosen)}, {x})};
}

void Reader::take_split(const NodeProto& node, Attributes& attributes) {
  const Value x = settled_input(node, 0);
  const auto dims = static_cast<std::int64_t>(tail(x).size()) + 1;
  std::int64_t axis = attributes.integer("axis", 0);
  std::optional<Ints> sizes = attributes.integers("split");
  const std::int64_t parts = attributes.integer("num_outputs", node.output_size());
  attributes.check_all_read();
  if (axis < 0) axis += dims;
  if (!sizes && has_input(node, 1)) sizes = sizes_input(node, 1);
  if (x.form != Form::kPlain || axis != 1) refuse("it does not split channels");
  const std::int64_t all = channels(x.node);
  if (!sizes) {
    const std::int64_t each = (all + parts - 1) / std::max<std::int64_t>(1, parts);
    sizes.emplace();
    for (std::int64_t left = all; left > 0 && each > 0; left -= each)
      sizes->push_back(std::min(each, left));
  }
  if (sizes->size() != static_cast<std::size_t>(node.output_size()) || product({all}) != all ||
      std::accumulate(sizes->begin(), sizes->end(), std::int64_t{0}) != all)
    refuse("its parts " + show(*sizes) + " are not " + std::to_string(all) + " channels");
  const std::string name = unique(name_by(node, node.input_size()));
  std::int64_t first = 0;
  for (int i = 0; i < node.output_size(); ++i) {
    const std::int64_t count = (*sizes)[static_cast<std::size_t>(i)];
    if (count < 0) refuse("its parts " + show(*sizes) + " are not channels");
    allowance_.take(count);
    Ints chosen(static_cast<std::size_t>(count));
    std::iota(chosen.begin(), chosen.end(), first);
    first += count;
    if (!node.output(i).empty())
      result(node, i, select(unique(name + "." + std::to_string(i)), x.node, chosen));
  }
}

void Reader::take_slice(const NodeProto& node, Attributes& attributes) {
  const Value x = settled_input(node, 0);
  const auto bounds = [&](const char* name, int index) {
    std::optional<Ints> values = attributes.integers(name);
    if (!values && has_input(node, index)) values = sizes_input(node, index);
    return values;
  };
  const std::optional<Ints> starts = bounds("starts", 1);
  const std::optional<Ints> ends = bounds("ends", 2);
  std::optional<Ints> axes = bounds("axes", 3);
  const std::optional<Ints> steps = bounds("steps", 4);
  attributes.check_all_read();
  if (!starts || !ends || starts->size() != ends->size()) refuse("its bounds do not fit");
  if (!axes) {
    axes.emplace(starts->size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  if (axes->size() != starts->size() || (steps && steps->size() != starts->size()))
    refuse("its axes or steps do not fit");
  if (x.form != Form::kPlain && x.form != Form::kOnes) refuse("it does not slice channels");
  const Ints extents = tail(x);
  NodeId made = x.node;
  for (std::size_t i = 0; i < axes->size(); ++i) {
    const auto dims = static_cast<std::int64_t>(extents.size()) + 1;
    const std::int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + dims : (*axes)[i];
    if (axis < 1 || axis >= dims) refuse("it slices axis " + std::to_string((*axes)[i]));
    const std::int64_t extent = extents[static_cast<std::size_t>(axis - 1)];
    const Picked picked = resolve_slice((*starts)[i], (*ends)[i], steps ? (*steps)[i] : 1, extent);
    if (picked.first == 0 && picked.step == 1 && picked.count == extent) continue;
    if (axis > 1 && picked.first == 0 && picked.step == 1) {
      made = crop(node, made, static_cast<std::size_t>(axis - 2), extent - picked.count);
      continue;
    }
    if (axis != 1 || made != x.node)
      refuse("it slices extents, and channels can be sliced, and what was enlarged cropped");
    allowance_.take(picked.count);
    Ints chosen;
    for (std::int64_t c = 0; c < picked.count; ++c)
      chosen.push_back(picked.first + c * picked.step);
    made = select(unique(name_by(node, node.input_size())), x.node, std::move(chosen)).node;
  }
  result(node, {.node = made, .form = x.form});
}

// Takes the last pixels off a map that was enlarged, along one axis: as many as enlarging a smaller
// map may have made too many.
NodeId Reader::crop(const NodeProto& node, NodeId map, std::size_t axis, std::int64_t pixels) {
  const auto* resize = std::get_if<Resize>(&graph_.node(map).op);
  if (resize == nullptr || resize->crop[axis] + pixels >= resize->factor[axis])
    refuse("it slices extents, and channels can be sliced, and what was enlarged cropped");
  if (!fixed_extents_) refuse("it crops a map of open extents");
  Resize cropped = *resize;
  cropped.crop[axis] += pixels;
  return add(node, cropped, {graph_.node(map).inputs[0]});
}

void Reader::take_gather(const NodeProto& node, Attributes& attributes) {
  const Value x = settled_input(node, 0);
  const std::int64_t axis = attributes.integer("axis", 0);
  attributes.check_all_read();
  const Constant& at = constant_input(node, 1);
  if (x.form != Form::kPlain || axis != 1 || at.shape.rank() != 1)
    refuse("it does not choose channels");
  Ints chosen = sizes_input(node, 1);
  allowance_.take(static_cast<std::int64_t>(chosen.size()));
  for (std::int64_t& channel : chosen) {
    if (channel < 0) channel += channels(x.node);
  }
  result(node, select(unique(name_by(node, node.input_size())), x.node, std::move(chosen)));
}

// ---- Axes

Ints Reader::tail(const Value& value) const {
  const std::int64_t count = channels(value.node);
  const Shape& extents = spatial(value.node) ? grid(value.node) : Shape::filled(graph_.rank(), 1);
  const std::int64_t pixels = extents.elements();
  Ints sizes(extents.begin(), extents.end());
  switch (value.form) {
    case Form::kPlain:
      if (!spatial(value.node)) return {count};
      break;
    case Form::kOnes:
      if (value.ones) sizes.resize(*value.ones);
      break;
    case Form::kLast:
      sizes.push_back(count);
      return sizes;
    case Form::kFlattened:
    case Form::kFlattenedLast:
      return {product({count, pixels})};
    case Form::kGrouped:
      sizes.insert(sizes.begin(), {value.groups, count / value.groups});
      return sizes;
    case Form::kShuffled:
      sizes.insert(sizes.begin(), {count / value.groups, value.groups});
      return sizes;
    case Form::kRows:
      return {count, pixels};
    case Form::kColumns:
      return {pixels, count};
    case Form::kProducts:
      return {pixels, grid(value.keys).elements()};
  }
  sizes.insert(sizes.begin(), count);
  for (std::size_t axis = 0; axis < graph_.rank() && !value.pad_begin.empty(); ++axis)
    sizes[axis + 1] += value.pad_begin[axis] + value.pad_end[axis];
  return sizes;
}

// The value with these axes behind the batch.
Reader::Value Reader::reshaped(const NodeProto& node, const Value& value, const Ints& wanted) {
  const std::int64_t count = channels(value.node);
  const Ints now = tail(value);
  if (wanted == now) return value;
  const auto with = [&](Form form, std::int64_t groups = 1) {
    return Value{.node = value.node, .form = form, .groups = groups};
  };
  const bool vector = !spatial(value.node);
  const bool first = value.form == Form::kPlain || value.form == Form::kOnes;
  if (vector && (first || value.form == Form::kLast)) {
    if (wanted == Ints{count}) return with(Form::kPlain);
    if (wanted == tail(with(Form::kOnes))) return with(Form::kOnes);
    if (!wanted.empty() && wanted.size() <= graph_.rank() && wanted[0] == count &&
        product(wanted) == count)
      return {.node = value.node, .form = Form::kOnes, .ones = wanted.size() - 1};
    if (wanted == tail(with(Form::kLast))) return with(Form::kLast);
  }
  if (wanted.size() == 1 && !vector && (first || value.form == Form::kLast)) {
    if (grid(value.node).elements() == 1)
      return {.node = add(unique(name_by(node, node.input_size())), GlobalPool{}, {value.node})};
    if (!fixed_extents_) refuse("it flattens a map of open extents");
    return with(value.form == Form::kLast ? Form::kFlattenedLast : Form::kFlattened);
  }
  if (!vector && value.form == Form::kPlain && wanted == tail(with(Form::kRows)))
    return with(Form::kRows);
  if (value.form == Form::kRows && wanted == tail(with(Form::kPlain))) return with(Form::kPlain);
  if (!vector && value.form == Form::kLast && wanted == tail(with(Form::kColumns)))
    return with(Form::kColumns);
  if (value.form == Form::kColumns && wanted == tail(with(Form::kLast))) return with(Form::kLast);
  if (value.form == Form::kFlattened && wanted == tail(with(Form::kPlain)))
    return with(Form::kPlain);
  if (value.form == Form::kFlattenedLast && wanted == tail(with(Form::kLast)))
    return with(Form::kLast);
  if (!vector && value.form == Form::kPlain && wanted.size() == graph_.rank() + 2 &&
      wanted[0] > 0 && count % wanted[0] == 0 && wanted == tail(with(Form::kGrouped, wanted[0])))
    return with(Form::kGrouped, wanted[0]);
  if (value.form == Form::kGrouped && wanted == tail(with(Form::kPlain))) return with(Form::kPlain);
  if (value.form == Form::kShuffled && wanted == tail(with(Form::kPlain))) {
    // Channel [i, g] of [channels / groups, groups] was [g, i].
    allowance_.take(count);
    const std::int64_t rows = count / value.groups;
    Ints chosen;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t g = 0; g < value.groups; ++g) chosen.push_back(g * rows + i);
    }
    return select(unique(name_by(node, node.input_size())), value.node, std::move(chosen));
  }
  refuse("it reshapes " + show(now) + " behind the batch to " + show(wanted));
}

void Reader::take_flatten(const NodeProto& node, Attributes& attributes) {
  const std::int64_t axis = attributes.integer("axis", 1);
  attributes.check_all_read();
  const Value x = settled_input(node, 0);
  const auto dims = static_cast<std::int64_t>(tail(x).size()) + 1;
  if ((axis < 0 ? axis + dims : axis) != 1) refuse("its axis is not 1");
  result(node, reshaped(node, x, {product(tail(x))}));
}

void Reader::take_reshape(const NodeProto& node, Attributes& attributes) {
  const bool zero_is_zero = attributes.integer("allowzero", 0) != 0;
  std::optional<Ints> shape = attributes.integers("shape");  // to opset 4; some write it still
  attributes.check_all_read();
  if (!shape) shape = sizes_input(node, 1);
  const Value x = settled_input(node, 0);
  const Ints now = tail(x);
  if (shape->empty()) refuse("it reshapes to a number");
  // The batch comes first; the rest must hold one image. -1 for the batch leaves none for the rest.
  Ints wanted(shape->begin() + 1, shape->end());
  std::int64_t known = 1;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == 0 && !zero_is_zero && i < now.size()) wanted[i] = now[i];
    if (wanted[i] == -1 && !open) {
      open = i;
    } else if (wanted[i] < 1 || __builtin_mul_overflow(known, wanted[i], &known)) {
      refuse("it reshapes to " + show(*shape));
    }
  }
  const std::int64_t all = product(now);
  const std::int64_t batch = (*shape)[0];
  const bool keeps_batch = batch == kOpenBatch || batch == batch_ ||
                           (batch == 0 && !zero_is_zero) || (batch == -1 && !open) ||
                           (batch > 0 && !open && known == all) ||
                           // A batch of 1 that an exporter wrote into the shape.
                           (batch == 1 && open);
  if (open && all % known == 0) wanted[*open] = all / known;
  if (!keeps_batch || (open ? all % known != 0 : known != all))
    refuse("it reshapes " + show(now) + " behind the batch to " + show(*shape));
  result(node, reshaped(node, x, wanted));
}

void Reader::take_squeeze(const NodeProto& node, Attributes& attributes) {
  std::optional<Ints> axes = attributes.integers("axes");
  attributes.check_all_read();
  if (!axes && has_input(node, 1)) axes = sizes_input(node, 1);
  const Value x = settled_input(node, 0);
  if (!axes) refuse("it takes away whatever axes are 1");
  const Ints now = tail(x);
  std::vector<bool> gone(now.size());
  for (const std::int64_t axis : *axes) {
    const auto dims = static_cast<std::int64_t>(now.size()) + 1;
    const std::int64_t at = axis < 0 ? axis + dims : axis;
    if (at < 1 || at >= dims || now[static_cast<std::size_t>(at - 1)] != 1)
      refuse("it takes axis " + std::to_string(axis) + " away");
    gone[static_cast<std::size_t>(at - 1)] = true;
  }
  Ints wanted;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (!gone[i]) wanted.push_back(now[i]);
  }
  result(node, reshaped(node, x, wanted));
}

void Reader::take_unsqueeze(const NodeProto& node, Attributes& attributes) {
  std::optional<Ints> axes = attributes.integers("axes");
  attributes.check_all_read();
  if (!axes) axes = sizes_input(node, 1);
  const Value x = settled_input(node, 0);
  const Ints now = tail(x);
  const std::size_t rank = now.size() + axes->size();
  if (rank > 8) refuse("it adds too many axes");
  std::vector<bool> added(rank + 1);
  for (const std::int64_t axis : *axes) {
    const auto dims = static_cast<std::int64_t>(rank) + 1;
    const std::int64_t at = axis < 0 ? axis + dims : axis;
    if (at < 1 || at >= dims) refuse("it adds axis " + std::to_string(axis));
    added[static_cast<std::size_t>(at)] = true;
  }
  Ints wanted;
  std::size_t next = 0;
  for (std::size_t i = 1; i < added.size() && (added[i] || next < now.size()); ++i)
    wanted.push_back(added[i] ? 1 : now[next++]);
  result(node, reshaped(node, x, wanted));
}

void Reader::take_transpose(const NodeProto& node, Attributes& attributes) {
  const std::optional<Ints> order = attributes.integers("perm");
  attributes.check_all_read();
  const Value x = settled_input(node, 0);
  const std::size_t rank = graph_.rank();
  Ints to_last{0};
  for (std::size_t axis = 0; axis < rank; ++axis)
    to_last.push_back(static_cast<std::int64_t>(axis) + 2);
  to_last.push_back(1);
  Ints from_last{0, static_cast<std::int64_t>(rank) + 1};
  for (std::size_t axis = 0; axis < rank; ++axis)
    from_last.push_back(static_cast<std::int64_t>(axis) + 1);
  Ints swaps_groups(rank + 3);
  std::iota(swaps_groups.begin(), swaps_groups.end(), 0);
  std::swap(swaps_groups[1], swaps_groups[2]);
  Value turned = x;
  const bool map_or_ones = x.form == Form::kOnes || (x.form == Form::kPlain && spatial(x.node));
  if (order == to_last && map_or_ones) {
    turned.form = Form::kLast;
  } else if (order == from_last && x.form == Form::kLast) {
    turned.form = spatial(x.node) ? Form::kPlain : Form::kOnes;
  } else if (order == swaps_groups && x.form == Form::kGrouped) {
    turned.form = Form::kShuffled;
  } else if (order == Ints{0, 2, 1} && (x.form == Form::kRows || x.form == Form::kColumns)) {
    turned.form = x.form == Form::kRows ? Form::kColumns : Form::kRows;
  } else {
    refuse(order ? "it orders axes as " + show(*order) : "it reverses the axes");
  }
  result(node, turned);
}

// ---- Fully connected

void Reader::take_gemm(const NodeProto& node, Attributes& attributes) {
  const Value x = settled_input(node, 0);
  const bool transposed = attributes.integer("transB", 0) != 0;
  if (attributes.integer("transA", 0) != 0) refuse("it transposes its input");
  if (attributes.number("alpha", 1) != 1 || attributes.number("beta", 1) != 1)
    refuse("its alpha or beta is not 1");
  attributes.check_all_read();
  linear(node, x, transposed, has_input(node, 2));
}

void Reader::take_mat_mul(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  if (has_input(node, 1) && value_of(node.input(1)).constant == nullptr) {
    take_products(node);
    return;
  }
  linear(node, settled_input(node, 0), /*transposed=*/false, /*bias=*/false);
}

void Reader::linear(const NodeProto& node, Value x, bool transposed, bool bias) {
  const Ints in_shape = tail(x);
  if (in_shape.size() != 1) refuse("its input is not [batch, channels]");
  const Shape& held = constant_input(node, 1).shape;
  const std::int64_t in = in_shape[0];
  if (held.rank() != 2 || held[transposed ? 1 : 0] != in)
    refuse("its weight has shape " + held.to_string() + ", and its input " + std::to_string(in) +
           " channels");
  const std::int64_t out = held[transposed ? 0 : 1];
  const std::string name = unique(name_by(node, 1));
  const Tensor weight = parameter(node, 1, held);
  Tensor rows({out, in});
  for (std::int64_t row = 0; row < out; ++row) {
    for (std::int64_t column = 0; column < in; ++column) {
      rows.data()[row * in + column] =
          weight.data()[transposed ? row * in + column : column * out + row];
    }
  }
  NodeId id = -1;
  if (x.form == Form::kPlain) {
    id = add(name, Linear{.out_channels = out, .bias = bias}, {x.node});
    keep(name, "weight", std::move(rows));
  } else {
    id = flattened_linear(name, x, std::move(rows), bias);
  }
  if (bias) {
    const Shape& shape = constant_input(node, 2).shape;
    Tensor shift = parameter(node, 2, shape);
    if (shape.elements() != out) refuse("its bias has shape " + shape.to_string());
    keep(name, "bias", std::move(shift).reshaped({out}));
  }
  result(node, {.node = id});
}

// A fully connected layer on a whole map is a convolution whose kernel is as large as the map: one
// pixel, whose mean it is. On larger maps it would be the mean over all places.
NodeId Reader::flattened_linear(const std::string& name, const Value& x, Tensor rows, bool bias) {
  const Shape extents = grid(x.node);
  const std::int64_t count = channels(x.node);
  const std::int64_t pixels = extents.elements();
  const std::int64_t out = rows.shape()[0];
  if (x.form == Form::kFlattenedLast) {
    Tensor turned(rows.shape());
    for (std::int64_t row = 0; row < out; ++row) {
      for (std::int64_t c = 0; c < count; ++c) {
        for (std::int64_t p = 0; p < pixels; ++p)
          turned.data()[(row * count + c) * pixels + p] =
              rows.data()[(row * pixels + p) * count + c];
      }
    }
    rows = std::move(turned);
  }
  Shape shape{out, count};
  for (const std::int64_t extent : extents) shape.push_back(extent);
  const Shape ones = Shape::filled(graph_.rank(), 1);
  const Shape none = Shape::filled(graph_.rank(), 0);
  const NodeId id = add(name,
                        Conv{.out_channels = out,
                             .kernel = extents,
                             .stride = ones,
                             .dilation = ones,
                             .padding_begin = none,
                             .padding_end = none,
                             .bias = bias},
                        {x.node});
  keep(name, "weight", std::move(rows).reshaped(shape));
  return add(unique(name + ".pixel"), GlobalPool{}, {id});
}

}  // namespace octconv::onnx
