#!/usr/bin/env python3
# compare: Tutti, the machine's floor, MPI libraries and Gloo, interleaved, in one table, as JSON and as a picture.
#
# A round runs the floor and each library in each of its settings once (libraries.py says which, and how they are treated alike); a
# figure is the median over the rounds of the program's median (p50), and the best of a library's settings counts.
#
# The floor is the larger of copy and pull (floor.cc), over what has to be moved whatever the algorithm: bytes that a rank copies
# (reads and writes in its own memory) and bytes that it pulls (reads what another has just written). A figure is the mean over the
# ranks, and so are these. n ranks; S is the size in the table: the whole message, for all_gather the output of all blocks, for
# reduce_scatter and alltoall the input of all blocks.
#
#                   copies       pulls
#   all_reduce      S            2(n-1)/n S   my block of every other input, then every other block of the result
#   all_gather      S *           (n-1)/n S   every other block
#   reduce_scatter  S/n           (n-1)/n S   my block of every other input; one block is written
#   alltoall        S *           (n-1)/n S   my block of every other input
#   broadcast       S *           (n-1)/n S   all but the root pull S
#   reduce          S/n           (n-1)/n S   the root writes S; n-1 inputs, or sums of inputs, are read by a rank that has not made them
#   sendrecv        S             S           (not in place)
#   * in place (n-1)/n S: one of n blocks, or the root's, is where it belongs
#
# Beside the floor (of floats, by sum, out of place) stands the barest one, `bare` of `floor` (below 64 bytes swap, where all ranks
# exchange): what a plain program reaches. Beside registered memory stands `mapped`, an AllReduce whose ranks reach into one another's buffers.
#
# `floor` measures copies of exactly these bytes, and pulls of 2(n-1)/n S: the time of fewer bytes is their share of that. Whoever
# needs something of another rank waits for at least one hand-over of a cache line (hop): all ranks, but in broadcast all but the
# root, and in reduce the root only. Calls on less than 32 KiB are timed 20 in a row (measure.h): in these two, that go one way, they
# overlap, so that a ratio below 1 is possible, for all libraries alike.
import argparse
import json
import os
import pathlib
import statistics
import sys

sys.dont_write_bytecode = True
import libraries  # noqa: E402
import picture  # noqa: E402
from benchmark import BUILD, add_version, require_writable, run, size_text, write  # noqa: E402
from progress import Progress  # noqa: E402

COLLECTIVES = ['all_reduce', 'all_gather', 'reduce_scatter', 'broadcast', 'reduce', 'alltoall', 'sendrecv']
REDUCING = ['all_reduce', 'reduce_scatter', 'reduce']
ONE_WAY = ['broadcast', 'reduce']
TYPES = ['int8', 'uint8', 'int32', 'uint32', 'int64', 'uint64', 'half', 'float', 'double', 'bfloat16', 'f8e4m3', 'f8e5m2']


def moved(collective, ranks, size, in_place):
    """(bytes copied, bytes pulled, hops waited for), the mean over the ranks; see above."""
    others = (ranks - 1) * size // ranks
    most = others if in_place else size
    return {
        'all_reduce': (size, 2 * others, 1),
        'all_gather': (most, others, 1),
        'reduce_scatter': (size // ranks, others, 1),
        'alltoall': (most, others, 1),
        'broadcast': (most, others, (ranks - 1) / ranks),
        'reduce': (size // ranks, others, 1 / ranks),
        'sendrecv': (size, size, 1),
    }[collective]


def measure_floor(build, ranks, sizes, bare, mapped):
    """{'hop': us, 'copy': {size: us}, 'pull': {size: us}, 'bare': {size: us}, 'mapped': {size: us}}"""
    text = run([build / 'perf/floor', '-p', ranks, '--sizes', ','.join(map(str, sorted(sizes))), '--bare', bare or 'none',
                *(['--mapped'] if mapped else [])])
    found = {'hop': 0.0, 'copy': {}, 'pull': {}, 'bare': {}, 'mapped': {}}
    for line in text.splitlines():
        words = line.split()
        if line.startswith('#') or len(words) < 6:
            continue
        size, kind, time_us = int(words[0]), words[3], float(words[5])
        if kind == 'hop':
            found['hop'] = time_us
        elif kind == 'swap' and bare not in ONE_WAY:
            found['bare'] = {short: time_us for short in sizes if short < 64}
            found['mapped'] = dict(found['bare']) if mapped else {}
        elif kind in found:
            found[kind][size] = time_us
    return found


def floors_of(build, collective, ranks, sizes, in_place, bare, mapped):
    """What the floors of one round are made of: {size: {part: us}}, and beside them the barest programs: {size: us} each"""
    needs = {size: moved(collective, ranks, size, in_place) for size in sizes}
    measured = measure_floor(build, ranks, {*sizes, *(copied for copied, _, _ in needs.values() if copied)}, bare and collective,
                             mapped)
    floors = {size: {'hop': hops * measured['hop'],
                     'copy': measured['copy'].get(copied, 0.0),
                     # A message too short for pulling has none measured.
                     'pull': measured['pull'].get(size, 0.0) * pulled / (2 * (ranks - 1) / ranks * size)}
              for size, (copied, pulled, hops) in needs.items()}
    return (floors, {size: measured['bare'][size] for size in sizes} if bare else None,
            {size: measured['mapped'][size] for size in sizes} if mapped else None)


def median_of(rounds):
    return {size: statistics.median(one[size] for one in rounds) for size in rounds[0]}


def measure(arguments, collective, ranks, progress):
    """The figures of one collective between so many ranks, as they are written to JSON."""
    build = arguments.build
    found, left_out, mpis = libraries.find(build, collective, ranks, arguments.peers, arguments.registered, arguments.mpich_crowded)
    flags = ['-b', arguments.min, '-e', arguments.max, '-f', str(arguments.factor), '-n', str(arguments.iterations),
             '-d', arguments.type, '-o', arguments.op]
    placement = 'in_place' if arguments.in_place else 'out_of_place'
    parts, bare_rounds_us, mapped_rounds_us, failed = [], [], [], False
    rounds_us = {name: {setting.name: [] for setting in settings} for name, settings in found.items()}
    for _ in range(arguments.rounds):
        for name, settings in found.items():
            if name in left_out:
                continue
            progress.begin(f'{collective}, {ranks} ranks, {name}')
            try:
                for setting in settings:
                    rounds_us[name][setting.name].append(setting.run(flags, placement, arguments.timeout))
            except (libraries.Unsupported, libraries.Failed) as reason:
                if name == 'tutti' and isinstance(reason, libraries.Failed):
                    progress.clear()
                    sys.exit(f'compare: {reason}')
                left_out[name] = str(reason)
                failed = failed or isinstance(reason, libraries.Failed)
        if 'tutti' in left_out:
            progress.end(arguments.rounds - len(parts))
            progress.clear()
            return None, left_out, failed
        if not rounds_us['tutti']['default'][0]:
            progress.clear()
            sys.exit(f'compare: {collective}: {arguments.max} is less than one element for each of {ranks} ranks')
        barely = not arguments.in_place and arguments.type == 'float' and (collective not in REDUCING or arguments.op == 'sum')
        mapped = barely and arguments.registered and collective == 'all_reduce'
        floors, bare_us, mapped_us = floors_of(build, collective, ranks, list(rounds_us['tutti']['default'][0]), arguments.in_place,
                                               barely, mapped)
        parts.append(floors)
        if barely:
            bare_rounds_us.append(bare_us)
        if mapped:
            mapped_rounds_us.append(mapped_us)
        progress.end()
    progress.clear()
    floor_parts_us = {size: {part: statistics.median(one[size][part] for one in parts) for part in parts[0][size]}
                      for size in parts[0]}
    floor_us = {size: max(part.values()) for size, part in floor_parts_us.items()}
    bare_us = median_of(bare_rounds_us) if bare_rounds_us else None
    mapped_us = median_of(mapped_rounds_us) if mapped_rounds_us else None
    settings_us = {name: {setting: median_of(rounds) for setting, rounds in settings.items()}
                   for name, settings in rounds_us.items() if name not in left_out}
    libraries_us = {name: {size: min(times[size] for times in settings_us[name].values()) for size in floor_us}
                    if name in settings_us else None for name in found}
    mpis = [libraries_us[name] for name in mpis if libraries_us.get(name)]
    best_mpi_us = {size: min(times[size] for times in mpis) for size in floor_us} if mpis else None
    figures = {
        'collective': collective, 'ranks': ranks, 'type': arguments.type, 'op': arguments.op if collective in REDUCING else None,
        'in_place': arguments.in_place, 'rounds': arguments.rounds, 'iterations': arguments.iterations,
        'cores': libraries.CORES, 'processor': processor_name(), 'floor_us': floor_us, 'floor_parts_us': floor_parts_us,
        'bare_us': bare_us, 'mapped_us': mapped_us,
        'libraries_us': libraries_us, 'settings_us': settings_us,
        'over_floor': {name: {size: times[size] / floor_us[size] for size in floor_us}
                       for name, times in libraries_us.items() if times},
        'best_mpi_us': best_mpi_us,
        'best_mpi_over_tutti': {size: best_mpi_us[size] / libraries_us['tutti'][size] for size in floor_us} if mpis else None,
        'left_out': left_out,
    }
    return figures, left_out, failed


def processor_name():
    try:
        lines = pathlib.Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')), os.uname().machine)


def print_table(figures):
    names, floor_us, over = figures['libraries_us'], figures['floor_us'], figures['best_mpi_over_tutti']
    bare_us, mapped_us = figures['bare_us'], figures['mapped_us']
    print(f'# {figures["collective"]}, {figures["ranks"]} ranks, {figures["type"]}'
          f'{" " + figures["op"] if figures["op"] else ""}, {"in place" if figures["in_place"] else "out of place"}, '
          f'medians of {figures["rounds"]} interleaved rounds, us')
    for name, reason in figures['left_out'].items():
        print(f'# {name}: {reason.splitlines()[0]}')
    print('# ' + f'{"size":>8} {"floor":>10}' + (f' {"bare":>10}' if bare_us else '') + (f' {"mapped":>10}' if mapped_us else '') +
          ''.join(f' {name:>16} {"/floor":>7}' for name in names) +
          (f' {"best mpi/tutti":>15}' if over else ''))
    for size in floor_us:
        line = f'  {size_text(size):>8} {floor_us[size]:10.2f}' + (f' {bare_us[size]:10.2f}' if bare_us else '')
        line += f' {mapped_us[size]:10.2f}' if mapped_us else ''
        for times_us in names.values():
            line += f' {times_us[size]:16.2f} {times_us[size] / floor_us[size]:7.2f}' if times_us else f' {"-":>16} {"-":>7}'
        print(line + (f' {over[size]:15.2f}' if over else ''))
    print(flush=True)


def summary_of(figures):
    """{what: (geometric mean, extreme, size of the extreme)}"""
    found = {}
    for what, ratios, extreme in (('tutti / floor', figures['over_floor']['tutti'], max),
                                  ('tutti / bare', figures['bare_us'] and {
                                      size: time_us / figures['bare_us'][size]
                                      for size, time_us in figures['libraries_us']['tutti'].items()}, max),
                                  ('best mpi / tutti', figures['best_mpi_over_tutti'], min)):
        if ratios:
            size = extreme(ratios, key=ratios.get)
            found[what] = (statistics.geometric_mean(ratios.values()), ratios[size], size)
    return found


def print_summary(all_figures):
    columns = {'tutti / floor': 'most', 'tutti / bare': 'most', 'best mpi / tutti': 'least'}
    print('# summary over the sizes' + ' ' * 6 + ''.join(f' {what + ": mean":>23} {extreme:>6} at size'
                                                         for what, extreme in columns.items()))
    for figures in all_figures:
        line, found = f'# {figures["collective"]:>16}, {figures["ranks"]:>3} ranks', summary_of(figures)
        for what in columns:
            if what in found:
                mean, value, size = found[what]
                line += f' {mean:26.2f} {value:6.2f} {size_text(size):>7}'
            else:
                line += f' {"-":>26} {"-":>6} {"-":>7}'
        print(line)
    print('# mean: geometric. best mpi: that of the MPIs which takes least, at each size.', flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description='Compares Tutti with the floor, MPI libraries and Gloo on this host.')
    parser.add_argument('collectives', nargs='*', metavar='collective', help=f'{", ".join(COLLECTIVES)} (default: all_reduce)')
    parser.add_argument('--all', action='store_true', help='all collectives')
    parser.add_argument('-p', dest='ranks', type=lambda text: [int(word) for word in text.split(',')], default=[2],
                        help='ranks; several by comma')
    parser.add_argument('-b', dest='min', default='8', help='smallest message')
    parser.add_argument('-e', dest='max', default='64M', help='largest message')
    parser.add_argument('-f', dest='factor', type=int, default=8, help='factor from size to size')
    parser.add_argument('-n', dest='iterations', type=int, default=20, help='samples per size and round')
    parser.add_argument('-d', dest='type', default='float', choices=TYPES, help='element type')
    parser.add_argument('-o', dest='op', default='sum', choices=['sum', 'prod', 'max', 'min', 'avg'], help='reduction')
    parser.add_argument('--rounds', type=int, default=5, help='interleaved rounds')
    parser.add_argument('--in-place', action='store_true', help='the in-place half')
    parser.add_argument('--registered', action='store_true', help='also with memory from tuttiMemAlloc')
    parser.add_argument('--peers', type=lambda text: [word for word in text.split(',') if word], default=list(libraries.PEERS),
                        help=f'which to compare with, by comma, also MPIs that the build was told of; "": none (default: {",".join(libraries.PEERS)})')
    parser.add_argument('--mpich-crowded', action='store_true', help='MPICH even where ranks outnumber cores')
    parser.add_argument('--timeout', type=int, default=600, help='seconds until a program that does not end is given up')
    parser.add_argument('--build', type=pathlib.Path, default=BUILD)
    parser.add_argument('--out', type=pathlib.Path, help='write <collective>-<ranks>.json and .svg to this folder')
    parser.add_argument('--json', type=pathlib.Path, help='write the figures of a single comparison to this file')
    parser.add_argument('--svg', type=pathlib.Path, help='write the picture of a single comparison to this file')
    add_version(parser)
    arguments = parser.parse_args()
    arguments.collectives = COLLECTIVES if arguments.all else arguments.collectives or ['all_reduce']
    peers = [*libraries.PEERS, *libraries.further_mpis(arguments.build)]
    for what, given, known in (('collective', arguments.collectives, COLLECTIVES), ('peer', arguments.peers, peers)):
        for word in given:
            if word not in known:
                parser.error(f'{what} {word!r} is none of {", ".join(known)}')
    if (arguments.json or arguments.svg) and len(arguments.collectives) * len(arguments.ranks) > 1:
        parser.error('--json and --svg are for one collective and one number of ranks; give --out FOLDER')
    if min(arguments.ranks) < 2 or arguments.rounds < 1:
        parser.error('-p starts at 2, --rounds at 1')
    for collective in arguments.collectives:
        if not (arguments.build / f'perf/{collective}_perf').exists():
            sys.exit(f'compare: {arguments.build} holds no built benchmarks: run tools/demo.sh first, or say --build DIR')
    require_writable(parser, [arguments.json, arguments.svg, *files_of(arguments)], arguments.out)
    return arguments


def stem_of(arguments, collective, ranks):
    return arguments.out / f'{collective}-{ranks}'


def files_of(arguments):
    """The result files that exist already in --out FOLDER."""
    stems = [stem_of(arguments, collective, ranks) for collective in arguments.collectives for ranks in arguments.ranks] if arguments.out else []
    return [path for stem in stems for path in (stem.with_suffix('.json'), stem.with_suffix('.svg')) if path.exists()]


def write_figures(arguments, figures, collective, ranks):
    """Writes the files that the arguments ask for. Returns whether all could be written."""
    written = []
    stem = stem_of(arguments, collective, ranks) if arguments.out else None
    if stem:
        stem.parent.mkdir(parents=True, exist_ok=True)
    for path in filter(None, (arguments.json, stem and stem.with_suffix('.json'))):
        written.append(write(path, json.dumps(figures, indent=1) + '\n'))
    for path in filter(None, (arguments.svg, stem and stem.with_suffix('.svg'))):
        written.append(write(path, picture.draw(figures)))
    return all(written)


def main():
    arguments = parse_arguments()
    all_figures, any_failed = [], False
    progress = Progress('comparing', 'rounds', len(arguments.ranks) * len(arguments.collectives) * arguments.rounds)
    for ranks in arguments.ranks:
        for collective in arguments.collectives:
            figures, left_out, failed = measure(arguments, collective, ranks, progress)
            any_failed = any_failed or failed
            if failed:
                print('\n'.join(f'compare: {name}: {reason}' for name, reason in left_out.items()), file=sys.stderr)
            if not figures:
                print(f'# {collective}, {ranks} ranks: {left_out["tutti"]}\n')
                continue
            print_table(figures)
            all_figures.append(figures)
            any_failed = not write_figures(arguments, figures, collective, ranks) or any_failed
    print_summary(all_figures)
    return 1 if any_failed or not all_figures else 0


if __name__ == '__main__':
    sys.exit(main())
