# SPDX-License-Identifier: Apache-2.0
"""Other engines that run ONNX files: one function each, from a file and an array to the first output, in float32."""
import onnxruntime
import openvino


def run_onnx_runtime(path, images, optimised=True):
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def run_openvino(path, images):
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(images.shape))
    # Left to itself it may choose bfloat16 where the processor has it.
    network = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    used = network.get_property("INFERENCE_PRECISION_HINT")
    if used != openvino.Type.f32:
        raise AssertionError(f"OpenVINO computes in {used} and not in float32")
    return network(images)[0]


ENGINES = {"ONNX Runtime": run_onnx_runtime, "OpenVINO": run_openvino}
