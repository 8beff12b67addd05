# benchmark: what the scripts of this folder share. It runs a benchmark program and reads its figures, reads sizes, counts cores, and
# checks and writes output files. Not a program.
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.append(str(ROOT / 'tools/cluster'))
from output import cannot_fill, cannot_write, write_file  # noqa: E402

UNITS = {'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
BUILD = ROOT / 'build'


def run(command):
    """The text that a program prints. A program that fails ends this one with what it said."""
    words = [str(word) for word in command]
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f'{pathlib.Path(sys.argv[0]).name}: {" ".join(words)} ended with {result.returncode}:\n{result.stderr}')
    return result.stdout


def run_json(command):
    """The JSON object that a program prints last."""
    text = run(command)
    return json.loads(text[text.index('{'):])


def size_of(text):
    """'64K' -> 65536"""
    unit = UNITS.get(text[-1:].upper())
    return int(text[:-1]) * unit if unit else int(text)


def size_text(size):
    for name, unit in reversed(UNITS.items()):
        if size >= unit and size % unit == 0:
            return f'{size // unit}{name}'
    return str(size)


def cores():
    """Cores (not hardware threads) that this process may use."""
    siblings = set()
    for cpu in os.sched_getaffinity(0):
        path = pathlib.Path(f'/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list')
        siblings.add(path.read_text() if path.exists() else cpu)
    return len(siblings)


def require(build, program):
    """The path of a built program."""
    path = build / 'perf' / program
    if not path.exists():
        sys.exit(f'{pathlib.Path(sys.argv[0]).name}: {build} holds no built benchmarks: run tools/demo.sh first, or say --build DIR')
    return path


def add_version(parser):
    """Adds --version, which prints the version of the tree that the script is in."""
    numbers = re.findall(r'^#define TUTTI_(?:MAJOR|MINOR|PATCH) (\d+)', (ROOT / 'include/tutti/tutti.h').read_text(), re.MULTILINE)
    parser.add_argument('--version', action='version', version=f'%(prog)s (Tutti) {".".join(numbers)}')


def require_writable(parser, files=(), folder=None):
    """Ends the program with an error unless all these files, and new files in the folder, can be written."""
    for trouble in [cannot_write(file) for file in files if file] + ([cannot_fill(folder)] if folder else []):
        if trouble:
            parser.error(trouble)


def write(path, text):
    """Writes a file. Returns whether that was possible; if not, it prints why."""
    trouble = write_file(path, text)
    if trouble:
        print(f'{pathlib.Path(sys.argv[0]).name}: {trouble}', file=sys.stderr)
    return not trouble
