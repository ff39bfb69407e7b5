#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden tensors of octave convolution: layers built in PyTorch's Python interface, the two ways people
build them, with the gradients that its autograd finds.

  sudo apt-get install python3-torch && /usr/bin/python3 tests/golden/make_golden.py

Every layer is <name>.npy beside this file: one vector of float32 that holds, one after the other and each in C order,

  input high, input low, weight, bias, output high, output low,
  dL/doutput high, dL/doutput low, dL/dinput high, dL/dinput low, dL/dweight, dL/dbias

where a frequency that a layer does not have takes no room. All drawn values are small integers and all pools average
a power of two pixels, so every number is exact in float32, whoever computes it and in whichever order.

The weight is that of the ordinary layer, [out, in / groups, k, k], low channels first. versions.json records what
made the files.
"""
import json
import pathlib
import platform

import numpy
import torch
import torch.nn.functional as F

BATCH = 2
FOLDER = pathlib.Path(__file__).resolve().parent


def integers(generator, *shape, largest=4):
    """A leaf tensor of whole numbers in [-largest, largest]."""
    values = torch.randint(-largest, largest + 1, shape, generator=generator)
    return values.to(torch.float64).requires_grad_()


class ArticleLayer:
    """As the article's text and listing have it: one weight, cut into four; average pooling; upsampling before the
    convolution; the bias in every path; a stride in every convolution."""

    def __init__(self, generator, inputs, outputs, kernel, stride=1, dilation=1):
        (self.in_low, in_high), (self.out_low, out_high) = inputs, outputs
        self.stride, self.dilation, self.padding = stride, dilation, dilation * (kernel - 1) // 2
        weight = integers(generator, self.out_low + out_high, self.in_low + in_high, kernel, kernel, largest=2)
        bias = integers(generator, self.out_low + out_high)
        self.parameters = [weight, bias]

    def convolve(self, x, rows, columns):
        weight, bias = self.parameters
        return F.conv2d(x, weight[rows, columns], bias[rows], self.stride, self.padding, self.dilation)

    def __call__(self, high, low):
        low_rows, high_rows = slice(0, self.out_low), slice(self.out_low, None)
        low_columns, high_columns = slice(0, self.in_low), slice(self.in_low, None)
        to_high, to_low = [], []
        if high is not None:
            to_high.append(self.convolve(high, high_rows, high_columns))
            if self.out_low:
                to_low.append(self.convolve(F.avg_pool2d(high, 2), low_rows, high_columns))
        if low is not None:
            to_high.append(self.convolve(F.interpolate(low, scale_factor=2, mode="nearest"), high_rows, low_columns))
            if self.out_low:
                to_low.append(self.convolve(low, low_rows, low_columns))
        return sum(to_high), sum(to_low) if to_low else None

    def whole(self):
        return self.parameters

    def gradients(self):
        return [parameter.grad for parameter in self.parameters]


class FourConvolutions:
    """As the PyTorch repositories have it: a convolution module for each path, a stride as a pool before them.

    pool_low is lxtGH's way (both inputs pooled, low_to_high upsampled); without it, a stride pools the high input,
    and the strided high grid is the low one (d-li14, braincreators)."""

    def __init__(self, generator, inputs, outputs, kernel, stride=1, groups=1, pool_low=False, proportional=False):
        (in_low, in_high), (out_low, out_high) = inputs, outputs
        self.stride, self.pool_low = stride, pool_low

        def conv(c_in, c_out, share):
            if not (c_in and c_out):
                return None
            # d-li14 gives a path within a frequency its share of the groups, rounded up.
            path_groups = -(-groups * share[0] // share[1]) if proportional else groups
            module = torch.nn.Conv2d(c_in, c_out, kernel, padding=(kernel - 1) // 2, groups=path_groups).double()
            module.weight = torch.nn.Parameter(integers(generator, *module.weight.shape, largest=2))
            module.bias = torch.nn.Parameter(integers(generator, *module.bias.shape))
            return module

        total = in_low + in_high
        self.low_to_low = conv(in_low, out_low, (in_low, total))
        self.high_to_low = conv(in_high, out_low, (1, 1))
        self.low_to_high = conv(in_low, out_high, (1, 1))
        self.high_to_high = conv(in_high, out_high, (in_high, total))

    def __call__(self, high, low):
        pool = torch.nn.AvgPool2d(2, stride=2)
        if low is not None and self.stride == 2 and self.pool_low:
            low = pool(low)
        if high is not None and self.stride == 2:
            high = pool(high)
        to_high, to_low = [], []
        if self.high_to_high:
            to_high.append(self.high_to_high(high))
        if self.low_to_high:
            y = self.low_to_high(low)
            upsampled = self.stride == 1 or self.pool_low
            to_high.append(F.interpolate(y, scale_factor=2, mode="nearest") if upsampled else y)
        if self.high_to_low:
            to_low.append(self.high_to_low(pool(high)))
        if self.low_to_low:
            to_low.append(self.low_to_low(pool(low) if self.stride == 2 and not self.pool_low else low))
        return sum(to_high), sum(to_low) if to_low else None

    def joined(self, of):
        """The four weights as one, low rows and low columns first, and the biases of each output, whose sum is the
        bias of the layer."""
        rows = []
        for paths in ((self.low_to_low, self.high_to_low), (self.low_to_high, self.high_to_high)):
            blocks = [of(path.weight) for path in paths if path]
            if blocks:
                rows.append(torch.cat(blocks, dim=1))
        return torch.cat(rows)

    def whole(self):
        biases = []
        for paths in ((self.low_to_low, self.high_to_low), (self.low_to_high, self.high_to_high)):
            present = [path.bias for path in paths if path]
            if present:
                biases.append(sum(present))
        return [self.joined(lambda weight: weight), torch.cat(biases)]

    def gradients(self):
        # The gradient of a sum of biases is that of either.
        biases = []
        for first, second in ((self.low_to_low, self.high_to_low), (self.low_to_high, self.high_to_high)):
            if first or second:
                biases.append((first or second).bias.grad)
        return [self.joined(lambda weight: weight.grad), torch.cat(biases)]


# Channels are (low, high); extents are the high grid's.
LAYERS = {
    "article": lambda g: (ArticleLayer(g, (3, 5), (2, 4), 3), (8, 12)),
    "article_1x1": lambda g: (ArticleLayer(g, (4, 4), (3, 5), 1), (6, 4)),
    "article_5x5": lambda g: (ArticleLayer(g, (1, 2), (2, 1), 5), (10, 6)),
    "article_dilated": lambda g: (ArticleLayer(g, (2, 2), (2, 2), 3, dilation=2), (12, 8)),
    "article_first": lambda g: (ArticleLayer(g, (0, 3), (2, 4), 3), (8, 8)),
    "article_last": lambda g: (ArticleLayer(g, (2, 4), (0, 5), 3), (6, 10)),
    "article_strided": lambda g: (ArticleLayer(g, (3, 3), (4, 2), 3, stride=2), (16, 12)),
    "article_strided_1x1": lambda g: (ArticleLayer(g, (2, 3), (3, 2), 1, stride=2), (8, 12)),
    "article_strided_first": lambda g: (ArticleLayer(g, (0, 3), (2, 2), 3, stride=2), (12, 8)),
    "four": lambda g: (FourConvolutions(g, (3, 5), (2, 4), 3), (8, 12)),
    "four_1x1": lambda g: (FourConvolutions(g, (4, 2), (1, 6), 1), (4, 10)),
    "four_first": lambda g: (FourConvolutions(g, (0, 4), (3, 3), 3), (10, 8)),
    "four_last": lambda g: (FourConvolutions(g, (3, 2), (0, 4), 3), (6, 6)),
    "four_strided": lambda g: (FourConvolutions(g, (3, 3), (2, 4), 3, stride=2), (16, 12)),
    "four_strided_floor": lambda g: (FourConvolutions(g, (2, 3), (3, 2), 3, stride=2), (10, 6)),
    "four_strided_first": lambda g: (FourConvolutions(g, (0, 3), (2, 3), 3, stride=2), (8, 16)),
    "four_strided_last": lambda g: (FourConvolutions(g, (2, 2), (0, 3), 3, stride=2), (8, 4)),
    "four_pool_low": lambda g: (FourConvolutions(g, (3, 3), (2, 4), 3, stride=2, pool_low=True), (16, 12)),
    "four_groups": lambda g: (FourConvolutions(g, (4, 6), (2, 4), 3, groups=2), (8, 6)),
    "four_proportional": lambda g: (FourConvolutions(g, (4, 4), (4, 8), 3, groups=4, proportional=True), (6, 8)),
}


def record(name, generator):
    layer, extents = LAYERS[name](generator)
    in_low, in_high = layer_inputs(layer)
    low_extents = [extent // 2 for extent in extents]
    high = integers(generator, BATCH, in_high, *extents) if in_high else None
    low = integers(generator, BATCH, in_low, *low_extents) if in_low else None
    outputs = [y for y in layer(high, low) if y is not None]
    factors = [integers(generator, *y.shape, largest=2).detach() for y in outputs]
    sum((y * factor).sum() for y, factor in zip(outputs, factors)).backward()
    inputs = [x for x in (high, low) if x is not None]
    parts = inputs + layer.whole() + outputs + factors + [x.grad for x in inputs] + layer.gradients()
    flat = torch.cat([part.detach().flatten() for part in parts])
    exact = flat.to(torch.float32)
    assert torch.equal(exact.to(torch.float64), flat), f"{name}: a value does not fit float32"
    numpy.save(FOLDER / f"{name}.npy", exact.numpy())


def layer_inputs(layer):
    if isinstance(layer, ArticleLayer):
        return layer.in_low, layer.parameters[0].shape[1] - layer.in_low
    low, high = layer.low_to_low or layer.low_to_high, layer.high_to_high or layer.high_to_low
    return (low.in_channels if low else 0), (high.in_channels if high else 0)


def main():
    for index, name in enumerate(LAYERS):
        record(name, torch.Generator().manual_seed(2019 + index))
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}
    (FOLDER / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
