// SPDX-License-Identifier: Apache-2.0
#include "onnx/opset.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "octconv/base/error.h"
#include "onnx/format.h"

namespace octconv::onnx {
namespace {

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

class Rewriting {
 public:
  Rewriting(Program& program, std::int64_t opset) : program_(program), opset_(opset) {
    for (const Initializer& initializer : program.initializers)
      constants_.emplace(initializer.name, &initializer.content);
  }

  void run() {
    for (Operation& operation : program_.operations) rewrite(operation);
    constants_.clear();  // points into what changes now
    for (Initializer& initializer : added_) program_.initializers.push_back(std::move(initializer));
    std::set<std::string> read;
    for (const Operation& operation : program_.operations)
      read.insert(operation.inputs.begin(), operation.inputs.end());
    std::erase_if(program_.initializers,
                  [&](const Initializer& initializer) { return !read.contains(initializer.name); });
  }

 private:
  void rewrite(Operation& operation) {
    const std::string& type = operation.type;
    if (opset_ < 13 && type == "Unsqueeze") to_attributes(operation, {"axes"});
    if (opset_ < 13 && type == "Resize") rewrite_resize(operation);
    if (opset_ < 11 && type == "Clip") clip_attributes(operation);
    if (opset_ < 11 && type == "Gemm" && operation.inputs.size() == 2) add_bias(operation);
    if (opset_ < 10 && type == "Slice") to_attributes(operation, {"starts", "ends", "axes"});
  }

  template <class Values>
  const Values& constant(const std::string& name) const {
    return std::get<Values>(*constants_.at(name));
  }

  // Inputs behind the first, lists of sizes, become attributes.
  void to_attributes(Operation& operation, const std::vector<std::string>& names) const {
    for (std::size_t i = 0; i < names.size(); ++i)
      operation.attributes[names[i]] = constant<Ints>(operation.inputs.at(i + 1));
    operation.inputs.resize(1);
  }

  void clip_attributes(Operation& operation) const {
    const char* names[] = {"min", "max"};
    for (std::size_t i = 1; i < operation.inputs.size(); ++i)
      operation.attributes[names[i - 1]] = constant<Floats>(operation.inputs[i]).at(0);
    operation.inputs.resize(1);
  }

  void rewrite_resize(Operation& operation) {
    const auto mode = [&](const char* name) {
      const auto found = operation.attributes.find(name);
      return found == operation.attributes.end() ? "" : std::get<std::string>(found->second);
    };
    if (opset_ >= 11) {
      // Not optional, and not read in these modes.
      const std::size_t count = 2 * constant<Floats>(operation.inputs.at(2)).size();
      operation.inputs[1] = "resize.roi";
      if (roi_.insert(operation.inputs[1]).second)
        added_.push_back({.name = operation.inputs[1],
                          .shape = Shape{static_cast<std::int64_t>(count)},
                          .content = Floats(count, 0.0F)});
      return;
    }
    if (mode("mode") != "nearest" || mode("coordinate_transformation_mode") != "asymmetric")
      refuse(operation, "resizes by " + mode("mode") + " interpolation, which it can from 11 on");
    operation.attributes = {{"mode", std::string("nearest")}};
    operation.inputs.erase(operation.inputs.begin() + 1);
    if (opset_ < 10) operation.type = "Upsample";
  }

  void add_bias(Operation& operation) {
    const auto weight = std::find_if(
        program_.initializers.begin(), program_.initializers.end(),
        [&](const Initializer& candidate) { return candidate.name == operation.inputs[1]; });
    const std::string name = operation.inputs[1] + ".no_bias";
    added_.push_back({.name = name, .shape = Shape{weight->shape[0]}, .content = Fill{.value = 0}});
    operation.inputs.push_back(name);
  }

  [[noreturn]] void refuse(const Operation& operation, const std::string& why) const {
    throw Unsupported("opset " + std::to_string(opset_) + " cannot hold '" + operation.outputs[0] +
                      "': it " + why);
  }

  Program& program_;
  std::int64_t opset_;
  std::map<std::string, const Content*> constants_;
  std::vector<Initializer> added_;
  std::set<std::string> roi_;
};

}  // namespace

void rewrite_for_opset(Program& program, std::int64_t opset) {
  if (opset < kRewrittenBefore) Rewriting(program, opset).run();
}

}  // namespace octconv::onnx
