# SPDX-License-Identifier: Apache-2.0
"""What the octconv command promises: output, exit codes, one-sentence errors, nothing left behind.

usage: cli_test.py path/to/octconv [unittest arguments]
"""
import array
import json
import os
import pathlib
import re
import resource
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

TOOL = ""  # set by main

FAILED = 1
WRONG_USAGE = 2


def write_npy(path, shape, values=None):
    """Writes float32 values, zero unless given, in NumPy's format."""
    count = 1
    for extent in shape:
        count *= extent
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}".encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    data = array.array("f", values if values is not None else bytes(4 * count))
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data.tobytes())


def read_npy(path):
    """The shape and the float32 values of a file that octconv wrote."""
    data = path.read_bytes()
    length = struct.unpack("<H", data[8:10])[0]
    header = data[10 : 10 + length].decode()
    shape = tuple(int(extent) for extent in re.findall(r"\d+", header.split("'shape':")[1]))
    values = array.array("f")
    values.frombytes(data[10 + length :])
    return shape, values


class CommandTest(unittest.TestCase):
    """Runs the tool in an empty folder."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def octconv(self, *arguments, **options):
        return subprocess.run(
            [TOOL, *map(str, arguments)],
            cwd=self.folder,
            text=True,
            timeout=300,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def succeed(self, *arguments):
        """Runs the tool, which must succeed without a complaint; returns what it prints."""
        result = self.octconv(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""), arguments)
        return result.stdout

    def fail_with(self, fragments, *arguments, **options):
        """Runs the tool, which must say why it cannot, in one line, and leave the folder as it was."""
        before = self.listing()
        result = self.octconv(*arguments, **options)
        self.assertEqual(result.returncode, FAILED, (arguments, result.stderr))
        self.assertTrue(result.stderr.startswith("error: "), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for fragment in fragments:
            self.assertIn(fragment, result.stderr)
        self.assertFalse(result.stdout)
        self.assertEqual(self.listing(), before)

    def wrong_usage(self, *arguments):
        result = self.octconv(*arguments)
        self.assertEqual(result.returncode, WRONG_USAGE, (arguments, result.stdout, result.stderr))
        self.assertNotEqual(result.stderr, "")

    def listing(self):
        return sorted(path.relative_to(self.folder) for path in self.folder.rglob("*"))


class Tool(CommandTest):
    def commands(self, available=True):
        """The commands that this build has, or those that need something it was built without."""
        subcommands = self.succeed("--help").split("Subcommands:\n")[1]
        lines = [line for line in subcommands.splitlines() if re.match(r" {2}\w", line)]
        return [line.split()[0] for line in lines if ("built without" not in line) == available]

    def test_help_of_every_command_has_an_example(self):
        commands = self.commands()
        self.assertIn("cost", commands)
        for command in commands:
            with self.subTest(command=command):
                self.assertIn(f"Example: octconv {command} ", self.succeed(command, "--help"))

    def test_every_command_refuses_unknown_options(self):
        for command in self.commands():
            with self.subTest(command=command):
                self.wrong_usage(command, "--no-such-option")

    def test_commands_of_another_build_say_what_is_missing(self):
        for command in self.commands(available=False):
            with self.subTest(command=command):
                self.fail_with(["built without"], command, "--any", "option")

    def test_version(self):
        self.assertRegex(self.succeed("--version"), r"^octconv \d+\.\d+\.\d+\n$")

    def test_no_command_and_unknown_command_are_wrong_usage(self):
        self.wrong_usage()
        self.wrong_usage("no-such-command")

    def test_a_full_disk_under_standard_output_is_an_error(self):
        with open("/dev/full", "w") as full:
            self.fail_with(["standard output"], "zoo", stdout=full)


class NetworkArguments(CommandTest):
    """The options that choose a network, shared by several commands."""

    def each(self):
        yield "cost", []
        yield "export", ["-o", "never.onnx"]

    def test_unknown_network_suggests_the_nearest(self):
        for command, more in self.each():
            with self.subTest(command=command):
                self.fail_with(["'resnet21'", "did you mean 'resnet20'?"], command, "resnet21", *more)

    def test_alpha_must_be_a_fraction(self):
        for command, more in self.each():
            for alpha in ("nan", "1.5", "-1", "inf"):
                with self.subTest(command=command, alpha=alpha):
                    self.fail_with(["alpha must be in [0, 1]"], command, "resnet20", f"--alpha={alpha}", *more)

    def test_values_that_are_no_numbers_are_wrong_usage(self):
        for option in ("--alpha", "--size", "--in-channels", "--classes"):
            with self.subTest(option=option):
                self.wrong_usage("cost", "resnet20", option, "many")
        for option in ("--size", "--in-channels", "--classes"):
            with self.subTest(option=option):
                self.wrong_usage("cost", "resnet20", option, "0")

    def test_unknown_modes_name_the_known_ones(self):
        self.fail_with(["'x'", "pool_twice"], "cost", "resnet20", "--stride-mode", "x")
        self.fail_with(["'x'", "low_to_high"], "cost", "resnet20", "--exchange", "x")

    def test_a_network_is_required(self):
        self.wrong_usage("cost")
        self.wrong_usage("export", "-o", "never.onnx")


class Zoo(CommandTest):
    def test_json_counts_are_the_published_ones(self):
        networks = {entry["name"]: entry for entry in json.loads(self.succeed("zoo", "--json"))}
        self.assertEqual(networks["resnet50v2"]["params"], 25553192)
        self.assertEqual(networks["resnet50v2"]["macs"], 4089184256)
        self.assertEqual(networks["resnet50v2"]["input"], [3, 224, 224])
        self.assertEqual(networks["resnet20"]["input"], [3, 32, 32])

    def test_table_has_a_line_for_every_network(self):
        lines = self.succeed("zoo").splitlines()
        names = [entry["name"] for entry in json.loads(self.succeed("zoo", "--json"))]
        self.assertEqual([line.split()[0] for line in lines], ["name", *names])


class Cost(CommandTest):
    def test_json_counts_are_the_published_ones(self):
        counted = json.loads(self.succeed("cost", "resnet50v2", "--alpha", "0.5", "--json"))
        self.assertEqual(counted["macs"], 2367143936)
        self.assertEqual(counted["vanilla_macs"], 4089184256)
        self.assertEqual(counted["params"], 25553192)
        self.assertEqual(counted["authors_flops"], 2382530152)
        self.assertEqual(counted["activation_bytes"], 4 * counted["activation_elements"])
        self.assertTrue(0 < counted["peak_live_bytes"] < counted["activation_bytes"])

    def test_size_is_that_of_space(self):
        counted = json.loads(self.succeed("cost", "c2d_resnet50", "--size", "64", "--json"))
        self.assertEqual(counted["extents"], [8, 64, 64])

    def test_csv_adds_up(self):
        counted = json.loads(self.succeed("cost", "densenet121", "--alpha", "0.25", "--json"))
        lines = self.succeed("cost", "densenet121", "--alpha", "0.25", "--csv").splitlines()
        rows = [dict(zip(lines[0].split(","), line.split(","))) for line in lines[1:]]
        for name in ("macs", "authors_flops", "params"):
            self.assertEqual(sum(int(row[name]) for row in rows), counted[name])
        paths = ("high_to_high", "low_to_high", "low_to_low", "high_to_low", "linear", "attention")
        for row in rows:
            self.assertEqual(sum(int(row[path]) for path in paths), int(row["macs"]))
        self.assertEqual(rows[1]["high_receptive_field"], "7x7")

    def test_table_1_is_the_articles(self):
        lines = self.succeed("cost", "--table1").splitlines()[1:]
        rows = [[float(number) for number in line.split()] for line in lines]
        self.assertEqual([round(row[1]) for row in rows], [100, 82, 67, 44, 30, 26, 25])
        for alpha, macs, formula, activations, share in rows:
            self.assertEqual((macs, activations), (formula, share), alpha)
        self.wrong_usage("cost", "resnet20", "--table1")

    def test_downsampling_is_an_option(self):
        dump = self.succeed("cost", "resnet20", "--alpha", "0.5", "--downsample", "strided_conv", "--dump")
        self.assertIn("downsample strided_conv", dump)
        self.fail_with(["'x'", "strided_conv"], "cost", "resnet20", "--downsample", "x")
        self.succeed("export", "resnet20", "--alpha", "0.5", "--downsample", "max", "-o", "net.onnx")
        write_npy(self.folder / "x.npy", [1, 3, 32, 32])
        self.fail_with(["downsample max"], "run", "net.onnx", "--input", "x.npy", "--output", "y.npy")

    def test_layers_add_up(self):
        counted = json.loads(self.succeed("cost", "resnet20", "--alpha", "0.25", "--layers", "--json"))
        self.assertEqual(sum(layer["macs"] for layer in counted["layers"]), counted["macs"])
        self.assertEqual(sum(layer["params"] for layer in counted["layers"]), counted["params"])
        for layer in counted["layers"]:
            self.assertEqual(sum(layer.get("paths", {}).values()), layer["macs"])

    def test_dump_shows_both_grids(self):
        dump = self.succeed("cost", "resnet20", "--alpha", "0.25", "--size", "33", "--dump")
        self.assertIn("channels 12+4 extents [33, 33] and [17, 17]", dump)

    def test_dump_excludes_other_outputs(self):
        self.wrong_usage("cost", "resnet20", "--dump", "--json")

    def test_dot_is_written_whole(self):
        self.succeed("cost", "resnet20", "--alpha", "0.5", "--dot", "net.dot")
        text = (self.folder / "net.dot").read_text()
        self.assertTrue(text.startswith("digraph") and text.endswith("}\n"))
        self.assertEqual([str(path) for path in self.listing()], ["net.dot"])

    def test_sizes_at_the_ends_of_their_range(self):
        for option, largest in (("--size", 2**16), ("--in-channels", 2**20), ("--classes", 2**20)):
            with self.subTest(option=option):
                few, many = (
                    json.loads(self.succeed("cost", "resnet50v2", option, value, "--json"))["macs"]
                    for value in (1, largest)
                )
                self.assertTrue(0 < few < many)
                self.wrong_usage("cost", "resnet50v2", option, str(largest + 1))


class Paper(CommandTest):
    def test_text_and_json_tell_the_same(self):
        text = self.succeed("paper")
        tables = json.loads(self.succeed("paper", "--json"))["tables"]
        names = [f"table {number}" for number in range(1, 9)] + ["figure 4", "section 3.2"]
        self.assertEqual([table["name"] for table in tables], names)
        values = [value for table in tables for value in table["values"]]
        for table in tables:
            self.assertIn(f"{table['name'].capitalize()}: {table['title']}\n", text)
        differ = [value for value in values if value["difference"]]
        same = [value for value in values if value["difference"] == 0]
        self.assertIn(f"{len(same)} come out the same, {len(differ)} differ", text)
        for value in differ:
            self.assertTrue(value["reason"], value)

    def test_json_counts_are_those_of_cost(self):
        table = json.loads(self.succeed("paper", "--table", "7", "--json"))["tables"][0]
        checked = 0
        for value in table["values"]:
            if value["network"] is None or value["quantity"] != "GFLOPs":
                continue
            arguments = (value["network"], "--alpha", value["alpha"], "--size", value["size"])
            counted = json.loads(self.succeed("cost", *arguments, "--json"))
            self.assertAlmostEqual(1e9 * value["computed"], counted["authors_flops"], delta=1)
            checked += 1
        self.assertEqual(checked, 4)

    def test_one_table_or_the_figure_can_be_chosen(self):
        for option, number, name in (("--table", 5, "table 5"), ("--figure", 4, "figure 4")):
            with self.subTest(option=option):
                tables = json.loads(self.succeed("paper", option, number, "--json"))["tables"]
                self.assertEqual([table["name"] for table in tables], [name])
        for wrong in (["--table", 9], ["--table", 0], ["--figure", 3], ["--table", 1, "--figure", 4]):
            with self.subTest(wrong=wrong):
                self.wrong_usage("paper", *wrong)

    def test_the_page_is_well_formed_and_has_the_figure_where_it_was_asked_for(self):
        for arguments, tables, figures in (([], 10, 1), (["--table", 2], 1, 0), (["--figure", 4], 1, 1)):
            with self.subTest(arguments=arguments):
                self.succeed("paper", *arguments, "--html", "paper.html")
                page = xml.etree.ElementTree.parse(self.folder / "paper.html").getroot()
                self.assertEqual(len(list(page.iter("table"))), tables)
                self.assertEqual(len(list(page.iter("{http://www.w3.org/2000/svg}svg"))), figures)
                self.assertEqual([str(path) for path in self.listing()], ["paper.html"])

    def test_the_figure_stands_alone(self):
        self.succeed("paper", "--svg", "figure4.svg")
        drawn = xml.etree.ElementTree.parse(self.folder / "figure4.svg").getroot()
        self.assertEqual(drawn.tag, "{http://www.w3.org/2000/svg}svg")
        self.wrong_usage("paper", "--table", 2, "--svg", "other.svg")
        self.fail_with(["cannot write 'no/figure4.svg'"], "paper", "--svg", "no/figure4.svg")

    def test_times_are_measured_beside_the_articles(self):
        arguments = ("paper", "--measure", "--table", 5, "--rounds", 1, "--json", "--html", "times.html")
        result = json.loads(self.succeed(*arguments))
        self.assertEqual((result["threads"], result["rounds"], result["exact"]), (1, 1, False))
        (table,) = result["tables"]
        networks = {(each["network"], each["alpha"]): each for each in table["networks"]}
        self.assertEqual(len(networks), 8)
        self.assertEqual(networks["mobilenet_v2", 0.375]["published_ms"], 17.1)
        for (network, alpha), each in networks.items():
            counted = json.loads(self.succeed("cost", network, "--alpha", alpha, "--json"))
            self.assertEqual(each["macs"], counted["macs"])
        page = xml.etree.ElementTree.parse(self.folder / "times.html").getroot()
        self.assertEqual(len(list(page.iter("{http://www.w3.org/2000/svg}svg"))), 1)
        self.fail_with(["table 3", "no times"], "paper", "--measure", "--table", 3)
        for wrong in (["--rounds", 3], ["--measure", "--svg", "a.svg"], ["--measure", "--rounds", 0]):
            with self.subTest(wrong=wrong):
                self.wrong_usage("paper", *wrong)

    def test_a_page_that_cannot_be_written_is_named(self):
        (self.folder / "file").write_text("")
        for target in ("file/paper.html", "no/such/folder/paper.html", "."):
            with self.subTest(target=target):
                self.fail_with([f"cannot write '{target}'"], "paper", "--html", target)

    def test_a_full_disk_leaves_the_old_page_and_no_other(self):
        target = self.folder / "paper.html"
        target.write_text("old")

        def limit_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))

        self.fail_with(
            ["cannot write 'paper.html'"],
            *("paper", "--html", "paper.html"),
            preexec_fn=limit_files,
            restore_signals=False,
        )
        self.assertEqual(target.read_text(), "old")


class Recognition(CommandTest):
    """The same on a file whose operations alone tell what is octave in it."""

    def setUp(self):
        super().setUp()
        self.succeed("export", "resnet20", "--alpha", 0.25, "-o", "ours.onnx")
        data = (self.folder / "ours.onnx").read_bytes()
        # As if another program had written it, and under another key: lengths stay.
        data = data.replace(b"octconv.graph", b"somebody.else").replace(b"\x07octconv", b"\x07another")
        (self.folder / "theirs.onnx").write_bytes(data)

    def test_inspect_counts_and_names_what_is_recognised(self):
        ours = json.loads(self.succeed("inspect", "ours.onnx", "--json"))
        theirs = json.loads(self.succeed("inspect", "theirs.onnx", "--json"))
        as_is = json.loads(self.succeed("inspect", "theirs.onnx", "--as-is", "--json"))
        for what in ("convs", "octave_convs", "macs"):
            self.assertEqual(theirs[what], ours[what])
        self.assertEqual((len(theirs["recognised"]), theirs["octave_convs"]), (16, 16))
        self.assertIn("layer1.0.conv2", theirs["recognised"])
        self.assertEqual((ours["recognised"], as_is["recognised"], as_is["octave_convs"]), ([], [], 0))
        self.assertGreater(as_is["convs"], theirs["convs"])
        self.assertIn("recognised in the file's ordinary operations: conv1", self.succeed("inspect", "theirs.onnx"))
        self.assertNotIn("recognised", self.succeed("inspect", "theirs.onnx", "--as-is"))

    def test_run_gives_the_same_either_way(self):
        values = [((7 * i) % 23 - 11) / 11 for i in range(2 * 3 * 32 * 32)]
        write_npy(self.folder / "x.npy", (2, 3, 32, 32), values)
        results = []
        for model, options in (("ours.onnx", ()), ("theirs.onnx", ()), ("theirs.onnx", ("--as-is",))):
            self.succeed("run", model, "--input", "x.npy", "--output", "y.npy", *options)
            results.append(read_npy(self.folder / "y.npy"))
        most = max(map(abs, results[0][1]))
        self.assertGreater(most, 0)
        self.assertEqual(results[1], results[0])  # the same network after all
        self.assertNotEqual(results[2], results[0])  # other sums of the same products
        self.assertLess(max(abs(a - b) for a, b in zip(results[2][1], results[0][1])), 1e-5 * most)

    def test_run_takes_images_of_another_size_as_they_come(self):
        write_npy(self.folder / "x.npy", (1, 3, 40, 40), [((5 * i) % 19) / 19 for i in range(3 * 40 * 40)])
        for options in ((), ("--as-is",)):
            self.succeed("run", "theirs.onnx", "--input", "x.npy", "--output", f"y{len(options)}.npy", *options)
        (shape, got), (_, wanted) = (read_npy(self.folder / f"y{i}.npy") for i in (0, 1))
        self.assertEqual(shape, (1, 10))
        self.assertLess(max(abs(a - b) for a, b in zip(got, wanted)), 1e-5 * max(map(abs, wanted)))

    def test_octavize_refuses_what_is_octave_already(self):
        octavize = ("octavize", "theirs.onnx", "--alpha", 0, "-o", "twin.onnx")
        self.fail_with(["'theirs.onnx' is octave already", " 16 "], *octavize)
        self.succeed(*octavize, "--as-is")
        self.assertEqual(json.loads(self.succeed("inspect", "twin.onnx", "--as-is", "--json"))["octave_convs"], 0)


class Export(CommandTest):
    def test_the_same_seed_gives_the_same_file(self):
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            self.succeed("export", "resnet20", "--alpha", 0.5, "--seed", seed, "-o", f"{name}.onnx")
        a, b, c = ((self.folder / f"{name}.onnx").read_bytes() for name in "abc")
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)

    def test_replaces_a_file(self):
        target = self.folder / "net.onnx"
        target.write_text("old")
        self.succeed("export", "resnet20", "-o", target)
        self.assertGreater(target.stat().st_size, 1000000)

    def test_output_is_required(self):
        self.wrong_usage("export", "resnet20")

    def test_an_output_that_cannot_be_written_is_named(self):
        (self.folder / "file").write_text("")
        os.mkfifo(self.folder / "pipe")
        for target in ("file/net.onnx", "no/such/folder/net.onnx", ".", "pipe"):
            with self.subTest(target=target):
                self.fail_with([f"cannot write '{target}'"], "export", "resnet20", "-o", target)

    def test_a_full_disk_leaves_the_old_file_and_no_other(self):
        target = self.folder / "net.onnx"
        target.write_text("old")

        def limit_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))

        # Python ignores the signal that the limit sends; the tool inherits that and sees write() fail.
        self.fail_with(
            ["cannot write 'net.onnx'"],
            *("export", "resnet20", "-o", "net.onnx"),
            preexec_fn=limit_files,
            restore_signals=False,
        )
        self.assertEqual(target.read_text(), "old")


class Octavize(CommandTest):
    def setUp(self):
        super().setUp()
        self.succeed("export", "resnet20", "-o", "net.onnx")

    def test_the_twin_is_the_one_of_the_zoo(self):
        result = json.loads(self.succeed("octavize", "net.onnx", "--alpha", 0.25, "--json", "-o", "twin.onnx"))
        counted = json.loads(self.succeed("cost", "resnet20", "--alpha", 0.25, "--json"))
        self.assertEqual(result["after"]["macs"], counted["macs"])
        self.assertEqual(result["before"]["macs"], counted["vanilla_macs"])
        self.assertEqual(result["kept_ordinary"], [])
        self.succeed("export", "resnet20", "--alpha", 0.25, "-o", "zoo.onnx")
        self.assertEqual((self.folder / "twin.onnx").read_bytes(), (self.folder / "zoo.onnx").read_bytes())

    def test_text_says_what_was_done_and_what_is_to_do(self):
        text = self.succeed("octavize", "net.onnx", "--alpha", 0.25, "-o", "twin.onnx")
        self.assertIn("of 21 convolutions are octave", text)
        self.assertIn("accuracy is recovered by training it on", text)

    def test_the_policy_may_be_every_stage(self):
        counts = []
        for policy in ("own", "all"):
            options = ("--alpha", 0.25, "--policy", policy, "--json", "-o", "twin.onnx")
            counts.append(json.loads(self.succeed("octavize", "net.onnx", *options))["octave_convs"])
        self.assertEqual(counts, [16, 21])
        self.fail_with(["--policy", "'none'"], "octavize", "net.onnx", "--alpha", 0.25, "--policy", "none",
                       "-o", "other.onnx")  # fmt: skip
        self.assertFalse((self.folder / "other.onnx").exists())

    def test_a_network_may_replace_its_own_file(self):
        self.succeed("octavize", "net.onnx", "--alpha", 0.5, "-o", "net.onnx")
        self.fail_with(["is octave already"], "octavize", "net.onnx", "--alpha", 0.5, "-o", "twin.onnx")
        self.assertFalse((self.folder / "twin.onnx").exists())

    def test_wrong_values_are_named(self):
        for alpha in ("1.5", "nan", "-1"):
            with self.subTest(alpha=alpha):
                self.fail_with(["alpha"], "octavize", "net.onnx", f"--alpha={alpha}", "-o", "twin.onnx")
        self.fail_with(["'strides'"], "octavize", "net.onnx", "--alpha", 0.5, "--stride-mode", "strides",
                       "-o", "twin.onnx")  # fmt: skip
        self.fail_with(["'no.onnx'"], "octavize", "no.onnx", "--alpha", 0.5, "-o", "twin.onnx")
        self.wrong_usage("octavize", "net.onnx", "-o", "twin.onnx")
        self.wrong_usage("octavize", "net.onnx", "--alpha", 0.5)


    def test_a_budget_is_met(self):
        result = json.loads(self.succeed("octavize", "net.onnx", "--budget", 0.7, "--json", "-o", "twin.onnx"))
        self.assertLessEqual(result["after"]["macs"], 0.7 * result["before"]["macs"])
        self.assertGreater(result["after"]["macs"], 0.65 * result["before"]["macs"])
        self.fail_with(["budget", "0.1"], "octavize", "net.onnx", "--budget", 0.1, "-o", "no.onnx")
        self.wrong_usage("octavize", "net.onnx", "--budget", 0.7, "--alpha", 0.5, "-o", "no.onnx")

    def test_a_latency_budget_is_met_by_alphas_of_stages(self):
        self.succeed("export", "resnet50v2", "--size", 128, "-o", "wide.onnx")
        asked = ("octavize", "wide.onnx", "--latency-budget", 0.9, "--rounds", 3, "-o", "twin.onnx")
        result = json.loads(self.succeed(*asked, "--json"))
        latency = result["latency"]
        self.assertLessEqual(latency["time_share"], 0.9)
        self.assertAlmostEqual(latency["macs_share"], result["after"]["macs"] / result["before"]["macs"])
        self.assertEqual([stage["extents"] for stage in latency["stages"]], [[32, 32], [16, 16], [8, 8]])
        self.assertTrue(any(stage["alpha"] > 0 for stage in latency["stages"]))
        inspected = json.loads(self.succeed("inspect", "twin.onnx", "--json"))
        self.assertEqual(inspected["macs"], result["after"]["macs"])

    def test_a_latency_budget_that_nothing_meets_is_refused(self):
        asked = ("octavize", "net.onnx", "--rounds", 1, "-o", "twin.onnx", "--latency-budget")
        self.fail_with(["latency budget of 0.01", "the least is"], *asked, 0.01)
        for budget in (0, 1.5, "nan"):
            self.fail_with(["latency budget", f"got {budget}"], *asked, budget)
        self.assertFalse((self.folder / "twin.onnx").exists())
        self.wrong_usage(*asked, 0.5, "--alpha", 0.5)
        self.wrong_usage("octavize", "net.onnx", "--alpha", 0.5, "--threads", 2, "-o", "twin.onnx")

    def test_what_pixels_the_network_wants_can_be_said(self):
        self.succeed("octavize", "net.onnx", "--alpha", 0, "--mean", "0.5,0.25,0.125", "--deviation", 0.5, "-o", "out.onnx")
        written = (self.folder / "out.onnx").read_bytes()
        self.assertIn(b'"mean":[0.5,0.25,0.125]', written)
        self.assertIn(b'[0.5,0.5,0.5]', written)
        for mean, deviation, why in (("1,2", 1, "--mean has 2 numbers"), (0, 0, "--deviation must be positive"),
                                     ("nan", 1, "--mean must be finite")):  # fmt: skip
            with self.subTest(mean=mean, deviation=deviation):
                self.fail_with([why], "octavize", "net.onnx", "--alpha", 0, "--mean", mean, "--deviation", deviation,
                               "-o", "no.onnx")  # fmt: skip
        self.wrong_usage("octavize", "net.onnx", "--alpha", 0, "--mean", 0.5, "-o", "no.onnx")

    def test_alphas_of_single_layers(self):
        (self.folder / "alphas.json").write_text('{"layer1.0.conv1": 0.5}')
        self.succeed("octavize", "net.onnx", "--alpha", 0, "--per-layer", "alphas.json", "-o", "twin.onnx")
        inspected = json.loads(self.succeed("inspect", "twin.onnx", "--json"))
        low = {layer["name"]: layer["low_channels"] for layer in inspected["layers"] if layer["low_channels"]}
        self.assertEqual(low, {name: 8 for name in ("layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu1")})
        self.assertEqual(inspected["octave_convs"], 2)
        for text, why in (("[]", "not a JSON object"), ("{", "not a JSON object"), ('{"layer1.0.conv1": "x"}', "number"),
                          ('{"nothing": 0.5}', "'nothing'")):  # fmt: skip
            with self.subTest(text=text):
                (self.folder / "alphas.json").write_text(text)
                self.fail_with([why], "octavize", "net.onnx", "--alpha", 0, "--per-layer", "alphas.json",
                               "-o", "no.onnx")  # fmt: skip


class Inspect(CommandTest):
    def test_counts_are_those_of_cost(self):
        self.succeed("export", "resnet20", "--alpha", 0.5, "--size", 40, "-o", "net.onnx")
        inspected = json.loads(self.succeed("inspect", "net.onnx", "--json"))
        counted = json.loads(self.succeed("cost", "resnet20", "--alpha", 0.5, "--size", 40, "--json"))
        for what in ("macs", "params", "activation_elements"):
            self.assertEqual(inspected[what], counted[what])
        self.assertEqual(sum(layer["macs"] for layer in inspected["layers"]), counted["macs"])
        text = self.succeed("inspect", "net.onnx")
        self.assertIn("16 of 21 convolutions are octave", text)
        self.assertIn("8 + 8 low", text)

    def test_what_cannot_be_read_is_named(self):
        (self.folder / "bad.onnx").write_bytes(b"nothing")
        self.fail_with(["'bad.onnx'"], "inspect", "bad.onnx")


class Export(CommandTest):
    def test_every_form_of_a_file_is_the_same_network(self):
        for command in (("export", "resnet20", "--alpha", 0.5), ("octavize", "net.onnx", "--alpha", 0.5)):
            self.succeed("export", "resnet20", "-o", "net.onnx")
            self.succeed(*command, "-o", "plain.onnx")
            for options in (("--opset", 9), ("--opset", 21), ("--functions",), ("--functions", "--opset", 18),
                            ("--fixed-batch",), ("--dynamic-batch",)):  # fmt: skip
                with self.subTest(command=command, options=options):
                    self.succeed(*command, *options, "-o", "other.onnx")
                    result = json.loads(self.succeed("diff", "plain.onnx", "other.onnx", "--tolerance", 0, "--json"))
                    self.assertEqual(result["shared_nodes"], result["nodes"][0])
            self.succeed(*command, "--fold", "-o", "folded.onnx")
            self.assertLess((self.folder / "folded.onnx").stat().st_size, (self.folder / "plain.onnx").stat().st_size)
            result = json.loads(self.succeed("diff", "plain.onnx", "folded.onnx", "--json"))
            self.assertLess(result["nodes"][1], result["nodes"][0])

    def test_what_no_file_can_be_is_refused(self):
        self.fail_with(["opset", "8"], "export", "resnet20", "--opset", 8, "-o", "net.onnx")
        self.fail_with(["opset", "22"], "export", "resnet20", "--opset", 22, "-o", "net.onnx")
        self.fail_with(["functions", "14"], "export", "resnet20", "--functions", "--opset", 14, "-o", "net.onnx")

    def write_weights(self, header, count):
        text = json.dumps(header).encode()
        values = array.array("f", range(count)).tobytes()
        (self.folder / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + values)

    def test_weights_that_do_not_fit_are_named(self):
        tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        self.write_weights({"module.fc.bias": tensor}, 2)
        self.fail_with(["'fc.bias' has shape [2] instead of [10]", "'conv1.weight' [16, 3, 3, 3] is missing"],
                       "export", "resnet20", "--weights", "w.safetensors", "-o", "net.onnx")  # fmt: skip
        self.write_weights({"fc.bias": tensor}, 1)
        self.fail_with(["'w.safetensors'"], "export", "resnet20", "--weights", "w.safetensors", "-o", "net.onnx")
        self.fail_with(["'no.pth'"], "export", "resnet20", "--weights", "no.pth", "-o", "net.onnx")
        self.wrong_usage("export", "resnet20", "--weights", "w", "--seed", 2, "-o", "net.onnx")
        self.wrong_usage("export", "resnet20", "--mean", 0.5, "-o", "net.onnx")


class Run(CommandTest):
    def setUp(self):
        super().setUp()
        self.succeed("export", "resnet20", "--alpha", 0.5, "--size", 9, "-o", "net.onnx")

    def run_on(self, shape, values=None, *options):
        write_npy(self.folder / "x.npy", shape, values)
        self.succeed("run", "net.onnx", "--input", "x.npy", "--output", "y.npy", *options)
        return read_npy(self.folder / "y.npy")

    def test_an_untrained_network_is_homogeneous(self):
        # It has no bias and only relu: twice the input gives twice the output, to the bit.
        values = [(7 * i) % 31 - 15 for i in range(2 * 3 * 9 * 9)]
        shape, once = self.run_on((2, 3, 9, 9), values)
        self.assertEqual(shape, (2, 10))
        self.assertTrue(any(once))
        self.assertEqual(list(self.run_on((2, 3, 9, 9), [2 * v for v in values])[1]), [2 * v for v in once])
        self.assertFalse(any(self.run_on((2, 3, 9, 9))[1]))

    def test_threads_and_batches_do_not_change_the_bits(self):
        images = [[(k * i) % 31 - 15 for i in range(3 * 9 * 9)] for k in (3, 5, 7)]
        together = self.run_on((3, 3, 9, 9), sum(images, []))[1]
        self.assertEqual(self.run_on((3, 3, 9, 9), sum(images, []), "--threads", 1)[1], together)
        alone = [self.run_on((1, 3, 9, 9), image)[1] for image in images]
        self.assertEqual(list(together), [value for one in alone for value in one])

    def test_other_image_sizes_than_the_files_run_too(self):
        self.assertEqual(self.run_on((1, 3, 12, 7))[0], (1, 10))

    def test_inputs_that_do_not_fit_are_errors(self):
        for shape in ((1, 4, 9, 9), (3, 9, 9), (1, 3, 9, 9, 9), (1, 3, 0, 9), ()):
            with self.subTest(shape=shape):
                write_npy(self.folder / "x.npy", shape)
                self.fail_with([], "run", "net.onnx", "--input", "x.npy", "--output", "y.npy")
        (self.folder / "x.npy").write_bytes(b"not numpy")
        self.fail_with(["'x.npy'"], "run", "net.onnx", "--input", "x.npy", "--output", "y.npy")

    def test_damaged_and_foreign_models_are_errors(self):
        write_npy(self.folder / "x.npy", (1, 3, 9, 9))
        whole = (self.folder / "net.onnx").read_bytes()
        damaged = {
            "empty": (b"", "truncated or not ONNX"),
            "truncated": (whole[: len(whole) // 2], "truncated or not ONNX"),
            "a picture": (b"\x89PNG\r\n\x1a\n", "truncated or not ONNX"),
            # ir_version 8, producer_name "pytorch", an empty graph
            "foreign": (b"\x08\x08\x12\x07pytorch\x3a\x00", "its opset 0"),
        }
        for name, (contents, why) in damaged.items():
            with self.subTest(file=name):
                (self.folder / "bad.onnx").write_bytes(contents)
                self.fail_with(["'bad.onnx'", why], "run", "bad.onnx", "--input", "x.npy", "--output", "y.npy")

    def test_files_that_cannot_be_opened_are_named(self):
        write_npy(self.folder / "x.npy", (1, 3, 9, 9))
        (self.folder / "file").write_text("")
        for model, x, y, named in (
            ("no.onnx", "x.npy", "y.npy", "'no.onnx'"),
            (".", "x.npy", "y.npy", "'.'"),
            ("net.onnx", "no.npy", "y.npy", "'no.npy'"),
            ("net.onnx", "x.npy", "file/y.npy", "'file/y.npy'"),
        ):
            with self.subTest(model=model, input=x, output=y):
                self.fail_with([named], "run", model, "--input", x, "--output", y)

    def test_the_one_input_and_output_may_be_named(self):
        values = [(7 * i) % 31 - 15 for i in range(3 * 9 * 9)]
        once = self.run_on((1, 3, 9, 9), values)
        self.succeed("run", "net.onnx", "--input", "input=x.npy", "--output", "fc=named.npy")
        self.assertEqual(read_npy(self.folder / "named.npy"), once)
        self.fail_with(["input 'input' is given twice", "'x.npy'"], "run", "net.onnx", "--input", "x.npy",
                       "--input", "input=x.npy", "--output", "y.npy")  # fmt: skip

    def test_wrong_usage(self):
        self.wrong_usage("run", "net.onnx", "--input", "x.npy")
        self.wrong_usage("run", "net.onnx", "--input", "x.npy", "--output", "y.npy", "--threads", 0)


class Timed(CommandTest):
    """Figures are what the machine gives; what is said of them is not."""

    def setUp(self):
        super().setUp()
        for name, alpha in (("plain", 0), ("octave", 0.5)):
            self.succeed("export", "resnet20", "--alpha", alpha, "-o", name + ".onnx")

    def test_bench_gives_one_object_for_each_configuration(self):
        options = ("--threads", "1,2", "--batch", "1,3", "--size", "32,33", "--rounds", 2, "--json")
        results = json.loads(self.succeed("bench", "plain.onnx", "octave.onnx", *options))
        self.assertEqual(len(results), 16)
        self.assertEqual(len({(r["model"], r["threads"], r["batch"], *r["size"]) for r in results}), 16)
        for result in results:
            self.assertGreater(result["median_ms"], 0)
            self.assertLessEqual(result["min_ms"], result["median_ms"])
        counted = json.loads(self.succeed("cost", "resnet20", "--alpha", 0.5, "--json"))["macs"]
        octave = next(r for r in results if (r["model"], r["batch"], r["size"]) == ("octave.onnx", 3, [32, 32]))
        self.assertEqual(octave["macs"], 3 * counted)
        self.assertIn("octave.onnx", self.succeed("bench", "plain.onnx", "octave.onnx", "--rounds", 1))

    def test_profile_says_what_every_step_is(self):
        result = json.loads(self.succeed("profile", "octave.onnx", "--repeats", 2, "--json"))
        counted = json.loads(self.succeed("cost", "resnet20", "--alpha", 0.5, "--json"))["macs"]
        self.assertEqual((result["macs"], sum(step["macs"] for step in result["steps"])), (counted, counted))
        self.assertGreater(result["peak_gflops"], 0)
        self.assertGreater(result["bandwidth_gb_per_s"], 0)
        for step in result["steps"]:
            self.assertGreater(step["median_ms"], 0)
            self.assertAlmostEqual(step["roofline_ms"], max(2e-6 * step["macs"] / result["peak_gflops"],
                                   1e-6 * step["bytes"] / result["bandwidth_gb_per_s"]))  # fmt: skip
            self.assertEqual(step["bound"] == "peak",
                             2 * step["macs"] / result["peak_gflops"] > step["bytes"] / result["bandwidth_gb_per_s"])
        self.assertAlmostEqual(result["roofline_ms"], sum(step["roofline_ms"] for step in result["steps"]))
        exact = json.loads(self.succeed("profile", "octave.onnx", "--repeats", 1, "--exact", "--json"))
        self.assertEqual({step["method"] for step in exact["steps"]}, {"", "direct"})

    def test_profile_draws_a_page(self):
        text = self.succeed("profile", "octave.onnx", "--repeats", 1, "--html", "page.html")
        self.assertIn("% of the measured peak", text)
        page = (self.folder / "page.html").read_text()
        self.assertEqual(page.count('class="bar"'), text.count("\n") - 3)  # without header, line and sum
        self.assertIn("layer1.0", page)

    def test_wrong_values_are_named(self):
        for command in ("bench", "profile"):
            self.fail_with(["'no.onnx'"], command, "no.onnx")
            self.wrong_usage(command, "plain.onnx", "--threads", 0)
            self.wrong_usage(command, "plain.onnx", "--batch", 0)
            self.wrong_usage(command, "plain.onnx", "--exact", "--measure")
            self.wrong_usage(command, "plain.onnx", "--choices", "file")
            (self.folder / "choices").write_text("else")
            self.fail_with(["'choices'", "octconv methods"], command, "plain.onnx", "--measure", "--choices", "choices")
        self.wrong_usage("bench")
        self.fail_with(["no/page.html"], "profile", "plain.onnx", "--repeats", 1, "--html", "no/page.html")

    def test_what_was_measured_is_remembered(self):
        self.succeed("bench", "plain.onnx", "--rounds", 1, "--measure", "--choices", "choices")
        before = (self.folder / "choices").read_text()
        self.assertIn("16+0 to 16+0", before)
        self.succeed("bench", "plain.onnx", "--rounds", 1, "--measure", "--choices", "choices")
        self.assertEqual((self.folder / "choices").read_text(), before)


class Diff(CommandTest):
    def setUp(self):
        super().setUp()
        for name, *options in (("a", "--seed", 1), ("same", "--seed", 1), ("other", "--seed", 2)):
            self.succeed("export", "resnet20", "--alpha", 0.5, "--size", 9, *options, "-o", name + ".onnx")

    def test_models_that_agree(self):
        text = self.succeed("diff", "a.onnx", "same.onnx")
        self.assertIn("output 'fc': largest difference 0, which is 0 of the range", text)
        self.assertTrue(text.endswith("they agree\n"))
        write_npy(self.folder / "x.npy", (2, 3, 11, 9), [i % 7 for i in range(2 * 3 * 11 * 9)])
        result = json.loads(self.succeed("diff", "a.onnx", "same.onnx", "--input", "x.npy", "--json"))
        self.assertEqual((result["agree"], result["first_parting"], result["incomparable"]), (True, None, []))

    def test_models_that_differ_exit_with_1_and_no_error(self):
        result = self.octconv("diff", "a.onnx", "other.onnx")
        self.assertEqual((result.returncode, result.stderr), (FAILED, ""))
        self.assertIn("they part at 'conv1'", result.stdout)
        self.assertTrue(result.stdout.endswith("they differ\n"))
        parsed = json.loads(self.octconv("diff", "a.onnx", "other.onnx", "--json").stdout)
        self.assertFalse(parsed["agree"])
        self.assertEqual(parsed["first_parting"]["name"], "conv1")
        self.assertGreater(parsed["outputs"][0]["relative"], parsed["tolerance"])

    def test_what_cannot_be_done_is_an_error(self):
        self.fail_with(["tolerance", "-1"], "diff", "a.onnx", "same.onnx", "--tolerance", -1)
        self.fail_with(["'no.npy'"], "diff", "a.onnx", "same.onnx", "--input", "no.npy")
        self.fail_with(["'no.onnx'"], "diff", "a.onnx", "no.onnx")
        self.wrong_usage("diff", "a.onnx")
        self.wrong_usage("diff", "a.onnx", "same.onnx", "--input", "x.npy", "--seed", 2)


def main():
    global TOOL
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(__doc__)
    TOOL = os.path.abspath(sys.argv.pop(1))
    unittest.main()


if __name__ == "__main__":
    main()
