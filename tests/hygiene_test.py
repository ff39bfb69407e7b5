#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules that every file, and every symbol of the installed libraries, must keep.

usage: hygiene_test.py files SOURCE_FOLDER
       hygiene_test.py examples SOURCE_FOLDER       programs of the pages, held against examples/
       hygiene_test.py symbols NM LIBRARY.a...      what the libraries must not call
       hygiene_test.py exports NM LIBRARY.so        what a shared library may show
       hygiene_test.py commands OCTCONV PAGE.md     what the page on the command must name
       hygiene_test.py figure4 OCTCONV FIGURE.svg   a drawing that must be what octconv draws
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LICENCE = "SPDX-License-Identifier: Apache-2.0"
CPP = {".h", ".cc"}
# Formats without comments, or whose readers see the first lines.
WITHOUT_LICENCE_LINE = {".json", ".jsonl", ".md", ".csv", ".txt", ".svg", ".html"}
BINARY = {".npy", ".npz", ".onnx", ".png", ".jpg", ".gz", ".pt"}
MAX_COLUMNS = 100

# A library does not end its user's process and does not write to its user's terminal.
FORBIDDEN = {
    "abort", "exit", "_exit", "_Exit", "quick_exit", "printf", "vprintf", "__printf_chk", "puts",
    "putchar", "perror", "std::cout", "std::cerr", "std::clog",
}


def project_files(source):
    """The files under version control or about to be; without git, all but build trees."""
    try:
        names = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", source, "ls-files", "-z", "--cached",
             "--others", "--exclude-standard"],
            check=True, capture_output=True, text=True).stdout.split("\0")
        files = [Path(name) for name in names if name]
    except (OSError, subprocess.CalledProcessError):
        files = [path.relative_to(source) for path in source.rglob("*")]
    return sorted(file for file in files
                  if (source / file).is_file() and file.suffix not in BINARY
                  and file.parts[0] not in ("build", ".git", ".venv") and file.name != "LICENSE")


def errors_in_text(file, data):
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        line = data[:error.start].count(b"\n") + 1
        yield line, "is not ASCII"
        return
    if not text:
        return
    lines = text.split("\n")
    if lines.pop() != "":
        yield len(lines) + 1, "does not end its last line"
    for number, line in enumerate(lines, start=1):
        if "\t" in line or "\r" in line:
            yield number, "has a tab or a carriage return"
        if line != line.rstrip() and file.suffix != ".md":
            yield number, "ends with blanks"
        if file.suffix in CPP and len(line) > MAX_COLUMNS:
            yield number, f"has {len(line)} columns, more than {MAX_COLUMNS}"
    if file.name == "CMakeLists.txt" or file.suffix not in WITHOUT_LICENCE_LINE:
        first = 1 if lines[0].startswith("#!") else 0
        if len(lines) <= first or not lines[first].endswith(LICENCE):
            yield first + 1, f"is not the licence line '{LICENCE}'"
        elif file.suffix == ".h" and not re.match(r"// \w", lines[first + 1]):
            yield first + 2, "is not a sentence that says what the header holds"


def version_errors(source):
    def first(pattern, name):
        found = re.search(pattern, (source / name).read_text(), re.MULTILINE)
        return found.group(1) if found else None

    version = first(r"^project\(octconv VERSION (\d+\.\d+\.\d+)", "CMakeLists.txt")
    minor = version.rpartition(".")[0]
    newest = first(r"^## \[(\d+\.\d+\.\d+)\]", "CHANGELOG.md")
    if newest != version:
        yield f"CHANGELOG.md: newest version {newest} is not CMakeLists.txt's {version}"
    for file in project_files(source):
        if file.suffix not in (".md", ".cmake", ".txt") or file.parts[0] == "tests":
            continue
        text = (source / file).read_text(errors="replace")
        for found in re.findall(r"find_package\(octconv (\d[\d.]*)", text):
            if found != minor:
                yield f"{file}: find_package(octconv {found}) is not version {minor}"


def check_files(source):
    count = 0
    for file in project_files(source):
        count += 1
        for line, error in errors_in_text(file, (source / file).read_bytes()):
            yield f"{file}:{line}: {error}"
    if count < 50:
        yield f"only {count} files found in {source}"
    yield from version_errors(source)


def check_examples(source):
    """A program on a page in docs/ is one of examples/, word for word, so that it is compiled."""
    programs = [path.read_text() for path in (source / "examples").rglob("*.cc")]
    count = 0
    for page in sorted((source / "docs").glob("*.md")):
        for block in re.findall(r"```cpp\n(.*?)```", page.read_text(), re.DOTALL):
            if "int main" not in block:
                continue
            count += 1
            if not any(block in program for program in programs):
                yield f"{page.relative_to(source)}: no file of examples holds the program {block!r}"
    if count == 0:
        yield f"no program found in {source / 'docs'}"


def symbols(nm, options, library):
    """(type, demangled name) of each symbol."""
    output = subprocess.run([nm, "--demangle", *options, library], check=True,
                            capture_output=True, text=True).stdout
    for line in output.splitlines():
        found = re.match(r"[0-9a-f ]{16} ([A-Za-z]) (.*)$", line)
        if found:
            yield found.group(1), re.sub(r"@.*", "", found.group(2))


def check_symbols(nm, *libraries):
    for library in libraries:
        names = {name for _, name in symbols(nm, ["--undefined-only"], library)}
        if not names:
            yield f"{library}: nm lists nothing"
        for name in sorted(names & FORBIDDEN):
            yield f"{library}: uses {name}"


def check_exports(nm, library):
    """Only octconv's names. The standard library and LibTorch mark templates and inline functions of
    their headers as visible: those are weak."""
    own = re.compile(r"((typeinfo|typeinfo name|vtable|VTT|guard variable) for |(non-)?virtual thunk to )?octconv::")
    linker = {"__bss_start", "_edata", "_end"}
    count = 0
    for kind, name in symbols(nm, ["--dynamic", "--defined-only"], library):
        if own.match(name):
            count += 1
        elif name not in linker and not (kind in "WVu" and re.search(r"\b(std|__gnu_cxx|c10|c10d|at|torch)::", name)):
            yield f"{library}: exports {kind} {name}"
    if count == 0:
        yield f"{library}: exports nothing of octconv"


def check_commands(octconv, page):
    """Every subcommand has a section, and its examples use only options that it has."""
    def help_of(*command):
        return subprocess.run([octconv, *command, "--help"], check=True, capture_output=True,
                              text=True).stdout

    text = Path(page).read_text()
    subcommands = re.findall(r"^  ([a-z]+)  +\S", help_of().partition("Subcommands:")[2], re.MULTILINE)
    if not subcommands:
        yield f"{octconv} --help lists no subcommand"
    for name in subcommands:
        if f"\n## {name}\n" not in text:
            yield f"{page}: has no section on {name}"
    lines = re.findall(r"^octconv ([a-z]+)(.*?)(?:  +#.*)?$", text, re.MULTILINE)
    # What follows `--` is another command.
    lines = [part.partition(" ")[::2] for name, line in lines for part in f"{name}{line}".split(" -- ")]
    for name, line in ((name, " " + line) for name, line in lines):
        if name not in subcommands:
            yield f"{page}: octconv {name} is not a subcommand"
            continue
        known = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", help_of(name)))
        for option in re.findall(r" (--?[a-z][a-z-]*)", line):
            if option not in known:
                yield f"{page}: octconv {name} has no option {option}"


def check_figure4(octconv, figure):
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "figure4.svg"
        subprocess.run([octconv, "paper", "--figure", "4", "--svg", drawn], check=True,
                       capture_output=True)
        if drawn.read_bytes() != Path(figure).read_bytes():
            yield f"{figure}: is not what octconv paper --svg writes"


def main():
    what, *arguments = sys.argv[1:]
    if what == "files":
        errors = list(check_files(Path(arguments[0])))
    elif what == "examples":
        errors = list(check_examples(Path(arguments[0])))
    elif what == "symbols":
        errors = list(check_symbols(*arguments))
    elif what == "exports":
        errors = list(check_exports(*arguments))
    elif what == "commands":
        errors = list(check_commands(*arguments))
    elif what == "figure4":
        errors = list(check_figure4(*arguments))
    else:
        sys.exit(__doc__)
    for error in errors:
        print(error)
    print(f"{len(errors)} errors")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
