# SPDX-License-Identifier: Apache-2.0
"""Octave convolution in PyTorch as the known implementations spell it out: a module per path, with pools,
enlargements and sums between them. Strides, biases, norms, gates, heads and ranks are options.
"""
import torch
from torch import nn
from torch.nn import functional

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MEANS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


class Block(nn.Module):
    """The convolution with a block of a weight that all paths share."""

    def __init__(self, weight, rows, columns, kernel):
        super().__init__()
        self.weight, self.rows, self.columns, self.padding = weight, rows, columns, kernel // 2

    def forward(self, x):
        return functional.conv2d(x, self.weight[self.rows, self.columns], padding=self.padding)


class OctConv(nn.Module):
    """x and y are pairs of maps, of which the second, on the low grid, may be missing."""

    def __init__(self, ins, outs, kernel=3, stride=1, mode="pool_twice", octave=(2, 2), bias=False, groups=1,
                 depthwise=False, path_norm=False, ceil=False, enlarge_first=False, one_weight=False):  # fmt: skip
        super().__init__()
        self.octave, self.stride, self.mode, self.ceil, self.first = octave, stride, mode, ceil, enlarge_first
        self.pooled = stride == 2 and mode != "strided"
        rank = len(octave)
        if one_weight:
            self.weight = nn.Parameter(0.1 * torch.randn(sum(outs), sum(ins), kernel, kernel))
        rows = {"h": slice(0, outs[0]), "l": slice(outs[0], None)}
        columns = {"h": slice(0, ins[0]), "l": slice(ins[0], None)}
        for source, channels in zip("hl", ins):
            for result, wanted in zip("hl", outs):
                if channels == 0 or wanted == 0 or (depthwise and source != result):
                    continue
                conv = CONVS[rank](channels, wanted, kernel, padding=kernel // 2, bias=bias,
                                   groups=channels if depthwise else groups,
                                   stride=1 if self.pooled else stride)  # fmt: skip
                if one_weight:
                    conv = Block(self.weight, rows[result], columns[source], kernel)
                norm = NORMS[rank](wanted) if path_norm else nn.Identity()
                setattr(self, f"conv_{source}2{result}", nn.Sequential(conv, norm))

    def half(self, map, window):
        return MEANS[len(window)](map, window, window, ceil_mode=self.ceil)

    def enlarge(self, map, like):
        map = functional.interpolate(map, scale_factor=tuple(float(factor) for factor in self.octave))
        for axis, extent in enumerate(like.shape[2:], 2):
            if map.shape[axis] != extent:
                map = map.narrow(axis, 0, extent)
        return map

    def forward(self, x):
        high, low = x
        path, octave = dict(self.named_children()), self.octave
        fine = self.half(high, octave) if self.pooled else high
        result, below = path["conv_h2h"](fine), None
        if "conv_h2l" in path:
            once = self.pooled and self.mode == "pool"
            coarse = self.half(high, tuple(o * o for o in octave)) if once else self.half(fine, octave)
            below = path["conv_h2l"](coarse)
        if low is None:
            return result, below
        small = self.half(low, octave) if self.pooled else low
        if "conv_l2l" in path:
            stays = path["conv_l2l"](small)
            below = stays if below is None else below + stays
        if "conv_l2h" in path:
            if self.first:
                up = path["conv_l2h"](self.enlarge(low, high))
            elif self.pooled and self.mode != "pool_low":
                up = path["conv_l2h"](low)
            else:
                up = self.enlarge(path["conv_l2h"](small), result)
            result = result + up
        return result, below


class Network(nn.Module):
    """An ordinary convolution, a first octave one, a strided one, one with a shortcut, and a head."""

    def __init__(self, octave=(2, 2), head="last", joined=False, gates=False, depthwise=False, **options):
        super().__init__()
        self.rank, self.head, self.joined = len(octave), head, joined
        options["octave"] = octave
        norms = lambda: nn.ModuleList([NORMS[self.rank](channels) for channels in (12, 4)])  # noqa: E731
        self.stem = CONVS[self.rank](3, 4, 3, padding=1)
        self.conv1, self.bn1 = OctConv((4, 0), (12, 4), **options), norms()
        self.conv2, self.bn2 = OctConv((12, 4), (12, 4), stride=2, depthwise=depthwise, **options), norms()
        self.conv3, self.bn3 = OctConv((12, 4), (12, 4), depthwise=depthwise, **options), norms()
        factor = 2 if joined else 1
        self.last = OctConv((12 * factor, 4 * factor), (8, 0), **options) if head == "last" else None
        self.fc = nn.Linear(8 if head == "last" else 16 * factor, 5)
        gate = lambda channels: nn.Sequential(  # noqa: E731
            CONVS[self.rank](channels, 3, 1), nn.ReLU(), CONVS[self.rank](3, channels, 1), nn.Sigmoid())  # fmt: skip
        self.gates = nn.ModuleList([gate(12), gate(4)]) if gates else None

    def mean(self, map):
        return map.mean(tuple(range(2, 2 + self.rank)), keepdim=True)

    def forward(self, x):
        pairs = lambda function, *maps: [function(*both) for both in zip(*maps)]  # noqa: E731
        norm = lambda module, map: module(map)  # noqa: E731
        x = pairs(torch.relu, pairs(norm, self.bn1, self.conv1((torch.relu(self.stem(x)), None))))
        x = pairs(torch.relu, pairs(norm, self.bn2, self.conv2(x)))
        y = pairs(norm, self.bn3, self.conv3(x))
        if self.gates is not None:
            y = pairs(lambda map, gate: map * gate(self.mean(map)), y, self.gates)
        x = pairs(lambda a, b: torch.cat([a, b], 1) if self.joined else torch.relu(a + b), x, y)
        if self.last is not None:
            return self.fc(self.mean(self.last(x)[0]).flatten(1))
        means = pairs(lambda map: self.mean(map).flatten(1), x)
        return self.fc(torch.cat(means if self.head == "high_first" else means[::-1], 1))
