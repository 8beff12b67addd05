#!/usr/bin/env python3
# scaleout: AllReduce between the hosts of a cluster on this machine (tools/tutti-cluster): Tutti and Open MPI (TCP), interleaved,
# beside the floor that the links leave to any algorithm. Needs root.
#
# The floor counts payload only (TCP at MTU 1500 adds 4.6 %): n places that have to end with the same sum of S bytes must pass
# 2(n-1)/n S each, out and in, by their uplinks, whatever the algorithm. It holds on each level, of hosts and of racks, and the
# largest counts. Inside a host it takes no time. Small messages have no floor here.
#
#   case     hosts                              AllReduce          placements
#   hosts    4 x 2 ranks, equal NICs            --size             block, --deals random deals
#   racks    the same in 2 racks, whose uplinks have a quarter of a NIC's rate
#   groups   3 + 2 + 1 + 2 ranks, equal NICs                       block, one random deal
#   rails    the first one with half the rate: one such NIC per host, and two
#   small    4 x 2 ranks, NICs of 10 Gbit/s     8 B to 4 KiB       block
#
# (The token bucket that shapes a NIC lets a burst of 96 KiB pass at once, so that a rate means nothing to small messages; they are
# measured where the kernel's work is all that counts.)
#
# Beside them, what tutti-sim says of the block placement on hosts that share this machine's cores.
#
# A figure is the median over the rounds of the program's median (p50); each run has a new cluster. Both libraries run the same
# program text (perf/peers/), unpinned: the ranks share this machine's cores, and a NIC's work has to find room, too.
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import libraries  # noqa: E402
from benchmark import BUILD, add_version, require, require_writable, size_of, size_text, write  # noqa: E402
from progress import Progress  # noqa: E402

HOSTS = 'abcd'
OPEN_MPI = {'OMPI_MCA_pml': 'ob1', 'OMPI_MCA_btl': 'tcp,vader,self'}
LIBRARIES = {'tutti': 'tutti', 'openmpi': 'open mpi'}  # name in flags -> in tables
FAST = 10000  # Mbit/s
SMALL = ['8', '4K', '8']  # smallest, largest, factor


class Case:
    """One cluster: its topology file, the placements to try, and the floor's shares: (places, bits per second) of each level."""

    def __init__(self, name, topology, places, levels, goal):
        self.name, self.topology, self.places, self.levels, self.goal = name, topology, places, levels, goal

    def floor_s(self, size):
        return max(2 * (places - 1) / places * size * 8 / bps for places, bps in self.levels) if self.goal else None


def hosts(nics, ranks=(2, 2, 2, 2), racks=('', '', '', '')):
    return ''.join(f'host {name} {rack} {" ".join(f"nic={mbit}Mbit" for mbit in nics)} ranks={count}\n'
                   for name, count, rack in zip(HOSTS, ranks, racks))


def cases(mbit, deals):
    """The cases by name; a goal is what the figure of Tutti over the floor should not exceed."""
    bps, up, half = mbit * 1e6, mbit / 4, mbit / 2
    dealt = [f'random:{seed}' for seed in range(1, deals + 1)]
    racks = [f'rack={rack}' for rack in ('r0', 'r0', 'r1', 'r1')]
    uplinks = ''.join(f'rack {rack} uplink={up}Mbit\n' for rack in ('r0', 'r1'))
    return {
        'hosts': [Case('4 hosts x 2', hosts([mbit]), ['block', *dealt], [(4, bps)], 1.10)],
        'racks': [Case('2 racks x 2 hosts x 2', uplinks + hosts([mbit], racks=racks), ['block', *dealt[:1]],
                       [(2, bps / 4), (4, bps)], 1.15)],
        'groups': [Case('3+2+1+2 ranks', hosts([mbit], (3, 2, 1, 2)), ['block', *dealt[:1]], [(4, bps)], 1.15)],
        'rails': [Case('1 rail', hosts([half]), ['block'], [(4, bps / 2)], 1.10),
                  Case('2 rails', hosts([half, half]), ['block'], [(4, bps)], 1.22)],
        'small': [Case('4 hosts x 2', hosts([FAST]), ['block'], [], None)],
    }


def setting(arguments, case, place, library, file):
    cluster = [arguments.build / 'tools/tutti-cluster', '--topo', file, '--place', place, '--timeout', arguments.timeout]
    file.write_text(case.topology)
    if library == 'tutti':
        return libraries.Setting('default', require(arguments.build, 'all_reduce_perf'), [*cluster, '--'], bind='--no-bind')
    return libraries.Setting('default', require(arguments.build, 'all_reduce_perf_openmpi'), [*cluster, '--mpirun', '--'],
                             environment=OPEN_MPI, bind='--no-bind')


def measure(arguments, chosen):
    """The rows of the table. Rounds are outermost, so that all libraries and cases meet the same hours."""
    rows = {}
    runs = arguments.rounds * len(arguments.libraries) * sum(len(case.places) for case in chosen)
    with tempfile.TemporaryDirectory() as folder, Progress('measuring', 'runs', runs) as progress:
        file = pathlib.Path(folder) / 'cluster.txt'
        for _ in range(arguments.rounds):
            for case in chosen:
                flags = ['-b', arguments.size, '-e', arguments.size, '-n', str(arguments.iterations), '-w', '1'] if case.goal else \
                    ['-b', SMALL[0], '-e', SMALL[1], '-f', SMALL[2], '-n', str(100 * arguments.iterations)]
                for place in case.places:
                    for library in arguments.libraries:
                        progress.begin(f'{case.name}, {place}, {LIBRARIES[library]}')
                        one_run(rows, case, place, library, setting(arguments, case, place, library, file), flags, arguments.timeout, progress)
                        progress.end()
    return [row for row in rows.values()]


def one_run(rows, case, place, library, how, flags, timeout_s, progress):
    try:
        times_us, reason = how.run(flags, 'out_of_place', timeout_s + 30), None
    except (libraries.Failed, libraries.Unsupported) as failure:
        times_us, reason = {}, str(failure)
        progress.clear()
        print(f'scaleout: {case.name}, {place}: {reason}', file=sys.stderr, flush=True)
    for size, time_us in times_us.items():
        row = rows.setdefault((case.name, place, size), {'case': case.name, 'place': place, 'bytes': size, 'goal': case.goal,
                                                         'floor_s': case.floor_s(size), 'rounds_s': {}})
        row['rounds_s'].setdefault(library, []).append(time_us / 1e6)


def simulated_s(arguments, case, size):
    """By the algorithm that the library chooses."""
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as file:
        file.write(case.topology)
        file.flush()
        words = [arguments.build / 'tools/tutti-sim', '-t', file.name, '-s', str(size), '--cores', str(libraries.CORES), '--one-machine']
        out = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    number, unit = next(line for line in out.splitlines() if line.split()[:1] == [str(size)]).split()[2:4]
    return float(number) * {'us': 1e-6, 'ms': 1e-3}[unit]


def finish(arguments, every, rows):
    for row in rows:
        case = next(case for case in every if case.name == row['case'] and case.goal == row['goal'])
        row['simulated_s'] = simulated_s(arguments, case, row['bytes']) if row['place'] == 'block' else None
        row['median_s'] = {library: statistics.median(times) for library, times in row['rounds_s'].items()}
        row['over_floor'] = {library: time / row['floor_s'] for library, time in row['median_s'].items()} if row['floor_s'] else None


def print_table(rows, chosen_libraries):
    print('# ' + f'{"case":>22} {"placement":>10} {"size":>6} {"floor, ms":>10} {"simulated":>10}' +
          ''.join(f' {LIBRARIES[library] + ", ms":>13} {"/floor":>7}' for library in chosen_libraries) +
          (f' {"open mpi/tutti":>15}' if len(chosen_libraries) > 1 else '') + f' {"goal":>6}')
    for row in rows:
        floor = f'{row["floor_s"] * 1e3:10.1f}' if row['floor_s'] else f'{"-":>10}'
        line = f'  {row["case"]:>22} {row["place"]:>10} {size_text(row["bytes"]):>6} {floor}'
        line += f' {row["simulated_s"] * 1e3:10.3f}' if row['simulated_s'] else f' {"-":>10}'
        for library in chosen_libraries:
            time_s = row['median_s'].get(library)
            over = row['over_floor'].get(library) if row['over_floor'] else None
            line += f' {time_s * 1e3:13.3f}' if time_s else f' {"-":>13}'
            line += f' {over:7.2f}' if over else f' {"-":>7}'
        if len(chosen_libraries) > 1:
            both = row['median_s'].get('openmpi'), row['median_s'].get('tutti')
            line += f' {both[0] / both[1]:15.2f}' if all(both) else f' {"-":>15}'
        print(line + (f' {row["goal"]:6.2f}' if row['goal'] else f' {"-":>6}'))
    rails = {row['case']: row['median_s'] for row in rows if row['case'].endswith(('rail', 'rails'))}
    for library in chosen_libraries:
        if len(rails) == 2 and all(library in row for row in rails.values()):
            print(f'# {LIBRARIES[library]}: two rails are {rails["1 rail"][library] / rails["2 rails"][library]:.2f} times as fast as one')
    sys.stdout.flush()


def parse_arguments():
    parser = argparse.ArgumentParser(description='Compares AllReduce over a cluster of network namespaces with its floor and Open MPI.')
    known = list(cases(1, 0))
    parser.add_argument('cases', nargs='*', metavar='case', help=f'{", ".join(known)} (default: all)')
    parser.add_argument('--rate', type=float, default=500, help="a NIC's Mbit/s (default: %(default)s)")
    parser.add_argument('--size', default='16M', help='the large message (default: %(default)s)')
    parser.add_argument('--deals', type=int, default=10, help='random placements (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=3, help='interleaved rounds (default: %(default)s)')
    parser.add_argument('-n', dest='iterations', type=int, default=3, help='samples per round; of small messages 100 times as many')
    parser.add_argument('--libraries', type=lambda text: text.split(','), default=list(LIBRARIES), help='default: tutti,openmpi')
    parser.add_argument('--timeout', type=int, default=120, help='seconds until a run that does not end is given up')
    parser.add_argument('--build', type=pathlib.Path, default=BUILD)
    parser.add_argument('--json', type=pathlib.Path, help='write the figures to this file')
    add_version(parser)
    arguments = parser.parse_args()
    for what, given, names in (('case', arguments.cases, known), ('library', arguments.libraries, LIBRARIES)):
        for word in given:
            if word not in names:
                parser.error(f'{what} {word!r} is none of {", ".join(names)}')
    if not 1 <= arguments.rate <= 1e5 or min(arguments.rounds, arguments.iterations) < 1 or arguments.deals < 0:
        parser.error('--rate is 1 to 100000, --rounds and -n start at 1, --deals at 0')
    try:
        size_of(arguments.size)
    except ValueError:
        parser.error(f'--size {arguments.size!r} is not a size like 16M')
    require_writable(parser, [arguments.json])
    if os.geteuid() != 0:
        sys.exit('scaleout: only root may make network namespaces')
    return arguments


def main():
    arguments = parse_arguments()
    every = cases(arguments.rate, arguments.deals)
    chosen = [case for name in arguments.cases or every for case in every[name]]
    rows = measure(arguments, chosen)
    finish(arguments, chosen, rows)
    print(f'# AllReduce, float sum, NICs of {arguments.rate:g} Mbit/s (rails: half of it), medians of {arguments.rounds} interleaved '
          f'rounds, {libraries.CORES} cores')
    print_table(rows, arguments.libraries)
    written = not arguments.json or write(arguments.json, json.dumps(
        {'rate_bps': arguments.rate * 1e6, 'rounds': arguments.rounds, 'cores': libraries.CORES, 'iterations': arguments.iterations,
         'rows': rows}, indent=1) + '\n')
    missing = [row for row in rows if len(row['median_s']) < len(arguments.libraries)]
    return 1 if missing or not rows or not written else 0


if __name__ == '__main__':
    sys.exit(main())
