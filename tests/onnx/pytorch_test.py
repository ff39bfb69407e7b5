# SPDX-License-Identifier: Apache-2.0
"""Networks that PyTorch exports, read by octconv, give what PyTorch gives.

usage: pytorch_test.py path/to/octconv [unittest arguments], with a Python that has torch, torchvision and numpy
(Debian's python3-torchvision)
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np
import torch
import torchvision
from torch import nn

import octave_styles
import pytorch_networks

TOOL = ""  # set by main

# Two float32 engines that add up some thousand products in different orders, up to 120 layers deep, agree to about
# 1e-6 of the range of their output; a wrong pixel or channel shows as 1e-2 and more.
TOLERANCE = 1e-4

# Left out unless OCTCONV_TEST_EVERYTHING is set: half of the time, for operations that others have too.
LARGE = ("inception_v3", "r3d_18", "regnet_y_400mf", "vgg11")


def octconv(*arguments, expected=0):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if done.returncode != expected:
        raise AssertionError(f"octconv {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr}")
    return done.stderr if expected else done.stdout


class OctConv(nn.Module):
    """The article's equations 3 and 4 with a module per path, called as d-li14/octconv.pytorch calls them: x and y
    are pairs of maps, of which the second, on the low grid, may be missing. Strides are pools."""

    def __init__(self, ins, outs, kernel, stride):
        super().__init__()
        self.stride = stride
        for source, channels in zip("hl", ins):
            for result, wanted in zip("hl", outs):
                if channels > 0 and wanted > 0:
                    conv = nn.Conv2d(channels, wanted, kernel, padding=kernel // 2, bias=False)
                    setattr(self, f"conv_{source}2{result}", conv)

    def forward(self, x):
        high, low = x
        path, pool = dict(self.named_children()), lambda map: nn.functional.avg_pool2d(map, 2)
        if self.stride == 2:
            high = pool(high)
        result = path["conv_h2h"](high)
        below = path["conv_h2l"](pool(high)) if "conv_h2l" in path else None
        if low is not None:
            up = path["conv_l2h"](low)
            result = result + (up if self.stride == 2 else nn.functional.interpolate(up, scale_factor=2))
            if below is not None:
                below = below + path["conv_l2l"](pool(low) if self.stride == 2 else low)
        return result, below


class OctConvNorm(nn.Module):
    def __init__(self, ins, outs, kernel, stride=1):
        super().__init__()
        self.conv = OctConv(ins, outs, kernel, stride)
        self.bn_h = nn.BatchNorm2d(outs[0])
        self.bn_l = nn.BatchNorm2d(outs[1]) if outs[1] > 0 else None

    def forward(self, x):
        high, low = self.conv(x)
        return self.bn_h(high), None if low is None else self.bn_l(low)


def pairwise(function, *pairs):
    return tuple(None if maps[0] is None else function(*maps) for maps in zip(*pairs))


class OctBottleneck(nn.Module):
    def __init__(self, ins, mid, outs, stride, project):
        super().__init__()
        self.conv1, self.conv2 = OctConvNorm(ins, mid, 1), OctConvNorm(mid, mid, 3, stride)
        self.conv3 = OctConvNorm(mid, outs, 1)
        self.downsample = nn.Sequential(OctConvNorm(ins, outs, 1, stride)) if project else nn.Identity()

    def forward(self, x):
        y = pairwise(torch.relu, self.conv1(x))
        y = self.conv3(pairwise(torch.relu, self.conv2(y)))
        return pairwise(torch.relu, pairwise(torch.add, y, self.downsample(x)))


class OctResNet50(nn.Module):
    def __init__(self, classes, alpha):
        super().__init__()
        split = lambda channels, alpha: (channels - int(alpha * channels), int(alpha * channels))  # noqa: E731
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        channels = (64, 0)
        for stage, blocks in enumerate((3, 4, 6, 3)):
            share = alpha if stage < 3 else 0
            mid, outs = split(64 << stage, share), split(256 << stage, share)
            layer = []
            for block in range(blocks):
                layer.append(OctBottleneck(channels, mid, outs, 2 if stage > 0 and block == 0 else 1, block == 0))
                channels = outs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.fc = nn.Linear(2048, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1((x, None)))))
        return self.fc(x[0].mean((2, 3)))


class Imports(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def export(self, network, images, **options):
        path = self.folder / "network.onnx"
        pytorch_networks.export(network, images, path, **options)
        return path

    def run_file(self, path, images):
        np.save(self.folder / "x.npy", images.numpy())
        octconv("run", path, "--input", self.folder / "x.npy", "--output", self.folder / "y.npy")
        return np.load(self.folder / "y.npy")

    def compare(self, network, size, channels=3, batch=2, **options):
        extents = size if isinstance(size, tuple) else (size, size)
        network, images, expected = pytorch_networks.prepare(network, extents, channels, batch)
        path = self.export(network, images, **options)
        got = self.run_file(path, images)
        expected = expected.reshape(got.shape)
        self.assertLess(np.abs(got - expected).max() / np.ptp(expected), TOLERANCE)
        return path

    # --- torchvision's networks

    def test_every_network(self):
        for name, (make, extents) in pytorch_networks.NETWORKS.items():
            if name in LARGE and "OCTCONV_TEST_EVERYTHING" not in os.environ:
                continue
            with self.subTest(network=name):
                torch.manual_seed(3)
                self.compare(make(), extents)

    def test_opsets(self):
        for opset in (9, 11, 13, 17):
            with self.subTest(opset=opset):
                self.compare(torchvision.models.resnet18(num_classes=10), 65, opset_version=opset)

    def test_batch_norm_that_was_not_folded(self):
        training = torch.onnx.TrainingMode.PRESERVE
        self.compare(torchvision.models.resnet18(num_classes=10), 64, training=training,
                     do_constant_folding=False)  # fmt: skip

    def test_a_network_of_one_axis(self):
        network = nn.Sequential(
            nn.Conv1d(3, 8, 5, stride=2, padding=2), nn.BatchNorm1d(8), nn.ReLU6(), nn.MaxPool1d(2),
            nn.Conv1d(8, 12, 3, padding=2, dilation=2, groups=4), nn.Sigmoid(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
            nn.Linear(12, 5),
        )  # fmt: skip
        self.compare(network, (41,))

    # --- several inputs and outputs

    def test_inputs_of_different_extents_and_two_outputs(self):
        class Stereo(nn.Module):
            def __init__(self):
                super().__init__()
                self.fine, self.coarse = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Conv2d(2, 4, 3, padding=1)
                self.head = nn.Linear(4, 3)

            def forward(self, left, right):
                sum = torch.relu(self.fine(left) + self.coarse(right))
                return self.head(sum.mean((2, 3))), sum

        network = Stereo().eval()
        left, right = torch.randn(2, 1, 17, 13), torch.randn(2, 2, 9, 7)
        with torch.no_grad():
            logits, sum = network(left, right)
        path = self.folder / "stereo.onnx"
        torch.onnx.export(network, (left, right), path, input_names=["left", "right"], output_names=["logits", "sum"])
        np.save(self.folder / "l.npy", left.numpy())
        np.save(self.folder / "r.npy", right.numpy())
        inputs = ("--input", f"right={self.folder}/r.npy", "--input", f"left={self.folder}/l.npy")
        names = [layer["name"] for layer in json.loads(octconv("inspect", path, "--json"))["layers"]]
        self.assertIn("head", names)
        relu = next(name for name in names if "Relu" in name)
        octconv("run", path, *inputs, "--output", f"{relu}={self.folder}/s.npy", "--output", f"head={self.folder}/y.npy")
        np.testing.assert_allclose(np.load(self.folder / "y.npy"), logits, atol=1e-5)
        np.testing.assert_allclose(np.load(self.folder / "s.npy"), sum, atol=1e-5)
        for missing in (inputs[:2], inputs[2:]):
            error = octconv("run", path, *missing, "--output", f"head={self.folder}/y.npy", expected=1)
            self.assertIn("has no file", error)
        error = octconv("run", path, *inputs, "--output", "y.npy", expected=1)
        self.assertIn(f"'{relu}'", error)

    # --- octave twins

    def test_octave_twins_cost_less_and_alpha_0_changes_nothing(self):
        network = torchvision.models.resnet18(num_classes=10)
        path = self.compare(network, 64)
        images = torch.randn(2, 3, 64, 64)
        before = self.run_file(path, images)
        twin = self.folder / "twin.onnx"
        octconv("octavize", path, "--alpha", 0, "-o", twin)
        np.testing.assert_allclose(self.run_file(twin, images), before, atol=1e-5 * np.ptp(before))
        result = json.loads(octconv("octavize", path, "--alpha", 0.5, "--json", "-o", twin))
        self.assertEqual(result["kept_ordinary"], [])
        # All but the three convolutions of the last stage that read what that stage makes: the first one gives
        # octave values too, since the first block adds its own result to them.
        self.assertEqual(result["octave_convs"], 17)
        self.assertLess(result["after"]["macs"], 0.7 * result["before"]["macs"])
        self.assertEqual(self.run_file(twin, images).shape, before.shape)

    # --- weights by name

    def compare_weights(self, zoo_name, network, size=64, save=None, options=()):
        network = pytorch_networks.randomised(network)
        images = torch.randn(2, 3, size, size)
        with torch.no_grad():
            network(torch.randn(8, 3, size, size))  # sets the statistics
            expected = network.eval()(images).numpy()
        weights, path = self.folder / "weights", self.folder / "network.onnx"
        (save or (lambda: torch.save(network.state_dict(), weights)))()
        octconv("export", zoo_name, "--classes", expected.shape[1], "--size", size, "--weights", weights, *options,
                "-o", path)  # fmt: skip
        got = self.run_file(path, images)
        self.assertLess(np.abs(got - expected).max() / np.ptp(expected), TOLERANCE)
        return network, weights

    def test_torchvision_state_dicts(self):
        for zoo_name, name in (
            ("resnet18v1", "resnet18"), ("resnet34v1", "resnet34"), ("resnet50_v1b", "resnet50"),
            ("resnext50_32x4d", "resnext50_32x4d"), ("wide_resnet50_2", "wide_resnet50_2"),
            ("mobilenet_v2", "mobilenet_v2"), ("densenet121", "densenet121"),
        ):  # fmt: skip
            with self.subTest(name):
                self.compare_weights(zoo_name, getattr(torchvision.models, name)(num_classes=10))

    def test_octave_state_dicts_with_a_kernel_per_path(self):
        for alpha in (0, 0.25, 0.5):
            network = OctResNet50(5, alpha)
            self.assertEqual("layer2.0.conv2.conv.conv_h2l.weight" in network.state_dict(), alpha > 0)
            self.compare_weights("resnet50_v1b", network, 64, options=("--alpha", alpha, "--stride-mode", "pool"))

    def test_checkpoints_and_types(self):
        def saved(make):
            network = torchvision.models.resnet18(num_classes=5)
            weights = self.folder / "weights"
            self.compare_weights("resnet18v1", network, 33, lambda: torch.save(make(network), weights))

        saved(lambda network: {"epoch": 3, "arch": "resnet18", "state_dict": nn.DataParallel(network).state_dict(),
                               "optimizer": torch.optim.SGD(network.parameters(), 0.1).state_dict()})  # fmt: skip
        saved(lambda network: {name: tensor.double() for name, tensor in network.state_dict().items()})
        saved(lambda network: dict(network.named_parameters()) | dict(network.named_buffers()))

    def test_safetensors(self):
        types = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}

        def write(state, path):
            header, data = {"__metadata__": {"format": "pt"}}, b""
            for name, tensor in state.items():
                raw = tensor.numpy().tobytes()
                header[name] = {"dtype": types[tensor.dtype], "shape": list(tensor.shape),
                                "data_offsets": [len(data), len(data) + len(raw)]}  # fmt: skip
                data += raw
            text = json.dumps(header).encode()
            path.write_bytes(len(text).to_bytes(8, "little") + text + data)

        network = torchvision.models.resnet18(num_classes=5)
        self.compare_weights("resnet18v1", network, 33, lambda: write(network.state_dict(), self.folder / "weights"))

    def test_the_older_names_of_densenet(self):
        network = torchvision.models.densenet121(num_classes=5)
        older = lambda name: re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", name)  # noqa: E731
        self.assertIn("denselayer1.norm.1.weight", older("denselayer1.norm1.weight"))
        self.compare_weights("densenet121", network, 64, lambda: torch.save(
            {older(name): tensor for name, tensor in network.state_dict().items()}, self.folder / "weights"))  # fmt: skip

    def test_weights_of_another_network_are_refused_with_all_names(self):
        weights = self.folder / "weights"
        state = torchvision.models.resnet18(num_classes=10).state_dict()
        torch.save(state, weights)
        error = octconv("export", "resnet34v1", "--classes", 10, "--weights", weights, "-o", "x.onnx", expected=1)
        self.assertIn("'layer3.5.conv2.weight' [256, 256, 3, 3] is missing", error)
        error = octconv("export", "resnet18v1", "--weights", weights, "-o", "x.onnx", expected=1)
        self.assertIn("'fc.weight' has shape [10, 512] instead of [1000, 512]", error)
        torch.save(state, weights, _use_new_zipfile_serialization=False)
        error = octconv("export", "resnet18v1", "--weights", weights, "-o", "x.onnx", expected=1)
        self.assertIn("PyTorch before 1.6", error)
        torch.save(nn.Linear(2, 3), weights)
        error = octconv("export", "resnet18v1", "--weights", weights, "-o", "x.onnx", expected=1)
        self.assertIn("state_dict()", error)

    # --- octave networks of others

    def recognise(self, network, size, octave_convs, convs, **options):
        path = self.compare(network, size, **options)
        images = np.load(self.folder / "x.npy")
        plain = np.load(self.folder / "y.npy")
        raised = self.folder / "raised.onnx"
        self.assertIn(f"recognised: {octave_convs}\n", octconv("raise", path, "-o", raised))
        counted = json.loads(octconv("inspect", raised, "--json"))
        self.assertEqual((counted["octave_convs"], counted["convs"]), (octave_convs, convs))
        got = self.run_file(raised, torch.from_numpy(images))
        self.assertLess(np.abs(got - plain).max() / np.ptp(plain), TOLERANCE)

    def test_an_octave_resnet_50_is_recognised(self):
        for alpha in (0.125, 0.5):
            with self.subTest(alpha=alpha):
                self.recognise(OctResNet50(5, alpha), 64, 44, 53)

    def test_styles_are_recognised(self):
        unfolded = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        for convs, size, style, options in (
            (5, (32, 32), {"mode": "pool"}, {}), (5, (32, 32), {"mode": "pool_twice"}, {}),
            (5, (32, 32), {"mode": "pool_low"}, {}), (5, (32, 32), {"mode": "strided"}, {}),
            (5, (32, 32), {"bias": True}, {}), (5, (32, 32), {}, unfolded), (5, (32, 32), {"path_norm": True}, unfolded),
            (5, (32, 32), {"groups": 2}, {}), (5, (32, 32), {"depthwise": True}, {}), (5, (32, 32), {"joined": True}, {}),
            (5, (32, 32), {"one_weight": True}, {}), (5, (32, 32), {"one_weight": True}, unfolded),
            (5, (32, 32), {"gates": True}, {}), (4, (32, 32), {"head": "low_first"}, {}),
            (4, (32, 32), {"head": "high_first"}, {}), (5, (31, 29), {"ceil": True}, {}),
            (5, (40,), {"octave": (2,)}, {}), (5, (8, 16, 16), {"octave": (2, 2, 2)}, {}),
            (5, (4, 16, 16), {"octave": (1, 2, 2)}, {}), (5, (32, 32), {"mode": "strided", "enlarge_first": True}, {}),
            (5, (31, 29), {"mode": "strided", "enlarge_first": True, "ceil": True}, {}),
        ):  # fmt: skip
            with self.subTest(**style, folded=not options):
                self.recognise(octave_styles.Network(**style), size, convs - 1, convs, **options)

    def test_what_only_looks_octave_is_not_recognised(self):
        with mock.patch.dict(octave_styles.MEANS, {2: nn.functional.max_pool2d}):
            path = self.compare(octave_styles.Network(), 32)
        error = octconv("raise", path, "-o", self.folder / "raised.onnx", expected=1)
        self.assertIn("no octave convolution is recognised", error)
        self.assertFalse((self.folder / "raised.onnx").exists())

    # --- what cannot be taken

    def test_every_operation_that_cannot_be_taken_is_named(self):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Conv2d(4, 4, 3), nn.Softplus())
        path = self.export(network, torch.randn(1, 3, 9, 9))
        error = octconv("octavize", path, "--alpha", 0.5, "-o", self.folder / "twin.onnx", expected=1)
        for name in ("(Erf)", "(Softplus)"):
            self.assertIn(name, error)

    def test_a_flattened_map_is_taken(self):
        self.compare(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 49, 3)), 9)


if __name__ == "__main__":
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()
