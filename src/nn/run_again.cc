// SPDX-License-Identifier: Apache-2.0
#include "nn/run_again.h"

#include <array>
#include <span>
#include <utility>

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/work_timer.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

using Tensors = torch::autograd::variable_list;

class RunAgain : public torch::autograd::Function<RunAgain> {
 public:
  using Context = torch::autograd::AutogradContext;
  using MaybeTensor = c10::optional<at::Tensor>;

  // `made`: set to the result, whose frequencies that exist are returned.
  static Tensors forward(Context* context, const MaybeTensor& high, const MaybeTensor& low,
                         at::TensorList parameters, const OctRemade& remade, const Shape& extents,
                         const Repeatable& compute, OctTensor* made) {
    const OctTensor input{high.value_or(at::Tensor()), low.value_or(at::Tensor()), extents};
    auto kept = c10::make_intrusive<Kept>();
    kept->compute = compute;
    kept->extents = extents;
    kept->parameters = parameters.size();
    Tensors saved = parameters.vec();
    const auto save = [&](const at::Tensor& x, const Remade& how, Read& own) {
      own.wanted = x.defined() && x.requires_grad();
      const Remade source = how.or_kept(x);
      own.recipe = source.recipe();
      own.begin = saved.size();
      saved.insert(saved.end(), source.sources().begin(), source.sources().end());
    };
    save(input.high, remade.high, kept->high);
    save(input.low, remade.low, kept->low);
    context->save_for_backward(std::move(saved));
    context->saved_data["kept"] = c10::IValue::make_capsule(std::move(kept));
    context->set_materialize_grads(false);
    *made = compute(input, parameters.vec());
    return existing(*made);
  }

  static Tensors backward(Context* context, const Tensors& diffs) {
    if (at::GradMode::is_enabled()) {
      throw Unsupported("a part that is computed again has no second derivatives");
    }
    const auto capsule = context->saved_data["kept"].toCapsule();
    const auto& kept = static_cast<const Kept&>(*capsule);
    const Tensors saved = context->get_saved_variables();
    const auto leaf = [](const at::Tensor& x, bool wanted) {
      return x.defined() ? x.detach().requires_grad_(wanted) : x;
    };
    const auto read = [&](const Read& own) {
      return leaf(own.recipe.make(std::span(saved).subspan(own.begin)), own.wanted);
    };
    const OctTensor input{read(kept.high), read(kept.low), kept.extents};
    Tensors parameters;
    for (std::size_t i = 0; i < kept.parameters; ++i) {
      parameters.push_back(leaf(saved[i], saved[i].requires_grad()));
    }
    Tensors outputs;
    {
      const at::AutoGradMode recording(true);
      const WorkTimer timer(Work::kMadeAgain);
      outputs = existing(kept.compute(input, parameters));
    }
    Tensors all{input.high, input.low};
    all.insert(all.end(), parameters.begin(), parameters.end());
    return gradients(outputs, diffs, all);
  }

 private:
  struct Read {
    Remade::Recipe recipe;
    std::size_t begin = 0;  // of its sources among what is saved
    bool wanted = false;
  };

  // What is kept for the backward pass beside tensors.
  struct Kept : torch::CustomClassHolder {
    Repeatable compute;
    Shape extents;
    std::size_t parameters = 0;
    Read high;
    Read low;
  };

  static Tensors existing(const OctTensor& value) {
    Tensors tensors;
    for (const at::Tensor& tensor : {value.high, value.low}) {
      if (tensor.defined()) tensors.push_back(tensor);
    }
    return tensors;
  }

  // Of those of `all` that want one; nothing depends on an output without a gradient.
  static Tensors gradients(const Tensors& outputs, const Tensors& diffs, const Tensors& all) {
    Tensors of;
    Tensors given;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!diffs[i].defined() || !outputs[i].requires_grad()) continue;
      of.push_back(outputs[i]);
      given.push_back(diffs[i]);
    }
    Tensors inputs;
    for (const at::Tensor& tensor : all) {
      if (tensor.defined() && tensor.requires_grad()) inputs.push_back(tensor);
    }
    constexpr std::size_t kOthers = 4;  // arguments that are no tensors
    Tensors result(all.size() + kOthers);
    if (of.empty() || inputs.empty()) return result;
    const Tensors made =
        torch::autograd::grad(of, inputs, given, /*retain_graph=*/false, /*create_graph=*/false,
                              /*allow_unused=*/true);
    std::size_t next = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].defined() && all[i].requires_grad()) result[i] = made[next++];
    }
    return result;
  }
};

}  // namespace

OctTensor run_again(const OctTensor& input, const OctRemade& remade,
                    const std::vector<at::Tensor>& parameters, const Repeatable& compute) {
  const auto maybe = [](const at::Tensor& x) {
    return x.defined() ? RunAgain::MaybeTensor(x) : c10::nullopt;
  };
  OctTensor made;
  const Tensors outputs =
      RunAgain::apply(maybe(input.high), maybe(input.low), at::TensorList(parameters), remade,
                      input.extents, compute, &made);
  if (made.high.defined()) made.high = outputs.front();
  if (made.low.defined()) made.low = outputs.back();
  return made;
}

}  // namespace octconv::nn
