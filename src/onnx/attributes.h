// SPDX-License-Identifier: Apache-2.0
// Attributes of operations that others wrote.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <onnx/onnx_pb.h>

namespace octconv::onnx {

using Ints = std::vector<std::int64_t>;

/// Why one operation cannot be taken; the others are looked at all the same.
struct Refusal {
  std::string why;
};

[[noreturn]] inline void refuse(std::string why) {
  throw Refusal{std::move(why)};
}

/// The attributes of one node. Whoever asks for one has read it; those that nobody asked for are
/// refused in the end, since they could change what the operation means.
class Attributes {
 public:
  explicit Attributes(const ::onnx::NodeProto& node) {
    for (const ::onnx::AttributeProto& attribute : node.attribute()) {
      all_.emplace(attribute.name(), &attribute);
    }
  }

  std::int64_t integer(const char* name, std::int64_t fallback) {
    const ::onnx::AttributeProto* found = find(name, ::onnx::AttributeProto::INT);
    return found == nullptr ? fallback : found->i();
  }
  double number(const char* name, double fallback) {
    const ::onnx::AttributeProto* found = find(name, ::onnx::AttributeProto::FLOAT);
    return found == nullptr ? fallback : static_cast<double>(found->f());
  }
  std::string text(const char* name, const char* fallback) {
    const ::onnx::AttributeProto* found = find(name, ::onnx::AttributeProto::STRING);
    return found == nullptr ? fallback : found->s();
  }
  std::optional<Ints> integers(const char* name) {
    const ::onnx::AttributeProto* found = find(name, ::onnx::AttributeProto::INTS);
    if (found == nullptr) return std::nullopt;
    return Ints(found->ints().begin(), found->ints().end());
  }
  std::optional<std::vector<float>> numbers(const char* name) {
    const ::onnx::AttributeProto* found = find(name, ::onnx::AttributeProto::FLOATS);
    if (found == nullptr) return std::nullopt;
    return std::vector<float>(found->floats().begin(), found->floats().end());
  }
  bool has(const char* name) const { return all_.contains(name); }
  const ::onnx::TensorProto* tensor(const char* name) {
    const ::onnx::AttributeProto* found = find(name, ::onnx::AttributeProto::TENSOR);
    return found == nullptr ? nullptr : &found->t();
  }
  void ignore(const char* name) { all_.erase(name); }

  void check_all_read() const {
    if (!all_.empty()) refuse("its attribute '" + all_.begin()->first + "' is not known");
  }

 private:
  const ::onnx::AttributeProto* find(const char* name, ::onnx::AttributeProto::AttributeType type) {
    const auto found = all_.find(name);
    if (found == all_.end()) return nullptr;
    const ::onnx::AttributeProto* attribute = found->second;
    if (attribute->type() != type) refuse("its attribute '" + found->first + "' has a wrong type");
    all_.erase(found);
    return attribute;
  }

  std::map<std::string, const ::onnx::AttributeProto*> all_;
};

}  // namespace octconv::onnx
