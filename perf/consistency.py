#!/usr/bin/env python3
# consistency: no cliffs. Checks that the library's times do not contradict one another, and lists where they do.
#
# The rules are the self-consistent performance guidelines known from MPI (Traeff, Gropp, Thakur: "Self-Consistent MPI Performance
# Requirements", 2007). T is the median over interleaved rounds of the benchmark's p50, the slowest rank's:
#   grows     T(S) <= T(any larger message)
#   splits    T(f S) <= f T(S): a message costs no more than its parts, one by one
#   mock-up   T <= T of other calls that give the same, made one after the other in the same program (--as): AllReduce is not
#             slower than Reduce and Broadcast, AllGather not than n Broadcasts, and so on (perf/mockups.cc)
#   groups    k small AllReduces in one group cost no more than k single ones
#   ranks     n+1 ranks take at most 1.5 times as long as n, for the same message; only where both numbers of ranks fit the
#             cores, or neither does
# All but the last with --slack per cent on the right side. Exit code: 1 if any rule is violated.
import argparse
import json
import pathlib
import statistics
import sys

from benchmark import BUILD, add_version, cores, require, require_writable, run_json, size_of, size_text, write
from progress import Progress

COLLECTIVES = ['all_reduce', 'all_gather', 'reduce_scatter', 'broadcast', 'reduce', 'alltoall', 'gather', 'scatter', 'barrier']
MOCKUPS = {
    'all_reduce': ['reduce+broadcast', 'reduce_scatter+all_gather'],
    'all_gather': ['broadcasts', 'gather+broadcast', 'alltoall'],
    'reduce_scatter': ['reduce+scatter', 'all_reduce'],
    'broadcast': ['scatter+all_gather'],
    'reduce': ['all_reduce', 'reduce_scatter+gather'],
    'alltoall': ['scatters', 'sends'],
    'gather': ['all_gather'],
    'scatter': ['broadcast'],
    'barrier': ['all_reduce'],
}
SMALL = 4096  # bytes; a group of larger messages is not made for its latency
MORE_RANKS = 1.5


def ranks_of(text):
    """'2,3' -> [2, 3]"""
    ranks = sorted({int(word) for word in text.split(',')})
    if ranks[0] < 2:
        raise ValueError('a communicator of one rank has nobody to wait for')
    return ranks


class Sizes:
    """The sizes asked for: first, first * factor, ..."""

    def __init__(self, first, last, factor):
        self.first, self.last, self.factor = first, last, factor
        self.all = []
        while first <= last:
            self.all.append(first)
            first *= factor

    def asked(self, size):
        """The program rounds down to whole blocks, by less than a factor. A Barrier's size is 0."""
        return next(one for one in self.all if one >= size) if size else 0


class Rounds:
    """Samples by (ranks, collective, variant) and size; variant: '', 'as ...' or 'group'."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.sizes = Sizes(arguments.min, arguments.max, arguments.factor)
        self.samples = {}

    def variants(self):
        for ranks in self.arguments.ranks:
            for collective in self.arguments.collectives:
                yield ranks, collective, '', []
                for name in MOCKUPS[collective]:
                    yield ranks, collective, f'as {name}', ['--as', name]
                if collective == 'all_reduce':
                    yield ranks, collective, 'group', ['-m', self.arguments.group]

    def run(self, progress):
        a = self.arguments
        for ranks, collective, variant, flags in self.variants():
            last = min(a.max, SMALL) if variant == 'group' else a.max
            if last < a.min:
                progress.end()
                continue
            progress.begin(f'{collective}, {ranks} ranks{variant and ", " + variant}')
            report = run_json([require(a.build, f'{collective}_perf'), '-p', ranks, '-b', a.min, '-e', last, '-f', a.factor, '-n',
                               a.iterations, '-c', 0, '-a', 3, '-J', '-', *flags])
            for row in report['results']:
                of_size = self.samples.setdefault((ranks, collective, variant), {})
                of_size.setdefault(self.sizes.asked(row['size']), []).append(row['out_of_place']['p50_us'])
            progress.end()

    def times(self, ranks, collective, variant=''):
        """{size: us}, in the order of sizes"""
        samples = self.samples.get((ranks, collective, variant), {})
        return {size: statistics.median(of_size) for size, of_size in samples.items()}


class Verdict:
    """All comparisons made, by rule."""

    def __init__(self, crowded):
        self.crowded = crowded  # ranks -> bool
        self.cases = []

    def compare(self, rule, what, ranks, size, left_us, right_us, allowed):
        self.cases.append({'rule': rule, 'what': what, 'ranks': ranks, 'crowded': self.crowded(ranks), 'size': size,
                           'left_us': left_us, 'right_us': right_us, 'ratio': left_us / right_us, 'allowed': allowed,
                           'violated': left_us > right_us * allowed})

    def violations(self):
        return [case for case in self.cases if case['violated']]


def judge(rounds, arguments, crowded):
    verdict = Verdict(crowded)
    slack = 1 + arguments.slack / 100
    for ranks in arguments.ranks:
        for collective in arguments.collectives:
            times = rounds.times(ranks, collective)
            sizes = list(times)
            for i, size in enumerate(sizes[:-1]):
                larger = min(sizes[i + 1:], key=times.get)
                verdict.compare('grows', f'{collective} <= {collective} of {size_text(larger)}', ranks, size, times[size],
                                times[larger], slack)
                if sizes[i + 1] == size * arguments.factor:
                    verdict.compare('splits', f'{collective} <= {arguments.factor} x {collective} of {size_text(size)}', ranks,
                                    sizes[i + 1], times[sizes[i + 1]], arguments.factor * times[size], slack)
            for name in MOCKUPS[collective]:
                for size, time_us in rounds.times(ranks, collective, f'as {name}').items():
                    verdict.compare('mock-up', f'{collective} <= {name}', ranks, size, times[size], time_us, slack)
        single = rounds.times(ranks, 'all_reduce')
        for size, time_us in rounds.times(ranks, 'all_reduce', 'group').items():
            verdict.compare('groups', f'all_reduce in a group of {arguments.group} <= all_reduce, each', ranks, size, time_us,
                            single[size], slack)
    for fewer in arguments.ranks:
        if fewer + 1 not in arguments.ranks or crowded(fewer) != crowded(fewer + 1):
            continue
        for collective in arguments.collectives:
            less = rounds.times(fewer, collective)
            for size, time_us in rounds.times(fewer + 1, collective).items():
                verdict.compare('ranks', f'{collective} of {fewer + 1} ranks <= {MORE_RANKS} x of {fewer}', fewer + 1, size,
                                time_us, less[size], MORE_RANKS)
    return verdict


def print_verdict(verdict, arguments, crowded):
    marked = ', '.join(f'{n} (crowded)' if crowded(n) else str(n) for n in arguments.ranks)
    print(f'# ranks {marked}; {size_text(arguments.min)} to {size_text(arguments.max)} by {arguments.factor}; medians of '
          f'{arguments.rounds} interleaved rounds; slack {arguments.slack:g} %')
    print(f'# {"rule":10} {"cases":>6} {"violated":>9} {"worst left/right":>17}')
    for rule in ('grows', 'splits', 'mock-up', 'groups', 'ranks'):
        cases = [case for case in verdict.cases if case['rule'] == rule]
        worst = f'{max(case["ratio"] for case in cases):17.2f}' if cases else f'{"-":>17}'
        print(f'  {rule:10} {len(cases):6} {sum(case["violated"] for case in cases):9} {worst}')
    violations = verdict.violations()
    if violations:
        print(f'#\n# {"rule":8} {"ranks":>5} {"size":>6} {"left, us":>10} {"right, us":>10} {"ratio":>6} {"allowed":>7}  what')
    for case in sorted(violations, key=lambda one: -one['ratio'] / one['allowed']):
        print(f'  {case["rule"]:8} {case["ranks"]:5} {size_text(case["size"]):>6} {case["left_us"]:10.2f} {case["right_us"]:10.2f} '
              f'{case["ratio"]:6.2f} {case["allowed"]:7.2f}  {case["what"]}{" (crowded)" if case["crowded"] else ""}')
    print(f'# {len(violations)} of {len(verdict.cases)} cases violated')


def main():
    parser = argparse.ArgumentParser(description='Checks that the times of collectives do not contradict one another.')
    parser.add_argument('collectives', nargs='*', metavar='collective', help=f'default: {" ".join(COLLECTIVES)}')
    parser.add_argument('-p', dest='ranks', type=ranks_of, default=','.join(str(n) for n in range(2, max(min(cores(), 8), 2) + 1)),
                        help='numbers of ranks, by comma (default: 2 to the number of cores, %(default)s)')
    parser.add_argument('-b', dest='min', type=size_of, default='8', help='smallest message')
    parser.add_argument('-e', dest='max', type=size_of, default='16M', help='largest message')
    parser.add_argument('-f', dest='factor', type=int, default=4, help='factor from size to size')
    parser.add_argument('-n', dest='iterations', type=int, default=20, help='samples per size and round')
    parser.add_argument('-m', dest='group', type=int, default=8, help='AllReduces in a group')
    parser.add_argument('--rounds', type=int, default=7, help='interleaved rounds')
    parser.add_argument('--slack', type=float, default=10, help='per cent by which the left side may be above the right')
    parser.add_argument('--build', type=pathlib.Path, default=BUILD)
    parser.add_argument('--json', type=pathlib.Path, help='write all cases to this file')
    add_version(parser)
    arguments = parser.parse_args()
    unknown = set(arguments.collectives) - set(COLLECTIVES)
    if unknown:
        parser.error(f'no collective: {", ".join(unknown)}')
    if not 1 <= arguments.min <= arguments.max or arguments.factor < 2 or arguments.rounds < 1 or arguments.slack <= -100:
        parser.error('sizes: 1 <= -b <= -e; a factor of 2 at least; one round at least; a slack above -100 per cent')
    arguments.collectives = arguments.collectives or COLLECTIVES
    require_writable(parser, [arguments.json])

    available = cores()
    crowded = lambda ranks: ranks > available
    rounds = Rounds(arguments)
    with Progress('measuring', 'runs', arguments.rounds * len(list(rounds.variants()))) as progress:
        for _ in range(arguments.rounds):
            rounds.run(progress)
    verdict = judge(rounds, arguments, crowded)
    print_verdict(verdict, arguments, crowded)
    written = not arguments.json or write(arguments.json, json.dumps(
        {'slack_percent': arguments.slack, 'rounds': arguments.rounds, 'cases': verdict.cases}, indent=1) + '\n')
    return 1 if verdict.violations() or not written else 0


if __name__ == '__main__':
    sys.exit(main())
