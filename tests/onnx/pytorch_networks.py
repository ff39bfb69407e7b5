# SPDX-License-Identifier: Apache-2.0
"""The networks that PyTorch exports for the tests: all with statistics and parameters that hide nothing.

usage: pytorch_networks.py FOLDER NAME..., with a Python that has torch and torchvision (Debian's python3-torchvision):
writes NAME.onnx for networks of the table NETWORKS, and NAME.x.npy and NAME.y.npy, images and what PyTorch makes
of them.
"""
import copy
import pathlib
import sys
import warnings

import numpy as np
import torch
import torchvision
from torch import nn

warnings.filterwarnings("ignore")

MODELS = torchvision.models


class Gated(nn.Module):
    """Squeeze-excite, whose means are ReduceMean, and a Reshape before the last layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.down, self.up = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.head = nn.Linear(16, 7)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        gate = torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))
        return self.head((x * gate).mean((2, 3), keepdim=True).view(-1, 16))


class Segments(nn.Module):
    """A segmenting network without its further outputs."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)["out"]


# Name: how it is made, and the extents that it is shown.
NETWORKS = {
    "densenet121": (lambda: MODELS.densenet121(num_classes=10), (64, 64)),
    "efficientnet_b0": (lambda: MODELS.efficientnet_b0(num_classes=10), (64, 64)),
    "gated": (Gated, (21, 21)),
    "googlenet": (lambda: MODELS.googlenet(num_classes=10, aux_logits=False, init_weights=False), (64, 64)),
    "inception_v3": (lambda: MODELS.inception_v3(num_classes=10, aux_logits=False, init_weights=False), (128, 128)),
    "lraspp_mobilenet_v3_large": (
        # Without a word on the backbone's weights torchvision downloads them.
        lambda: Segments(MODELS.segmentation.lraspp_mobilenet_v3_large(num_classes=10, weights_backbone=None)), (64, 96)
    ),
    "mnasnet0_5": (lambda: MODELS.mnasnet0_5(num_classes=10), (64, 64)),
    "mobilenet_v2": (lambda: MODELS.mobilenet_v2(num_classes=10), (96, 96)),
    "mobilenet_v3_small": (lambda: MODELS.mobilenet_v3_small(num_classes=10), (64, 64)),
    "r3d_18": (lambda: MODELS.video.r3d_18(num_classes=10), (4, 32, 32)),
    "regnet_y_400mf": (lambda: MODELS.regnet_y_400mf(num_classes=10), (64, 64)),
    "resnet18": (lambda: MODELS.resnet18(num_classes=10), (65, 65)),
    "resnext50_32x4d": (lambda: MODELS.resnext50_32x4d(num_classes=10), (64, 64)),
    "shufflenet_v2_x1_0": (lambda: MODELS.shufflenet_v2_x1_0(num_classes=10), (64, 64)),
    "squeezenet1_1": (lambda: MODELS.squeezenet1_1(num_classes=10), (67, 67)),
    "vgg11": (lambda: MODELS.vgg11(num_classes=10), (224, 224)),
}


def randomised(network):
    """Statistics as a trained network has them: those of random images, and no parameter at rest."""
    torch.manual_seed(7)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = 1
    network.train()
    return network


def prepare(network, extents, channels=3, batch=2):
    """The network with statistics, images, and what it makes of them in double: where few pixels give the
    statistics, float32 itself is up to half of a tenthousandth of the range off."""
    network = randomised(network)
    images = torch.randn(batch, channels, *extents)
    with torch.no_grad():
        network(torch.randn(8, channels, *extents))  # sets the statistics
        network.eval()
        return network, images, copy.deepcopy(network).double()(images.double()).numpy()


def export(network, images, path, **options):
    torch.onnx.export(network.eval(), images, path, input_names=["images"], **options)


def main():
    if len(sys.argv) < 3 or not set(sys.argv[2:]) <= set(NETWORKS):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:]:
        make, extents = NETWORKS[name]
        torch.manual_seed(3)
        network, images, expected = prepare(make(), extents)
        export(network, images, folder / f"{name}.onnx", opset_version=17)
        np.save(folder / f"{name}.x.npy", images.numpy())
        np.save(folder / f"{name}.y.npy", expected)


if __name__ == "__main__":
    main()
