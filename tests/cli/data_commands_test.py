# SPDX-License-Identifier: Apache-2.0
"""The commands that read pictures and data sets: predict, decompose, eval, train, report, study, compare.

usage: data_commands_test.py path/to/octconv [unittest arguments]
"""
import gzip
import json
import os
import pathlib
import pty
import random
import re
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree
import zlib

import cli_test
from cli_test import CommandTest

SIZE = 12
CLASSES = 3


def idx(extents, values):
    """An idx file of unsigned bytes."""
    header = struct.pack(">I", 0x0800 | len(extents))
    return header + b"".join(struct.pack(">I", extent) for extent in extents) + bytes(values)


def png(height, width, pixels):
    """A grey PNG file."""

    def part(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    rows = b"".join(b"\0" + bytes(pixels[i * width : (i + 1) * width]) for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header)
        + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    )  # fmt: skip


class DataCommandTest(CommandTest):
    """Has a folder of images whose classes are their brightness, and a model for them."""

    def write_data(self, name="data", train=48, test=20):
        folder = self.folder / name
        folder.mkdir()
        chance = random.Random(1)
        for part, count in (("train", train), ("t10k", test)):
            labels = [i % CLASSES for i in range(count)]
            pixels = [
                80 * label + chance.randrange(60) for label in labels for _ in range(SIZE * SIZE)
            ]
            images = gzip.compress(idx([count, SIZE, SIZE], pixels))
            (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(images)
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx([count], labels))
        return folder

    def write_model(self, name="model.onnx"):
        self.succeed(
            "export", "resnet20", "--alpha", "0.25", "--in-channels", "1", "--classes", CLASSES,
            "--size", SIZE, "-o", name,
        )  # fmt: skip
        return self.folder / name


class Eval(DataCommandTest):
    def test_counts_images(self):
        self.write_data()
        self.write_model()
        result = json.loads(self.succeed("eval", "model.onnx", "--data", "data", "--json"))
        self.assertEqual(result["images"], 20)
        self.assertEqual(result["data"], "data")
        self.assertAlmostEqual(result["accuracy"] * 20, round(result["accuracy"] * 20))
        self.assertEqual(result["top5_accuracy"], 1)
        self.assertGreater(result["loss"], 0)
        self.assertIn("of 7)", self.succeed("eval", "model.onnx", "--data", "data", "--images", 7))

    def test_the_number_of_threads_changes_nothing(self):
        self.write_data()
        self.write_model()
        one, two = (
            self.succeed("eval", "model.onnx", "--data", "data", "--json", "--threads", threads)
            for threads in (1, 2)
        )
        self.assertEqual(one, two)

    def test_a_data_set_that_is_not_installed_says_how_to_get_it(self):
        self.write_model()
        self.fail_with(
            ["apt-get install dataset-fashion-mnist", str(self.folder)],
            "eval", "model.onnx", "--data", "fashion-mnist",
            env={**os.environ, "OCTCONV_DATA": str(self.folder)},
        )  # fmt: skip

    def test_an_unknown_data_set_suggests_the_nearest(self):
        self.write_model()
        self.fail_with(["'fashion-mnist'?"], "eval", "model.onnx", "--data", "fashion-mnits")

    def test_a_folder_without_the_files_names_the_first(self):
        self.write_model()
        (self.folder / "empty").mkdir()
        self.fail_with(["train-images-idx3-ubyte"], "eval", "model.onnx", "--data", "empty")

    def test_truncated_gzip_names_the_file(self):
        data = self.write_data()
        self.write_model()
        path = data / "t10k-images-idx3-ubyte.gz"
        whole = path.read_bytes()
        for size in (0, 1, 10, len(whole) // 2, len(whole) - 1):
            with self.subTest(size=size):
                path.write_bytes(whole[:size])
                self.fail_with([path.name], "eval", "model.onnx", "--data", "data")

    def test_counts_that_disagree_are_refused(self):
        data = self.write_data()
        self.write_model()
        (data / "t10k-labels-idx1-ubyte").write_bytes(idx([19], [0] * 19))
        self.fail_with(["20 images", "19 labels"], "eval", "model.onnx", "--data", "data")

    def test_a_model_of_other_classes_is_refused(self):
        self.write_data()
        self.succeed("export", "resnet20", "--in-channels", "1", "--size", SIZE, "-o", "ten.onnx")
        self.fail_with(["10 classes", "has 3"], "eval", "ten.onnx", "--data", "data")

    def test_sizes_are_tested_one_after_the_other(self):
        self.write_data()
        self.write_model()
        alone = json.loads(self.succeed("eval", "model.onnx", "--data", "data", "--json"))
        self.assertEqual((alone["height"], alone["width"]), (SIZE, SIZE))
        arguments = ("eval", "model.onnx", "--data", "data", "--size", f"{2 * SIZE},{SIZE}")
        double, same = json.loads(self.succeed(*arguments, "--json"))["sizes"]
        for name, value in same.items():
            self.assertEqual(value, alone[name], name)
        cost = json.loads(self.succeed("cost", "resnet20", "--alpha", 0.25, "--in-channels", 1, "--classes", CLASSES,
                                       "--size", 2 * SIZE, "--json"))  # fmt: skip
        self.assertEqual(double["macs"], cost["macs"])
        self.assertNotEqual(double["loss"], same["loss"])
        _, header, _, first, second = self.succeed(*arguments).splitlines()
        self.assertRegex(header, r"^size +images +accuracy +top 5 +loss +multiply-adds$")
        self.assertTrue(first.startswith(f"{2 * SIZE} x {2 * SIZE} "), first)
        self.assertTrue(second.endswith(f" {alone['macs']:,}"), second)

    def test_classes_add_up(self):
        self.write_data()
        self.write_model()
        arguments = ("eval", "model.onnx", "--data", "data", "--per-class")
        result = json.loads(self.succeed(*arguments, "--json"))
        self.assertEqual([c["class"] for c in result["classes"]], ["0", "1", "2"])
        self.assertEqual([c["images"] for c in result["classes"]], [7, 7, 6])
        self.assertEqual([sum(c["taken_for"]) for c in result["classes"]], [7, 7, 6])
        found = sum(c["taken_for"][i] for i, c in enumerate(result["classes"]))
        self.assertAlmostEqual(found, result["accuracy"] * 20)
        self.assertEqual(len(self.succeed(*arguments).split("\n\n")[1].splitlines()), 2 + CLASSES)

    def test_what_classes_are_taken_for_is_drawn(self):
        self.write_data()
        self.write_model()
        arguments = ("eval", "model.onnx", "--data", "data", "--confusion")
        self.succeed(*arguments, "c.png")
        header = (self.folder / "c.png").read_bytes()[:24]
        self.assertEqual(header[:8], b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", header[16:])
        self.assertEqual(width, height)
        self.assertGreater(width, 40 * CLASSES)
        self.succeed(*arguments, "c.html")
        page = xml.etree.ElementTree.parse(self.folder / "c.html").getroot()
        cells = [e for e in page.iter("{http://www.w3.org/2000/svg}rect") if e.get("class") == "cell"]
        self.assertGreaterEqual(len(cells), CLASSES)

    def test_usage(self):
        self.wrong_usage("eval", "model.onnx", "--data", "data", "--confusion", "c.pdf")
        self.wrong_usage("eval", "model.onnx", "--data", "data", "--confusion", "c.png", "--size", "8,16")
        self.wrong_usage("eval", "model.onnx", "--data", "data", "--per-class", "--size", "8,16")
        self.wrong_usage("eval", "model.onnx", "--data", "data", "--size", "0")
        self.wrong_usage("eval", "model.onnx")
        self.wrong_usage("eval", "model.onnx", "--data", "data", "--images", "0")
        self.fail_with(["absent.onnx"], "eval", "absent.onnx", "--data", "data")


class Recipe(DataCommandTest):
    """What `recipe` prints is what `train --recipe` does."""

    # Nothing of colours, for grey images, and short.
    SHORT = (
        "--epochs", "1", "--warmup-epochs", "0", "--batch-size", "16", "--accumulate", "2",
        "--colour-jitter", "0", "--colour-noise", "0", "--crop", "shift", "--threads", "1",
    )  # fmt: skip

    def setUp(self):
        super().setUp()
        if "built without LibTorch" in self.octconv("recipe").stderr:
            self.skipTest("this octconv was built without LibTorch")

    def test_printed_options_train_the_same_network(self):
        data = self.write_data()
        for name in self.succeed("recipe").splitlines():
            name = name.split(":")[0]
            (line,) = [
                line
                for line in self.succeed("recipe", name).splitlines()
                if line.startswith("octconv train ")
            ]
            options = line.split()[2:]
            models = []
            for folder, how in (("whole", ["--recipe", name]), ("parts", options)):
                # An option that is given twice is refused: those of SHORT replace the printed ones.
                kept = []
                for i, word in enumerate(how):
                    if not word.startswith("--"):
                        continue
                    values = [w for w in how[i + 1 : i + 2] if not w.startswith("--")]
                    if word not in self.SHORT:
                        kept += [word, *values]
                out = f"{name}-{folder}"
                trained = self.octconv("train", "--data", data, "--out", out, *kept, *self.SHORT)
                self.assertEqual(trained.returncode, 0, trained.stderr)
                models.append((self.folder / out / "model.onnx").read_bytes())
            self.assertEqual(models[0], models[1], name)

    def test_an_unknown_recipe_names_the_known_ones(self):
        self.fail_with(["unknown recipe 'paper'", "known are paper-ablation"], "recipe", "paper")


class Predict(DataCommandTest):
    def test_probabilities_are_sorted_and_sum_to_one(self):
        self.write_model()
        for name, size in (("same.png", SIZE), ("larger.png", 30)):
            pixels = [i * 7 % 256 for i in range(size * size)]
            (self.folder / name).write_bytes(png(size, size, pixels))
        pictures = ["same.png", "larger.png"]
        result = json.loads(self.succeed("predict", "model.onnx", *pictures, "--json"))
        self.assertEqual([entry["file"] for entry in result], pictures)
        for entry in result:
            probabilities = [guess["probability"] for guess in entry["predictions"]]
            self.assertEqual(len(probabilities), CLASSES)
            self.assertEqual(probabilities, sorted(probabilities, reverse=True))
            self.assertAlmostEqual(sum(probabilities), 1)
        text = self.succeed("predict", "model.onnx", "same.png", "--top", "1")
        self.assertIn(result[0]["predictions"][0]["label"], text)

    def test_what_is_not_an_image_is_named(self):
        self.write_model()
        (self.folder / "text.png").write_text("not a picture\n")
        self.fail_with(["text.png"], "predict", "model.onnx", "text.png")
        (self.folder / "empty.png").write_bytes(b"")
        self.fail_with(["empty.png"], "predict", "model.onnx", "empty.png")
        self.fail_with(["absent.png"], "predict", "model.onnx", "absent.png")
        self.fail_with([str(self.folder)], "predict", "model.onnx", self.folder)

    def test_a_truncated_picture_is_refused_in_one_line(self):
        self.write_model()
        whole = png(SIZE, SIZE, [7] * (SIZE * SIZE))
        for size in (9, 40, len(whole) - 1):
            with self.subTest(size=size):
                (self.folder / "half.png").write_bytes(whole[:size])
                self.fail_with(["half.png", "truncated"], "predict", "model.onnx", "half.png")

    def test_a_file_that_is_no_model_is_refused(self):
        (self.folder / "picture.png").write_bytes(png(2, 2, [0, 1, 2, 3]))
        self.fail_with(["picture.png"], "predict", "picture.png", "picture.png")

    def test_usage(self):
        self.wrong_usage("predict", "model.onnx")
        self.wrong_usage("predict", "model.onnx", "picture.png", "--top", "0")


class Decompose(DataCommandTest):
    PARTS = ["high.png", "low-grid.png", "low.png", "spectrum.png", "spectrum.svg", "summary.json"]

    def write_picture(self, name="picture.png", height=20, width=31):
        pixels = [(i * 7 + i // width * 40) % 256 for i in range(height * width)]
        (self.folder / name).write_bytes(png(height, width, pixels))
        return name

    def files(self, folder):
        return sorted(path.name for path in (self.folder / folder).iterdir())

    def test_a_picture_becomes_its_parts(self):
        result = json.loads(self.succeed("decompose", self.write_picture(), "--out", "a/b", "--json"))
        self.assertEqual(self.files("a/b"), self.PARTS)
        self.assertEqual(result, json.loads((self.folder / "a/b/summary.json").read_text()))
        self.assertEqual([part["name"] for part in result["parts"]], ["picture", "low", "high"])
        self.assertAlmostEqual(result["low_share"] + result["high_share"], 1)
        self.assertEqual(sorted([*result["files"], "summary.json"]), self.PARTS)
        xml.etree.ElementTree.parse(self.folder / "a/b/spectrum.svg")

    def test_pictures_of_one_pixel_and_of_one_row(self):
        for height, width in ((1, 1), (1, 40), (40, 1)):
            with self.subTest(height=height, width=width):
                self.write_picture("small.png", height, width)
                self.succeed("decompose", "small.png", "--out", "out")

    def test_a_photograph_is_mostly_low(self):
        # Of Debian's python-matplotlib-data.
        photograph = "/usr/share/matplotlib/mpl-data/sample_data/grace_hopper.jpg"
        result = json.loads(self.succeed("decompose", photograph, "--out", "out", "--json"))
        self.assertEqual([part["channels"] for part in result["parts"]], [3, 3, 3])
        self.assertGreater(result["low_share"], 0.9)
        self.assertGreater(result["high_share"], 0.001)
        # Natural pictures have less power the higher the frequency.
        power = [ring["power"] for ring in result["parts"][0]["spectrum"]]
        quarter = len(power) // 4
        sums = [sum(power[i * quarter : (i + 1) * quarter]) for i in range(4)]
        self.assertEqual(sums, sorted(sums, reverse=True))

    def test_a_layer_becomes_its_channels(self):
        self.write_model()
        result = json.loads(self.succeed(
            "decompose", self.write_picture(), "--out", "out", "--json",
            "--model", "model.onnx", "--layer", "layer1.0.conv1"))  # fmt: skip
        expected = ["high.png", "low.png", "spectrum.png", "spectrum.svg", "summary.json"]
        self.assertEqual(self.files("out"), expected)
        self.assertEqual([(part["name"], part["channels"], part["height"]) for part in result["parts"]],
                         [("high", 12, SIZE), ("low", 4, SIZE // 2)])

    def test_existing_files_are_replaced_and_others_kept(self):
        (self.folder / "out").mkdir()
        (self.folder / "out/low.png").write_text("old")
        (self.folder / "out/mine.txt").write_text("mine")
        self.succeed("decompose", self.write_picture(), "--out", "out")
        self.assertTrue((self.folder / "out/low.png").read_bytes().startswith(b"\x89PNG"))
        self.assertEqual(self.files("out"), sorted([*self.PARTS, "mine.txt"]))

    def test_what_cannot_be_read_leaves_no_folder(self):
        (self.folder / "text.png").write_text("not a picture\n")
        self.fail_with(["text.png"], "decompose", "text.png", "--out", "out")
        self.fail_with(["absent.png"], "decompose", "absent.png", "--out", "out")
        picture = self.write_picture()
        self.fail_with([picture], "decompose", picture, "--out", picture)
        self.fail_with(["'cubic'", "bilinear"],
                       "decompose", picture, "--out", "out", "--upsample", "cubic")

    def test_layers_that_cannot_be_shown_are_refused(self):
        self.write_model()
        arguments = ["decompose", self.write_picture(), "--out", "out", "--model", "model.onnx"]
        self.fail_with(["'layer1.0.conv9'", "layer1.0.conv1"],
                       *arguments, "--layer", "layer1.0.conv9")
        self.fail_with(["'fc'", "no extents"], *arguments, "--layer", "fc")

    def test_usage(self):
        picture = self.write_picture()
        self.wrong_usage("decompose", picture)
        self.wrong_usage("decompose", "--out", "out")
        self.wrong_usage("decompose", picture, "--out", "out", "--model", "m.onnx")
        self.wrong_usage("decompose", picture, "--out", "out", "--layer", "fc")
        self.wrong_usage("decompose", picture, "--out", "out", "--model", "m.onnx", "--layer", "x",
                         "--upsample", "nearest")


class OctavizeOnImages(DataCommandTest):
    def setUp(self):
        super().setUp()
        self.write_data()
        self.succeed("export", "resnet20", "--in-channels", 1, "--classes", CLASSES, "--size", SIZE, "-o", "net.onnx")
        self.pixels = ("--mean", 0.3, "--deviation", 0.4)

    def twin(self, *arguments):
        return ("octavize", "net.onnx", "--alpha", 0.5, *arguments, "-o", "twin.onnx")

    def test_channels_are_chosen_and_statistics_estimated(self):
        result = json.loads(self.succeed(*self.twin(
            *self.pixels, "--choose-channels", "data", "--calibrate", "data", "--images", 20,
            "--order", "order.json", "--json",
        )))  # fmt: skip
        self.assertEqual(result["chosen_on_images"], 20)
        calibration = result["calibration"]
        self.assertEqual(calibration["images"], 20)
        self.assertEqual(calibration["convolutions"], 0)
        self.assertGreater(calibration["batch_norms"], 15)
        self.assertGreater(calibration["before"]["relative_distance"], 0)
        self.assertIn("same_class", calibration["after"])
        order = json.loads((self.folder / "order.json").read_text())
        self.assertGreater(len(order), 15)
        for numbers in order.values():
            self.assertEqual(sorted(numbers), list(range(len(numbers))))
            self.assertNotEqual(sorted(numbers), numbers)
        self.succeed("eval", "twin.onnx", "--data", "data")

    def test_pictures_of_a_folder_do(self):
        (self.folder / "pictures").mkdir()
        (self.folder / "pictures/a.png").write_bytes(png(SIZE, SIZE, [i % 200 for i in range(SIZE * SIZE)]))
        text = self.succeed(*self.twin(*self.pixels, "--calibrate", "pictures"))
        self.assertIn("calibrated on 1 images", text)
        self.assertIn("accuracy is recovered by training it on", text)

    def test_what_is_missing_is_said(self):
        self.fail_with(["'no-such-folder'"], *self.twin(*self.pixels, "--choose-channels", "no-such-folder"))
        (self.folder / "empty").mkdir()
        self.fail_with(["'empty' holds neither pictures nor"], *self.twin(*self.pixels, "--calibrate", "empty"))
        self.wrong_usage(*self.twin(*self.pixels, "--calibrate", "data", "--images", 0))
        self.assertFalse((self.folder / "twin.onnx").exists())


class TrainOn(DataCommandTest):
    def setUp(self):
        super().setUp()
        if "without LibTorch" in self.octconv("train", "--out", "x", "--data", "no-such-data").stderr:
            self.skipTest("built without LibTorch")
        self.write_data()
        self.write_model("net.onnx")

    def test_a_file_gives_network_and_weights(self):
        result = self.octconv("train", "--model", "net.onnx", "--data", "data", "--epochs", 1, "--batch-size", 16,
                              "--learning-rate", 0.01, "--out", "out")  # fmt: skip
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("net.onnx: test accuracy", result.stdout)
        before = json.loads(self.succeed("inspect", "net.onnx", "--json"))
        after = json.loads(self.succeed("inspect", "out/model.onnx", "--json"))
        self.assertEqual(before["layers"], after["layers"])
        self.assertGreater(after["octave_convs"], 0)

    def test_bfloat16_where_the_processor_multiplies_it(self):
        options = ("train", "--model", "net.onnx", "--data", "data", "--epochs", 1, "--batch-size", 16, "--bfloat16",
                   "--out", "out")  # fmt: skip
        if "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text():
            result = self.octconv(*options)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.succeed("eval", "out/model.onnx", "--data", "data")
        else:
            self.fail_with(["--bfloat16", "AVX-512 BF16"], *options)
            self.assertFalse((self.folder / "out").exists())

    def test_what_contradicts_the_file_is_refused(self):
        for options in (("--alpha", 0.5), ("--stride-mode", "pool"), ("--exchange", "none"),
                        ("--downsample", "max"), ("--zero-gamma",)):  # fmt: skip
            with self.subTest(options=options):
                self.wrong_usage("train", "--model", "net.onnx", "--data", "data", *options, "--out", "out")
        self.fail_with(["'no.onnx'"], "train", "--model", "no.onnx", "--data", "data", "--out", "out")
        self.assertFalse((self.folder / "out").exists())


class Watch(DataCommandTest):
    """What a training leaves to look at while it runs and afterwards."""

    def setUp(self):
        super().setUp()
        if "without LibTorch" in self.octconv("train", "--out", "x", "--data", "no-such-data").stderr:
            self.skipTest("built without LibTorch")
        self.write_data()

    def train(self, out, *more, **options):
        return self.octconv("train", "--data", "data", "--batch-size", 16, "--threads", 1, "--out", out, *more,
                            **options)  # fmt: skip

    def test_a_line_for_each_epoch_and_events(self):
        self.assertEqual(self.train("out", "--epochs", 2).returncode, 0)
        lines = [json.loads(line) for line in (self.folder / "out/history.jsonl").read_text().splitlines()]
        self.assertEqual([line["epoch"] for line in lines], [1, 2])
        self.assertEqual([line["step"] for line in lines], [3, 6])
        for line in lines:
            self.assertEqual(line["test_top5_accuracy"], 1)  # of three classes
            self.assertGreater(line["images_per_second"], 0)
            self.assertGreater(line["time"], 1.7e9)
        (events,) = (self.folder / "out").glob("*tfevents*")
        data = events.read_bytes()
        times = []
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            self.assertEqual(data[12], 0x09)  # each event begins with its time
            times += struct.unpack("<d", data[13:21])
            data = data[12 + length + 4 :]
        self.assertEqual(times[1:], [line["time"] for line in lines])

    def test_report_draws_what_was_trained(self):
        for out, rate in (("a", 0.1), ("b", 0.01)):
            self.assertEqual(self.train(out, "--epochs", 2, "--learning-rate", rate).returncode, 0)
        runs = json.loads(self.succeed("report", "a", "b", "--json", "--html", "page.html"))
        self.assertEqual([run["run"] for run in runs], ["a", "b"])
        for run in runs:
            last = json.loads((self.folder / run["run"] / "history.jsonl").read_text().splitlines()[-1])
            for name, own in (("accuracy", "test_accuracy"), ("train_loss", "train_loss"), ("epochs", "epoch")):
                self.assertEqual(run[name], last[own])
        page = xml.etree.ElementTree.parse(self.folder / "page.html").getroot()
        charts = list(page.iter("{http://www.w3.org/2000/svg}svg"))
        self.assertEqual(len(charts), 4)
        for chart in charts:
            self.assertEqual(len(list(chart.iter("{http://www.w3.org/2000/svg}polyline"))), 2)

    def test_resuming_keeps_the_lines(self):
        self.assertEqual(self.train("out", "--epochs", 2).returncode, 0)
        history = self.folder / "out/history.jsonl"
        whole = history.read_text()
        history.write_text(whole[: whole.index("\n") + 9])
        self.assertEqual(self.train("out", "--epochs", 2, "--resume").returncode, 0)
        self.assertEqual(history.read_text(), whole)

    def test_a_line_is_redrawn_on_terminals_only(self):
        plain = self.train("plain", "--epochs", 1)
        self.assertEqual(plain.returncode, 0)
        self.assertNotIn("\r", plain.stderr)
        terminal, inside = pty.openpty()
        shown = self.train("shown", "--epochs", 1, stderr=inside)
        os.close(inside)
        seen = b""
        try:
            while part := os.read(terminal, 1 << 16):
                seen += part
        except OSError:  # the end of a terminal
            pass
        os.close(terminal)
        self.assertEqual(shown.returncode, 0)
        self.assertIn(b"\rresnet20 alpha 0  epoch 1/1  [####################]", seen)


class Killed(DataCommandTest):
    """A training that is killed, or whose disk is full."""

    EPOCHS = 6
    OPTIONS = ("--batch-size", 8, "--threads", 1, "--epochs", EPOCHS, "--keep", 2, "--checkpoint-steps", 2)

    def setUp(self):
        super().setUp()
        if "without LibTorch" in self.octconv("train", "--out", "x", "--data", "no-such-data").stderr:
            self.skipTest("built without LibTorch")
        self.write_data()

    def arguments(self, out, *more):
        return ("train", "--data", "data", *self.OPTIONS, "--out", out, *more)

    def test_at_any_moment_it_resumes_to_the_same_bits(self):
        begin = time.monotonic()
        self.assertEqual(self.octconv(*self.arguments("whole")).returncode, 0)
        seconds = time.monotonic() - begin
        expected = (self.folder / "whole/model.onnx").read_bytes()
        chance = random.Random(4)
        kills = 0
        for run in range(3):
            out = f"killed{run}"
            for attempt in range(200):
                resume = ["--resume"] if (self.folder / out / "checkpoint.pt").exists() else []
                command = [cli_test.TOOL, *map(str, self.arguments(out, *resume))]
                process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.PIPE, text=True)  # fmt: skip
                try:
                    errors = process.communicate(timeout=chance.uniform(0, seconds))[1]
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.communicate()
                    kills += 1
                    continue
                self.assertEqual(process.returncode, 0, errors)
                break
            self.assertEqual((self.folder / out / "model.onnx").read_bytes(), expected)
            left = [path.name for path in (self.folder / out).iterdir() if path.name.startswith(".")]
            self.assertEqual(left, [])
        self.assertGreater(kills, 3)

    def test_a_full_disk_keeps_the_last_checkpoint(self):
        self.assertEqual(self.octconv(*self.arguments("out")).returncode, 0)
        checkpoint = self.folder / "out/checkpoint-5.pt"
        shutil.copy(checkpoint, self.folder / "out/checkpoint.pt")
        before = checkpoint.read_bytes()

        def limit_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

        self.fail_with(
            ["cannot write 'out/checkpoint.pt'"],
            *self.arguments("out", "--resume"),
            preexec_fn=limit_files,
            restore_signals=False,
        )
        self.assertEqual((self.folder / "out/checkpoint.pt").read_bytes(), before)
        self.assertEqual([p.name for p in (self.folder / "out").iterdir() if p.name.startswith(".")], [])
        self.assertEqual(self.octconv(*self.arguments("out", "--resume")).returncode, 0)


class Report(DataCommandTest):
    LINE = {"epoch": 1, "step": 3, "learning_rate": 0.1, "train_loss": 1.5, "train_accuracy": 0.25,
            "test_loss": 1.25, "test_accuracy": 0.5, "test_top5_accuracy": 0.75, "images_per_second": 99.6,
            "seconds": 2, "time": 1.8e9}  # fmt: skip

    def write_history(self, name, *lines):
        folder = self.folder / name
        folder.mkdir(parents=True)
        (folder / "history.jsonl").write_text("".join(line + "\n" for line in lines))

    def test_the_table_has_the_last_and_the_best_epoch(self):
        second = {**self.LINE, "epoch": 2, "test_accuracy": 0.375, "test_loss": None}
        self.write_history("runs/a", json.dumps(self.LINE), json.dumps(second))
        (header, _, line) = self.succeed("report", "runs/a/").splitlines()
        self.assertRegex(header, r"^run +epochs +train loss +test loss +accuracy +top 5 +best +in epoch")
        self.assertRegex(
            line, r"^a +2 +1\.5000 +nan +37\.50 % +75\.00 % +50\.00 % +1 +100 +4$")

    def test_broken_files_are_named_with_the_line(self):
        good = json.dumps(self.LINE)
        self.write_history("good", good)
        for name, lines, why in (
            ("torn", [good, good[:30]], "line 2: no object of JSON"),
            ("lacks", [json.dumps({k: v for k, v in self.LINE.items() if k != "step"})], "line 1: 'step' is missing"),
            ("text", [json.dumps({**self.LINE, "test_loss": "low"})], "line 1: 'test_loss' is no number"),
            ("twice", [good, good], "line 2: epoch 1 where 2 is the next"),
            ("empty", [], "has no epochs"),
        ):  # fmt: skip
            with self.subTest(name=name):
                self.write_history(name, *lines)
                self.fail_with([f"'{name}/history.jsonl'", why], "report", "good", name, "--html", "p.html")

    def test_missing_files_are_named(self):
        self.fail_with(["'nowhere/history.jsonl'"], "report", "nowhere")
        self.write_history("good", json.dumps(self.LINE))
        self.fail_with(["'good/' is named twice"], "report", "good", "good/")
        self.wrong_usage("report")


class Study(DataCommandTest):
    STUDY = {
        "data": "data", "network": "resnet20", "seeds": [0, 1], "train": {"epochs": 1, "batch_size": 16},
        "variants": [{"name": "vanilla"}, {"name": "alpha 0.5", "alpha": 0.5, "train": {"learning_rate": 0.05}}],
    }  # fmt: skip

    def setUp(self):
        super().setUp()
        self.write_data()

    def need_trainer(self):
        if "without LibTorch" in self.octconv("train", "--out", "x", "--data", "no-such-data").stderr:
            self.skipTest("built without LibTorch")

    def write_study(self, **changes):
        (self.folder / "s.json").write_text(json.dumps({**self.STUDY, **changes}))

    def study(self, *more, **options):
        return self.octconv("study", "s.json", "--out", "out", "--threads", 1, *more, **options)

    def begun(self, result):
        """The runs that were trained, and whether from a checkpoint."""
        self.assertEqual(result.returncode, 0, result.stderr)
        return re.findall(r"^(.*), seed (\d+) \(\d of \d\): (begins|going on)", result.stderr, re.MULTILINE)

    def lines(self):
        """Without times."""
        lines = [json.loads(line) for line in (self.folder / "out/results.jsonl").read_text().splitlines()]
        for line in lines:
            self.assertGreater(line.pop("seconds"), 0)
        return lines

    def test_every_variant_is_trained_with_every_seed(self):
        self.need_trainer()
        self.write_study()
        result = self.study("--json")
        runs = [("vanilla", "0"), ("alpha 0.5", "0"), ("vanilla", "1"), ("alpha 0.5", "1")]
        self.assertEqual(self.begun(result), [(*run, "begins") for run in runs])
        lines = self.lines()
        self.assertEqual([(line["variant"], str(line["seed"])) for line in lines], runs)
        for line in lines:
            folder = f"{line['variant'].replace(' ', '-')}-seed{line['seed']}"
            history = json.loads((self.folder / "out" / folder / "history.jsonl").read_text())
            self.assertEqual(line["accuracy"], history["test_accuracy"])
            evaluated = json.loads(
                self.succeed("eval", f"out/{folder}/model.onnx", "--data", "data", "--json"))
            self.assertEqual(line["macs"], evaluated["macs"])
            self.assertAlmostEqual(line["loss"], evaluated["loss"], 3)
        said = json.loads(result.stdout)
        self.assertEqual((said["finished"], said["planned"]), (4, 4))
        for variant in said["variants"]:
            own = [line["accuracy"] for line in lines if line["variant"] == variant["variant"]]
            self.assertEqual(variant["accuracies"], own)
            self.assertAlmostEqual(variant["accuracy"], statistics.mean(own))
            self.assertAlmostEqual(variant["deviation"], statistics.stdev(own))
        xml.etree.ElementTree.parse(self.folder / "out/report.html")
        again = self.study()
        self.assertEqual(self.begun(again), [])
        table = (self.folder / "out/report.txt").read_text()
        self.assertEqual(again.stdout, table + "report: out/report.html\n")
        self.assertEqual(len(table.splitlines()), 4)

    def test_it_goes_on_where_it_was_stopped(self):
        self.need_trainer()
        self.write_study(train={"epochs": 2, "batch_size": 16})
        self.assertEqual(len(self.begun(self.study())), 4)
        whole = self.lines()
        results = self.folder / "out/results.jsonl"
        text = results.read_text()
        first, second, third, fourth = text.splitlines(keepends=True)
        # While the third line was being written; the fourth run had not begun.
        shutil.rmtree(self.folder / "out/alpha-0.5-seed1")
        results.write_text(first + second + third[: len(third) // 2])
        self.assertEqual(
            self.begun(self.study("--checkpoint-steps", 1)), [("vanilla", "1", "going on"), ("alpha 0.5", "1", "begins")])
        self.assertEqual(self.lines(), whole)

    def test_a_killed_study_goes_on_from_the_checkpoint(self):
        self.need_trainer()
        self.write_study(train={"epochs": 200, "batch_size": 16}, seeds=[0], variants=[{"name": "v"}])
        process = subprocess.Popen([cli_test.TOOL, "study", "s.json", "--out", "out"], cwd=self.folder,
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
        for line in process.stderr:
            if ", epoch 2 of 200" in line:
                break
        process.kill()
        process.stderr.close()
        process.wait()
        self.assertFalse((self.folder / "out/results.jsonl").exists())
        done = len((self.folder / "out/v-seed0/history.jsonl").read_text().splitlines())
        self.assertGreaterEqual(done, 2)
        process = subprocess.Popen([cli_test.TOOL, "study", "s.json", "--out", "out"], cwd=self.folder,
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
        said = [process.stderr.readline() for _ in range(2)]
        process.kill()
        process.stderr.close()
        process.wait()
        self.assertIn("going on from its checkpoint", said[0])
        self.assertRegex(said[1], rf", epoch ({done + 1}|{done + 2}) of 200:")

    def test_checkpoints_within_an_epoch(self):
        self.need_trainer()
        self.write_data("many", train=1200)
        self.write_study(data="many", train={"epochs": 1, "batch_size": 1}, seeds=[0], variants=[{"name": "v"}])
        folder = self.folder / "out/v-seed0"
        process = subprocess.Popen([cli_test.TOOL, "study", "s.json", "--out", "out", "--checkpoint-steps", "100"],
                                   cwd=self.folder, stderr=subprocess.DEVNULL)  # fmt: skip
        seen = set()
        while process.poll() is None and len(seen) < 3:
            if (folder / "checkpoint.pt").exists():
                seen.add((folder / "checkpoint.pt").stat().st_mtime_ns)
            time.sleep(0.001)
        process.kill()
        process.wait()
        self.assertEqual((folder / "history.jsonl").read_text(), "")
        self.assertEqual(len(seen), 3)

    def test_what_is_added_is_trained_and_what_is_changed_is_refused(self):
        self.need_trainer()
        self.write_study(seeds=[0])
        self.assertEqual(len(self.begun(self.study())), 2)
        more = [*self.STUDY["variants"], {"name": "max", "alpha": 0.25, "downsample": "max"}]
        self.write_study(variants=more, seeds=[0])
        self.assertEqual(self.begun(self.study()), [("max", "0", "begins")])
        more[1] = {**more[1], "alpha": 0.25}
        self.write_study(variants=more, seeds=[0])
        self.fail_with(["'out/results.jsonl', line 2", "'alpha 0.5'", "alpha 0.5, now 0.25"],
                       "study", "s.json", "--out", "out")  # fmt: skip
        self.write_study(train={"epochs": 2, "batch_size": 16}, seeds=[0])
        self.fail_with(["line 1", "train/epochs 1, now 2"], "study", "s.json", "--out", "out")

    def test_what_cannot_be_trained_is_said_before_training(self):
        self.need_trainer()
        variants = self.STUDY["variants"]
        for fragments, changes in (
            (["variant 'v'", "unknown network 'resnet21'"], {"variants": [{"name": "v", "network": "resnet21"}]}),
            (["variant 'vanilla'", "unknown option of training 'epoch'"], {"train": {"epoch": 3}}),
            (["'epochs'", "\"3\"", "whole number"], {"train": {"epochs": "3"}}),
            (["variant 'vanilla'", "epochs", "0"], {"train": {"epochs": 0}}),
            (["'schedule'", "\"sine\""], {"train": {"schedule": "sine"}}),
            (["variant 3", "alpha", "1.5"], {"variants": [*variants, {"name": "x", "alpha": 1.5}]}),
        ):
            with self.subTest(changes=changes):
                self.write_study(**changes)
                self.fail_with(fragments, "study", "s.json", "--out", "out")

    def test_options_mean_what_they_mean_to_train(self):
        self.need_trainer()
        options = {
            "epochs": 2, "batch_size": 12, "accumulate": 2, "learning_rate": 0.03, "momentum": 0.8,
            "weight_decay": 0.002, "label_smoothing": 0.05, "schedule": "step", "warmup_epochs": 1,
            "step_epochs": [1, 2], "step_factor": 0.25, "clip_norm": 3.5, "dropout": 0.15, "mixup": 0.3,
            "mixup_off_epochs": 1, "average_decay": 0.4, "crop": "shift", "crop_padding": 1, "train_images": 36,
        }  # fmt: skip
        arguments = ["--decay-norm", "--no-flip", "--composed"]
        for name, value in options.items():
            text = ",".join(map(str, value)) if isinstance(value, list) else value
            arguments += ["--" + name.replace("_", "-"), text]
        trained = self.octconv("train", "--data", "data", "--seed", 5, "--threads", 1, "--out", "out/v-seed5", *arguments)
        self.assertEqual(trained.returncode, 0, trained.stderr)
        # A checkpoint of other options is refused.
        options.update(decay_norm=True, flip=False, composed=True)
        self.write_study(seeds=[5], variants=[{"name": "v"}], train=options)
        self.assertEqual(self.begun(self.study()), [("v", "5", "going on")])
        for name, value in options.items():
            with self.subTest(name=name):
                other = (not value if isinstance(value, bool) else "resized" if name == "crop" else
                         "constant" if name == "schedule" else [1] if name == "step_epochs" else
                         value + 1 if isinstance(value, int) else value / 2)  # fmt: skip
                (self.folder / "out/results.jsonl").unlink(missing_ok=True)
                if name == "warmup_epochs":
                    other = 0
                self.write_study(seeds=[5], variants=[{"name": "v"}], train={**options, name: other})
                refused = self.study()
                self.assertEqual(refused.returncode, cli_test.FAILED, refused.stderr)
                self.assertRegex(refused.stderr, rf"error: .*'v', seed 5: .*with \w*{name.replace('decay_norm', 'norm')} ")

    def test_broken_results_are_named_with_the_line(self):
        self.need_trainer()
        self.write_study()
        (self.folder / "out").mkdir()
        (self.folder / "out/results.jsonl").write_text('{"variant": "vanilla"}\n')
        self.fail_with(["'out/results.jsonl', line 1: 'seed' is missing"], "study", "s.json", "--out", "out")

    def test_the_study_that_is_shipped_can_be_run(self):
        self.need_trainer()
        shipped = pathlib.Path(__file__).resolve().parents[2] / "studies/fashion-mnist.json"
        study = json.loads(shipped.read_text())
        self.assertEqual(study["data"], "fashion-mnist")
        self.assertEqual(len(study["seeds"]), 3)
        study.update(seeds=[0], train={**study["train"], "epochs": 1}, data="data")
        self.write_study(**study)
        result = self.study("--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        macs = {v["variant"]: v["macs"] for v in json.loads(result.stdout)["variants"]}
        self.assertEqual(len(macs), 10)
        self.assertEqual(macs["vanilla"], macs["alpha 0, pooled strides"])
        for less, more in (("alpha 0.75", "alpha 0.5"), ("alpha 0.5", "alpha 0.25"), ("alpha 0.25", "alpha 0.125"),
                           ("alpha 0.125", "vanilla"), ("alpha 0.5, no exchange", "alpha 0.5, low to high only"),
                           ("alpha 0.5, high to low only", "alpha 0.5")):  # fmt: skip
            self.assertLess(macs[less], macs[more])

    def test_the_study_of_kernels_can_be_run(self):
        self.need_trainer()
        study = json.loads((pathlib.Path(__file__).resolve().parents[2] / "studies/paths.json").read_text())
        study.update(seeds=[0], train={**study["train"], "epochs": 1, "train_images": 32}, data="data")
        self.write_study(**study)
        result = self.study("--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        fused, composed = json.loads(result.stdout)["variants"]
        self.assertEqual(fused["macs"], composed["macs"])
        lines = [json.loads(line) for line in (self.folder / "out/results.jsonl").read_text().splitlines()]
        self.assertNotEqual(lines[0]["train_loss"], lines[1]["train_loss"])

    def test_usage(self):
        self.write_study()
        self.wrong_usage("study")
        self.wrong_usage("study", "s.json")
        self.wrong_usage("study", "s.json", "--out", "out", "--threads", "0")
        self.fail_with(["'no.json'"], "study", "no.json", "--out", "out")


class Compare(DataCommandTest):
    def arguments(self, **changes):
        chosen = {"data": "data", "model": "resnet20", "alpha": "0,0.25", "out": "out", **changes}
        options = [part for name, value in chosen.items() for part in (f"--{name}", value)]
        return ["compare", "--epochs", "1", *options]

    def need_trainer(self):
        if "without LibTorch" in self.octconv(*self.arguments(data="no-such-data")).stderr:
            self.skipTest("built without LibTorch")

    def test_without_a_trainer_it_says_so(self):
        result = self.octconv(*self.arguments(data="no-such-data"))
        if "without LibTorch" not in result.stderr:
            self.skipTest("built with LibTorch")
        self.fail_with(["LibTorch"], *self.arguments())

    def test_trains_exports_evaluates_times_and_reports(self):
        self.need_trainer()
        self.write_data()
        result = self.octconv(*self.arguments(), "--batch-size", 16, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, (self.folder / "out/results.json").read_text())
        names = sorted(path.name for path in (self.folder / "out").iterdir())
        models = ["resnet20-alpha0.25.onnx", "resnet20-alpha0.onnx"]
        self.assertEqual(names, ["report.html", *models, "results.json"])

        results = json.loads(result.stdout)["variants"]
        self.assertEqual([variant["alpha"] for variant in results], [0, 0.25])
        self.assertEqual(results[0]["params"], results[1]["params"])
        self.assertLess(results[1]["macs"], results[0]["macs"])
        for variant in results:
            self.assertEqual(len(variant["epochs"]), 1)
            self.assertAlmostEqual(variant["accuracy"], variant["module_accuracy"])
            self.assertGreater(variant["batch"]["ms_per_image"], 0)
            again = json.loads(
                self.succeed("eval", f"out/{variant['file']}", "--data", "data", "--json"))
            for name in ("accuracy", "loss"):
                self.assertEqual(again[name], variant[name])

        page = xml.etree.ElementTree.parse(self.folder / "out/report.html").getroot()
        images = list(page.iter("img"))
        self.assertGreater(len(images), 2)
        for image in images:
            self.assertTrue(image.get("src").startswith("data:image/png;base64,"))

    def test_alphas_are_checked_before_training(self):
        self.need_trainer()
        self.write_data()
        self.fail_with(["alpha", "nan"], *self.arguments(alpha="0,nan"))
        self.fail_with(["alpha", "1.5"], *self.arguments(alpha="1.5"))
        self.fail_with(["alpha", "-0.1"], *self.arguments(alpha="-0.1"))
        self.fail_with(["0.25", "twice"], *self.arguments(alpha="0.25,0.25"))
        self.wrong_usage(*self.arguments(alpha="0,x"))

    def test_a_folder_that_cannot_be_written_is_refused_before_training(self):
        self.need_trainer()
        self.write_data()
        (self.folder / "file").write_text("")
        self.fail_with(["file"], *self.arguments(out="file"))
        self.fail_with(["file/below"], *self.arguments(out="file/below"))
        self.fail_with(["/proc/self/octconv"], *self.arguments(out="/proc/self/octconv"))

    def test_data_and_network_are_checked_before_training(self):
        self.need_trainer()
        self.fail_with(["data"], *self.arguments())
        data = self.write_data()
        self.fail_with(["resnet2o", "resnet20"], *self.arguments(model="resnet2o"))
        self.fail_with(["rate"], *self.arguments(), "--learning-rate", "-1")
        path = data / "train-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:50])
        self.fail_with([path.name], *self.arguments())


def main():
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(__doc__)
    cli_test.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()


if __name__ == "__main__":
    main()
