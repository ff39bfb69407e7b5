#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times octconv's engine and other CPU engines on the same networks.

Each engine is a process of its own, pinned to its processors. In each round every engine takes a short turn on every
network; a turn's first run is not counted. The figures are medians. The outputs must agree. An engine that cannot run
a network is reported and left out there.

conv1d, conv1x1, conv3x3 and conv3d are single layers: each is measured as the difference of two networks that have one
and four of them.

Run it with the Python that scripts/bench-peers.sh makes:
    .venv/bench/bin/python bench/peers/compare.py --threads 1,2 resnet50v2:0 resnet50v2:0.5
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy
import onnx

import convert

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEFAULT_NETWORKS = [f"resnet50v2:{alpha}:224" for alpha in (0, 0.125, 0.25, 0.375, 0.5, 0.75)]
DEFAULT_ENGINES = ("octconv,onnxruntime,onnxruntime-no-spinning,openvino,ncnn,ncnn-no-winograd,"
                   "libtorch,libtorch-frozen")  # fmt: skip
LAYERS = ("conv1d", "conv1x1", "conv3x3", "conv3d")  # the kinds of octconv_layer_network
FEW_LAYERS, MANY_LAYERS = 1, 4
DEBIAN_PYTHON = "/usr/bin/python3"  # which has LibTorch
# Waiting threads of some engines spin for some milliseconds after their work is done.
SECONDS_BETWEEN_TURNS = 0.02
TURN_MS = 60
MAX_DIFFERENCE = 1e-4  # of the output's range


class Configuration:
    """A network as it is given on the command line, and its files."""

    def __init__(self, text, layers=None):
        self.layers = layers  # of a network of equal layers
        fields = text.split(":")
        if not 1 <= len(fields) <= 4:
            sys.exit(f"compare: '{text}' is not NETWORK[:ALPHA[:SIZE[:BATCH]]]")
        fields += [""] * (4 - len(fields))
        try:
            self.network = fields[0]
            self.alpha = float(fields[1] or 0)
            self.size = int(fields[2] or 0)
            self.batch = int(fields[3] or 1)
        except ValueError as error:
            sys.exit(f"compare: '{text}': {error}")
        self.chosen = [self.network, "--alpha", f"{self.alpha:g}"] + (["--size", str(self.size)] if self.size else [])

    def name(self):
        return self.network if self.layers is None else f"{self.network} x{self.layers}"

    def title(self):
        return f"{self.name()} at alpha {self.alpha:g}, {'x'.join(map(str, self.shape))}"

    def prepare(self, build, cache):
        name = f"{self.network}-{self.alpha:g}-{self.size or 'own'}"
        tool = build / "octconv"
        if self.layers is not None:
            self.model = cache / f"{name}-{self.layers}.onnx"
            cost = json.loads(run_tool(build / "bench/octconv_layer_network", self.network, self.alpha, self.size,
                                       self.layers, self.model))  # fmt: skip
        else:
            self.model = cache / f"{name}.onnx"
            if not self.model.exists():
                run_tool(tool, "export", *self.chosen, "-o", self.model)
            cost = json.loads(run_tool(tool, "cost", *self.chosen, "--json"))
        self.macs = cost["macs"] * self.batch
        self.extents = cost["extents"]
        ports = onnx.load(self.model, load_external_data=False).graph.input
        channels = ports[0].type.tensor_type.shape.dim[1].dim_value
        self.shape = [self.batch, channels, *self.extents]
        self.input = cache / ("x".join(map(str, self.shape)) + ".f32")
        values = numpy.random.default_rng(1).standard_normal(self.shape, dtype=numpy.float32)
        values.tofile(self.input)


def configure(texts):
    """The networks to run: of a single layer two."""
    configurations = []
    for text in texts:
        layers = (FEW_LAYERS, MANY_LAYERS) if text.split(":")[0] in LAYERS else (None,)
        configurations += [Configuration(text, count) for count in layers]
    return configurations


def run_tool(tool, *arguments):
    result = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"compare: {result.stderr.strip()}")
    return result.stdout


class Engine:
    """How to start an engine's process, what file it reads, and how near its results must be."""

    def __init__(self, name, command, form=lambda configuration, cache: configuration.model,
                 tolerance=MAX_DIFFERENCE):  # fmt: skip
        self.name = name
        self.command = command
        self.form = form
        self.tolerance = tolerance


def ncnn_form(configuration, cache):
    return convert.to_ncnn(configuration.model, configuration.shape, cache)


def torch_form(configuration, cache):
    return convert.to_arrays(configuration.model, cache)


def has_torch():
    return subprocess.run([DEBIAN_PYTHON, "-c", "import torch"], capture_output=True).returncode == 0


def choose_engines(names, workers):
    engines = []
    for name in names:
        if name == "octconv":
            for worker in workers:
                label, equals, path = worker.rpartition("=")
                engines.append(Engine(label if equals else name, [path]))
        elif name in ("onnxruntime", "onnxruntime-no-spinning", "openvino"):
            engines.append(Engine(name, [sys.executable, str(HERE / "worker.py"), name]))
        elif name in ("ncnn", "ncnn-no-winograd"):
            engines.append(Engine(name, [sys.executable, str(HERE / "worker.py"), name], ncnn_form))
        elif name in ("libtorch", "libtorch-frozen"):
            if has_torch():
                engines.append(Engine(name, [DEBIAN_PYTHON, str(HERE / "worker.py"), name], torch_form))
            else:
                print(f"compare: {name} is left out: {DEBIAN_PYTHON} has no torch; install python3-torch and "
                      "libopenblas0-pthread", file=sys.stderr)  # fmt: skip
        else:
            sys.exit(f"compare: unknown engine '{name}'")
    return engines


def cores_for(threads, program):
    """The processors that so many threads are pinned to."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    if len(cores) < threads:
        sys.exit(f"{program}: {threads} threads want as many processors, and there are {len(cores)}")
    return cores


def own_settings():
    """The environment of a peer, whose own settings say how many threads it has and what they do while they wait."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}


class Conversation:
    """A process that answers lines with lines."""

    def __init__(self, program, about, command, **more):
        self.who = f"{program}: {about}"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)

    def answer(self, word):
        line = self.process.stdout.readline()
        got, _, rest = line.strip().partition(" ")
        if got != word:
            sys.exit(f"{self.who}: expected '{word}', got {line!r}")
        return rest

    def ask(self, order, word):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self.answer(word)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Worker(Conversation):
    """A process that runs one network in one engine."""

    def __init__(self, engine, configuration, threads, cores, cache):
        command = [*engine.command, str(engine.form(configuration, cache)), str(configuration.input),
                   ",".join(map(str, configuration.shape)), str(threads), ",".join(map(str, cores))]  # fmt: skip
        super().__init__("compare", f"{engine.name} on {configuration.network}", command, env=own_settings())
        self.about = json.loads(self.first_answer())
        self.times = []  # of all turns
        self.rounds = []  # the median of each turn
        self.runs = max(3, min(50, 1 + math.ceil(TURN_MS / statistics.median(self.run(3)))))

    def first_answer(self):
        word, _, rest = self.process.stdout.readline().strip().partition(" ")
        if word == "ready":
            return rest
        self.close()
        if word == "unsupported":
            raise convert.Unsupported(rest)
        raise convert.Unsupported(f"its process ended with {self.process.returncode} while it loaded")

    def run(self, count):
        return [float(t) for t in self.ask(f"run {count}", "times").split()]

    def turn(self):
        times = self.run(self.runs)[1:]
        self.times += times
        self.rounds.append(statistics.median(times))

    def output(self, file):
        self.ask(f"write {file}", "written")
        return numpy.fromfile(file, dtype=numpy.float32)


def measure(configurations, engines, threads, rounds, cache):
    """One result for each configuration."""
    cores = cores_for(threads, "compare")
    workers = {}
    for configuration in configurations:
        for engine in engines:
            try:
                workers[configuration, engine] = Worker(engine, configuration, threads, cores, cache)
            except convert.Unsupported as reason:
                if engine == engines[0]:
                    sys.exit(f"compare: {engine.name} on {configuration.title()}: {reason}")
                print(f"compare: {engine.name} does not run {configuration.title()}: {reason}", file=sys.stderr)
    for round_ in range(rounds):
        for worker in workers.values():
            time.sleep(SECONDS_BETWEEN_TURNS)
            worker.turn()
        print(f"{threads} threads: round {round_ + 1} of {rounds}", file=sys.stderr)
    results = []
    for configuration in configurations:
        result = {"network": configuration.name(), "alpha": configuration.alpha, "shape": configuration.shape,
                  "threads": threads, "macs": configuration.macs, "rounds": rounds, "engines": {}}  # fmt: skip
        ours = workers[configuration, engines[0]]
        expected = ours.output(cache / "output.f32")
        for engine in engines:
            worker = workers.get((configuration, engine))
            if worker is None:
                continue
            output = worker.output(cache / "output.f32")
            if output.shape != expected.shape:
                sys.exit(f"compare: {engine.name} on {configuration.network}: {output.size} outputs instead of "
                         f"{expected.size}")  # fmt: skip
            difference = float(abs(output - expected).max() / (expected.max() - expected.min()))
            median = statistics.median(worker.times)
            result["engines"][engine.name] = {
                "version": worker.about["version"],
                "note": worker.about["note"],
                "median_ms": median,
                "min_ms": min(worker.times),
                "gflops": 2e-6 * configuration.macs / median,
                "times_first": statistics.median(b / a for a, b in zip(ours.rounds, worker.rounds)),
                "load_ms": worker.about["load_ms"],
                "first_ms": worker.about["first_ms"],
                "peak_mb": int(worker.ask("memory", "memory")) / 1024,
                "base_mb": worker.about["base_kb"] / 1024,
                "difference": difference,
                "agrees": difference <= engine.tolerance,
            }
        results.append(result)
        if configuration.layers == MANY_LAYERS:
            results.append(one_layer(configuration.network, *results[-2:]))
    for worker in workers.values():
        worker.close()
    return results


def one_layer(name, few, many):
    """A result of its own: what each layer more adds."""
    more = MANY_LAYERS - FEW_LAYERS
    result = {**many, "network": f"{name} layer", "macs": (many["macs"] - few["macs"]) // more, "engines": {}}
    first = None
    for engine, of in many["engines"].items():
        if engine not in few["engines"]:
            continue
        median, least = ((of[key] - few["engines"][engine][key]) / more for key in ("median_ms", "min_ms"))
        first = first or median
        result["engines"][engine] = {**of, "median_ms": median, "min_ms": least, "gflops": 2e-6 * result["macs"] / median,
                                     "times_first": median / first}  # fmt: skip
    return result


def print_table(results):
    print(f"{'network':<20} {'alpha':>5} {'batch':>5} {'thr':>3}  {'engine':<24} {'ms':>9} {'min':>9} {'GFLOP/s':>8} "
          f"{'x first':>8} {'x alpha0':>8} {'load ms':>8} {'MB':>6} {'of it net':>9}  difference")  # fmt: skip
    for result in results:
        for name, of in result["engines"].items():
            ordinary = next((r["engines"][name]["median_ms"] for r in results
                             if (r["network"], r["shape"], r["threads"], r["alpha"])
                             == (result["network"], result["shape"], result["threads"], 0)), None)  # fmt: skip
            share = f"{of['median_ms'] / ordinary:8.3f}" if ordinary else " " * 8
            print(f"{result['network']:<20} {result['alpha']:>5g} {result['shape'][0]:>5} {result['threads']:>3}  "
                  f"{name:<24} {of['median_ms']:9.3f} {of['min_ms']:9.3f} {of['gflops']:8.1f} {of['times_first']:8.3f} "
                  f"{share} {of['load_ms'] + of['first_ms']:8.0f} {of['peak_mb']:6.0f} "
                  f"{of['peak_mb'] - of['base_mb']:9.0f}  {of['difference']:.1e}"
                  f"{'' if of['agrees'] else ' DIFFERS'}")  # fmt: skip
    versions = {name: f"{name} {of['version']}{', ' + of['note'] if of['note'] else ''}"
                for result in results for name, of in result["engines"].items()}  # fmt: skip
    print("; ".join(versions.values()))


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return "unknown processor"


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=DEFAULT_NETWORKS, metavar="NETWORK[:ALPHA[:SIZE[:BATCH]]]",
                        help="default: resnet50v2 at 224 with six alphas")  # fmt: skip
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default: 1,2")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--engines", default=DEFAULT_ENGINES, help=f"the others are compared with the first; "
                        f"default: {DEFAULT_ENGINES}")  # fmt: skip
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="folder of octconv's build")
    parser.add_argument("--worker", action="append", metavar="[LABEL=]PROGRAM",
                        help="octconv_peer_worker; several compare several versions of octconv")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=ROOT / "build/peers", help="folder of the exported networks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    arguments.cache.mkdir(parents=True, exist_ok=True)
    workers = arguments.worker or [str(arguments.build / "bench/octconv_peer_worker")]
    engines = choose_engines(arguments.engines.split(","), workers)
    configurations = configure(arguments.networks)
    for configuration in configurations:
        configuration.prepare(arguments.build, arguments.cache)
    results = []
    for threads in arguments.threads:
        results += measure(configurations, engines, threads, arguments.rounds, arguments.cache)
    print(f"{processor()}; load average {os.getloadavg()[0]:.2f} at the end")
    print_table(results)
    if arguments.json:
        whole = {"processor": processor(), "results": results}
        arguments.json.write_text(json.dumps(whole, indent=1) + "\n")
    if not all(of["agrees"] for result in results for of in result["engines"].values()):
        sys.exit("compare: outputs differ")


if __name__ == "__main__":
    main()
