# SPDX-License-Identifier: Apache-2.0
"""A plain ONNX file in the forms that engines without an ONNX reader of their own take."""
import importlib.util
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy
import onnx

PNNX_SECONDS = 600


class Unsupported(Exception):
    """An engine has no form of this network; the message says why."""


def to_ncnn(model, shape, folder):
    """ncnn's PREFIX.param and PREFIX.bin by pnnx, with float32 weights. Gives the prefix."""
    if len(shape) == 5 and any(node.op_type == "Resize" for node in onnx.load(model).graph.node):
        raise Unsupported("ncnn's Interp enlarges no third axis")  # it would give other results, and no error
    prefix = folder / f"{model.stem}-{'x'.join(map(str, shape))}.ncnn"
    if Path(f"{prefix}.bin").exists():
        return prefix
    package = importlib.util.find_spec("pnnx")  # which needs torch where it is imported; its program does not
    if package is None:
        raise Unsupported("no pnnx in this Python; run scripts/bench-peers.sh")
    pnnx = Path(package.origin).parent / "pnnx"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:  # pnnx writes a dozen files beside the model
        copy = Path(scratch) / "model.onnx"
        shutil.copy(model, copy)
        command = [pnnx, copy.name, f"inputshape=[{','.join(map(str, shape))}]", "fp16=0"]
        result = subprocess.run(command, cwd=scratch, capture_output=True, text=True, errors="replace",
                                timeout=PNNX_SECONDS)  # fmt: skip
        made = [Path(scratch) / "model.ncnn.param", Path(scratch) / "model.ncnn.bin"]
        if result.returncode != 0 or not all(file.exists() for file in made):
            raise Unsupported(f"pnnx ended with {result.returncode} and wrote no network")
        shutil.move(made[0], f"{prefix}.param")
        shutil.move(made[1], f"{prefix}.bin")
    return prefix


def to_arrays(model, folder):
    """The file's nodes and tensors without ONNX: an .npz with JSON under "network". Gives the file.

    The JSON has "input", "output" (names) and "nodes", each with "type", "inputs", "outputs" and "attributes"; the
    tensors are the other arrays, by name.
    """
    file = folder / f"{model.stem}.npz"
    if file.exists():
        return file
    graph = onnx.load(model).graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attributes = {key: value.decode() if isinstance(value, bytes) else value for key, value in attributes.items()}
        nodes.append({"type": node.op_type, "inputs": list(node.input), "outputs": list(node.output),
                      "attributes": attributes})  # fmt: skip
    network = {"input": graph.input[0].name, "output": graph.output[0].name, "nodes": nodes}
    # The names of arrays in an .npz are those of files; a network's may hold any character.
    names = list(tensors)
    network["tensors"] = names
    arrays = {f"t{i}": tensors[name] for i, name in enumerate(names)}
    numpy.savez(file, network=json.dumps(network), **arrays)
    return file
