# SPDX-License-Identifier: Apache-2.0
"""One engine as a process that compare.py asks for times.

usage: worker.py ENGINE MODEL INPUT.f32 SHAPE THREADS CORES
  ENGINE         a key of ENGINES below
  MODEL          an .onnx file, or what compare.py made of it for this engine
  INPUT.f32      the input's floats; SHAPE, CORES  numbers with commas

Protocol, a line each way: it says "ready {...}" once the network has run for the first time, or "unsupported REASON"
and ends; then
"run N" is answered with "times" and N numbers of milliseconds, "memory" with the most memory it ever held in kB,
"write FILE" with "written" once the last output's floats are in FILE. It ends with its standard input.
"""
import json
import os
import sys
import time

THREADS = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}


def memory_kb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    raise RuntimeError("/proc/self/status: no VmHWM")


class OnnxRuntime:
    """Threads spin while a network runs, and stop with it, so that no other engine's turn suffers."""

    SPINNING = "1"

    def __init__(self, threads):
        import onnxruntime

        self.module = onnxruntime
        self.threads = threads
        self.version = onnxruntime.__version__
        self.note = ""

    def options(self):
        options = self.module.SessionOptions()
        options.graph_optimization_level = self.module.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = self.module.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", self.SPINNING)
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return options

    def load(self, model, values):
        options = self.options()
        options.add_free_dimension_override_by_name("batch", values.shape[0])
        self.session = self.module.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.feed = {self.session.get_inputs()[0].name: values}

    def run(self):
        return self.session.run(None, self.feed)[0]


class OnnxRuntimeNoSpinning(OnnxRuntime):
    """Better where other programs want the processors too."""

    SPINNING = "0"


class OpenVino:
    def __init__(self, threads):
        import openvino

        self.module = openvino
        self.threads = threads
        self.version = openvino.__version__.split("-")[0]
        self.note = ""

    def load(self, model, values):
        core = self.module.Core()
        network = core.read_model(model)
        network.reshape(list(values.shape))
        compiled = core.compile_model(network, "CPU", {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # compare.py pins
        })  # fmt: skip
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        threads = compiled.get_property("INFERENCE_NUM_THREADS")
        if precision != "f32" or threads != self.threads:
            raise RuntimeError(f"OpenVINO took {precision} and {threads} threads")
        self.request = compiled.create_infer_request()
        self.request.set_input_tensor(self.module.Tensor(values, shared_memory=True))
        self.output = compiled.output(0)

    def run(self):
        self.request.infer()
        return self.request.get_tensor(self.output).data


class Ncnn:
    """MODEL is the prefix of ncnn's two files."""

    WINOGRAD = True
    NARROW = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage",
              "use_int8_inference", "use_int8_packed", "use_int8_storage", "use_int8_arithmetic")  # fmt: skip
    WINOGRADS = ("use_winograd_convolution", "use_winograd23_convolution", "use_winograd43_convolution",
                 "use_winograd63_convolution")  # fmt: skip

    def __init__(self, threads):
        import ncnn

        self.module = ncnn
        self.threads = threads
        self.version = ncnn.__version__
        self.note = ""

    def wanted(self):
        return {**dict.fromkeys(self.NARROW, False), **dict.fromkeys(self.WINOGRADS, self.WINOGRAD),
                "use_sgemm_convolution": True, "use_packing_layout": True, "use_vulkan_compute": False,
                "num_threads": self.threads}  # fmt: skip

    def load(self, model, values):
        if values.shape[0] != 1:
            raise NotImplementedError("a batch of more than one image")
        network = self.network = self.module.Net()
        for option, value in self.wanted().items():
            setattr(network.opt, option, value)
        if network.load_param(f"{model}.param") != 0 or network.load_model(f"{model}.bin") != 0:
            raise NotImplementedError("ncnn does not load what pnnx made of it")
        for option, value in self.wanted().items():
            if getattr(network.opt, option) != value:
                raise RuntimeError(f"ncnn took {option}={getattr(network.opt, option)}")
        self.names = network.input_names()[0], network.output_names()[0]
        self.values = self.module.Mat(values[0]).clone()

    def run(self):
        import numpy

        extractor = self.network.create_extractor()
        extractor.input(self.names[0], self.values)
        status, output = extractor.extract(self.names[1])
        if status != 0:
            raise NotImplementedError(f"ncnn's run ended with {status}")
        return numpy.array(output)


class NcnnNoWinograd(Ncnn):
    """As many multiply-adds as the network has: what a direct kernel is compared with."""

    WINOGRAD = False


class LibTorch:
    """Traced, frozen and optimised; MODEL is the file of convert.py's to_arrays. Runs on Debian's Python."""

    OPTIMISED = True
    # The just-in-time compiler looks at the first runs and compiles in the next.
    RUNS_UNTIL_COMPILED = 3

    def __init__(self, threads):
        os.environ["DNNL_DEFAULT_FPMATH_MODE"] = "STRICT"
        import torch

        self.module = torch
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        torch.set_float32_matmul_precision("highest")
        if torch.get_num_threads() != threads or torch.get_float32_matmul_precision() != "highest":
            raise RuntimeError("LibTorch took other threads or another precision")
        self.version = torch.__version__
        self.note = "oneDNN" if torch.backends.mkldnn.is_available() else "without oneDNN"

    def load(self, model, values):
        from torch_network import Network

        torch = self.module
        layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(values.ndim, torch.contiguous_format)
        self.values = torch.from_numpy(values).contiguous(memory_format=layout)
        with torch.inference_mode():
            network = Network(model).eval()
            for parameter in network.parameters():
                if parameter.dim() == values.ndim:
                    parameter.data = parameter.data.contiguous(memory_format=layout)
            traced = torch.jit.trace(network, self.values, check_trace=False).eval()
            self.network = torch.jit.freeze(traced)
            if self.OPTIMISED:
                self.network = torch.jit.optimize_for_inference(self.network)
            for _ in range(self.RUNS_UNTIL_COMPILED):
                output = self.network(self.values)
        if output.dtype != torch.float32 or torch.is_autocast_cpu_enabled():
            raise RuntimeError(f"LibTorch took {output.dtype}")

    def run(self):
        with self.module.inference_mode():
            return self.network(self.values).numpy()


class LibTorchFrozen(LibTorch):
    """Without torch.jit.optimize_for_inference, which makes networks of many small steps slower."""

    OPTIMISED = False


ENGINES = {"onnxruntime": OnnxRuntime, "onnxruntime-no-spinning": OnnxRuntimeNoSpinning, "openvino": OpenVino,
           "ncnn": Ncnn, "ncnn-no-winograd": NcnnNoWinograd, "libtorch": LibTorch, "libtorch-frozen": LibTorchFrozen}  # fmt: skip


def main():
    if len(sys.argv) != 7 or sys.argv[1] not in ENGINES:
        sys.exit(__doc__)
    name, model, input_file, shape, threads, cores = sys.argv[1:]
    os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    for variable in THREADS:
        os.environ[variable] = threads
    # What libraries print is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(line):
        print(line, file=answers, flush=True)

    import numpy

    engine = ENGINES[name](int(threads))
    values = numpy.fromfile(input_file, dtype=numpy.float32).reshape([int(n) for n in shape.split(",")])
    base = memory_kb()
    begin = time.perf_counter()
    try:
        engine.load(model, values)
        loaded = time.perf_counter()
        output = engine.run()
    except NotImplementedError as error:
        answer(f"unsupported {error}")
        return
    ran = time.perf_counter()
    about = {"version": engine.version, "note": engine.note, "load_ms": 1e3 * (loaded - begin),
             "first_ms": 1e3 * (ran - loaded), "base_kb": base}  # fmt: skip
    answer("ready " + json.dumps(about))
    for line in sys.stdin:
        order, _, argument = line.strip().partition(" ")
        if order == "run":
            times = []
            for _ in range(int(argument)):
                begin = time.perf_counter()
                output = engine.run()
                times.append(1e3 * (time.perf_counter() - begin))
            answer("times " + " ".join(f"{t:.6f}" for t in times))
        elif order == "memory":
            answer(f"memory {memory_kb()}")
        elif order == "write":
            numpy.ascontiguousarray(output, dtype=numpy.float32).tofile(argument)
            answer("written")
        else:
            sys.exit(f"unknown order {line!r}")


if __name__ == "__main__":
    main()
