#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the figures of docs/octave-convolution.md beside itself.

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


FIGURES = {"paths.svg": paths, "strides.svg": strides, "summed-taps.svg": taps, "odd-edge.svg": odd}


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
