// SPDX-License-Identifier: Apache-2.0
#include "onnx/functions.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "onnx/format.h"

namespace octconv::onnx {
namespace {

class Grouping {
 public:
  Grouping(Program& program, const Graph& graph) : program_(program), graph_(graph) {
    for (const Initializer& initializer : program.initializers) {
      if (const auto* values = std::get_if<std::vector<float>>(&initializer.content))
        constants_.emplace(initializer.name, values);
    }
    for (const Operation& operation : program.operations) {
      for (const std::string& input : operation.inputs) readers_[input].insert(operation.node);
    }
  }

  void run() {
    std::vector<Operation> operations;
    auto at = program_.operations.begin();
    while (at != program_.operations.end()) {
      const NodeId node = at->node;
      const auto end = std::find_if(at, program_.operations.end(), [&](const Operation& operation) {
        return operation.node != node;
      });
      if (is_octave_conv(node)) {
        group(node, {std::make_move_iterator(at), std::make_move_iterator(end)}, operations);
      } else {
        std::move(at, end, std::back_inserter(operations));
      }
      at = end;
    }
    program_.operations = std::move(operations);
    remove_unread_constants();
  }

 private:
  [[nodiscard]] bool is_octave_conv(NodeId node) const {
    return std::holds_alternative<Conv>(graph_.node(node).op) &&
           graph_.conv_options(node).octave_valued();
  }

  // A tensor of the convolution's input, or a pool of one. Names may begin with one another.
  [[nodiscard]] bool of_source(NodeId node, const std::string& tensor) const {
    const std::string& name = graph_.node(node).name;
    const std::string& source = graph_.node(graph_.node(node).inputs[0]).name;
    if (tensor == source) return true;
    return tensor.starts_with(source + ".") &&
           !(name.starts_with(source + ".") && (tensor == name || tensor.starts_with(name + ".")));
  }

  void group(NodeId node, std::vector<Operation> all, std::vector<Operation>& operations) {
    // Pools of the input that others read stay outside, with the pools that these read; the first
    // convolution that wants a pool has made it.
    std::set<std::string> outside;
    for (auto operation = all.rbegin(); operation != all.rend(); ++operation) {
      const std::string& result = operation->outputs[0];
      if (!of_source(node, result)) continue;
      if (!outside.contains(result) && !read_elsewhere(node, result)) continue;
      outside.insert(result);
      outside.insert(operation->inputs.begin(), operation->inputs.end());
    }
    std::vector<Operation> body;
    for (Operation& operation : all) {
      std::vector<Operation>& to = outside.contains(operation.outputs[0]) ? operations : body;
      to.push_back(std::move(operation));
    }
    Function function;
    Operation call{.domain = kFunctionDomain, .node = node};
    std::set<std::string> made;
    for (const Operation& operation : body) made.insert(operation.outputs[0]);
    std::map<std::string, std::string> names;  // of tensors, inside
    for (Operation& operation : body) {
      for (std::string& input : operation.inputs) {
        if (input.empty()) continue;
        const auto [known, added] = names.emplace(input, inner_name(node, input));
        if (added && !made.contains(input)) bring_in(input, known->second, function, call);
        input = known->second;
      }
      const std::string outer = operation.outputs[0];
      operation.outputs[0] = names.emplace(outer, inner_name(node, outer)).first->second;
      if (is_result(node, outer)) {
        call.outputs.push_back(outer);
        function.outputs.push_back(operation.outputs[0]);
      }
      operation.node = -1;
      function.operations.push_back(std::move(operation));
    }
    call.type = name_of(std::move(function));
    operations.push_back(std::move(call));
  }

  // A tensor from outside: an input of the function, or a constant of its own.
  void bring_in(const std::string& outer, const std::string& inner, Function& function,
                Operation& call) {
    const auto constant = constants_.find(outer);
    if (constant == constants_.end()) {
      call.inputs.push_back(outer);
      function.inputs.push_back(inner);
      return;
    }
    function.operations.push_back({.type = "Constant",
                                   .outputs = {inner},
                                   .attributes = {{"value_floats", *constant->second}}});
  }

  [[nodiscard]] bool is_result(NodeId node, const std::string& tensor) const {
    const std::string& name = graph_.node(node).name;
    return tensor == name || tensor == name + ".high" || tensor == name + ".low";
  }

  // "x.high" of the input's, "weight.high_to_low" and so on of its own.
  [[nodiscard]] std::string inner_name(NodeId node, const std::string& tensor) const {
    const std::string& name = graph_.node(node).name;
    if (tensor == name) return "y";
    if (is_result(node, tensor)) return "y" + tensor.substr(name.size());
    if (of_source(node, tensor))
      return "x" + tensor.substr(graph_.node(graph_.node(node).inputs[0]).name.size());
    if (tensor.starts_with(name + ".")) return tensor.substr(name.size() + 1);
    return tensor;  // a constant's name says what it is
  }

  [[nodiscard]] bool read_elsewhere(NodeId node, const std::string& tensor) const {
    const auto found = readers_.find(tensor);
    if (found == readers_.end()) return false;
    const std::set<NodeId>& readers = found->second;
    return std::any_of(readers.begin(), readers.end(),
                       [&](NodeId reader) { return reader != node; });
  }

  // The name of this function, which may be known already.
  std::string name_of(Function function) {
    for (const Function& known : program_.functions) {
      if (known.inputs == function.inputs && known.outputs == function.outputs &&
          known.operations == function.operations)
        return known.name;
    }
    function.name = "OctConv" + std::to_string(program_.functions.size() + 1);
    program_.functions.push_back(std::move(function));
    return program_.functions.back().name;
  }

  void remove_unread_constants() {
    std::set<std::string> read;
    for (const Operation& operation : program_.operations)
      read.insert(operation.inputs.begin(), operation.inputs.end());
    std::erase_if(program_.initializers,
                  [&](const Initializer& initializer) { return !read.contains(initializer.name); });
  }

  Program& program_;
  const Graph& graph_;
  std::map<std::string, const std::vector<float>*> constants_;
  std::map<std::string, std::set<NodeId>> readers_;
};

}  // namespace

void make_functions(Program& program, const Graph& graph) {
  Grouping(program, graph).run();
}

}  // namespace octconv::onnx
