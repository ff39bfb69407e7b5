# SPDX-License-Identifier: Apache-2.0
"""A network that torch trains, as a process that training.py asks for steps.

usage: training_worker.py ARRAYS CLASSES SHAPE THREADS
  ARRAYS  the file of convert.py's to_arrays
  SHAPE   of a batch: numbers with commas

A step is forward, cross entropy, backward and SGD with momentum, in channels-last order, batch norms in training mode.
The protocol is that of `octconv_training_bench --serve`: a line each way.
"""
import os
import sys
import time

from worker import memory_kb


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    file, classes, shape, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(","), int(sys.argv[4])
    os.environ["DNNL_DEFAULT_FPMATH_MODE"] = "STRICT"
    import torch
    from torch_network import Network

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.set_float32_matmul_precision("highest")
    print(f"ready {memory_kb()}", flush=True)
    torch.manual_seed(1)  # the numbers that octconv_training_bench draws
    images = torch.randn([int(extent) for extent in shape])
    labels = torch.randint(0, classes, (images.shape[0],))
    images = images.contiguous(memory_format=torch.channels_last)
    network = Network(file, trained=True)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        if parameter.dim() == images.dim():
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9)
    for line in sys.stdin:
        order = line.strip()
        if order == "step":
            begin = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
            print(f"step {1e3 * (time.perf_counter() - begin):.6f} {loss.item():.9g}", flush=True)
        elif order == "memory":
            print(f"memory {memory_kb()}", flush=True)
        elif order == "version":
            print(f"version {torch.__version__}", flush=True)
        else:
            sys.exit(f"unknown order {line!r}")


if __name__ == "__main__":
    main()
