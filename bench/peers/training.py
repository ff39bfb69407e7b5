# SPDX-License-Identifier: Apache-2.0
"""Times and memory of training steps: octconv's module beside PyTorch, which trains the same network from the plain
ONNX file that `octconv export` writes.

Each form is a process of its own, pinned to as many processors as it has threads. In each round every form takes two
steps, of which the second counts: the first finds the caches as others left them. `x first` is the median over the
rounds of the ratio to the first form; "MB" the most memory that the process ever held, "of it net" without what it held
before it made the network. The losses of the first steps must agree.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import onnx

import convert
from compare import (DEBIAN_PYTHON, ROOT, SECONDS_BETWEEN_TURNS, Conversation, cores_for, numbers, own_settings,
                     processor, run_tool)  # fmt: skip

HERE = Path(__file__).parent
DEFAULT_NETWORKS = ["resnet20:0.25:28:128", "resnet50_v1b:0.5:224:8"]
JEMALLOC = Path("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")
KEEPING = {"LD_PRELOAD": str(JEMALLOC), "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"}
MAX_DIFFERENCE = 1e-4  # of the first loss: networks of 50 layers, each of which rounds sums of thousands of terms

# name: the Python of torch, or None for octconv_training_bench and its form; variables of the environment
FORMS = {
    "octconv": (None, "octconv", {}),
    "octconv-composed": (None, "octconv, composed", {}),
    "octconv-blocks": (None, "octconv, blocks computed again", {}),
    "debian": (DEBIAN_PYTHON, "", {}),
    "debian-jemalloc": (DEBIAN_PYTHON, "", KEEPING),
    "pypi": (str(ROOT / ".venv/torch/bin/python"), "", {}),
    "pypi-jemalloc": (str(ROOT / ".venv/torch/bin/python"), "", KEEPING),
}


class Configuration:
    """A network as it is given on the command line, and its files."""

    def __init__(self, text, build, cache):
        try:
            self.network, alpha, size, batch = text.split(":")
            self.alpha, self.size, self.batch = float(alpha), int(size), int(batch)
        except ValueError:
            sys.exit(f"training: '{text}' is not NETWORK:ALPHA:SIZE:BATCH")
        # The weights that a module starts with.
        model = cache / f"{self.network}-{self.alpha:g}-{self.size}-training.onnx"
        if not model.exists():
            run_tool(build / "octconv", "export", self.network, "--alpha", f"{self.alpha:g}", "--size", self.size,
                     "--seed", 0, "-o", model)  # fmt: skip
        graph = onnx.load(model).graph
        dims = [[dim.dim_value for dim in port.type.tensor_type.shape.dim] for port in (graph.input[0], graph.output[0])]
        self.shape = [self.batch, dims[0][1], self.size, self.size]
        self.classes = dims[1][1]
        self.arrays = convert.to_arrays(model, cache)

    def title(self):
        return f"{self.network} at alpha {self.alpha:g}, {'x'.join(map(str, self.shape))}"


def obstacle(name):
    """Why a form cannot run here, or nothing."""
    python, _, variables = FORMS[name]
    if variables and not JEMALLOC.exists():
        return f"there is no {JEMALLOC}; install libjemalloc2"
    if python is not None and subprocess.run([python, "-c", "import torch"], capture_output=True).returncode != 0:
        how = "install python3-torch" if python == DEBIAN_PYTHON else "run scripts/bench-peers.sh --torch"
        return f"{python} has no torch; {how}"
    return ""


class Worker(Conversation):
    """A process that trains one network."""

    def __init__(self, name, configuration, threads, cores, build):
        python, form, variables = FORMS[name]
        self.name = name
        c = configuration
        if python is None:
            command = [build / "bench/octconv_training_bench", "--serve", form, c.network, c.alpha, c.batch, c.size, threads]
        else:
            command = [python, HERE / "training_worker.py", c.arrays, c.classes, ",".join(map(str, c.shape)), threads]
        super().__init__("training", name, list(map(str, command)), env={**own_settings(), **variables},
                         preexec_fn=lambda: os.sched_setaffinity(0, cores))  # fmt: skip
        self.base_kb = float(self.answer("ready"))
        _, self.loss = self.step()
        self.first_kb = float(self.ask("memory", "memory"))
        self.times = []

    def step(self):
        return [float(number) for number in self.ask("step", "step").split()]

    def turn(self):
        self.step()
        self.times.append(self.step()[0])


def measure(configuration, names, threads, rounds, build):
    cores = cores_for(threads, "training")
    workers = [Worker(name, configuration, threads, cores, build) for name in names]
    for round_ in range(rounds):
        for worker in workers:
            time.sleep(SECONDS_BETWEEN_TURNS)
            worker.turn()
        print(f"{configuration.title()}, {threads} threads: round {round_ + 1} of {rounds}", file=sys.stderr)
    result = {"network": configuration.network, "alpha": configuration.alpha, "shape": configuration.shape,
              "threads": threads, "rounds": rounds, "forms": {}}  # fmt: skip
    first = workers[0]
    for worker in workers:
        result["forms"][worker.name] = {
            "median_ms": statistics.median(worker.times),
            "min_ms": min(worker.times),
            "times_first": statistics.median(b / a for a, b in zip(first.times, worker.times)),
            "first_step_mb": worker.first_kb / 1024,
            "peak_mb": float(worker.ask("memory", "memory")) / 1024,
            "base_mb": worker.base_kb / 1024,
            "loss": worker.loss,
            "agrees": abs(worker.loss / first.loss - 1) <= MAX_DIFFERENCE,
        }
        worker.close()
    return result


def print_table(results):
    print(f"{'network':<14} {'alpha':>5} {'batch':>5} {'size':>4} {'thr':>3}  {'form':<16} {'ms':>9} {'min':>9} "
          f"{'x first':>8} {'MB':>6} {'of it net':>9} {'x first':>8}  first loss")  # fmt: skip
    for result in results:
        net_of_first = None
        for name, of in result["forms"].items():
            net = of["peak_mb"] - of["base_mb"]
            net_of_first = net_of_first or net
            print(f"{result['network']:<14} {result['alpha']:>5g} {result['shape'][0]:>5} {result['shape'][2]:>4} "
                  f"{result['threads']:>3}  {name:<16} {of['median_ms']:9.2f} {of['min_ms']:9.2f} "
                  f"{of['times_first']:8.3f} {of['peak_mb']:6.0f} {net:9.0f} {net / net_of_first:8.3f}  "
                  f"{of['loss']:.6f}{'' if of['agrees'] else ' DIFFERS'}")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=DEFAULT_NETWORKS, metavar="NETWORK:ALPHA:SIZE:BATCH",
                        help=f"default: {' '.join(DEFAULT_NETWORKS)}")  # fmt: skip
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default: 1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--forms", default=",".join(FORMS), help=f"the others are compared with the first; default: "
                        f"{','.join(FORMS)}")  # fmt: skip
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="folder of octconv's build")
    parser.add_argument("--cache", type=Path, default=ROOT / "build/peers", help="folder of the exported networks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    arguments.cache.mkdir(parents=True, exist_ok=True)
    names = []
    for name in arguments.forms.split(","):
        if name not in FORMS:
            parser.error(f"unknown form '{name}'; known are {', '.join(FORMS)}")
        reason = obstacle(name)
        if reason:
            print(f"training: {name} is left out: {reason}", file=sys.stderr)
        else:
            names.append(name)
    configurations = [Configuration(text, arguments.build, arguments.cache) for text in arguments.networks]
    results = [measure(configuration, names, threads, arguments.rounds, arguments.build)
               for threads in arguments.threads for configuration in configurations]  # fmt: skip
    print(f"{processor()}; load average {os.getloadavg()[0]:.2f} at the end")
    print_table(results)
    if arguments.json:
        arguments.json.write_text(json.dumps({"processor": processor(), "results": results}, indent=1) + "\n")
    if not all(of["agrees"] for result in results for of in result["forms"].values()):
        sys.exit("training: losses differ")


if __name__ == "__main__":
    main()
