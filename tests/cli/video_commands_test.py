# SPDX-License-Identifier: Apache-2.0
"""The commands that read videos by class, and those that refuse them.

usage: video_commands_test.py path/to/octconv [unittest arguments]
"""
import json
import pathlib
import subprocess
import sys
import unittest

import cli_test
from cli_test import CommandTest
from data_commands_test import idx, png

SHAPES = pathlib.Path(__file__).parents[2] / "scripts" / "moving_shapes.py"
SIZE = 16
FRAMES = 4
STRIDE = 2
TEST_VIDEOS = 8


class VideoTest(CommandTest):
    """Has a folder of videos whose classes are directions of movement."""

    def setUp(self):
        super().setUp()
        subprocess.run(
            [sys.executable, SHAPES, self.folder / "videos", "--train", "16", "--val",
             str(TEST_VIDEOS)],
            check=True,
        )  # fmt: skip

    def train(self, *more, data="videos", model="i3d_resnet20"):
        return self.octconv(
            "train", "--data", data, "--model", model, "--alpha", "0.25", "--size", SIZE,
            "--frames", FRAMES, "--frame-stride", STRIDE, "--epochs", 1, "--batch-size", 8,
            "--learning-rate", "0.01", "--no-flip", "--out", "run", *more,
        )  # fmt: skip

    def write_model(self, name="picture.onnx"):
        self.succeed("export", "resnet20", "--classes", 4, "--size", SIZE, "-o", name)

    def a_video(self):
        return self.folder / "videos" / "train" / "left" / "00001.avi"


class Train(VideoTest):
    def test_a_network_is_trained_and_tested_on_thirty_views(self):
        result = self.train()
        self.assertEqual(result.returncode, 0, result.stderr)
        one, thirty = (
            json.loads(self.succeed("eval", "run/model.onnx", "--data", "videos", "--json", *more))
            for more in ([], ["--views", 30])
        )
        for evaluation, views in ((one, 1), (thirty, 30)):
            self.assertEqual(evaluation["images"], TEST_VIDEOS)
            self.assertEqual(evaluation["views"], views)
            self.assertEqual(evaluation["frames"], FRAMES)
            self.assertEqual(evaluation["frame_stride"], STRIDE)
            self.assertEqual((evaluation["height"], evaluation["width"]), (SIZE, SIZE))
            self.assertEqual(evaluation["top5_accuracy"], 1)
        self.assertNotEqual(one["loss"], thirty["loss"])
        # The engine finds what the trainer found in its test after the epoch.
        history = json.loads((self.folder / "run" / "history.jsonl").read_text())
        self.assertEqual(history["test_accuracy"], one["accuracy"])
        self.assertAlmostEqual(history["test_loss"], one["loss"], delta=1e-3 * one["loss"])

    def test_a_broken_video_is_named_and_left_out(self):
        video = self.a_video()
        video.write_bytes(video.read_bytes()[:1000])
        result = self.train()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr.count("skipped"), 1, result.stderr)
        self.assertIn(video.name, result.stderr)

    def test_pictures_among_videos_are_refused(self):
        picture = self.folder / "videos" / "train" / "up" / "a.png"
        picture.write_bytes(png(2, 2, [0] * 4))
        result = self.train()
        self.assertEqual(result.returncode, 1)
        self.assertIn("train/up/a.png", result.stderr)
        self.assertIn("train/down/00000.avi", result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)

    def test_frames_of_pictures_are_refused(self):
        data = self.folder / "images"
        data.mkdir()
        for part in ("train", "t10k"):
            (data / f"{part}-images-idx3-ubyte").write_bytes(idx([1, 2, 2], [0] * 4))
            (data / f"{part}-labels-idx1-ubyte").write_bytes(idx([1], [0]))
        for option in ("--frames", "--frame-stride"):
            self.fail_with(
                ["holds pictures"],
                "train", "--data", "images", "--model", "resnet20", option, 8, "--out", "run",
            )  # fmt: skip

    def test_a_network_for_pictures_is_refused(self):
        result = self.train(model="resnet20")
        self.assertEqual(result.returncode, 1)
        self.assertIn("rank 2, clips have 3", result.stderr)


class Eval(VideoTest):
    def test_views_that_are_not_known_are_wrong_usage(self):
        self.write_model()
        for views in ("2", "20", "31", "0"):
            self.wrong_usage("eval", "picture.onnx", "--data", "videos", "--views", views)

    def test_a_network_for_pictures_is_refused(self):
        self.write_model()
        self.fail_with(["three-dimensional"], "eval", "picture.onnx", "--data", "videos")

    def test_a_video_that_is_broken_is_named_in_one_line(self):
        self.succeed(
            "export", "i3d_resnet20", "--classes", 4, "--size", SIZE, "-o", "video.onnx"
        )  # fmt: skip
        video = self.folder / "videos" / "val" / "down" / "00000.avi"
        video.write_bytes(video.read_bytes()[:1000])
        self.fail_with([str(video.name)], "eval", "video.onnx", "--data", "videos")


class Study(VideoTest):
    def write_study(self, **members):
        study = {
            "data": "videos", "size": SIZE, "frames": FRAMES, "frame_stride": STRIDE, "seeds": [1],
            "network": "i3d_resnet20",
            "train": {"epochs": 1, "batch_size": 8, "learning_rate": 0.01, "flip": False},
            "variants": [{"name": "ordinary"}, {"name": "octave", "alpha": 0.25}],
        }  # fmt: skip
        (self.folder / "study.json").write_text(json.dumps(study | members))

    def study(self):
        result = self.octconv("study", "study.json", "--out", "out")
        self.assertEqual(result.returncode, 0, result.stderr)

    def results(self):
        lines = (self.folder / "out" / "results.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def test_trains_as_train_does(self):
        self.write_study()
        self.study()
        ordinary, octave = self.results()
        self.assertLess(octave["macs"], ordinary["macs"])
        self.assertEqual(octave["settings"]["frames"], FRAMES)
        self.train("--seed", 1)
        epoch = json.loads((self.folder / "run" / "history.jsonl").read_text())
        self.assertEqual(octave["train_loss"], epoch["train_loss"])
        evaluation = json.loads(
            self.succeed("eval", "out/octave-seed1/model.onnx", "--data", "videos", "--json")
        )
        self.assertEqual(octave["accuracy"], evaluation["accuracy"])

    def test_other_clips_are_other_runs(self):
        self.write_study()
        self.study()
        self.write_study(frame_stride=1)
        self.fail_with(["frame_stride 2, now 1"], "study", "study.json", "--out", "out")
        self.assertEqual(len(self.results()), 2)

    def test_a_number_of_frames_that_is_none_is_refused(self):
        self.write_study(frames="four")
        self.fail_with(["'frames'", "whole number"], "study", "study.json", "--out", "out")


class Others(VideoTest):
    def test_refuse_videos_in_one_sentence(self):
        self.write_model()
        self.fail_with(
            ["holds videos"],
            "compare", "--data", "videos", "--model", "resnet20", "--alpha", "0,0.25", "--out", "out",
        )  # fmt: skip
        self.fail_with(
            ["holds videos"],
            "octavize", "picture.onnx", "--alpha", "0.25", "--calibrate", "videos", "-o", "o.onnx",
        )  # fmt: skip
        self.fail_with([self.a_video().name], "predict", "picture.onnx", self.a_video())


def main():
    cli_test.TOOL = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()


if __name__ == "__main__":
    main()
