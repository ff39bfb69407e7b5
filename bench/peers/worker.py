# SPDX-License-Identifier: Apache-2.0
"""One engine as a process that compare.py asks for times.

usage: worker.py ENGINE MODEL INPUT.f32 SHAPE THREADS CORES
  ENGINE         a key of ENGINES below
  MODEL          an .onnx file, or what compare.py made of it for this engine
  INPUT.f32      the input's floats; SHAPE, CORES  numbers with commas

Protocol, a line each way: it says "ready {...}" once the network has run for the first time; then
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


ENGINES = {"onnxruntime": OnnxRuntime, "onnxruntime-no-spinning": OnnxRuntimeNoSpinning, "openvino": OpenVino}


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
    engine.load(model, values)
    loaded = time.perf_counter()
    output = engine.run()
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
