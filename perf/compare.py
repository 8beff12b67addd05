#!/usr/bin/env python3
# compare: Tutti, the machine's floor and Open MPI, interleaved, in one table, as JSON and as a picture.
#
# Every library runs through the very same benchmark program (perf/peers/), so buffers, rewriting of inputs, timing and binding are
# the same. A round runs each library once; a figure is the median over the rounds of the program's median (p50). Open MPI runs
# with its defaults, and with mpi_yield_when_idle where ranks outnumber the cores. The picture shows time over the floor's.
#
# floor(collective) = the larger of copy and pull, each scaled to what the collective has to move per rank (n ranks, message S):
#   all_reduce      every rank pulls 2(n-1)/n S: as `floor` measures; copies S
#   others          pull (n-1)/n S: half of that; copy S
# and never less than one hand-over of a cache line (hop), except that of a collective of one direction only.
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

COLLECTIVES = ['all_reduce', 'all_gather', 'reduce_scatter', 'broadcast', 'reduce', 'alltoall', 'sendrecv']
COLOURS = {'tutti': '#0b6', 'tutti registered': '#06b', 'open mpi': '#d50'}


def run_json(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f'compare: {" ".join(command)} ended with {result.returncode}:\n{result.stderr}')
    return json.loads(result.stdout[result.stdout.index('{'):])


def times(report, placement):
    return {row['size']: row[placement]['p50_us'] for row in report['results']}


def measure_floor(build, arguments):
    """{'hop': us, 'copy': {size: us}, 'pull': {size: us}}"""
    command = [build / 'perf/floor', '-p', arguments.ranks, '-b', arguments.min, '-e', arguments.max, '-f', arguments.factor]
    text = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {'hop': 0.0, 'copy': {}, 'pull': {}}
    for line in text.splitlines():
        words = line.split()
        if line.startswith('#') or len(words) < 6:
            continue
        size, kind, time_us = int(words[0]), words[3], float(words[5])
        if kind == 'hop':
            found['hop'] = time_us
        else:
            found[kind][size] = time_us
    return found


def measure_libraries(build, arguments):
    """{library: {size: us}} of one round."""
    sizes = ['-b', str(arguments.min), '-e', str(arguments.max), '-f', str(arguments.factor), '-c', '0', '-n',
             str(arguments.iterations), '--percentiles', '-d', arguments.type, '-J', '-']
    program = build / f'perf/{arguments.collective}_perf'
    placement = 'in_place' if arguments.in_place else 'out_of_place'
    found = {'tutti': times(run_json([str(program), '-p', str(arguments.ranks), *sizes]), placement)}
    if arguments.registered:
        found['tutti registered'] = times(run_json([str(program), '-p', str(arguments.ranks), '-R', '1', *sizes]), placement)
    peer = pathlib.Path(f'{program}_openmpi')
    if peer.exists():
        crowded = ['--mca', 'mpi_yield_when_idle', '1'] if arguments.ranks > (os.cpu_count() or 1) else []
        root = ['--allow-run-as-root'] if os.geteuid() == 0 else []
        found['open mpi'] = times(run_json(['mpirun', *root, '--oversubscribe', '--bind-to', 'none', *crowded, '-n',
                                            str(arguments.ranks), str(peer), *sizes]), placement)
    return found


def floor_of(collective, floor, size):
    share = 1.0 if collective == 'all_reduce' else 0.5
    return max(floor['hop'], floor['copy'].get(size, 0.0), share * floor['pull'].get(size, 0.0))


def median_of(rounds):
    return {size: statistics.median(one[size] for one in rounds) for size in rounds[0]}


def geometric_mean(values):
    return statistics.geometric_mean(values) if values else float('nan')


def size_text(size):
    for unit, name in ((1 << 30, 'G'), (1 << 20, 'M'), (1 << 10, 'K')):
        if size >= unit and size % unit == 0:
            return f'{size // unit}{name}'
    return str(size)


def print_table(arguments, libraries, floors):
    print(f'# {arguments.collective}, {arguments.ranks} ranks, {arguments.type}, '
          f'{"in place" if arguments.in_place else "out of place"}, medians of {arguments.rounds} interleaved rounds, us')
    print('# ' + f'{"size":>8} {"floor":>10}' + ''.join(f' {name:>18} {"/floor":>7}' for name in libraries) +
          (f' {"mpi/tutti":>10}' if 'open mpi' in libraries else ''))
    for size in libraries['tutti']:
        line = f'  {size_text(size):>8} {floors[size]:10.2f}'
        for times_us in libraries.values():
            line += f' {times_us[size]:18.2f} {times_us[size] / floors[size]:7.2f}'
        if 'open mpi' in libraries:
            line += f' {libraries["open mpi"][size] / libraries["tutti"][size]:10.2f}'
        print(line)
    if 'open mpi' in libraries:
        ratios = [libraries['open mpi'][size] / libraries['tutti'][size] for size in libraries['tutti']]
        print(f'# Open MPI takes {geometric_mean(ratios):.2f} x the time of Tutti in the geometric mean, '
              f'{min(ratios):.2f} x at the least')


def draw(arguments, libraries, floors, path):
    """A picture: time over the floor (logarithmic), over the message's size, one line a library."""
    import math
    sizes = list(libraries['tutti'])
    ratios = {name: [times_us[size] / floors[size] for size in sizes] for name, times_us in libraries.items()}
    top = max(2.0, max(max(values) for values in ratios.values()))
    low = min(1.0, min(min(values) for values in ratios.values()))
    width, height, left, bottom = 900, 460, 70, 60
    x = lambda i: left + (width - left - 30) * i / max(1, len(sizes) - 1)
    y = lambda r: height - bottom - (height - bottom - 50) * (math.log(r) - math.log(low)) / (math.log(top) - math.log(low))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             f'<text x="{left}" y="24" font-size="16">{arguments.collective}, {arguments.ranks} ranks on one host: '
             'time over the machine&#8217;s floor (less is better)</text>']
    ticks = [t for t in (0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200) if low <= t <= top]
    for tick in ticks:
        colour = '#888' if tick == 1 else '#ddd'
        parts.append(f'<line x1="{left}" x2="{width - 30}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="{colour}"/>'
                     f'<text x="{left - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for i, size in enumerate(sizes):
        if i % max(1, len(sizes) // 12) == 0:
            parts.append(f'<text x="{x(i):.1f}" y="{height - bottom + 20}" text-anchor="middle">{size_text(size)}</text>')
    parts.append(f'<text x="{(left + width) / 2:.0f}" y="{height - 12}" text-anchor="middle">message, bytes</text>')
    for number, (name, values) in enumerate(ratios.items()):
        colour = COLOURS[name]
        points = ' '.join(f'{x(i):.1f},{y(value):.1f}' for i, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
                     f'<text x="{width - 200}" y="{50 + 18 * number}" fill="{colour}">{name}</text>')
    path.write_text('\n'.join(parts + ['</svg>', '']))


def main():
    parser = argparse.ArgumentParser(description='Compares Tutti with the floor and with Open MPI on this host.')
    parser.add_argument('collective', nargs='?', default='all_reduce', choices=COLLECTIVES)
    parser.add_argument('-p', dest='ranks', type=int, default=2, help='ranks')
    parser.add_argument('-b', dest='min', default='8', help='smallest message')
    parser.add_argument('-e', dest='max', default='64M', help='largest message')
    parser.add_argument('-f', dest='factor', type=int, default=8, help='factor from size to size')
    parser.add_argument('-n', dest='iterations', type=int, default=20, help='samples per size and round')
    parser.add_argument('-d', dest='type', default='float', help='type, as the benchmarks name it')
    parser.add_argument('--rounds', type=int, default=5, help='interleaved rounds')
    parser.add_argument('--in-place', action='store_true', help='the in-place half')
    parser.add_argument('--registered', action='store_true', help='also with memory from tuttiMemAlloc')
    parser.add_argument('--build', type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent / 'build')
    parser.add_argument('--json', type=pathlib.Path, help='write the figures to this file')
    parser.add_argument('--svg', type=pathlib.Path, help='write the picture to this file')
    arguments = parser.parse_args()
    if not (arguments.build / f'perf/{arguments.collective}_perf').exists():
        sys.exit(f'compare: {arguments.build} holds no built benchmarks: run tools/demo.sh first, or say --build DIR')

    floors, rounds = [], []
    for _ in range(arguments.rounds):
        floors.append(measure_floor(arguments.build, arguments))
        rounds.append(measure_libraries(arguments.build, arguments))
    floor = {'hop': statistics.median(one['hop'] for one in floors),
             'copy': median_of([one['copy'] for one in floors]), 'pull': median_of([one['pull'] for one in floors])}
    libraries = {name: median_of([one[name] for one in rounds]) for name in rounds[0]}
    bound = {size: floor_of(arguments.collective, floor, size) for size in libraries['tutti']}
    if 'open mpi' not in libraries:
        print('# no Open MPI: apt-get install libopenmpi-dev openmpi-bin, then configure and build again', file=sys.stderr)
    print_table(arguments, libraries, bound)
    if arguments.json:
        arguments.json.write_text(json.dumps({'collective': arguments.collective, 'ranks': arguments.ranks,
                                              'type': arguments.type, 'in_place': arguments.in_place,
                                              'rounds': arguments.rounds, 'floor_us': bound, 'hop_us': floor['hop'],
                                              'copy_us': floor['copy'], 'pull_us': floor['pull'],
                                              'libraries_us': libraries}, indent=1) + '\n')
    if arguments.svg:
        draw(arguments, libraries, bound, arguments.svg)


if __name__ == '__main__':
    main()
