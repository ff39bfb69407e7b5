// SPDX-License-Identifier: Apache-2.0
// A small octave network, written and trained by hand: small_network [steps [data set]]
#include <iostream>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "octconv/base/error.h"
#include "octconv/image/dataset.h"
#include "octconv/nn/modules.h"

namespace {

namespace nn = octconv::nn;

// Convolutions that keep a quarter of their channels at half resolution; the first takes an
// ordinary picture, the last gives an ordinary map again.
class SmallNetworkImpl : public torch::nn::Module {
 public:
  SmallNetworkImpl(std::int64_t channels, std::int64_t classes)
      : conv1_(nn::OctConv2dOptions(channels, 16, 3).padding(1).alpha_in(0).alpha_out(0.25)),
        norm1_(16),
        conv2_(nn::OctConv2dOptions(16, 32, 3).padding(1).stride(2).alpha(0.25)),
        norm2_(32),
        conv3_(nn::OctConv2dOptions(32, 64, 3).padding(1).stride(2).alpha_in(0.25).alpha_out(0)),
        norm3_(64),
        linear_(64, classes) {
    register_module("conv1", conv1_);
    register_module("norm1", norm1_);
    register_module("conv2", conv2_);
    register_module("norm2", norm2_);
    register_module("conv3", conv3_);
    register_module("norm3", norm3_);
    register_module("linear", linear_);
  }

  torch::Tensor forward(const torch::Tensor& pictures) {
    nn::OctTensor x = nn::relu(norm1_(conv1_(pictures)));
    x = nn::relu(norm2_(conv2_(x)));
    x = nn::relu(norm3_(conv3_(x)));
    return linear_(nn::global_average(x));
  }

 private:
  nn::OctConv2d conv1_;
  nn::OctBatchNorm2d norm1_;
  nn::OctConv2d conv2_;
  nn::OctBatchNorm2d norm2_;
  nn::OctConv2d conv3_;
  nn::OctBatchNorm2d norm3_;
  torch::nn::Linear linear_;
};
TORCH_MODULE(SmallNetwork);

// All pictures as [n, channels, height, width], normalised; the bytes stay with `images`.
torch::Tensor to_tensor(const octconv::Dataset& data) {
  const octconv::LabelledImages& images = data.train;
  const torch::Tensor bytes =
      torch::from_blob(const_cast<std::uint8_t*>(images.pixels.data()),
                       {images.count(), images.height, images.width, images.channels}, torch::kU8);
  const torch::Tensor mean = torch::tensor(data.mean).view({1, -1, 1, 1});
  const torch::Tensor deviation = torch::tensor(data.deviation).view({1, -1, 1, 1});
  return (bytes.permute({0, 3, 1, 2}).to(torch::kFloat) / 255 - mean) / deviation;
}

void train(std::int64_t steps, const std::string& name) {
  const octconv::Dataset data = octconv::open_dataset(name);
  const torch::Tensor pictures = to_tensor(data);
  const torch::Tensor labels = torch::tensor(data.train.labels).to(torch::kLong);
  torch::manual_seed(1);
  SmallNetwork network(data.train.channels, static_cast<std::int64_t>(data.classes.size()));
  torch::optim::SGD optimizer(network->parameters(),
                              torch::optim::SGDOptions(0.05).momentum(0.9).nesterov(true));
  constexpr std::int64_t kBatch = 64;
  constexpr std::int64_t kReported = 10;
  double loss_sum = 0;
  for (std::int64_t step = 1; step <= steps; ++step) {
    const torch::Tensor chosen = torch::randint(data.train.count(), {kBatch}, torch::kLong);
    const torch::Tensor loss = torch::nn::functional::cross_entropy(
        network(pictures.index_select(0, chosen)), labels.index_select(0, chosen));
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    loss_sum += loss.item<double>();
    if (step % kReported == 0) {
      std::cout << "step " << step << " loss " << loss_sum / kReported << '\n';
      loss_sum = 0;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    train(argc > 1 ? std::stoll(argv[1]) : 100, argc > 2 ? argv[2] : "fashion-mnist");
  } catch (const octconv::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  } catch (const std::exception&) {
    std::cerr << "usage: small_network [steps [data set]]\n";
    return 2;
  }
}
