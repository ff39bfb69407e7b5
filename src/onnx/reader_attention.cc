// SPDX-License-Identifier: Apache-2.0
// Attention, as files spell it: queries times keys, a factor, a softmax over the keys, times
// values.
//
//   queries [batch, pixels, channels] x keys [batch, channels, pixels'] = products
//   softmax over pixels' (factor * products) x values [batch, pixels', channels'] = sums
#include "onnx/reader.h"

namespace octconv::onnx {

// A map with its pixels on one axis, behind its channels or before them. On one axis they are so.
bool Reader::are_rows(const Value& value) const {
  return spatial(value.node) && !value.waits() &&
         (value.form == Form::kRows || (value.form == Form::kPlain && graph_.rank() == 1));
}

bool Reader::are_columns(const Value& value) const {
  return spatial(value.node) && !value.waits() &&
         (value.form == Form::kColumns || (value.form == Form::kLast && graph_.rank() == 1));
}

// An input that is the products of attention, or what has been made of them; null: another value.
const Reader::Value* Reader::products_input(const NodeProto& node, int index) const {
  if (!has_input(node, index)) return nullptr;
  const auto found = values_.find(node.input(index));
  return found == values_.end() || found->second.form != Form::kProducts ? nullptr : &found->second;
}

// One number times the products.
bool Reader::take_attention_factor(const NodeProto& node) {
  for (const int index : {0, 1}) {
    const Value* products = products_input(node, index);
    if (products == nullptr) continue;
    if (products->shares) refuse("it multiplies the shares of attention");
    const std::vector<float>& factor = numbers_input(node, 1 - index);
    if (factor.size() != 1) refuse("it multiplies the products of attention by several numbers");
    Value scaled = *products;
    scaled.scale *= static_cast<double>(factor[0]);
    result(node, scaled);
    return true;
  }
  return false;
}

// Over the keys.
bool Reader::take_attention_softmax(const NodeProto& node, Attributes& attributes) {
  const Value* products = products_input(node, 0);
  if (products == nullptr) return false;
  const std::int64_t axis = attributes.integer("axis", opset_ < 13 ? 1 : -1);
  attributes.check_all_read();
  if (products->shares || (axis != 2 && axis != -1))
    refuse("it is no softmax over the keys of attention");
  Value shares = *products;
  shares.shares = true;
  result(node, shares);
  return true;
}

// Of two values.
void Reader::take_products(const NodeProto& node) {
  if (const Value* shares = products_input(node, 0)) {
    const Value values = settled_input(node, 1);
    if (!shares->shares) refuse("it multiplies the products of attention before their softmax");
    if (!are_columns(values) || grid(values.node).elements() != grid(shares->keys).elements())
      refuse("its second input is not [batch, pixels of the keys, channels]");
    std::string name = name_by(node, node.input_size());
    constexpr std::string_view kSums = ".sums";  // what a file of ours calls them
    if (name.size() > kSums.size() && name.ends_with(kSums))
      name.resize(name.size() - kSums.size());
    const NodeId id = add(unique(name), Attention{.factor = shares->scale},
                          {shares->node, shares->keys, values.node});
    result(node, {.node = id, .form = graph_.rank() == 1 ? Form::kLast : Form::kColumns});
    return;
  }
  const Value queries = settled_input(node, 0);
  const Value keys = settled_input(node, 1);
  if (!are_columns(queries) || !are_rows(keys) || channels(queries.node) != channels(keys.node))
    refuse(
        "it multiplies two values, which only attention does: [batch, pixels, channels] by "
        "[batch, channels, pixels]");
  result(node, {.node = queries.node, .form = Form::kProducts, .keys = keys.node});
}

}  // namespace octconv::onnx
