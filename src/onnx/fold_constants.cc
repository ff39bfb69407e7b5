// SPDX-License-Identifier: Apache-2.0
#include "onnx/fold_constants.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include <onnx/onnx_pb.h>

namespace octconv::onnx {
namespace {

using Operands = std::span<const Constant* const>;

const Constant& operand(Operands inputs, std::size_t index) {
  if (index >= inputs.size() || inputs[index] == nullptr)
    refuse("its input " + std::to_string(index) + " is missing");
  return *inputs[index];
}

const Ints& sizes(Operands inputs, std::size_t index) {
  const Ints* values = operand(inputs, index).sizes();
  if (values == nullptr) refuse("its input " + std::to_string(index) + " is not of sizes");
  return *values;
}

bool given(Operands inputs, std::size_t index) {
  return index < inputs.size() && inputs[index] != nullptr;
}

std::size_t axis_of(std::int64_t axis, std::size_t rank) {
  const auto count = static_cast<std::int64_t>(rank);
  if (axis < -count || axis >= count)
    refuse("its axis " + std::to_string(axis) + " is not one of " + std::to_string(rank));
  return static_cast<std::size_t>(axis < 0 ? axis + count : axis);
}

// The attribute, which later opsets have as an input.
std::optional<Ints> list(Attributes& attributes, const char* name, Operands inputs,
                         std::size_t index) {
  std::optional<Ints> values = attributes.integers(name);
  if (!values && given(inputs, index)) values = sizes(inputs, index);
  return values;
}

// Row-major strides; 0 along axes of one element, so that they broadcast.
std::vector<std::int64_t> strides_of(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.rank());
  std::int64_t stride = 1;
  for (std::size_t axis = shape.rank(); axis-- > 0;) {
    strides[axis] = shape[axis] == 1 ? 0 : stride;
    stride *= shape[axis];
  }
  return strides;
}

std::int64_t elements(const Shape& shape, Allowance& allowance) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (__builtin_mul_overflow(count, extent, &count)) refuse("its result has too many elements");
  }
  allowance.take(count);
  return count;
}

// out[i, j, ...] = in[offset + i * strides[0] + j * strides[1] + ...]
Constant pick(const Constant& in, const Shape& shape, std::int64_t offset,
              const std::vector<std::int64_t>& strides, Allowance& allowance) {
  const std::int64_t count = elements(shape, allowance);
  Constant out{.shape = shape, .values = {}};
  std::visit(
      [&](const auto& from) {
        std::decay_t<decltype(from)> values;
        values.reserve(static_cast<std::size_t>(count));
        std::vector<std::int64_t> at(shape.rank());
        std::int64_t place = offset;
        for (std::int64_t i = 0; i < count; ++i) {
          values.push_back(from[static_cast<std::size_t>(place)]);
          for (std::size_t axis = shape.rank(); axis-- > 0;) {
            place += strides[axis];
            if (++at[axis] < shape[axis]) break;
            place -= strides[axis] * shape[axis];
            at[axis] = 0;
          }
        }
        out.values = std::move(values);
      },
      in.values);
  return out;
}

Constant with_shape(const Constant& in, const Shape& shape, Allowance& allowance) {
  allowance.take(in.shape.elements());
  return {.shape = shape, .values = in.values};
}

Constant cast(const Constant& in, std::int64_t type, Allowance& allowance) {
  allowance.take(in.shape.elements());
  Constant out{.shape = in.shape, .values = {}};
  const bool to_numbers = type == ::onnx::TensorProto_DataType_FLOAT ||
                          type == ::onnx::TensorProto_DataType_DOUBLE ||
                          type == ::onnx::TensorProto_DataType_FLOAT16;
  const bool to_sizes =
      type == ::onnx::TensorProto_DataType_INT32 || type == ::onnx::TensorProto_DataType_INT64;
  if (!to_numbers && !to_sizes) refuse("it casts to type " + std::to_string(type));
  if (to_numbers == (in.numbers() != nullptr)) {
    out.values = in.values;
  } else if (to_numbers) {
    std::vector<float> values;
    for (const std::int64_t size : *in.sizes()) {
      if (size == kOpenBatch) refuse("it computes with the open batch");
      values.push_back(static_cast<float>(size));
    }
    out.values = std::move(values);
  } else {
    Ints values;
    for (const float number : *in.numbers()) {
      if (!(std::abs(number) < 0x1p62F)) refuse("a number that it casts is no size");
      values.push_back(static_cast<std::int64_t>(number));
    }
    out.values = std::move(values);
  }
  return out;
}

Constant gather(const Constant& in, const Constant& at, std::int64_t axis_number,
                Allowance& allowance) {
  const Ints* indices = at.sizes();
  if (indices == nullptr) refuse("its indices are not whole numbers");
  const std::size_t axis = axis_of(axis_number, in.shape.rank());
  // [before, indices, after]
  std::int64_t before = 1;
  std::int64_t after = 1;
  Shape shape;
  for (std::size_t i = 0; i < in.shape.rank(); ++i) {
    if (i < axis) before *= in.shape[i];
    if (i > axis) after *= in.shape[i];
    if (i != axis) {
      shape.push_back(in.shape[i]);
      continue;
    }
    if (in.shape.rank() - 1 + at.shape.rank() > Shape::kMaxRank) refuse("it has too many axes");
    for (const std::int64_t extent : at.shape) shape.push_back(extent);
  }
  static_cast<void>(elements(shape, allowance));
  const std::int64_t extent = in.shape[axis];
  Constant out{.shape = shape, .values = {}};
  std::visit(
      [&](const auto& from) {
        std::decay_t<decltype(from)> values;
        for (std::int64_t row = 0; row < before; ++row) {
          for (const std::int64_t index : *indices) {
            if (index < -extent || index >= extent)
              refuse("it takes element " + std::to_string(index) + " of " + std::to_string(extent));
            const auto begin =
                from.begin() + (row * extent + (index < 0 ? index + extent : index)) * after;
            values.insert(values.end(), begin, begin + after);
          }
        }
        out.values = std::move(values);
      },
      in.values);
  return out;
}

Constant slice(Operands inputs, Attributes& attributes, Allowance& allowance) {
  const Constant& in = operand(inputs, 0);
  const std::optional<Ints> starts = list(attributes, "starts", inputs, 1);
  const std::optional<Ints> ends = list(attributes, "ends", inputs, 2);
  std::optional<Ints> axes = list(attributes, "axes", inputs, 3);
  if (!starts || !ends || starts->size() != ends->size()) refuse("its bounds do not fit");
  if (!axes) {
    axes.emplace(starts->size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  const Ints steps = given(inputs, 4) ? sizes(inputs, 4) : Ints(starts->size(), 1);
  if (axes->size() != starts->size() || steps.size() != starts->size())
    refuse("its axes or steps do not fit");
  Shape shape = in.shape;
  std::vector<std::int64_t> strides = strides_of(in.shape);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < starts->size(); ++i) {
    const std::size_t axis = axis_of((*axes)[i], in.shape.rank());
    if (shape[axis] != in.shape[axis]) refuse("it slices an axis twice");
    const Picked picked = resolve_slice((*starts)[i], (*ends)[i], steps[i], in.shape[axis]);
    offset += picked.first * strides[axis];
    strides[axis] *= picked.step;
    shape[axis] = picked.count;
  }
  return pick(in, shape, offset, strides, allowance);
}

Constant transpose(const Constant& in, std::optional<Ints> order, Allowance& allowance) {
  const std::size_t rank = in.shape.rank();
  if (!order) {
    order.emplace(rank);
    std::iota(order->rbegin(), order->rend(), 0);
  }
  Ints sorted = *order;
  std::sort(sorted.begin(), sorted.end());
  Ints all(rank);
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all) refuse("its order of axes does not fit");
  const std::vector<std::int64_t> strides = strides_of(in.shape);
  Shape shape;
  std::vector<std::int64_t> picked;
  for (const std::int64_t axis : *order) {
    shape.push_back(in.shape[static_cast<std::size_t>(axis)]);
    picked.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  return pick(in, shape, 0, picked, allowance);
}

Constant reshape(const Constant& in, const Ints& wanted, bool zero_is_zero, Allowance& allowance) {
  if (wanted.size() > Shape::kMaxRank) refuse("it has too many axes");
  Shape shape;
  std::int64_t known = 1;
  std::optional<std::size_t> open;
  for (std::size_t axis = 0; axis < wanted.size(); ++axis) {
    std::int64_t extent = wanted[axis];
    if (extent == 0 && !zero_is_zero && axis < in.shape.rank()) extent = in.shape[axis];
    if (extent == -1 && !open) {
      open = axis;
      extent = 1;
    }
    if (extent < 0 || __builtin_mul_overflow(known, extent, &known))
      refuse("it reshapes to extents that do not fit");
    shape.push_back(extent);
  }
  const std::int64_t count = in.shape.elements();
  if (open && known > 0) shape[*open] = count / known;
  if (open ? known == 0 || count % known != 0 : known != count)
    refuse("it reshapes " + in.shape.to_string() + " to extents that do not fit");
  return with_shape(in, shape, allowance);
}

Constant unsqueeze(const Constant& in, const std::optional<Ints>& axes, Allowance& allowance) {
  if (!axes || in.shape.rank() + axes->size() > Shape::kMaxRank) refuse("its axes do not fit");
  const std::size_t rank = in.shape.rank() + axes->size();
  std::vector<bool> added(rank);
  for (const std::int64_t axis : *axes) {
    const std::size_t at = axis_of(axis, rank);
    if (added[at]) refuse("it adds an axis twice");
    added[at] = true;
  }
  Shape shape;
  std::size_t next = 0;
  for (const bool is_new : added) shape.push_back(is_new ? 1 : in.shape[next++]);
  return with_shape(in, shape, allowance);
}

Constant squeeze(const Constant& in, const std::optional<Ints>& axes, Allowance& allowance) {
  std::vector<bool> gone(in.shape.rank());
  for (std::size_t axis = 0; axis < gone.size(); ++axis) gone[axis] = !axes && in.shape[axis] == 1;
  if (axes) {
    for (const std::int64_t axis : *axes) gone[axis_of(axis, gone.size())] = true;
  }
  Shape shape;
  for (std::size_t axis = 0; axis < gone.size(); ++axis) {
    if (gone[axis] && in.shape[axis] != 1) refuse("it takes an axis away that is not 1");
    if (!gone[axis]) shape.push_back(in.shape[axis]);
  }
  return with_shape(in, shape, allowance);
}

Constant concat(Operands inputs, std::int64_t axis_number, Allowance& allowance) {
  const Constant& first = operand(inputs, 0);
  const std::size_t axis = axis_of(axis_number, first.shape.rank());
  Shape shape = first.shape;
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    const Constant& next = operand(inputs, i);
    if (next.values.index() != first.values.index() || next.shape.rank() != shape.rank())
      refuse("it joins constants of different kinds");
    for (std::size_t other = 0; other < shape.rank(); ++other) {
      if (other != axis && next.shape[other] != shape[other]) refuse("its operands do not fit");
    }
    shape[axis] += next.shape[axis];
  }
  static_cast<void>(elements(shape, allowance));
  std::int64_t before = 1;
  for (std::size_t i = 0; i < axis; ++i) before *= shape[i];
  Constant out{.shape = shape, .values = {}};
  std::visit(
      [&](const auto& kind) {
        using Values = std::decay_t<decltype(kind)>;
        Values values;
        for (std::int64_t row = 0; row < before; ++row) {
          for (const Constant* input : inputs) {
            const auto& from = std::get<Values>(input->values);
            const auto columns = static_cast<std::int64_t>(from.size()) / before;
            values.insert(values.end(), from.begin() + row * columns,
                          from.begin() + (row + 1) * columns);
          }
        }
        out.values = std::move(values);
      },
      first.values);
  return out;
}

Constant constant_of_shape(const Ints& extents, const ::onnx::TensorProto* value,
                           Allowance& allowance) {
  if (extents.size() > Shape::kMaxRank) refuse("it has too many axes");
  Shape shape;
  for (const std::int64_t extent : extents) {
    if (extent < 0) refuse("an extent is " + std::to_string(extent));
    shape.push_back(extent);
  }
  const auto count = static_cast<std::size_t>(elements(shape, allowance));
  if (value == nullptr) return {.shape = shape, .values = std::vector<float>(count)};
  const Constant one = read_constant(*value);
  return std::visit(
      [&](const auto& values) -> Constant {
        if (values.size() != 1) refuse("its value is not one number");
        return {.shape = shape, .values = std::decay_t<decltype(values)>(count, values[0])};
      },
      one.values);
}

// ---- Arithmetic

float combine(std::string_view operation, float a, float b) {
  if (operation == "Add") return a + b;
  if (operation == "Sub") return a - b;
  if (operation == "Mul") return a * b;
  return a / b;
}

std::int64_t combine(std::string_view operation, std::int64_t a, std::int64_t b) {
  if (a == kOpenBatch || b == kOpenBatch) refuse("it computes with the open batch");
  std::int64_t result = 0;
  bool wraps = false;
  if (operation == "Add") wraps = __builtin_add_overflow(a, b, &result);
  if (operation == "Sub") wraps = __builtin_sub_overflow(a, b, &result);
  if (operation == "Mul") wraps = __builtin_mul_overflow(a, b, &result);
  if (operation == "Div") {
    if (b == 0 || b == -1) refuse("it divides by " + std::to_string(b));
    result = a / b;
  }
  if (wraps) refuse("a size that it computes does not fit in 64 bits");
  return result;
}

Constant arithmetic(std::string_view operation, const Constant& a, const Constant& b,
                    Allowance& allowance) {
  if (a.values.index() != b.values.index()) refuse("its operands are of different kinds");
  const std::size_t rank = std::max(a.shape.rank(), b.shape.rank());
  const auto extent = [&](const Shape& shape, std::size_t axis) {
    const std::size_t missing = rank - shape.rank();
    return axis < missing ? 1 : shape[axis - missing];
  };
  Shape shape;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::int64_t x = extent(a.shape, axis);
    const std::int64_t y = extent(b.shape, axis);
    if (x != y && x != 1 && y != 1) refuse("its operands do not fit");
    shape.push_back(x == 1 ? y : x);
  }
  const auto spread = [&](const Constant& in) {
    std::vector<std::int64_t> strides = strides_of(in.shape);
    strides.insert(strides.begin(), rank - in.shape.rank(), 0);
    return pick(in, shape, 0, strides, allowance);
  };
  const Constant left = spread(a);
  Constant out = spread(b);
  std::visit(
      [&](auto& values) {
        const auto& others = std::get<std::decay_t<decltype(values)>>(left.values);
        for (std::size_t i = 0; i < values.size(); ++i)
          values[i] = combine(operation, others[i], values[i]);
      },
      out.values);
  return out;
}

Constant each(std::string_view operation, const Constant& in, Allowance& allowance) {
  Constant out = with_shape(in, in.shape, allowance);
  if (auto* sizes = std::get_if<Ints>(&out.values)) {
    if (operation == "Sqrt") refuse("it takes roots of whole numbers");
    if (operation != "Neg") return out;
    for (std::int64_t& size : *sizes) size = combine("Sub", 0, size);
    return out;
  }
  for (float& number : std::get<std::vector<float>>(out.values)) {
    if (operation == "Floor") number = std::floor(number);
    if (operation == "Ceil") number = std::ceil(number);
    if (operation == "Neg") number = -number;
    if (operation == "Sqrt") number = std::sqrt(number);
  }
  return out;
}

}  // namespace

Picked resolve_slice(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t extent) {
  if (step == 0) refuse("its step is 0");
  if (start < 0) start += extent;
  if (end < 0) end += extent;
  if (extent == 0) return {};
  if (step > 0) {
    start = std::clamp<std::int64_t>(start, 0, extent);
    end = std::clamp<std::int64_t>(end, 0, extent);
    return {start, step, end <= start ? 0 : (end - start - 1) / step + 1};
  }
  start = std::clamp<std::int64_t>(start, 0, extent - 1);
  end = std::clamp<std::int64_t>(end, -1, extent - 1);
  if (end >= start) return {start, step, 0};
  // -(step + 1) + 1 would wrap for the least number; one element is taken then.
  const std::int64_t back = step < -extent ? extent : -step;
  return {start, -back, (start - end - 1) / back + 1};
}

std::optional<Constant> fold_constants(const ::onnx::NodeProto& node, Attributes& attributes,
                                       Operands inputs, Allowance& allowance) {
  const std::string_view type = node.op_type();
  const auto finish = [&](Constant result) {
    attributes.check_all_read();
    return result;
  };
  if (type == "Cast") {
    attributes.ignore("saturate");
    const std::int64_t to = attributes.integer("to", 0);
    return finish(cast(operand(inputs, 0), to, allowance));
  }
  if (type == "Gather") {
    const std::int64_t axis = attributes.integer("axis", 0);
    return finish(gather(operand(inputs, 0), operand(inputs, 1), axis, allowance));
  }
  if (type == "Slice") return finish(slice(inputs, attributes, allowance));
  if (type == "Transpose")
    return finish(transpose(operand(inputs, 0), attributes.integers("perm"), allowance));
  if (type == "Reshape") {
    const bool zero_is_zero = attributes.integer("allowzero", 0) != 0;
    return finish(reshape(operand(inputs, 0), sizes(inputs, 1), zero_is_zero, allowance));
  }
  if (type == "Unsqueeze")
    return finish(unsqueeze(operand(inputs, 0), list(attributes, "axes", inputs, 1), allowance));
  if (type == "Squeeze")
    return finish(squeeze(operand(inputs, 0), list(attributes, "axes", inputs, 1), allowance));
  if (type == "Concat") return finish(concat(inputs, attributes.integer("axis", 0), allowance));
  if (type == "ConstantOfShape") {
    const ::onnx::TensorProto* value = attributes.tensor("value");
    return finish(constant_of_shape(sizes(inputs, 0), value, allowance));
  }
  if (type == "Add" || type == "Sub" || type == "Mul" || type == "Div")
    return finish(arithmetic(type, operand(inputs, 0), operand(inputs, 1), allowance));
  if (type == "Floor" || type == "Ceil" || type == "Neg" || type == "Sqrt")
    return finish(each(type, operand(inputs, 0), allowance));
  return std::nullopt;
}

}  // namespace octconv::onnx
