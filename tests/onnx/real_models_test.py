# SPDX-License-Identifier: Apache-2.0
"""Trained networks that others published, on pictures: octconv gives what ONNX Runtime gives, and what is true.

PP-OCRv4's text detector, direction classifier and recogniser as the package rapidocr-onnxruntime holds them, and
EfficientNet-Lite0 as PyTorch exports it.

usage: real_models_test.py path/to/octconv path/to/python [unittest arguments], with the Python that scripts/peers.sh
makes; the second path is a Python with torch (Debian's python3-torch). Needs Debian's python-matplotlib-data.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
import onnx.version_converter
from PIL import Image, ImageDraw, ImageFont

from engines import run_onnx_runtime

TOOL = ""  # set by main
PYTORCH = ""  # set by main

HERE = pathlib.Path(__file__).parent
MODELS = pathlib.Path(sys.prefix) / "models"  # where scripts/peers.sh puts them
OCR = MODELS / "rapidocr_onnxruntime" / "models"
DETECTOR = OCR / "ch_PP-OCRv4_det_infer.onnx"
CLASSIFIER = OCR / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
RECOGNISER = OCR / "ch_PP-OCRv4_rec_infer.onnx"
DATA = pathlib.Path("/usr/share/matplotlib/mpl-data")
FONT = DATA / "fonts/ttf/DejaVuSans.ttf"
PHOTOGRAPH = DATA / "sample_data/grace_hopper.jpg"  # an officer in uniform, 512 x 600
MILITARY_UNIFORM = 652  # of ImageNet's 1000 classes

# Two float32 engines that add up in different orders; a wrong pixel or channel shows as 1e-2 and more.
TOLERANCE = 1e-4


def page(lines, size, font_size=28):
    """A white page with lines of text, and the boxes that their letters fill."""
    picture = Image.new("RGB", size, "white")
    draw, font, boxes = ImageDraw.Draw(picture), ImageFont.truetype(str(FONT), font_size), []
    for number, line in enumerate(lines):
        at = (size[0] // 16, (2 * number + 1) * size[1] // (2 * len(lines)) - font_size // 2)
        draw.text(at, line, font=font, fill="black")
        boxes.append(tuple(int(edge) for edge in draw.textbbox(at, line, font=font)))
    return picture, boxes


def ocr_input(picture):
    """Blue first, in [-1, 1], as PP-OCR wants it."""
    pixels = np.asarray(picture.convert("RGB"), np.float32)[:, :, ::-1]
    return np.ascontiguousarray((pixels / 127.5 - 1).transpose(2, 0, 1)[None])


def imagenet_input(path):
    """The square in the middle at 224 x 224, as EfficientNet-Lite wants it."""
    picture = Image.open(path).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    pixels = np.asarray(picture, np.float32)
    return np.ascontiguousarray(((pixels - 127) / 128).transpose(2, 0, 1)[None])


def error_between(got, expected):
    return np.abs(got.reshape(expected.shape) - expected).max() / np.ptp(expected)


class RealModels(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def octconv(self, *arguments):
        return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=300)

    def run_file(self, path, images):
        np.save(self.folder / "x.npy", images)
        done = self.octconv("run", path, "--input", self.folder / "x.npy", "--output", self.folder / "y.npy")
        self.assertEqual(done.returncode, 0, done.stderr)
        return np.load(self.folder / "y.npy")

    def compare(self, path, images):
        """What octconv gives, after a look at what ONNX Runtime gives."""
        expected = run_onnx_runtime(path, images)
        got = self.run_file(path, images)
        self.assertEqual(got.shape[0], images.shape[0])
        self.assertLess(error_between(got, expected), TOLERANCE)
        return got.reshape(expected.shape)

    def check_twins(self, path, images):
        """The twin of alpha 0 is the same network; that of alpha 0.5 is the same in both engines, and another."""
        before = self.run_file(path, images)
        for alpha in (0, 0.5):
            twin = self.folder / "twin.onnx"
            done = self.octconv("octavize", path, "--alpha", alpha, "--size", *images.shape[2:], "-o", twin)
            self.assertEqual(done.returncode, 0, done.stderr)
            error = error_between(self.compare(twin, images), before)
            if alpha == 0:
                self.assertLess(error, 1e-5)
            else:
                self.assertGreater(error, 1e-3)

    # --- PP-OCRv4

    def test_detector_finds_the_lines(self):
        for size in ((384, 224), (320, 352)):
            with self.subTest(size=size):
                picture, boxes = page(("Drop an Octave", "half the resolution", "a quarter of it"), size)
                found = self.compare(DETECTOR, ocr_input(picture))[0, 0] > 0.3
                self.assertEqual(found.shape, size[::-1])
                for left, top, right, bottom in boxes:
                    # It marks the middle of a line.
                    self.assertGreater(found[top:bottom, left:right].mean(), 0.25)
                    found[top:bottom, left:right] = False
                self.assertLess(found.mean(), 0.01)

    def test_detector_in_newer_opsets(self):
        images = ocr_input(page(("Drop", "an Octave"), (192, 128))[0])
        before = self.run_file(DETECTOR, images)
        for opset in (18, 19, 20, 21):
            with self.subTest(opset=opset):
                path = self.folder / "converted.onnx"
                onnx.save(onnx.version_converter.convert_version(onnx.load(DETECTOR), opset), path)
                self.compare(path, images)
                np.testing.assert_array_equal(self.run_file(path, images), before)

    def test_detector_on_a_photograph_and_a_batch(self):
        photograph = Image.open(PHOTOGRAPH).resize((256, 288))
        batch = np.concatenate([ocr_input(photograph), ocr_input(photograph.rotate(180))])
        self.compare(DETECTOR, batch)

    def test_twins_of_the_detector(self):
        self.check_twins(DETECTOR, ocr_input(page(("Drop", "an Octave"), (192, 128))[0]))

    def test_classifier_tells_which_way_up(self):
        lines = [page((line,), (192, 48), 26)[0] for line in ("Octave 2019", "convolution", "high & low")]
        upright, turned = ([ocr_input(line.rotate(angle)) for line in lines] for angle in (0, 180))
        for path in (CLASSIFIER, self.classifier_without_softmax()):
            got = self.compare(path, np.concatenate(upright + turned))
            self.assertEqual(got.shape, (6, 2))
            self.assertEqual(got.argmax(1).tolist(), [0, 0, 0, 1, 1, 1])

    def classifier_without_softmax(self):
        """Its probabilities are so near 0 and 1 that they would hide differences."""
        model = onnx.load(CLASSIFIER)
        softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
        last = next(node for node in model.graph.node if softmax.output[0] in node.input)
        self.assertEqual((last.op_type, last.output[0]), ("Identity", model.graph.output[0].name))
        last.input[0] = softmax.input[0]
        model.graph.node.remove(softmax)
        onnx.save(model, self.folder / "classifier.onnx")
        return self.folder / "classifier.onnx"

    def test_twins_of_the_classifier(self):
        self.check_twins(self.classifier_without_softmax(), ocr_input(page(("Octave 2019",), (192, 48), 26)[0]))

    def test_recogniser_reads_or_is_refused_with_every_reason(self):
        images = ocr_input(page(("Octave 2019",), (192, 48), 26)[0])
        np.save(self.folder / "x.npy", images)
        done = self.octconv("run", RECOGNISER, "--input", self.folder / "x.npy", "--output", self.folder / "y.npy")
        if done.returncode == 0:
            got = self.compare(RECOGNISER, images)[0].argmax(1)
            alphabet = onnx.load(RECOGNISER).metadata_props[0].value.splitlines() + [" "]
            # 0 stands between letters; a letter may span several places.
            read = [alphabet[best - 1] for best, last in zip(got, [0, *got[:-1]]) if best not in (0, last)]
            self.assertEqual("".join(read), "Octave 2019")
        else:
            self.assertEqual(done.returncode, 1)
            self.check_complaint(RECOGNISER, done.stderr)

    def check_complaint(self, path, message):
        nodes = {node.name or node.output[0]: node.op_type for node in onnx.load(path).graph.node}
        self.assertEqual(len(nodes), len(onnx.load(path).graph.node), "names of operations repeat")
        named = dict(re.findall(r"'([^']+)' \((\w+)\): ", message))
        # What it names is in the file.
        self.assertLessEqual(set(named.items()), set(nodes.items()))
        count = re.search(r"(\d+) of its (\d+) operations cannot be taken", message)
        self.assertEqual([int(number) for number in count.groups()], [len(named), len(nodes)])
        # It names all of which the documentation does not speak.
        table = (HERE.parents[1] / "docs/importing.md").read_text().split("## What can be read")[1].split("\n## ")[0]
        rows = re.findall(r"^\| ([^|]+) \|", table, re.M)
        documented = {name for row in rows for name in re.findall(r"\b[A-Z]\w+", row)}
        self.assertIn("GlobalAveragePool", documented)
        unknown = {name: kind for name, kind in nodes.items() if kind not in documented}
        self.assertIn("Sqrt", unknown.values())
        self.assertLessEqual(set(unknown.items()), set(named.items()))

    # --- EfficientNet-Lite0

    def efficientnet_lite(self, *options):
        path = self.folder / "efficientnet_lite0.onnx"
        script = HERE / "efficientnet_lite.py"
        subprocess.run([PYTORCH, script, MODELS, path, *options], check=True, timeout=300)
        return path

    def test_efficientnet_lite_knows_what_the_photograph_shows(self):
        images = imagenet_input(PHOTOGRAPH)
        got = self.compare(self.efficientnet_lite(), images)
        self.assertEqual(got.shape, (1, 1000))
        self.assertEqual(got.argmax(), MILITARY_UNIFORM)

    def test_efficientnet_lite_with_an_open_batch(self):
        images = imagenet_input(PHOTOGRAPH)
        got = self.compare(self.efficientnet_lite("open"), np.concatenate([images, images[:, :, :, ::-1]]))
        self.assertEqual(got.argmax(1).tolist(), [MILITARY_UNIFORM, MILITARY_UNIFORM])

    def test_twins_of_efficientnet_lite(self):
        self.check_twins(self.efficientnet_lite(), imagenet_input(PHOTOGRAPH))


def main():
    global TOOL, PYTORCH
    if len(sys.argv) < 3 or not os.access(sys.argv[1], os.X_OK) or not os.access(sys.argv[2], os.X_OK):
        sys.exit(__doc__)
    TOOL, PYTORCH = os.path.abspath(sys.argv.pop(1)), sys.argv.pop(1)
    unittest.main()


if __name__ == "__main__":
    main()
