#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a data set of short videos whose classes are the directions in which a shape moves.

usage: moving_shapes.py FOLDER [--train 400] [--val 100] [--size 32] [--frames 24] [--seed 1]

A rectangle of a random bright colour moves over a dark background with some noise, and comes in again
where it went out: it is anywhere in any one frame of any class, so that only several frames together
tell the class. Files are AVI without compression, which this program needs no library for.
"""
import argparse
import pathlib
import random
import struct

DIRECTIONS = {"down": (1, 0), "left": (0, -1), "right": (0, 1), "up": (-1, 0)}
FRAMES_PER_SECOND = 25


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def avi(frames, height, width):
    """The bytes of an AVI file; each frame is height * width * 3 bytes, blue, green, red by rows."""
    row = width * 3
    padding = b"\0" * (-row % 4)
    size = (row + len(padding)) * height
    main_header = struct.pack(
        "<14I", 1_000_000 // FRAMES_PER_SECOND, size * FRAMES_PER_SECOND, 0, 0x10, len(frames), 0, 1,
        size, width, height, 0, 0, 0, 0,
    )  # fmt: skip
    stream_header = b"vidsDIB " + struct.pack(
        "<IHHIIIIIIII4H", 0, 0, 0, 0, 1, FRAMES_PER_SECOND, 0, len(frames), size, 0xFFFFFFFF, 0,
        0, 0, width, height,
    )  # fmt: skip
    picture_format = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)
    stream = chunk(b"LIST", b"strl" + chunk(b"strh", stream_header) + chunk(b"strf", picture_format))
    header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main_header) + stream)
    movie = b"movi"
    index = b""
    for frame in frames:
        # Rows go from the bottom to the top.
        rows = [frame[y * row : (y + 1) * row] + padding for y in reversed(range(height))]
        index += b"00db" + struct.pack("<III", 0x10, len(movie), size)
        movie += chunk(b"00db", b"".join(rows))
    return chunk(b"RIFF", b"AVI " + header + chunk(b"LIST", movie) + chunk(b"idx1", index))


def video(direction, size, count, chance):
    """Frames of a moving rectangle; a third wider than high, so that crops have a side to choose."""
    height, width = size, size * 4 // 3
    background = [chance.randrange(80) for _ in range(3)]
    colour = [chance.randrange(160, 240) for _ in range(3)]
    shape = [chance.randrange(size // 4, size // 2) for _ in range(2)]
    place = [chance.random() * extent for extent in (height, width)]
    speed = chance.uniform(0.5, 1.0) * size / 16  # pixels a frame
    down, right = DIRECTIONS[direction]
    noise = [chance.randrange(16) for _ in range(height * width)]
    plain, shaped = (
        bytes(min(level + grain, 255) for grain in noise for level in levels)
        for levels in (background, colour)
    )
    row = 3 * width
    frames = []
    for t in range(count):
        top = int(place[0] + down * speed * t)
        left = int(place[1] + right * speed * t)
        frame = bytearray(plain)
        for y in range(top, top + shape[0]):
            for x in range(left, left + shape[1]):
                at = y % height * row + 3 * (x % width)
                frame[at : at + 3] = shaped[at : at + 3]
        frames.append(bytes(frame))
    return avi(frames, height, width)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--train", type=int, default=400, help="videos to learn from")
    parser.add_argument("--val", type=int, default=100, help="videos to test with")
    parser.add_argument("--size", type=int, default=32, help="height; the width is a third more")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    names = sorted(DIRECTIONS)
    for part, count in (("train", arguments.train), ("val", arguments.val)):
        for i in range(count):
            name = names[i % len(names)]
            path = arguments.folder / part / name / f"{i:05}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(video(name, arguments.size, arguments.frames, chance))


if __name__ == "__main__":
    main()
