#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the figures of the pages in docs/ beside itself.

usage: draw.py            writes the files
       draw.py --check    writes nothing; fails and names the files that are not what it draws
"""
import sys
from pathlib import Path

HIGH = "#0072b2"  # Okabe and Ito's colours, "Color Universal Design", 2008
LOW = "#d55e00"
CELLS = ["#0072b2", "#d55e00", "#00865f", "#b5508c"]
INK, SOFT, GRID = "#1b1f24", "#59636e", "#c9d0d8"
STYLE = f"""<style>
text {{ font: 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: {INK}; }}
.small {{ font-size: 11.5px; }}
.soft {{ fill: {SOFT}; }}
.bold {{ font-weight: 600; }}
</style>
<defs>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0.8 L7.5 4 L0 7.2 Z" fill="{SOFT}"/>
</marker>
</defs>"""


class Figure:
    """An SVG file on a white card, so that it can be read on any page."""

    def __init__(self, width, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{title}</title>",
            STYLE,
            f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>',
        ]

    def rect(self, x, y, width, height, fill="none", stroke=SOFT, opacity=1, line=1):
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
            f'fill-opacity="{opacity:g}" stroke="{stroke}" stroke-width="{line:g}"/>')

    def text(self, x, y, text, anchor="middle", kind=""):
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}">{text}</text>')

    def arrow(self, *points):
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{SOFT}" stroke-width="1.5" '
            'marker-end="url(#tip)"/>')

    def grid(self, x, y, rows, columns, size, fill, stroke="#ffffff", opacity=0.3):
        for i in range(rows):
            for j in range(columns):
                colour = fill(i, j) if callable(fill) else fill
                self.rect(x + j * size, y + i * size, size, size, colour, stroke, opacity)

    def stack(self, x, y, side, count, colour, cells):
        """Channels, one behind the other, each with a grid of cells."""
        for n in reversed(range(count)):
            self.rect(x + 5 * n, y - 5 * n, side, side, "#ffffff", colour)
            self.rect(x + 5 * n, y - 5 * n, side, side, colour, colour, 0.16)
        for n in range(1, cells):
            at = side * n / cells
            line = f'stroke="{colour}" stroke-opacity="0.35" stroke-width="0.7"'
            self.parts.append(f'<path d="M{x + at:g} {y} v{side} M{x} {y + at:g} h{side}" {line}/>')

    def box(self, x, y, text, width=74):
        self.rect(x - width / 2, y - 13, width, 26, "#f4f6f8", GRID)
        self.text(x, y + 4.5, text)

    def svg(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def paths():
    figure = Figure(760, 340, "The four paths of an octave convolution")
    high_y, low_y = 92, 236
    for x, name, a in ((40, "X", "in"), (606, "Y", "out")):
        figure.stack(x, high_y - 48, 96, 3, HIGH, 8)
        figure.stack(x + 24, low_y - 24, 48, 3, LOW, 4)
        figure.text(x + 53, high_y + 70, f"{name}_high", kind="bold")
        figure.text(x + 53, high_y + 86, f"(1 - &#945;_{a}) C_{a} &#215; h &#215; w",
                    kind="small soft")
        figure.text(x + 53, low_y + 46, f"{name}_low", kind="bold")
        figure.text(x + 53, low_y + 62, f"&#945;_{a} C_{a} &#215; &#8968;h/2&#8969; &#215; &#8968;w/2&#8969;",
                    kind="small soft")
    left, right = 156, 596
    figure.arrow((left, high_y), (right, high_y))
    figure.box(376, high_y, "conv W_hh", 96)
    figure.text(376, high_y - 22, "high_to_high", kind="small soft")
    figure.arrow((left, low_y), (right, low_y))
    figure.box(376, low_y, "conv W_ll", 96)
    figure.text(376, low_y + 32, "low_to_low", kind="small soft")
    # The exchange crosses in the middle; its boxes lie on the low side.
    figure.arrow((left, high_y + 14), (232, 134), (548, 208), (right, low_y - 12))
    figure.arrow((left, low_y - 12), (232, 208), (548, 134), (right, high_y + 14))
    figure.box(248, 137.8, "pool 2 &#215; 2", 84)
    figure.box(504, 197.7, "conv W_hl", 96)
    figure.box(248, 204.2, "conv W_lh", 96)
    figure.box(504, 144.3, "upsample &#215; 2", 104)
    figure.text(338, 148, "high_to_low", kind="small soft")
    figure.text(338, 201, "low_to_high", kind="small soft")
    figure.text(right + 2, high_y - 8, "+", kind="bold")
    figure.text(right + 2, low_y - 22, "+", kind="bold")
    figure.text(380, 326, "Three of the four convolutions work on the low grid: a quarter of the pixels.",
                kind="small soft")
    return figure


STRIDES = {
    "kPool": {
        "high_to_high": [("h", 0), ("pool 2", 1), ("conv", 1)],
        "low_to_low": [("l", 1), ("pool 2", 2), ("conv", 2)],
        "high_to_low": [("h", 0), ("pool 4", 2), ("conv", 2)],
        "low_to_high": [("l", 1), ("conv", 1)],
    },
    "kPoolTwice": {
        "high_to_high": [("h", 0), ("pool 2", 1), ("conv", 1)],
        "low_to_low": [("l", 1), ("pool 2", 2), ("conv", 2)],
        "high_to_low": [("h", 0), ("pool 2", 1), ("pool 2", 2), ("conv", 2)],
        "low_to_high": [("l", 1), ("conv", 1)],
    },
    "kPoolLow": {
        "high_to_high": [("h", 0), ("pool 2", 1), ("conv", 1)],
        "low_to_low": [("l", 1), ("pool 2", 2), ("conv", 2)],
        "high_to_low": [("h", 0), ("pool 2", 1), ("pool 2", 2), ("conv", 2)],
        "low_to_high": [("l", 1), ("pool 2", 2), ("conv", 2), ("up 2", 1)],
    },
    "kStrided": {
        "high_to_high": [("h", 0), ("conv / 2", 1)],
        "low_to_low": [("l", 1), ("conv / 2", 2)],
        "high_to_low": [("h", 0), ("pool 2", 1), ("conv / 2", 2)],
        "low_to_high": [("l", 1), ("conv / 2", 2), ("up 2", 1)],
    },
}


def strides():
    """Each path as the grids that it goes through, drawn to scale: h, h / 2, h / 4."""
    figure = Figure(760, 470, "What a stride of 2 does in each mode")
    side = [40, 20, 10]
    for n, (mode, rows) in enumerate(STRIDES.items()):
        left, top = 20 + 376 * (n % 2), 14 + 212 * (n // 2)
        figure.text(left, top + 14, mode, "start", "bold")
        for row, (path, steps) in enumerate(rows.items()):
            middle = top + 50 + 46 * row
            figure.text(left, middle + 4, path, "start", "small soft")
            for step, (what, level) in enumerate(steps):
                # The last grid of each path stands in one column: what is summed must have one size.
                column = 3 if step == len(steps) - 1 else step
                x = left + 112 + 76 * column
                if step > 0:
                    figure.arrow((end + 4, middle), (x - side[level] / 2 - 4, middle))
                    figure.text((end + x - side[level] / 2) / 2, middle - 6, what, kind="small")
                colour = HIGH if (path.startswith("high") if step == 0 else path.endswith("high")
                                  if step == len(steps) - 1 else None) else LOW
                if 0 < step < len(steps) - 1:
                    colour = SOFT
                figure.rect(x - side[level] / 2, middle - side[level] / 2, side[level], side[level],
                            colour, colour, 0.22)
                end = x + side[level] / 2
    figure.text(380, 456, "Squares are grids to scale: h, h / 2, h / 4. Blue is high, orange low, "
                "grey in between.", kind="small soft")
    return figure


def taps_of(phase):
    """Which low pixel, 0 or 1, each tap of a 3-tap kernel reads: floor((phase + t - 1) / 2)."""
    first = (phase - 1) // 2
    return [(phase + t - 1) // 2 - first for t in range(3)]


def taps():
    figure = Figure(760, 318, "A 3 x 3 kernel on an upsampled map is a 2 x 2 kernel on the low map")
    size, top = 30, 70
    rows = columns = taps_of(0)

    def colour_of(i, j):
        return CELLS[2 * i + j]

    figure.text(30 + 2 * size, 32, "upsampled map", kind="bold")
    figure.text(30 + 2 * size, 50, "every cell holds one value", kind="small soft")
    figure.grid(30, top, 4, 4, size, lambda i, j: colour_of(i // 2, j // 2))
    for i in range(4):
        for j in range(4):
            figure.text(30 + (j + 0.5) * size, top + (i + 0.5) * size + 4,
                        f"x{i // 2}{j // 2}", kind="small")
    figure.rect(30 + size, top + size, 3 * size, 3 * size, "none", INK, line=2.5)
    figure.text(30 + 2.5 * size, top + 4 * size + 20, "the kernel for one output pixel",
                kind="small soft")

    left = 222
    figure.arrow((30 + 4 * size + 14, top + 2.5 * size), (left - 10, top + 2.5 * size))
    figure.text(left + 2.25 * size, 32, "its nine taps", kind="bold")
    figure.text(left + 2.25 * size, 50, "by the value they meet", kind="small soft")
    tap = 45
    for i in range(3):
        for j in range(3):
            figure.rect(left + tap * j, top + tap * i, tap, tap, colour_of(rows[i], columns[j]),
                        "#ffffff", 0.3)
            figure.text(left + tap * (j + 0.5), top + tap * (i + 0.5) + 5, f"w{i}{j}")

    cell, begin = 110, 420
    figure.arrow((left + 3 * tap + 14, top + 2.5 * size), (begin - 10, top + 2.5 * size))
    figure.text(begin + 165, 32, "four summed taps on the low map", kind="bold")
    figure.text(begin + 165, 50, "4 multiplies instead of 9", kind="small soft")
    wide = 165
    for i in range(2):
        for j in range(2):
            x, y = begin + wide * j, top + 68 * i
            figure.rect(x, y, wide, 68, colour_of(i, j), "#ffffff", 0.3)
            names = [f"w{a}{b}" for a in range(3) for b in range(3)
                     if rows[a] == i and columns[b] == j]
            lines = [" + ".join(names[k:k + 2]) for k in range(0, len(names), 2)]
            for n, line in enumerate(lines):
                more = " +" if n + 1 < len(lines) else ""
                figure.text(x + wide / 2, y + 38 + 18 * (n - (len(lines) - 1) / 2), line + more)

    figure.text(30, 262, "The four output pixels of a cell", "start", "bold")
    figure.text(30, 280, "each group their taps in their own", "start", "small soft")
    figure.text(30, 295, "way: 16 multiplies instead of 36.", "start", "small soft")
    for phase in range(4):
        x, y, s = 300 + 112 * phase, 248, 18
        one, two = taps_of(phase // 2), taps_of(phase % 2)
        figure.grid(x, y, 3, 3, s, lambda i, j, one=one, two=two: colour_of(one[i], two[j]),
                    opacity=0.45)
        figure.rect(x + s, y + s, s, s, "none", INK, line=1.5)
    return figure


def odd():
    figure = Figure(760, 268, "The odd edge: 5 x 7 pixels and their 3 x 4 low pixels")
    rows, columns, size, top = 5, 7, 32, 62
    left = 30

    def colour_of(i, j):
        return CELLS[(i + 2 * (j % 2)) % 4]

    figure.text(left + columns * size / 2, 28, "5 &#215; 7", kind="bold")
    figure.text(left + columns * size / 2, 46, "full grid", kind="small soft")
    figure.grid(left, top, rows, columns, size, lambda i, j: colour_of(i // 2, j // 2))
    for i in range(0, rows, 2):
        for j in range(0, columns, 2):
            height, width = min(2, rows - i), min(2, columns - j)
            figure.rect(left + j * size, top + i * size, width * size, height * size, "none", SOFT)
            share = "1" if height * width == 1 else f"1/{height * width}"
            for y in range(i, i + height):
                for x in range(j, j + width):
                    figure.text(left + (x + 0.5) * size, top + (y + 0.5) * size + 4, share,
                                kind="small")

    low = 346
    big = 36
    figure.arrow((left + columns * size + 10, 130), (low - 10, 130))
    figure.text((left + columns * size + low) / 2, 122, "pool", kind="small")
    figure.text(low + 2 * big, 28, "3 &#215; 4", kind="bold")
    figure.text(low + 2 * big, 46, "low grid: &#8968;5/2&#8969; &#215; &#8968;7/2&#8969;",
                kind="small soft")
    figure.grid(low, top + 14, 3, 4, big, colour_of)
    for i in range(4):
        figure.parts.append(f'<path d="M{low} {top + 14 + min(i, 3) * big} h{4 * big} '
                            f'M{low + (i + 1) * big} {top + 14} v{3 * big}" stroke="{SOFT}"/>')
    figure.parts.append(f'<path d="M{low} {top + 14} v{3 * big}" stroke="{SOFT}"/>')

    right = 560
    back = 24
    figure.arrow((low + 4 * big + 10, 130), (right - 10, 130))
    figure.text((low + 4 * big + right) / 2, 122, "upsample", kind="small")
    figure.text(right + 3.5 * back, 28, "5 &#215; 7", kind="bold")
    figure.text(right + 3.5 * back, 46, "of 6 &#215; 8, cropped", kind="small soft")
    figure.grid(right, top + 8, rows, columns, back, lambda i, j: colour_of(i // 2, j // 2))
    dash = f'stroke="{SOFT}" stroke-dasharray="3 3" fill="none"'
    figure.parts.append(f'<rect x="{right}" y="{top + 8}" width="{8 * back}" height="{6 * back}" {dash}/>')
    figure.rect(right, top + 8, columns * back, rows * back, "none", SOFT)
    figure.text(380, 254, "The numbers are the weights of a cell's pixels: a cell at the far edge "
                "averages the pixels that exist.", kind="small soft")
    return figure


ROW, SIDE = 92, 52  # of the drawings of blocks: from value to value, and of a value on the full grid


class Column:
    """One block, from top to bottom.

    values     (high, low, level) channels of each value, 0 for none; grid = full / 2^level
    apart      numbers of the layers in which the frequencies do not meet
    shortcut   None, "same" or the text on a shortcut that is a convolution
    labels     what its layers are, where the figure's left column does not say it
    """

    def __init__(self, title, below, values, apart=(), shortcut=None, labels=(), frames=1):
        self.title, self.below, self.values, self.apart = title, below, values, apart
        self.shortcut, self.labels, self.frames = shortcut, labels, frames

    def draw(self, figure, centre, top):
        octave = any(low for _, low, _ in self.values)
        lanes = (centre - 28, centre + 32) if octave else (centre, centre)
        figure.text(centre, top, self.title, kind="bold")
        figure.text(centre, top + 18, self.below, kind="small soft")
        first = top + 62

        def side(step, frequency):
            return SIDE / 2 ** (self.values[step][2] + frequency)

        def middle(step):
            return first + ROW * step

        for step in range(1, len(self.values)):
            for source in (0, 1):
                for target in (0, 1):
                    if not (self.values[step - 1][source] and self.values[step][target]):
                        continue
                    if source != target and step - 1 in self.apart:
                        continue
                    # Two arrows from one value, or into one, do not touch each other.
                    lean = 5 * (target - source)
                    above = side(step - 1, source) / 2 + 3
                    under = side(step, target) / 2 + 4 + 4 * (self.frames - 1)
                    figure.arrow((lanes[source] + lean, middle(step - 1) + above),
                                 (lanes[target] - lean, middle(step) - under))
        self.draw_shortcut(figure, lanes, side, middle)
        for step, (*channels, _) in enumerate(self.values):
            for frequency, count in enumerate(channels):
                if count:
                    self.draw_value(figure, lanes[frequency], middle(step), side(step, frequency),
                                    frequency, str(count), step + 1 == len(self.values))
        for step, label in enumerate(self.labels):
            beside = lanes[1] + 70 if self.shortcut else lanes[0] + 36
            for n, line in enumerate(label):
                figure.text(beside, middle(step) + ROW / 2 + 4 + 15 * (n - (len(label) - 1) / 2),
                            line, "start", "small")

    def draw_value(self, figure, x, y, side, frequency, count, last):
        colour = (HIGH, LOW)[frequency]
        for n in reversed(range(self.frames)):
            left, top = x - side / 2 + 4 * n, y - side / 2 - 4 * n
            figure.rect(left, top, side, side, "#ffffff", colour)
            figure.rect(left, top, side, side, colour, colour, 0.18)
        if side >= 26 and not (side < 40 and len(count) > 3):
            figure.text(x, y + 4, count, kind="small")
        elif last:
            figure.text(x, y + side / 2 + 14, count, kind="small")
        else:
            figure.text(x + side / 2 + 4, y + 4, count, "start", "small")

    def draw_shortcut(self, figure, lanes, side, middle):
        if not self.shortcut:
            return
        first, last = self.values[0], self.values[-1]
        end = len(self.values) - 1
        behind = 4 * (self.frames - 1)
        left, right = lanes[0] - SIDE / 2 - 14, lanes[1] + SIDE / 4 + 14 + behind
        ways = [(left, 0, 0, -1)] if first[0] and last[0] else []
        if first[1] or last[1]:
            source, target = (1 if first[1] else 0), (1 if last[1] else 0)
            if self.shortcut != "same" or source == target:
                ways.append((right, source, target, 1))
        for x, source, target, toward in ways:
            edge = behind if toward > 0 else 0
            figure.arrow((lanes[source] + toward * (side(0, source) / 2 + 2 + edge), middle(0)),
                         (x, middle(0)), (x, middle(end)),
                         (lanes[target] + toward * (side(end, target) / 2 + 3 + edge), middle(end)))
            if self.shortcut != "same":
                figure.rect(x - 16, (middle(0) + middle(end)) / 2 - 11, 32, 22, "#f4f6f8", GRID)
                figure.text(x, (middle(0) + middle(end)) / 2 + 4, self.shortcut, kind="small")


def block_figure(title, layers, columns, notes, last="sum", width=800, pitch=168):
    """Blocks side by side. The layers, the same in all, are named at the left."""
    steps = len(layers)
    height = 110 + ROW * steps + 36 + 18 * len(notes)
    figure = Figure(width, height, title)
    for n, layer in enumerate(layers):
        for k, line in enumerate(layer):
            figure.text(20, 34 + 62 + ROW * (n + 0.5) + 4 + 16 * (k - (len(layer) - 1) / 2), line,
                        "start")
    if last:
        figure.text(20, 34 + 62 + ROW * steps + 4, last, "start")
    for n, column in enumerate(columns):
        column.draw(figure, 190 + pitch * n, 34)
    for n, note in enumerate(notes):
        figure.text(width / 2, height - 14 - 18 * (len(notes) - 1 - n), note, kind="small soft")
    return figure


SQUARES = ("Blue is high, orange low; a square is a value on its grid, to scale, with its channels. "
           "Each arrow between values is a path.")
PROJECTED = "A shortcut with 1 &#215; 1 is one convolution with all the paths that its ends allow."


def block_pre_activation():
    return block_figure(
        "The pre-activation bottleneck of ResNet-50, ordinary and octave at alpha 0.25",
        [("batch norm, ReLU,", "conv 1 &#215; 1"), ("batch norm, ReLU,", "conv 3 &#215; 3"),
         ("batch norm, ReLU,", "conv 1 &#215; 1")],
        [Column("ordinary", "stage 1, 56 &#215; 56", [(256, 0, 0), (64, 0, 0), (64, 0, 0), (256, 0, 0)],
                shortcut="same"),
         Column("octave", "stage 1, 56 and 28",
                [(192, 64, 0), (48, 16, 0), (48, 16, 0), (192, 64, 0)], shortcut="same"),
         Column("low is born", "first block of stage 1",
                [(64, 0, 0), (48, 16, 0), (48, 16, 0), (192, 64, 0)], shortcut="1 &#215; 1"),
         Column("low ends", "first block of stage 4",
                [(768, 256, 0), (512, 0, 0), (512, 0, 1), (2048, 0, 1)], shortcut="1 &#215; 1")],
        [SQUARES, PROJECTED])


def block_post_activation():
    return block_figure(
        "The post-activation bottleneck of ResNet-50 and -152, ordinary and octave at alpha 0.5",
        [("conv 1 &#215; 1,", "batch norm, ReLU"), ("conv 3 &#215; 3,", "batch norm, ReLU"),
         ("conv 1 &#215; 1,", "batch norm")],
        [Column("ordinary", "stage 2, 28 &#215; 28", [(512, 0, 0), (128, 0, 0), (128, 0, 0), (512, 0, 0)],
                shortcut="same"),
         Column("octave", "stage 2, 28 and 14",
                [(256, 256, 0), (64, 64, 0), (64, 64, 0), (256, 256, 0)], shortcut="same"),
         Column("stride of b", "first block of stage 2",
                [(128, 128, 0), (64, 64, 0), (64, 64, 1), (256, 256, 1)], shortcut="1 &#215; 1"),
         Column("stride of e and f", "first block of stage 2",
                [(128, 128, 0), (64, 64, 0), (64, 64, 0), (256, 256, 1)], shortcut="1 &#215; 1")],
        [SQUARES, PROJECTED], last="sum, ReLU")


def block_densenet():
    return block_figure(
        "A layer and the last transition of DenseNet-121, ordinary and octave at alpha 0.25",
        [("batch norm, ReLU,", "conv 1 &#215; 1"), ("batch norm, ReLU,", "conv 3 &#215; 3"),
         ("concatenation",)],
        [Column("ordinary", "third layer, 56 &#215; 56",
                [(128, 0, 0), (128, 0, 0), (32, 0, 0), (160, 0, 0)], shortcut="same"),
         Column("octave", "third layer, 56 and 28",
                [(112, 16, 0), (96, 32, 0), (24, 8, 0), (136, 24, 0)], apart=(2,), shortcut="same"),
         Column("low is born", "first layer",
                [(64, 0, 0), (96, 32, 0), (24, 8, 0), (88, 8, 0)], apart=(2,), shortcut="same"),
         Column("low ends", "last transition, 14 and 7", [(768, 256, 0), (512, 0, 0), (512, 0, 1)],
                labels=[(), ("average pool 2",)])],
        [SQUARES, "The transition is batch norm, ReLU, conv 1 &#215; 1 and the pool."], last="")


def block_mobilenet_v1():
    return block_figure(
        "The block of MobileNet v1, ordinary and octave at alpha 0.5",
        [("depthwise 3 &#215; 3,", "batch norm, ReLU"), ("conv 1 &#215; 1,", "batch norm, ReLU")],
        [Column("ordinary", "block 4, 28 &#215; 28", [(256, 0, 0), (256, 0, 0), (256, 0, 0)]),
         Column("octave", "block 4, 28 and 14", [(128, 128, 0), (128, 128, 0), (128, 128, 0)],
                apart=(0,)),
         Column("low is born", "block 0, 112 and 56", [(32, 0, 0), (32, 0, 0), (32, 32, 0)]),
         Column("low ends", "block 10, 14 and 7", [(256, 256, 0), (256, 256, 0), (512, 0, 0)],
                apart=(0,))],
        [SQUARES], last="")


def block_mobilenet_v2():
    return block_figure(
        "The inverted residual of MobileNet v2, ordinary and octave at alpha 0.5",
        [("conv 1 &#215; 1,", "batch norm, ReLU6"), ("depthwise 3 &#215; 3,", "batch norm, ReLU6"),
         ("conv 1 &#215; 1,", "batch norm")],
        [Column("ordinary", "block 4, 28 &#215; 28", [(32, 0, 0), (192, 0, 0), (192, 0, 0), (32, 0, 0)],
                shortcut="same"),
         Column("octave", "block 4, 28 and 14", [(32, 0, 0), (96, 96, 0), (96, 96, 0), (32, 0, 0)],
                apart=(1,), shortcut="same"),
         Column("octave, stride 2", "block 3, 56 to 28",
                [(24, 0, 0), (72, 72, 0), (72, 72, 1), (32, 0, 1)], apart=(1,)),
         Column("always ordinary", "block 13, 14 to 7",
                [(96, 0, 0), (576, 0, 0), (576, 0, 1), (160, 0, 1)])],
        [SQUARES])


def block_video():
    return block_figure(
        "The bottleneck of I3D and a non-local block, ordinary and octave at alpha 0.25",
        [("conv 3 &#215; 1 &#215; 1,", "batch norm, ReLU"), ("conv 1 &#215; 3 &#215; 3,", "batch norm, ReLU"),
         ("conv 1 &#215; 1 &#215; 1,", "batch norm")],
        [Column("ordinary", "stage 2, 4 frames", [(512, 0, 0), (128, 0, 0), (128, 0, 0), (512, 0, 0)],
                shortcut="same", frames=3),
         Column("octave", "28 and 14, 4 frames",
                [(384, 128, 0), (96, 32, 0), (96, 32, 0), (384, 128, 0)], shortcut="same", frames=3),
         Column("non-local, ordinary", "stage 2", [(512, 0, 0), (256, 0, 0), (256, 0, 0), (512, 0, 0)],
                shortcut="same", frames=3),
         Column("non-local, octave", "low ends and is born again",
                [(384, 128, 0), (256, 0, 0), (256, 0, 0), (384, 128, 0)], shortcut="same", frames=3,
                labels=[("three conv", "1 &#215; 1 &#215; 1"), ("attention",),
                        ("conv 1 &#215; 1 &#215; 1,", "batch norm")])],
        [SQUARES, "Both grids have every frame; bottlenecks end with a ReLU. "
         "The layers of a non-local block are named at the right."],
        width=900)


def block_cifar():
    return block_figure(
        "The block of the CIFAR ResNets, ordinary and octave at alpha 0.25",
        [("conv 3 &#215; 3,", "batch norm, ReLU"), ("conv 3 &#215; 3,", "batch norm")],
        [Column("ordinary", "stage 1, 32 &#215; 32", [(16, 0, 0), (16, 0, 0), (16, 0, 0)], shortcut="same"),
         Column("octave", "stage 1, 32 and 16", [(12, 4, 0), (12, 4, 0), (12, 4, 0)], shortcut="same"),
         Column("low is born", "stem", [(3, 0, 0), (12, 4, 0)]),
         Column("low ends", "first block of stage 3", [(24, 8, 0), (64, 0, 1), (64, 0, 1)],
                shortcut="1 &#215; 1")],
        [SQUARES, PROJECTED], last="sum, ReLU")


FIGURES = {
    "paths.svg": paths,
    "strides.svg": strides,
    "summed-taps.svg": taps,
    "odd-edge.svg": odd,
    "block-pre-activation.svg": block_pre_activation,
    "block-post-activation.svg": block_post_activation,
    "block-densenet.svg": block_densenet,
    "block-mobilenet-v1.svg": block_mobilenet_v1,
    "block-mobilenet-v2.svg": block_mobilenet_v2,
    "block-video.svg": block_video,
    "block-cifar.svg": block_cifar,
}


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = []
    for name, draw in FIGURES.items():
        path = Path(__file__).with_name(name)
        svg = draw().svg()
        if not check:
            path.write_text(svg)
        elif not path.is_file() or path.read_text() != svg:
            stale.append(name)
    if stale:
        sys.exit(f"docs/images/draw.py does not draw {', '.join(stale)} like that; run it")


if __name__ == "__main__":
    main()
