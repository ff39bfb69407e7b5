// SPDX-License-Identifier: Apache-2.0
// Memory and time of training steps: octconv's modules against the same network composed of plain
// LibTorch operations, each in a process of its own, their steps interleaved.
//
// usage: octconv_training_bench [NETWORK [ALPHA [BATCH [SIZE [ROUNDS [THREADS]]]]]]
//        octconv_training_bench --serve FORM NETWORK ALPHA BATCH SIZE THREADS
//
// The second is one of those processes alone, for bench/peers/training.py: it says "ready BASE_KB";
// a line "step" is answered with "step MILLISECONDS LOSS", a line "memory" with "memory KB", the
// most that the process ever held.
//
// A turn is two steps, of which the second counts: the first finds the caches as others left them.
// Between turns nothing runs for a while, so that nobody's waiting threads spin into another's
// turn.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <ATen/Parallel.h>
#include <torch/nn/functional/loss.h>
#include <torch/optim/sgd.h>

#include "median.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/nn/graph_module.h"
#include "octconv/nn/memory.h"
#include "octconv/train/sgd.h"

namespace {

struct Task {
  std::string network = "resnet50_v1b";
  double alpha = 0.5;
  std::int64_t batch = 8;
  std::int64_t size = 224;
  int rounds = 5;
  int threads = octconv::thread_count();
};

// The network as one would write it with LibTorch alone: every path a convolution of a slice of the
// weight, a pool, an upsampling, an addition.
class PlainNetwork {
 public:
  PlainNetwork(octconv::Graph graph, at::MemoryFormat format)
      : module_(std::move(graph)), format_(format) {
    const at::NoGradGuard guard;
    for (auto& [name, tensor] : module_.named_parameters()) {
      if (tensor.dim() == 4) tensor.set_data(tensor.contiguous(format));
      tensors_.emplace(name, tensor);
    }
    for (auto& [name, tensor] : module_.named_buffers()) tensors_.emplace(name, tensor);
  }

  std::vector<at::Tensor> parameters() const { return module_.module()->parameters(); }

  at::Tensor forward(const at::Tensor& images) {
    const octconv::Graph& graph = module_.graph();
    std::vector<Pair> values(graph.nodes().size());
    std::vector<octconv::NodeId> last(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      for (const octconv::NodeId input : graph.nodes()[i].inputs) last[index(input)] = number(i);
    }
    const at::Tensor input = images.contiguous(format_);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const octconv::Node& node = graph.nodes()[i];
      values[i] = run(number(i), values, input);
      for (const octconv::NodeId input : node.inputs) {
        if (last[index(input)] == number(i)) values[index(input)] = {};
      }
    }
    return values.back().high;
  }

 private:
  struct Pair {
    at::Tensor high;
    at::Tensor low;
  };

  static std::size_t index(octconv::NodeId id) { return static_cast<std::size_t>(id); }
  static octconv::NodeId number(std::size_t index) { return static_cast<octconv::NodeId>(index); }

  static at::Tensor sum(const at::Tensor& a, const at::Tensor& b) {
    if (!a.defined() || !b.defined()) return a.defined() ? a : b;
    return a + b;
  }

  template <class Each>
  static Pair both(const Pair& value, const Each& each) {
    return {value.high.defined() ? each(value.high, false) : value.high,
            value.low.defined() ? each(value.low, true) : value.low};
  }

  const at::Tensor& tensor(const octconv::Node& node, const char* what) const {
    return tensors_.at(node.name + "." + what);
  }

  Pair convolve(const octconv::Node& node, octconv::NodeId id, Pair x) const {
    const octconv::ConvOptions options = module_.graph().conv_options(id);
    const auto& conv = std::get<octconv::Conv>(node.op);
    const at::Tensor weight = tensor(node, "weight");
    const std::int64_t padding = conv.padding_begin[0];
    std::int64_t stride = conv.stride[0];
    const std::int64_t low_in = options.in.low;
    const std::int64_t low_out = options.out.low;
    const bool pooled = stride == 2 && conv.stride_mode != octconv::StrideMode::kStrided;
    const auto path = [&](const at::Tensor& source, bool from_low, bool to_low) {
      const at::Tensor rows =
          to_low ? weight.narrow(0, 0, low_out) : weight.narrow(0, low_out, options.out.high);
      const at::Tensor block =
          from_low ? rows.narrow(1, 0, low_in) : rows.narrow(1, low_in, options.in.high);
      return at::conv2d(source, block, {}, stride, padding, conv.dilation[0]);
    };
    const Pair source = x;
    if (pooled) {
      x = both(x, [](const at::Tensor& part, bool) { return at::avg_pool2d(part, 2, 2); });
      stride = 1;
    }
    Pair y;
    if (options.out.high > 0) {
      if (x.high.defined()) y.high = path(x.high, false, false);
      if (x.low.defined()) {
        const at::Tensor from_low = path(pooled ? source.low : x.low, true, false);
        y.high = sum(y.high, pooled ? from_low
                                    : at::upsample_nearest2d(from_low, c10::nullopt,
                                                             at::ArrayRef<double>{2., 2.}));
      }
    }
    if (options.out.low > 0) {
      if (x.low.defined()) y.low = path(x.low, true, true);
      if (x.high.defined()) y.low = sum(y.low, path(at::avg_pool2d(x.high, 2, 2), false, true));
    }
    return y;
  }

  Pair run(octconv::NodeId id, const std::vector<Pair>& values, const at::Tensor& images) const {
    const octconv::Node& node = module_.graph().node(id);
    const auto in = [&](std::size_t i) { return values[index(node.inputs[i])]; };
    const auto part = [&](const at::Tensor& all, bool low) {
      return low ? all.narrow(0, 0, node.channels.low)
                 : all.narrow(0, node.channels.low, node.channels.high);
    };
    if (std::holds_alternative<octconv::Input>(node.op)) return {images, {}};
    if (std::holds_alternative<octconv::Conv>(node.op)) return convolve(node, id, in(0));
    if (const auto* norm = std::get_if<octconv::BatchNorm>(&node.op)) {
      return both(in(0), [&](const at::Tensor& x, bool low) {
        return at::batch_norm(x, part(tensor(node, "weight"), low), part(tensor(node, "bias"), low),
                              part(tensor(node, "running_mean"), low),
                              part(tensor(node, "running_var"), low), true, norm->momentum,
                              norm->epsilon, true);
      });
    }
    if (std::holds_alternative<octconv::Activation>(node.op)) {
      return both(in(0), [](const at::Tensor& x, bool) { return at::relu(x); });
    }
    if (std::holds_alternative<octconv::Add>(node.op)) {
      return {sum(in(0).high, in(1).high), sum(in(0).low, in(1).low)};
    }
    if (std::holds_alternative<octconv::Pool>(node.op)) {
      return {at::max_pool2d(in(0).high, 3, 2, 1), {}};
    }
    if (std::holds_alternative<octconv::GlobalPool>(node.op)) {
      return {in(0).high.mean({2, 3}), {}};
    }
    if (std::holds_alternative<octconv::Linear>(node.op)) {
      return {at::linear(in(0).high, tensor(node, "weight"), tensor(node, "bias")), {}};
    }
    throw octconv::Unsupported("the plain network knows no '" +
                               std::string(octconv::op_name(node.op)) + "'");
  }

  octconv::nn::GraphModule module_;
  at::MemoryFormat format_;
  std::map<std::string, at::Tensor> tensors_;
};

double peak_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr);
  }
  throw octconv::Error("/proc/self/status: no VmHWM");
}

// One way to train the network.
struct Form {
  const char* name;
  bool plain;
  octconv::nn::GraphModuleOptions options;  // of octconv's module
  at::MemoryFormat format;                  // of the plain network
  bool keep_memory;
};

constexpr auto kFirst = at::MemoryFormat::Contiguous;
constexpr auto kLast = at::MemoryFormat::ChannelsLast;
constexpr std::array kForms{
    Form{"octconv", false, {}, kLast, true},
    Form{"octconv, composed", false, {.composed = true}, kLast, true},
    Form{"octconv, blocks computed again", false, {.checkpoint_blocks = true}, kLast, true},
    Form{"octconv, allocators as they are", false, {}, kLast, false},
    Form{"plain", true, {}, kFirst, false},
    Form{"plain, freed memory kept", true, {}, kFirst, true},
    Form{"plain, channels last", true, {}, kLast, false},
    Form{"plain, channels last, freed memory kept", true, {}, kLast, true},
    Form{"octconv, bfloat16", false, {.bfloat16 = true}, kLast, true},  // last: not everywhere
};
constexpr std::size_t kPlain = 4;  // what the others are compared with

const Form& find_form(const std::string& name) {
  std::string known;
  for (const Form& form : kForms) {
    if (name == form.name) return form;
    known += std::string(known.empty() ? "'" : ", '") + form.name + "'";
  }
  throw octconv::InvalidArgument("unknown form '" + name + "'; known are " + known);
}

// Of one step.
struct Report {
  double loss = 0;
  double milliseconds = 0;
  double kilobytes = 0;
};

// The network in one form, and what it learns.
class Training {
 public:
  Training(const Form& form, const Task& task) {
    octconv::nn::keep_freed_memory(form.keep_memory);
    at::set_num_threads(task.threads);
    octconv::Graph graph =
        octconv::octavize(octconv::make_network(task.network), {.alpha = task.alpha}).graph;
    at::manual_seed(1);
    const auto channels = [&](octconv::NodeId id) { return graph.node(id).channels.total(); };
    images_ = at::randn({task.batch, channels(graph.inputs()[0]), task.size, task.size});
    labels_ = at::randint(0, channels(graph.outputs()[0]), {task.batch}, at::kLong);
    if (form.plain) {
      plain_.emplace(std::move(graph), form.format);
      plain_sgd_.emplace(plain_->parameters(), torch::optim::SGDOptions(kRate).momentum(kMomentum));
      return;
    }
    module_.emplace(std::move(graph), 0, form.options);
    std::vector<octconv::train::Trained> trained;
    for (const auto& [parameter, value] : module_->named_parameters()) {
      trained.push_back({parameter, value});
    }
    sgd_.emplace(std::move(trained), kMomentum, octconv::train::Momentum::kPlain);
  }

  Report step() {
    const auto start = std::chrono::steady_clock::now();
    const at::Tensor scores = plain_ ? plain_->forward(images_) : module_->forward(images_);
    const at::Tensor loss = torch::nn::functional::cross_entropy(scores, labels_);
    loss.backward();
    if (plain_) {
      plain_sgd_->step();
      for (const at::Tensor& parameter : plain_->parameters()) parameter.mutable_grad().reset();
    } else {
      sgd_->step(kRate);
    }
    const std::chrono::duration<double, std::milli> taken =
        std::chrono::steady_clock::now() - start;
    return {loss.item<double>(), taken.count(), peak_kilobytes()};
  }

 private:
  static constexpr double kRate = 0.01;
  static constexpr double kMomentum = 0.9;

  at::Tensor images_;
  at::Tensor labels_;
  std::optional<PlainNetwork> plain_;
  std::optional<octconv::nn::GraphModule> module_;
  std::optional<torch::optim::SGD> plain_sgd_;
  std::optional<octconv::train::Sgd> sgd_;
};

// Makes a step for each byte on `in`, and answers with a Report on `out`.
void work(const Form& form, const Task& task, int in, int out) {
  Training training(form, task);
  for (char byte = 0; read(in, &byte, 1) == 1;) {
    const Report report = training.step();
    if (write(out, &report, sizeof report) != sizeof report) return;
  }
}

// The same for lines of text.
void serve(const Form& form, const Task& task) {
  const double base = peak_kilobytes();
  Training training(form, task);
  std::cout << "ready " << base << std::endl;
  for (std::string order; std::getline(std::cin, order);) {
    if (order == "step") {
      const Report report = training.step();
      std::cout << "step " << report.milliseconds << ' ' << report.loss << std::endl;
    } else if (order == "memory") {
      std::cout << "memory " << peak_kilobytes() << std::endl;
    } else {
      throw octconv::InvalidArgument("unknown order '" + order + "'");
    }
  }
}

// A process that trains one form.
class Worker {
 public:
  Worker(const Form& form, const Task& task) {
    std::array<int, 2> orders{};
    std::array<int, 2> reports{};
    if (pipe2(orders.data(), O_CLOEXEC) != 0 || pipe2(reports.data(), O_CLOEXEC) != 0)
      throw octconv::Error("cannot make a pipe");
    const pid_t child = fork();
    if (child < 0) throw octconv::Error("cannot start a process");
    if (child == 0) {
      close(orders[1]);
      try {
        work(form, task, orders[0], reports[1]);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", form.name, error.what());
        _exit(1);
      }
      _exit(0);
    }
    close(orders[0]);
    close(reports[1]);
    orders_ = orders[1];
    reports_ = reports[0];
  }

  Report step() {
    const char byte = 0;
    Report report;
    if (write(orders_, &byte, 1) != 1 || read(reports_, &report, sizeof report) != sizeof report)
      throw octconv::Error("a training process ended early");
    return report;
  }

 private:
  int orders_ = -1;
  int reports_ = -1;
};

void measure(const Task& task) {
  std::vector<Worker> workers;
  for (const Form& form : kForms) {
    if (form.options.bfloat16 && !octconv::nn::multiplies_bfloat16()) continue;
    workers.emplace_back(form, task);
  }
  std::vector<Report> first;
  for (Worker& worker : workers) first.push_back(worker.step());
  std::vector<std::vector<double>> times(workers.size());
  for (int round = 0; round < task.rounds; ++round) {
    for (std::size_t i = 0; i < workers.size(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      static_cast<void>(workers[i].step());
      times[i].push_back(workers[i].step().milliseconds);
    }
  }
  std::printf("%s, alpha %g, batch %d, %d x %d, %d threads: one training step\n",
              task.network.c_str(), task.alpha, static_cast<int>(task.batch),
              static_cast<int>(task.size), static_cast<int>(task.size), task.threads);
  std::printf("%-42s %10s %10s %10s %10s %12s\n", "", "peak MB", "of plain", "ms", "of plain",
              "first loss");
  for (std::size_t i = 0; i < workers.size(); ++i) {
    std::printf("%-42s %10.0f %10.3f %10.0f %10.3f %12.6f\n", kForms[i].name,
                first[i].kilobytes / 1024, first[i].kilobytes / first[kPlain].kilobytes,
                median(times[i]), median(times[i]) / median(times[kPlain]), first[i].loss);
  }
}

// NETWORK ALPHA BATCH SIZE, as far as they are given.
Task read_task(const std::vector<std::string>& arguments) {
  Task task;
  if (arguments.size() > 0) task.network = arguments[0];
  if (arguments.size() > 1) task.alpha = std::stod(arguments[1]);
  if (arguments.size() > 2) task.batch = std::stoll(arguments[2]);
  if (arguments.size() > 3) task.size = std::stoll(arguments[3]);
  return task;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    if (!arguments.empty() && arguments[0] == "--serve") {
      if (arguments.size() != 7) throw octconv::InvalidArgument("--serve takes six arguments");
      Task task = read_task({arguments.begin() + 2, arguments.end() - 1});
      task.threads = std::stoi(arguments.back());
      serve(find_form(arguments[1]), task);
      return 0;
    }
    Task task = read_task(arguments);
    if (arguments.size() > 4) task.rounds = std::stoi(arguments[4]);
    if (arguments.size() > 5) task.threads = std::stoi(arguments[5]);
    measure(task);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "octconv_training_bench: %s\n", error.what());
    return 1;
  }
}
