# SPDX-License-Identifier: Apache-2.0
"""A network of plain ONNX operations as a torch module, from the arrays that convert.py writes.

Each node becomes the one operation of torch that means the same; nothing is rearranged, so that what makes the network
fast is left to torch.jit or to torch's operations. An operation or attribute that is not known here is an error.
"""
import json

import numpy
import torch
from torch.nn import functional

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
# Which inputs of which operations training moves.
TRAINED = {"BatchNormalization": (1, 2), "Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (1, 2)}
LINEAR_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


class Network(torch.nn.Module):
    def __init__(self, file, trained=False):
        """`trained`: parameters want gradients, and batch norms in training mode take the statistics of the batch."""
        super().__init__()
        self.train(trained)
        arrays = numpy.load(file)
        network = json.loads(str(arrays["network"]))
        self.input = network["input"]
        self.output = network["output"]
        self.nodes = network["nodes"]
        moved = {name for node in self.nodes for name in inputs(node, TRAINED.get(node["type"], ()))}
        self.constants = {}  # shapes, indices and scales, which the operations below read as numbers
        self.places = {}  # name of a tensor -> name of the parameter
        for i, name in enumerate(network["tensors"]):
            array = arrays[f"t{i}"]
            self.constants[name] = array
            self.places[name] = f"p{i}"
            if array.dtype == numpy.float32:
                parameter = torch.nn.Parameter(torch.from_numpy(array.copy()), requires_grad=trained and name in moved)
                self.register_parameter(f"p{i}", parameter)
        for node in self.nodes:
            if node["type"] not in OPERATIONS:
                raise NotImplementedError(f"no torch operation for ONNX's {node['type']}")

    def forward(self, x):
        values = {self.input: x}

        def tensor(name):
            return values[name] if name in values else getattr(self, self.places[name])

        for node in self.nodes:
            operation = OPERATIONS[node["type"]]
            values[node["outputs"][0]] = operation(Arguments(node, tensor, self.constants, self.training))
        return values[self.output]


def inputs(node, places):
    return [node["inputs"][place] for place in places if place < len(node["inputs"])]


class Arguments:
    """Inputs and attributes of one node. Every attribute must be read."""

    def __init__(self, node, tensor, constants, training):
        self.node = node
        self.find = tensor
        self.constants = constants
        self.training = training

    def count(self):
        return len(self.node["inputs"])

    def tensor(self, index):
        return self.find(self.node["inputs"][index])

    def optional(self, index):
        return self.tensor(index) if index < self.count() and self.node["inputs"][index] else None

    def numbers(self, index):
        return self.constants[self.node["inputs"][index]].tolist()

    def attributes(self, **known):
        """The values of all attributes, defaults where the node has none."""
        for name in self.node["attributes"]:
            if name not in known:
                raise NotImplementedError(f"ONNX's {self.node['type']}: attribute '{name}' is not known")
        return [self.node["attributes"].get(name, default) for name, default in known.items()]


def both_sides(pads):
    """ONNX's pads as one number an axis, or None where the two sides differ."""
    begin, end = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    return begin if begin == end else None


def padded(x, pads, value):
    rank = len(pads) // 2
    sides = [side for axis in reversed(range(rank)) for side in (pads[axis], pads[axis + rank])]
    return functional.pad(x, sides, value=value)


def conv(a):
    x, weight = a.tensor(0), a.tensor(1)
    rank = weight.dim() - 2
    _, stride, dilation, pads, groups = a.attributes(
        kernel_shape=None, strides=[1] * rank, dilations=[1] * rank, pads=[0] * (2 * rank), group=1)  # fmt: skip
    padding = both_sides(pads)
    if padding is None:
        x, padding = padded(x, pads, 0.0), [0] * rank
    return CONVOLUTIONS[rank](x, weight, a.optional(2), stride, padding, dilation, groups)


def conv_transpose(a):
    weight = a.tensor(1)
    rank = weight.dim() - 2
    _, stride, dilation, pads, groups, more = a.attributes(
        kernel_shape=None, strides=[1] * rank, dilations=[1] * rank, pads=[0] * (2 * rank), group=1,
        output_padding=[0] * rank)  # fmt: skip
    padding = both_sides(pads)
    if padding is None:
        raise NotImplementedError("ONNX's ConvTranspose: pads of the two sides differ")
    return TRANSPOSED[rank](a.tensor(0), weight, a.optional(2), stride, padding, more, groups, dilation)


def batch_norm(a):
    epsilon, kept = a.attributes(epsilon=1e-5, momentum=0.9)
    x, scale, shift, mean, variance = (a.tensor(i) for i in range(5))
    return functional.batch_norm(x, mean, variance, scale, shift, a.training, 1 - kept, epsilon)


def pool_geometry(a, **more):
    rank = a.tensor(0).dim() - 2
    kernel, stride, pads, ceil, *rest = a.attributes(
        kernel_shape=None, strides=[1] * rank, pads=[0] * (2 * rank), ceil_mode=0, **more)  # fmt: skip
    return rank, kernel, stride, pads, bool(ceil), rest


def max_pool(a):
    rank, kernel, stride, pads, ceil, _ = pool_geometry(a)
    x = a.tensor(0)
    padding = both_sides(pads)
    if padding is None:
        x, padding = padded(x, pads, float("-inf")), [0] * rank
    return MAX_POOLS[rank](x, kernel, stride, padding, ceil_mode=ceil)


def average_pool(a):
    rank, kernel, stride, pads, ceil, [include] = pool_geometry(a, count_include_pad=0)
    x = a.tensor(0)
    padding = both_sides(pads)
    if padding is None:
        # Padding at the far edge that holds less than a window is what rounding up adds.
        if any(pads[:rank]) or include or any(end >= step for end, step in zip(pads[rank:], stride)):
            raise NotImplementedError("ONNX's AveragePool: such pads of two sides")
        padding, ceil = [0] * rank, True
    pool = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}[rank]
    return pool(x, kernel, stride, padding, ceil, bool(include))


def resize(a):
    mode, place, nearest = a.attributes(mode="nearest", coordinate_transformation_mode="half_pixel",
                                        nearest_mode="round_prefer_floor")  # fmt: skip
    x = a.tensor(0)
    size = [int(extent * scale + 1e-4) for extent, scale in zip(x.shape[2:], a.numbers(2)[2:])]
    if (mode, place, nearest) == ("nearest", "asymmetric", "floor"):
        return functional.interpolate(x, size=size, mode="nearest")
    if (mode, place) == ("linear", "half_pixel"):
        return functional.interpolate(x, size=size, mode=LINEAR_MODES[x.dim() - 2], align_corners=False)
    raise NotImplementedError(f"ONNX's Resize: {mode}, {place}")


def gemm(a):
    alpha, beta, first, second = a.attributes(alpha=1.0, beta=1.0, transA=0, transB=0)
    if (alpha, beta, first, second) != (1.0, 1.0, 0, 1):
        raise NotImplementedError("ONNX's Gemm: not x times the transposed weight")
    return functional.linear(a.tensor(0), a.tensor(1), a.optional(2))


def cut(a):
    a.attributes()
    x = a.tensor(0)
    axes = a.numbers(3)
    steps = a.numbers(4) if a.count() > 4 else [1] * len(axes)
    for begin, end, axis, step in zip(a.numbers(1), a.numbers(2), axes, steps):
        at = [slice(None)] * x.dim()
        at[axis] = slice(begin, end, step)
        x = x[tuple(at)]
    return x


def reshape(a):
    a.attributes(allowzero=0)
    x = a.tensor(0)
    return x.reshape([x.shape[i] if extent == 0 else extent for i, extent in enumerate(a.numbers(1))])


def unsqueeze(a):
    [axes] = a.attributes(axes=None)
    x = a.tensor(0)
    for axis in sorted(axes or a.numbers(1)):
        x = x.unsqueeze(axis)
    return x


def clip(a):
    low, high = a.attributes(min=None, max=None)
    low = a.numbers(1) if a.count() > 1 and a.node["inputs"][1] else low
    high = a.numbers(2) if a.count() > 2 and a.node["inputs"][2] else high
    if (low, high) == (0.0, 6.0):
        return functional.relu6(a.tensor(0))
    return functional.hardtanh(a.tensor(0), low, high) if None not in (low, high) else a.tensor(0).clamp(low, high)


def hard_sigmoid(a):
    slope, offset = a.attributes(alpha=0.2, beta=0.5)
    return (slope * a.tensor(0) + offset).clamp(0.0, 1.0)


def global_average(a):
    a.attributes()
    x = a.tensor(0)
    return x.mean(dim=list(range(2, x.dim())), keepdim=True)


def gather(a):
    [axis] = a.attributes(axis=0)
    return a.tensor(0).index_select(axis, torch.tensor(a.numbers(1)))


OPERATIONS = {
    "Add": lambda a: a.tensor(0) + a.tensor(1),
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Clip": clip,
    "Concat": lambda a: torch.cat([a.tensor(i) for i in range(a.count())], *a.attributes(axis=1)),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Flatten": lambda a: a.tensor(0).flatten(*a.attributes(axis=1)),
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": global_average,
    "HardSigmoid": hard_sigmoid,
    "Identity": lambda a: a.tensor(0),
    "LeakyRelu": lambda a: functional.leaky_relu(a.tensor(0), *a.attributes(alpha=0.01)),
    "MatMul": lambda a: torch.matmul(a.tensor(0), a.tensor(1)),
    "MaxPool": max_pool,
    "Mul": lambda a: a.tensor(0) * a.tensor(1),
    "Relu": lambda a: functional.relu(a.tensor(0)),
    "Reshape": reshape,
    "Resize": resize,
    "Sigmoid": lambda a: a.tensor(0).sigmoid(),
    "Slice": cut,
    "Softmax": lambda a: a.tensor(0).softmax(*a.attributes(axis=-1)),
    "Transpose": lambda a: a.tensor(0).permute(*a.attributes(perm=None)),
    "Unsqueeze": unsqueeze,
}
