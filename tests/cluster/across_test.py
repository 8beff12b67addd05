#!/usr/bin/env python3
# across_test: Tutti between the hosts of a cluster: right results wherever the ranks are, and when a rank is killed or stopped or a
# cable is pulled, an error on every rank that is left, which names who; a slow host only takes longer. Nothing is left behind. And the
# links carry what they have to, by as few connections as can be.
#
# Arguments: the built tutti-cluster, all_reduce_perf.
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / 'progress'))
from terminal import TAKE_AWAY, on_terminal  # noqa: E402
from trial import Trial, conclude, expect  # noqa: E402

RANKS = {'a': 2, 'b': 3, 'c': 1, 'd': 2}
FOUR = ''.join(f'host {host} nic=1Gbit ranks={ranks}\n' for host, ranks in RANKS.items())
RAILS = FOUR.replace('nic=', 'nic=1Gbit nic=')
RACKS = 'rack r uplink=500Mbit\nrack s uplink=500Mbit\n' + re.sub('host ([ab])', r'host \1 rack=r', FOUR).replace(
    'host c', 'host c rack=s').replace('host d', 'host d rack=s')
ENDLESS = ['-b', '64K', '-e', '64K', '-n', '1000000', '-c', '0']


def compute(trial, program):
    for what, topology in (('four hosts', FOUR), ('two rails', RAILS), ('two racks', RACKS)):
        for placement in ('block', 'random:3'):
            code, out, err = trial.run(topology, '--place', placement, '--timeout', '100', '--', program, '-b', '4', '-e', '4M',
                                       '-f', '32', '-n', '2', '-w', '1')
            expect(f'{what}, {placement}: right results', code == 0 and 'Out of bounds values : 0 OK' in out, f'{code}\n{out}{err}')


def launch(trial, program):
    """By mpirun, whose PMIx server carries the id from host to host."""
    if not shutil.which('mpirun'):
        return print('no mpirun (package openmpi-bin): not tried')
    code, out, err = trial.run(FOUR, '--mpirun', '--timeout', '100', '--', 'env', '-u', 'TUTTI_COMM_ID', program, '-b', '4', '-e', '4K',
                               '-f', '32', '-n', '2', '-w', '1')
    expect('mpirun over four hosts: right results', code == 0 and 'Out of bounds values : 0 OK' in out, f'{code}\n{out}{err}')


def traffic(trial, topology, words, *options, **environment):
    """What each host's NICs sent, in bytes: {host: [eth0's, eth1's, ...]}."""
    tell = f'{" ".join(map(str, words))} >/dev/null && sleep 0.2 && [ $TUTTI_LOCAL_RANK != 0 ] || ' \
           'echo $(hostname) $(cat /sys/class/net/eth*/statistics/tx_bytes)'
    code, out, err = trial.run(topology, *options, '--timeout', '100', '--', 'sh', '-c', tell, **environment)
    expect(f'{options} {environment}: it runs', code == 0, f'{code}\n{out}{err}')
    return {host: [int(word) for word in numbers] for host, *numbers in map(str.split, out.splitlines())}


def partners(trial, topology, hosts, program):
    """How many other hosts each host has connections with while a ring works: {host: number}.

    Each host looks once 32 MiB have left it, and its program goes on until all hosts have looked.
    """
    with tempfile.TemporaryDirectory(dir=trial.folder) as seen:
        look = f'{program} {" ".join(ENDLESS)} >/dev/null 2>&1 & ' \
               'until [ $(cat /sys/class/net/eth0/statistics/tx_bytes) -gt 33554432 ]; do sleep 0.05; done; ' \
               f'cat /proc/net/tcp >{seen}/$(hostname).part; mv {seen}/$(hostname).part {seen}/$(hostname); ' \
               f'until [ $(ls {seen} | grep -vc part) = {hosts} ]; do sleep 0.05; done; kill $! 2>/dev/null; exit 0'
        code, out, err = trial.run(topology, '--timeout', '100', '--', 'sh', '-c', look, TUTTI_ALGO='ring')
        expect('a ring works until all hosts have looked', code == 0, f'{code}\n{out}{err}')
        found = {}
        for file in pathlib.Path(seen).iterdir():
            rows = [line.split() for line in file.read_text().splitlines()[1:]]
            established = {(row[1].split(':')[0], row[2].split(':')[0]) for row in rows if row[3] == '01'}
            found[file.name] = len({remote for local, remote in established if remote != local})
        return found


def carry(trial, program):
    def words(calls):
        return [program, '-b', '4M', '-e', '4M', '-n', calls, '-w', '0', '-c', '0']
    needed = 2 * 8 * 2 * 3 / 4 * 2**22  # by 8 calls more, out of place and in place, among 4 hosts
    for placement in ('block', 'round', 'random:1', 'random:2'):
        few, many = (traffic(trial, FOUR, words(calls), '--place', placement) for calls in (2, 10))
        for host in RANKS:
            got = (many[host][0] - few[host][0]) / needed
            expect(f'{placement}: no byte more than needed leaves {host}', 1 <= got < 1.06, got)

    pair = 'host a nic=400Mbit nic=100Mbit\nhost b nic=400Mbit nic=100Mbit\n'
    for chosen, share in (('', 0.2), ('=eth1', 1), ('^eth1', 0), ('eth', 0.2)):
        sent = traffic(trial, pair, words(4), **({'TUTTI_NET_IFNAME': chosen} if chosen else {}))
        for host, (first, second) in sent.items():
            got = second / (first + second)
            expect(f"TUTTI_NET_IFNAME='{chosen}': eth1's share on {host}", abs(got - share) < 0.04, got)

    hosts = 'abcdefghi'
    found = partners(trial, ''.join(f'host {host} nic=1Gbit\n' for host in hosts), len(hosts), program)
    # The ring's two neighbours, and the control plane's tree: a is the parent of b to e, and b that of f to i.
    expect('each host has connections with its neighbours in the ring and in the tree',
           found == {'a': 5, 'b': 6, **dict.fromkeys('cdefghi', 3)}, found)


def probe(trial, tool):
    """What tutti-topo measures is what was made, less what TCP needs."""
    found = trial.folder / 'found.txt'
    made = ''.join(f'rack {rack} uplink=50Mbit\n' for rack in 'rs') + ''.join(
        f'host {host} rack={rack} nic=200Mbit\n' for host, rack in zip('abcd', 'rsrs'))
    code, out, shown = on_terminal(trial.words(made, '--timeout', '100', '--', tool, '--probe', found), env=trial.environment())
    expect('the probe runs', code == 0, f'{code}\n{out}{shown}')
    parts = shown.split(TAKE_AWAY)
    expect('the probe shows its progress, and takes it away', 'measuring: 5 of 6 pairs of hosts, 83 %, about ' in parts[-2] and parts[-1] == '', shown)
    cluster = json.loads(subprocess.run([tool, '--json', found], stdout=subprocess.PIPE, check=True).stdout)
    rack_of = {host['name']: host['rack'] for host in cluster['hosts']}
    expect('racks are told apart', len(cluster['racks']) == 2 and rack_of['a'] == rack_of['c'] != rack_of['b'] == rack_of['d'], out)
    for what, bps, most in [(host['name'], host['nics'][0]['bps'], 200e6) for host in cluster['hosts']] + [
            (rack['name'], rack['uplink_bps'], 50e6) for rack in cluster['racks']]:
        expect(f"{what}'s rate is found", bps is not None and 0.5 * most < bps <= most, out)


def survive(trial, program):
    report = trial.folder / 'report.json'
    hosts = [host for host, ranks in RANKS.items() for _ in range(ranks)]
    for fault, guilty in (('kill:3@2s', [3]), ('stop:3@2s', [3]), ('cut:b@2s', [2, 3, 4])):
        code, _, err = trial.run(FOUR, '--fault', fault, '--timeout', '90', '--patience', '60', '--report', report, '--tag-output',
                                 '--', program, *ENDLESS, TUTTI_TIMEOUT='4', TUTTI_INIT_TIMEOUT='30')
        expect(f'{fault}: the exit code', code == 1, f'{code}\n{err}')
        for rank in json.loads(report.read_text())['ranks']:
            number = rank['rank']
            if rank['struck']:
                continue
            said = ' '.join(re.findall(fr'^\[{number}\] all_reduce_perf: (.*)$', err, re.MULTILINE))
            # Whoever is cut off sees all others gone.
            others = [peer for peer in range(len(hosts)) if peer not in guilty] if number in guilty else guilty
            named = [int(peer) for peer in re.findall(r'rank (\d+) (?:\(pid \d+ on \w\) )?(?:died|does not answer|cannot be reached)', said)]
            expect(f'{fault}: rank {number} says who', rank['code'] == 1 and named and set(named) <= set(others), f'{rank}\n{err}')
        expect(f'{fault}: nothing is left', not trial.left(), trial.left())
    code, out, err = trial.run(FOUR, '--fault', 'slow:b@1s', '--timeout', '100', '--', program, '-b', '4M', '-e', '4M', '-n', '4', '-w', '1',
                               TUTTI_TIMEOUT='30')
    expect('a slow host takes longer', code == 0 and 'Out of bounds values : 0 OK' in out, f'{code}\n{out}{err}')


def main():
    tool, program = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(tool, pathlib.Path(name))
        if reason := trial.cannot():
            print(f'skipped: {reason}')
            return 77
        compute(trial, program)
        launch(trial, program)
        carry(trial, program)
        probe(trial, tool.parent / 'tutti-topo')
        survive(trial, program)
    return conclude()


if __name__ == '__main__':
    sys.exit(main())
