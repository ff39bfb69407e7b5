#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills in the tables of counts on the pages beside itself.

usage: tables.py COUNTS            writes the pages; COUNTS is the program of tests/network_counts.cc
       tables.py COUNTS --check    writes nothing; fails and names what is not as it would be written

A table stands between a mark and <!-- end -->. The marks are

    <!-- counts: NAME NAME... -->     networks, ordinary and at each alpha that published.csv has
    <!-- exchange: NAME -->           one network with paths switched off
    <!-- zoo -->                      every network, with its page

A network that published.csv does not have is counted at OTHER_ALPHAS. What is not counted but
published comes from published.csv (its sources: README.md). Every network must be on one page.
"""
import csv
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
OTHER_ALPHAS = ("0.25", "0.5")
MARK = re.compile(r"(<!-- (counts|exchange|zoo)(?:: ([\w ]+?))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)
EXCHANGE = {"both": "both", "high_to_low": "high_to_low only", "low_to_high": "low_to_high only",
            "none": "none"}


class Counts:
    """What the program COUNTS says. `networks` holds for each name its summary, stride mode, epsilon,
    momentum and zero gamma."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.networks = {}
        for line in self.process.stdout:
            if line == "\n":
                return
            name, *rest = line.rstrip("\n").split("\t")
            self.networks[name] = rest
        sys.exit(f"docs/networks/tables.py: {program} does not list the networks")

    def of(self, name, alpha="0", size="0", exchange="both"):
        """(multiply-adds, authors' FLOPs, parameters, activation elements)"""
        self.process.stdin.write(f"{name} {alpha} {size} {exchange}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 4:
            sys.exit(f"docs/networks/tables.py: no counts of {name} at alpha {alpha}")
        return [int(number) for number in answer]


def published(counts):
    with open(FOLDER / "published.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=2):
        if row["network"] not in counts.networks or row["exchange"] not in EXCHANGE:
            sys.exit(f"docs/networks/published.csv:{number}: {row['network']}, exchange "
                     f"{row['exchange']}: no such network or exchange")
    return rows


def table(header, rows):
    """Markdown; a cell without text is one blank wide."""
    lines = ["".join("| " + (cell + " " if cell else "") for cell in line) + "|\n"
             for line in (header, *rows)]
    lines.insert(1, "|---" * len(header) + "|\n")
    return "".join(lines)


def rows_of(name, known):
    """The rows to show of one network: those that are published, and the ordinary one first."""
    rows = [row for row in known if row["network"] == name and row["exchange"] == "both"]
    if not rows:
        rows = [{"alpha": alpha, "size": "0"} for alpha in OTHER_ALPHAS]
    if all(row["alpha"] != "0" for row in rows):
        sizes = dict.fromkeys(row["size"] for row in rows)
        rows = [{"alpha": "0", "size": size} for size in sizes] + rows
    return rows


def counts_table(names, counts, known):
    networks = [(name, rows_of(name, known)) for name in names]
    every = [row for _, rows in networks for row in rows]
    with_size = len({row["size"] for row in every}) > 1
    with_accuracy = any(row.get("top1") for row in every)
    with_flops = any(row.get("flops") for row in every)
    header = ["network", "alpha", *["input"] * with_size, "parameters", "multiply-adds",
              "activation elements", "authors' FLOPs", *["published FLOPs"] * with_flops,
              *["top-1, %", "released, %"] * with_accuracy]
    lines = []
    for name, rows in networks:
        for number, row in enumerate(rows):
            macs, authors, params, elements = counts.of(name, row["alpha"], row["size"])
            lines.append(
                [f"`{name}`" if number == 0 else "", row["alpha"],
                 *[row["size"] if row["size"] != "0" else ""] * with_size, f"{params:,}",
                 f"{macs:,}", f"{elements:,}", f"{authors:,}",
                 *[row.get("flops", "")] * with_flops,
                 *[row.get("top1", ""), row.get("released", "")] * with_accuracy])
    return table(header, lines)


def exchange_table(name, counts, known):
    lines = []
    rows = [row for row in known if row["network"] == name]
    alpha = next(row["alpha"] for row in rows if row["exchange"] != "both")
    for row in (row for row in rows if row["alpha"] == alpha):
        exchange = row["exchange"]
        macs, authors, params, _ = counts.of(name, alpha, row["size"], exchange)
        lines.append([EXCHANGE[exchange], f"{params:,}", f"{macs:,}", f"{authors:,}", row["top1"]])
    return table([f"exchange, alpha {alpha}", "parameters", "multiply-adds", "authors' FLOPs",
                  "top-1, %"], lines)


def pages():
    return {path: path.read_text() for path in sorted(FOLDER.glob("*.md"))}


def zoo_table(counts):
    page_of = {}
    for path, text in pages().items():
        for mark in MARK.finditer(text):
            if mark[2] == "counts":
                page_of.update(dict.fromkeys(mark[3].split(), path.name))
    lost = [name for name in counts.networks if name not in page_of]
    if lost:
        sys.exit(f"docs/networks: no page has a <!-- counts: --> mark with {', '.join(lost)}")
    lines = []
    for name, (summary, mode, epsilon, momentum, zero_gamma) in counts.networks.items():
        macs, _, params, _ = counts.of(name)
        epsilon = f"{float(epsilon):.0e}".replace("e-0", "e-")
        lines.append([f"[`{name}`]({page_of[name]})", summary, f"{params:,}", f"{macs:,}", f"`{mode}`",
                      epsilon, momentum, "yes" if zero_gamma == "1" else "no"])
    return table(["network", "what it is", "parameters", "multiply-adds", "stride mode",
                  "norm epsilon", "momentum", "zero gamma"], lines)


def filled(text, counts, known):
    def fill(mark):
        if mark[2] == "zoo":
            body = zoo_table(counts)
        elif mark[2] == "exchange":
            body = exchange_table(mark[3], counts, known)
        else:
            body = counts_table(mark[3].split(), counts, known)
        return mark[1] + body + mark[5]
    return MARK.sub(fill, text)


def main():
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--check"]):
        sys.exit(__doc__)
    counts = Counts(sys.argv[1])
    known = published(counts)
    stale, tables = [], 0
    for path, text in pages().items():
        found = len(MARK.findall(text))
        if found != len(re.findall("<!-- (?!end)", text)) or found != text.count("<!-- end -->"):
            sys.exit(f"docs/networks/{path.name}: a mark is misspelt, or its end is missing")
        tables += found
        new = filled(text, counts, known)
        if new == text:
            continue
        if sys.argv[2:]:
            stale += [f"{path.name}: {line}" for line in text.splitlines()
                      if line.startswith("|") and line not in new.splitlines()] or [path.name]
        else:
            path.write_text(new)
    if tables == 0:
        sys.exit("docs/networks: no table found")
    if stale:
        sys.exit("docs/networks/tables.py would write other lines than\n" + "\n".join(stale))


if __name__ == "__main__":
    main()
