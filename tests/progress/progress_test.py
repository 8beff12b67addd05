#!/usr/bin/env python3
# progress_test: the line that long jobs write to a terminal: rewritten in place, and gone at the end; and nothing where stderr is no
# terminal. Terminals are pseudo-terminals.
#
# Arguments: source root, build root.
import importlib.util
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from terminal import TAKE_AWAY, on_terminal  # noqa: E402

SOURCE, BUILD = (pathlib.Path(word) for word in sys.argv[1:3])
LINE = re.compile(r'(\w+): (\d+) of (\d+) [\w ]+, (\d+) %(, about [\d.]+ (s|min|h) left)? \(.+\)')
failures = []


def check(what, right):
    if not right:
        failures.append(what)
        print('FAILED:', what)


def check_line(name, command, begins):
    code, out, shown = on_terminal(command)
    check(f'{name} ends with {code}: {shown!r}', code == 0)
    parts = shown.split(TAKE_AWAY)
    check(f'{name}: every text begins with taking the one before away: {shown[:200]!r}', len(parts) > 2 and parts[0] == '')
    check(f'{name}: nothing is left at the end: {parts[-1]!r}', parts[-1] == '')
    texts = [part for part in parts if part]
    wrong = [text for text in texts if not LINE.fullmatch(text) or not text.startswith(begins)]
    check(f'{name}: these are no progress: {wrong[:3]}', not wrong)
    shares = [int(LINE.fullmatch(text).group(4)) for text in texts if LINE.fullmatch(text)]
    check(f'{name}: shares grow: {shares}', shares == sorted(shares) and shares[-1] <= 100)
    check(f'{name}: no progress on stdout', TAKE_AWAY not in out)

    code, out_narrow, shown = on_terminal(command, columns=30)
    longest = max(len(part) for part in shown.split(TAKE_AWAY))
    check(f'{name}: a text of {longest} letters does not fit 30 columns', code == 0 and longest <= 29)

    piped = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=100)
    check(f'{name} says in a pipe: {piped.stderr!r}', piped.returncode == 0 and piped.stderr == '')
    return texts, out, piped.stdout


def check_failure():
    """A failure's sentence stands on a line of its own."""
    code, _, shown = on_terminal([BUILD / 'tools/tutti-sim', '-t', 'shelf:2'])
    check(f'a failure ends with {code} and says {shown!r}', code == 2 and shown.startswith('tutti-sim: ') and TAKE_AWAY not in shown)


def check_times():
    spec = importlib.util.spec_from_file_location('progress', SOURCE / 'perf/progress.py')
    progress = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(progress)
    for done, elapsed_s, expected in ((0, 5, 'simulating: 0 of 200 runs, 0 %'), (50, 20, 'simulating: 50 of 200 runs, 25 %, about 60 s left'),
                                      (2, 10, 'simulating: 2 of 200 runs, 1 %, about 17 min left'),
                                      (100, 7200, 'simulating: 100 of 200 runs, 50 %, about 2.0 h left'),
                                      (200, 9, 'simulating: 200 of 200 runs, 100 %')):
        got = progress.text('simulating', 'runs', done, 200, elapsed_s, '')
        check(f'{got!r} should be {expected!r}', got == expected)


def main():
    sim = [BUILD / 'tools/tutti-sim', '-t', 'rack:4 host:8 core:8', '-s', '4M,8M,16M', '-a', 'ring']
    texts, out, piped = check_line('tutti-sim', sim, 'simulating: ')
    check(f'tutti-sim tells the time left: {texts}', any(' left' in text for text in texts))
    check('the table is the same with and without a terminal', out == piped and out.count(' ring ') == 3)
    check_line('consistency.py', [SOURCE / 'perf/consistency.py', '--build', BUILD, '-p', '2', '-b', '8', '-e', '64', '-f', '8', '-n', '1', '--rounds',
                                  '2', '--slack', '1e9', 'gather'], 'measuring: ')
    check_failure()
    check_times()
    return 1 if failures else 0


sys.exit(main())
