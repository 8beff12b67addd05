# progress: one line on stderr that says how far a sweep is, and about how long the rest takes; the same as tools/progress.h. It is rewritten
# in place, and gone at the end. If stderr is not a terminal, nothing is written. Not a program.
import math
import os
import sys
import time


def left_text(seconds):
    if seconds < 90:
        return f'about {max(1, math.ceil(seconds))} s left'
    return f'about {math.ceil(seconds / 60)} min left' if seconds < 5400 else f'about {seconds / 3600:.1f} h left'


def columns():
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


def text(what, units, done, total, elapsed_s, detail):
    share = min(1, done / total)
    line = f'{what}: {done} of {total} {units}, {math.floor(100 * share)} %'
    if 0.01 <= share < 1:
        line += ', ' + left_text(elapsed_s * (1 - share) / share)
    return f'{line} ({detail})' if detail else line


class Progress:
    """with Progress('comparing', 'rounds', 12) as progress: progress.begin('ring'); ...; progress.end()"""

    def __init__(self, what, units, total):
        self.what, self.units, self.total = what, units, total
        self.done, self.began = 0, time.monotonic()
        self.terminal, self.shown = sys.stderr.isatty(), False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.clear()

    def begin(self, detail=''):
        """Says what is under way now."""
        if not self.terminal:
            return
        line = text(self.what, self.units, self.done, self.total, time.monotonic() - self.began, detail)
        # A line that is longer than the terminal is wide could not be rewritten in place.
        print(f'\r\033[K{line[:columns() - 1]}', end='', file=sys.stderr, flush=True)
        self.shown = True

    def end(self, count=1):
        """So many more are done."""
        self.done += count

    def clear(self):
        """Takes the line away, so that other text can be written."""
        if self.shown:
            print('\r\033[K', end='', file=sys.stderr, flush=True)
        self.shown = False
