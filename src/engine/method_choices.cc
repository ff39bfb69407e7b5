// SPDX-License-Identifier: Apache-2.0
#include "engine/method_choices.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/processor.h"
#include "kernels/limits.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/parallel.h"
#include "octconv/base/random.h"
#include "octconv/octave/conv_plan.h"

namespace octconv::engine {
namespace {

constexpr std::array kMethods{ConvMethod::kDirect, ConvMethod::kWinograd2, ConvMethod::kWinograd4};
constexpr std::string_view kTitle = "octconv methods 1";
constexpr int kRuns = 5;

// One line, without tabs.
std::string key_of(const ConvOptions& o, const Shape& extents) {
  std::ostringstream text;
  text << processor_name() << ", " << thread_count() << " threads: " << o.in.high << "+" << o.in.low
       << " to " << o.out.high << "+" << o.out.low << " kernel " << o.kernel.to_string()
       << " stride " << o.stride.to_string() << " dilation " << o.dilation.to_string()
       << " padding " << o.padding_begin.to_string() << o.padding_end.to_string() << " groups "
       << o.groups << " octave " << o.octave.to_string() << " " << to_string(o.stride_mode) << " "
       << to_string(o.exchange) << " " << to_string(o.low_to_high) << " extents "
       << extents.to_string();
  std::string key = text.str();
  std::replace(key.begin(), key.end(), '\t', ' ');
  return key;
}

std::optional<ConvMethod> method_named(std::string_view name) {
  for (const ConvMethod method : kMethods) {
    if (to_string(method) == name) return method;
  }
  return std::nullopt;
}

// A convolution with weights and inputs of no meaning.
class Trial {
 public:
  Trial(const ConvOptions& options, const Shape& extents)
      : options_(options),
        extents_(extents),
        weight_(Shape{options.out.total() * (options.in.total() / options.groups) *
                      options.kernel.elements()}),
        high_(Shape{options.in.high * extents.elements()}),
        low_(Shape{options.in.low * low_extents(extents, options.octave).elements()}) {
    Random random(1);
    for (Tensor* tensor : {&weight_, &high_, &low_}) {
      for (float& value : tensor->values()) value = static_cast<float>(2 * random.uniform() - 1);
    }
    const Shape out = output_extents(options, extents);
    out_high_ = Tensor(Shape{options.out.high * out.elements()});
    out_low_ = Tensor(Shape{options.out.low * low_extents(out, options.octave).elements()});
    std::fill(others_.values().begin(), others_.values().end(), 1.0F);
  }

  // The least of several runs, after one that does not count. As in a network, the input is near
  // and the weights are far.
  double nanoseconds(const ConvMethods& methods) {
    using Clock = std::chrono::steady_clock;
    const OctConvPlan plan(OctConvWeights(options_, weight_.values(), {}, methods), 1, extents_);
    Tensor scratch(Shape{plan.scratch_elements()});
    double least = std::numeric_limits<double>::infinity();
    for (int run = 0; run <= kRuns; ++run) {
      for (const Tensor* tensor : {&others_, &high_, &low_})
        out_high_or_low() += kernels::read_all(tensor->data(), tensor->elements());
      const Clock::time_point begin = Clock::now();
      plan.run({high_.data(), low_.data()}, {}, {out_high_.data(), out_low_.data()},
               scratch.data());
      const double ns = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
      if (run > 0) least = std::min(least, ns);
    }
    return least;
  }

 private:
  // Where the sums of what is only read may go.
  float& out_high_or_low() {
    return out_high_.elements() > 0 ? out_high_.data()[0] : out_low_.data()[0];
  }

  const ConvOptions& options_;
  const Shape& extents_;
  Tensor weight_;
  Tensor high_;
  Tensor low_;
  Tensor out_high_;
  Tensor out_low_;
  Tensor others_{Shape{std::int64_t{16} << 20}};
};

// Sums that some path of Winograd's kind makes: their times add up, so each is chosen by itself.
ConvMethods measure(const ConvOptions& options, const Shape& extents,
                    const std::vector<ConvMethod ConvMethods::*>& open) {
  ConvMethods best = choose_methods(options, extents);
  Trial trial(options, extents);
  for (ConvMethod ConvMethods::*sum : open) {
    double least = std::numeric_limits<double>::infinity();
    ConvMethods tried = best;
    for (const ConvMethod method : kMethods) {
      tried.*sum = method;
      const double ns = trial.nanoseconds(tried);
      if (ns >= least) continue;
      least = ns;
      best.*sum = method;
    }
  }
  return best;
}

}  // namespace

MethodChoices::MethodChoices(std::filesystem::path file) : file_(std::move(file)) {
  if (file_.empty() || !std::filesystem::exists(file_)) return;
  std::istringstream lines(read_file(file_));
  std::string line;
  const auto fail = [&](const std::string& why) {
    throw FormatError("'" + file_.string() + "' is not a file of chosen methods: " + why);
  };
  if (!std::getline(lines, line) || line != kTitle)
    fail("it does not begin with '" + std::string(kTitle) + "'");
  for (int number = 2; std::getline(lines, line); ++number) {
    std::istringstream words(line.substr(0, line.find('\t')));
    std::array<std::string, 3> names;
    words >> names[0] >> names[1] >> names[2];
    const auto high = method_named(names[0]);
    const auto low_to_high = method_named(names[1]);
    const auto low = method_named(names[2]);
    const std::size_t tab = line.find('\t');
    if (!high || !low_to_high || !low || tab == std::string::npos)
      fail("line " + std::to_string(number) + " is '" + line + "'");
    known_[line.substr(tab + 1)] = {.high = *high, .low_to_high = *low_to_high, .low = *low};
  }
}

ConvMethods MethodChoices::choose(const ConvOptions& options, const Shape& extents) {
  std::vector<ConvMethod ConvMethods::*> open;  // sums that have a choice
  for (ConvMethod ConvMethods::*sum :
       {&ConvMethods::high, &ConvMethods::low_to_high, &ConvMethods::low}) {
    if (can_use_winograd(options, sum)) open.push_back(sum);
  }
  if (open.empty()) return {};
  const std::string key = key_of(options, extents);
  const auto found = known_.find(key);
  if (found != known_.end()) {
    // The file says it, which may be anybody's.
    for (ConvMethod ConvMethods::*sum :
         {&ConvMethods::high, &ConvMethods::low_to_high, &ConvMethods::low}) {
      const bool has_choice = std::find(open.begin(), open.end(), sum) != open.end();
      if (found->second.*sum != ConvMethod::kDirect && !has_choice)
        throw FormatError("'" + file_.string() + "' gives " +
                          std::string(to_string(found->second.*sum)) +
                          " to a sum that it cannot compute, of " + key);
    }
    return found->second;
  }
  const ConvMethods methods = measure(options, extents, open);
  known_.emplace(key, methods);
  changed_ = true;
  return methods;
}

void MethodChoices::save() const {
  if (file_.empty() || !changed_) return;
  std::string text = std::string(kTitle) + "\n";
  for (const auto& [key, methods] : known_) {
    for (const ConvMethod method : {methods.high, methods.low_to_high, methods.low})
      text += std::string(to_string(method)) + " ";
    text += "\t" + key + "\n";
  }
  write_file(file_, text);
}

}  // namespace octconv::engine
