# SPDX-License-Identifier: Apache-2.0
"""Training in several processes: the result, and what happens when one of them dies or hangs.

usage: processes_test.py path/to/octconv [unittest arguments]
"""
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time
import unittest

import cli_test
from cli_test import FAILED
from data_commands_test import SIZE, DataCommandTest, png

# Long enough for a machine that is busy with other tests.
PATIENCE = 240


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def epochs_of(stderr):
    """The training losses that were printed, by epoch."""
    losses = {}
    for line in stderr.splitlines():
        words = line.replace(":", " ").split()
        if "loss" in words and "rate" in words:
            losses[int(words[words.index("epoch") + 1])] = float(words[words.index("loss") + 1])
    return losses


class ProcessesTest(DataCommandTest):
    COMMON = ("--data", "data", "--alpha", "0.25", "--threads", "1", "--seed", "4")
    # Small steps: what two sums round differently stays small.
    RATE = ("--learning-rate", "0.001")

    def setUp(self):
        super().setUp()
        if "without LibTorch" in self.octconv("train", "--out", "x", "--data", "no-such-data").stderr:
            self.skipTest("built without LibTorch")
        self.processes = []
        self.addCleanup(self.end_processes)

    def end_processes(self):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def train(self, *options):
        rate = () if "--learning-rate" in options else self.RATE
        return ["train", *self.COMMON, *rate, *map(str, options)]

    def start(self, *arguments, **variables):
        process = subprocess.Popen(
            [cli_test.TOOL, *map(str, arguments)], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **variables},
        )  # fmt: skip
        self.processes.append(process)
        return process

    def start_ranks(self, count, *options, of_rank=lambda rank: ()):
        """As torchrun would."""
        port = str(free_port())
        return [
            self.start(*self.train(*options, *of_rank(rank)), RANK=str(rank), WORLD_SIZE=str(count),
                       MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
            for rank in range(count)
        ]  # fmt: skip

    def end_of(self, process):
        stdout, stderr = process.communicate(timeout=PATIENCE)
        return process.returncode, stdout, stderr

    def launch(self, count, *options):
        return self.end_of(self.start("launch", "--processes", count, "--", *self.train(*options)))

    def wait_for(self, path):
        until = time.monotonic() + PATIENCE
        while not (self.folder / path).exists():
            self.assertLess(time.monotonic(), until, f"{path} does not come")
            time.sleep(0.01)

    def relative_difference(self, one, other):
        compared = self.octconv("diff", f"{one}/model.onnx", f"{other}/model.onnx", "--json")
        return json.loads(compared.stdout)["outputs"][0]["relative"]

    def only_error(self, stderr):
        errors = [line for line in stderr.splitlines() if "error" in line]
        self.assertEqual(len(errors), 1, stderr)
        self.assertTrue(errors[0].startswith("error: "), stderr)
        return errors[0]


class Result(ProcessesTest):
    # An odd batch, of which every process has another share.
    OPTIONS = ("--epochs", 1, "--batch-size", 15)
    RECIPE = ("--mixup", 0.5, "--dropout", 0.3, "--accumulate", 3, "--clip-norm", 1,
              "--average-decay", 0.5)  # fmt: skip

    def test_with_common_statistics_it_is_that_of_one_process(self):
        self.write_data(train=49)
        for name, recipe in (("plain", ()), ("recipe", self.RECIPE)):
            one = self.octconv(*self.train(*self.OPTIONS, *recipe, "--out", f"{name}1"))
            self.assertEqual(one.returncode, 0, one.stderr)
            for count in (2, 3):
                with self.subTest(recipe=name, processes=count):
                    out = f"{name}{count}"
                    code, stdout, stderr = self.launch(
                        count, *self.OPTIONS, *recipe, "--sync-batch-norm", "--out", out
                    )
                    self.assertEqual(code, 0, stderr)
                    self.assertEqual(stdout.replace(out, f"{name}1"), one.stdout)
                    self.assertEqual(epochs_of(stderr).keys(), {1})
                    self.assertAlmostEqual(
                        epochs_of(stderr)[1], epochs_of(one.stderr)[1], delta=0.0011
                    )
                    self.assertLess(self.relative_difference(f"{name}1", out), 1e-4)

    def test_pictures_that_cannot_be_read_are_left_out_as_by_one_process(self):
        # So many that some process has no image of some batch.
        chance = random.Random(2)
        for part, count, broken in (("train", 20, 9), ("val", 7, 2)):
            for i in range(count):
                folder = self.folder / "data" / part / f"class{i % 2}"
                folder.mkdir(parents=True, exist_ok=True)
                pixels = [100 * (i % 2) + chance.randrange(100) for _ in range(SIZE * SIZE)]
                picture = png(SIZE, SIZE, pixels) if i >= broken else b"not a picture"
                (folder / f"{i}.png").write_bytes(picture)
        options = ("--size", SIZE, "--batch-size", 4, "--epochs", 2, "--learning-rate", 1e-4)

        def skipped(stderr):
            return [line for line in stderr.splitlines() if line.startswith("skipped: ")]

        one = self.octconv(*self.train(*options, "--out", "one"))
        self.assertEqual(one.returncode, 0, one.stderr)
        self.assertEqual(len(skipped(one.stderr)), 11)
        for count in (2, 4):
            code, stdout, stderr = self.launch(
                count, *options, "--sync-batch-norm", "--out", f"of{count}"
            )
            self.assertEqual(code, 0, stderr)
            self.assertEqual(skipped(stderr), skipped(one.stderr))
            self.assertEqual(stdout.replace(f"of{count}", "one"), one.stdout)
            self.assertLess(self.relative_difference("one", f"of{count}"), 1e-4)
            # Without common statistics too.
            code, _, stderr = self.launch(count, *options, "--out", f"own{count}")
            self.assertEqual(code, 0, stderr)
            self.assertEqual(skipped(stderr), skipped(one.stderr))

    def test_without_them_it_is_another_one(self):
        self.write_data(train=49)
        self.octconv(*self.train(*self.OPTIONS, "--out", "one"))
        code, _, stderr = self.launch(2, *self.OPTIONS, "--out", "two")
        self.assertEqual(code, 0, stderr)
        self.assertGreater(self.relative_difference("one", "two"), 1e-3)

    def test_any_number_of_processes_goes_on_from_a_checkpoint(self):
        self.write_data(train=960)
        options = ("--epochs", 2, "--batch-size", 240, "--sync-batch-norm")
        one = self.octconv(*self.train(*options, "--out", "one"))
        self.assertEqual(one.returncode, 0, one.stderr)
        for before, after in ((2, 1), (1, 2), (2, 3)):
            with self.subTest(before=before, after=after):
                out = f"out{before}{after}"
                ranks = self.start_ranks(before, *options, "--out", out)
                self.wait_for(f"{out}/best.pt")
                for rank in ranks:
                    rank.kill()
                for rank in ranks:
                    self.assertEqual(self.end_of(rank)[0], -signal.SIGKILL, "it was too fast")
                code, _, stderr = self.launch(after, *options, "--out", out, "--resume")
                self.assertEqual(code, 0, stderr)
                self.assertEqual(epochs_of(stderr).keys(), {2})
                self.assertAlmostEqual(
                    epochs_of(stderr)[2], epochs_of(one.stderr)[2], delta=0.0011
                )
                self.assertLess(self.relative_difference("one", out), 1e-3)


class Failure(ProcessesTest):
    ENDLESS = ("--epochs", 100000, "--batch-size", 16)

    def test_a_killed_process_ends_the_others(self):
        self.write_data()
        for victim in (0, 1):
            with self.subTest(victim=victim):
                ranks = self.start_ranks(3, *self.ENDLESS, "--out", f"out{victim}")
                self.wait_for(f"out{victim}/best.pt")
                ranks[victim].kill()
                for rank, process in enumerate(ranks):
                    code, stdout, stderr = self.end_of(process)
                    if rank == victim:
                        continue
                    self.assertEqual((code, stdout), (FAILED, ""), stderr)
                    self.assertIn(f"process {rank} of 3 lost its connection", self.only_error(stderr))

    def test_a_stopped_process_ends_the_others_after_the_timeout(self):
        self.write_data()
        ranks = self.start_ranks(2, *self.ENDLESS, "--timeout", 4, "--out", "out")
        self.wait_for("out/best.pt")
        ranks[1].send_signal(signal.SIGSTOP)
        code, _, stderr = self.end_of(ranks[0])
        self.assertEqual(code, FAILED, stderr)
        self.assertIn("process 0 of 2 waited 4 s", self.only_error(stderr))
        self.assertIn("--timeout", stderr)

    def test_a_process_that_does_not_come_is_waited_for_in_vain(self):
        self.write_data()
        process = self.start(*self.train(*self.ENDLESS, "--timeout", 2, "--out", "out"),
                             RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()))  # fmt: skip
        code, _, stderr = self.end_of(process)
        self.assertEqual(code, FAILED, stderr)
        self.assertIn("waited 2 s for the others at 127.0.0.1:", self.only_error(stderr))

    def test_processes_that_differ_are_refused_by_all(self):
        self.write_data()
        ranks = self.start_ranks(
            2, *self.ENDLESS, "--out", "out",
            of_rank=lambda rank: ["--momentum", "0.5"] if rank == 1 else [],
        )  # fmt: skip
        for process in ranks:
            code, _, stderr = self.end_of(process)
            self.assertEqual(code, FAILED, stderr)
            error = self.only_error(stderr)
            self.assertIn("process 1 of 2 was started with 'momentum 0.5'", error)
            self.assertIn("process 0 with 'momentum 0.9'", error)

    def test_a_batch_of_too_few_images_is_refused(self):
        self.write_data()
        code, _, stderr = self.launch(3, "--batch-size", 2, "--epochs", 1, "--out", "out")
        self.assertEqual(code, FAILED)
        self.assertIn("batch_size is 2, too few images for 3 processes", self.only_error(stderr))
        self.assertFalse((self.folder / "out/checkpoint.pt").exists())


class Environment(ProcessesTest):
    def test_variables_that_are_half_set_or_wrong_are_named(self):
        for fragments, variables in (
            (["RANK is '1'", "WORLD_SIZE is not set"], {"RANK": "1"}),
            (["RANK is '2'", "WORLD_SIZE"], {"RANK": "2", "WORLD_SIZE": "2"}),
            (["WORLD_SIZE is 'two'"], {"RANK": "0", "WORLD_SIZE": "two"}),
            (["MASTER_ADDR is not set"], {"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}),
            (["no host MASTER_ADDR 'no-such-host.invalid'"],
             {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "MASTER_PORT": "29500",
              "MASTER_ADDR": "no-such-host.invalid"}),
        ):  # fmt: skip
            with self.subTest(variables=variables):
                if not (self.folder / "data").exists():
                    self.write_data()
                before = self.listing()
                process = self.start(*self.train("--epochs", 1, "--batch-size", 16, "--out", "out"),
                                     **variables)  # fmt: skip
                code, stdout, stderr = self.end_of(process)
                self.assertEqual((code, stdout), (FAILED, ""), stderr)
                for fragment in fragments:
                    self.assertIn(fragment, self.only_error(stderr))
                self.assertEqual([p for p in self.listing() if p.name != "out"], before)


class Launch(ProcessesTest):
    def children(self, process):
        path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not path.exists():
            self.skipTest(f"no {path}")
        return [int(child) for child in path.read_text().split()]

    def launched(self, *options):
        """Two processes that train until they are ended."""
        self.write_data()
        process = self.start("launch", "--processes", 2, "--",
                             *self.train(*Failure.ENDLESS, "--out", "out", *options))  # fmt: skip
        self.wait_for("out/checkpoint.pt")
        return process, self.children(process)

    def assert_gone(self, children):
        for child in children:
            with self.assertRaises(ProcessLookupError):
                os.kill(child, 0)

    def test_a_killed_process_ends_all_with_one_error(self):
        process, children = self.launched()
        os.kill(children[1], signal.SIGKILL)
        code, _, stderr = self.end_of(process)
        self.assertEqual(code, FAILED)
        self.assertIn("process 1 of 2 was ended by signal 9", self.only_error(stderr))
        self.assert_gone(children)

    def test_a_stopped_process_ends_all_with_one_error(self):
        process, children = self.launched("--timeout", 4)
        os.kill(children[0], signal.SIGSTOP)
        code, _, stderr = self.end_of(process)
        self.assertEqual(code, FAILED)
        self.assertIn("process 1 of 2 waited 4 s", self.only_error(stderr))
        self.assert_gone(children)

    def test_a_signal_ends_all(self):
        process, children = self.launched()
        process.terminate()
        code, _, stderr = self.end_of(process)
        self.assertEqual(code, FAILED)
        self.assertIn("ended by signal 15", self.only_error(stderr))
        self.assert_gone(children)

    def test_the_exit_code_is_that_of_the_process(self):
        self.fail_with(["'nowhere' is neither"], "launch", "--processes", 2, "--", "train", "--data",
                       "nowhere", "--out", "out")  # fmt: skip
        self.wrong_usage("launch", "--processes", 2, "--", "train", "--no-such-option")

    def test_usage(self):
        self.wrong_usage("launch", "--", "train", "--out", "out")
        self.wrong_usage("launch", "--processes", 0, "--", "train", "--out", "out")
        self.wrong_usage("launch", "--processes", 2)


def main():
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(__doc__)
    cli_test.TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()


if __name__ == "__main__":
    main()
