#!/usr/bin/env python3
# cluster_test: tutti-cluster makes the hosts and links that it was told, puts ranks where they belong, strikes when it should, hands
# on exit codes, and leaves nothing behind, however it ends. Arguments: the built tutti-cluster.
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from trial import PATIENCE_S, Trial, conclude, expect  # noqa: E402

FLOWS = pathlib.Path(__file__).resolve().parent / 'flows.py'
BUCKET = 96 << 10  # bytes that pass a full token bucket at once; behind it there is none that would be fuller
FOUR = 'host a nic=100Mbit ranks=3\nhost b nic=100Mbit ranks=2\nhost c nic=100Mbit\nhost d nic=100Mbit ranks=2\n'
PAIR = 'host a nic=100Mbit\nhost b nic=100Mbit\n'

def here():
    """What of this machine's network a cluster must not touch."""
    return ''.join(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout for words in (
        ['ip', '-o', 'link'], ['ip', '-o', 'addr'], ['ip', 'route'], ['ip', 'netns'], ['tc', 'qdisc']))


def refuse(trial):
    for words, code, sentence in (
            (['--', 'true', '--bogus'], 0, ''),
            (['--bogus', '--', 'true'], 2, 'unrecognized arguments: --bogus'),
            ([], 2, 'nothing to run was given'),
            (['--place', 'anywhere', '--', 'true'], 2, "'anywhere' is none of block, round, random:SEED"),
            (['--fault', 'burn:a@1s', '--', 'true'], 2, "'burn:a@1s' is none of cut:HOST@TIME"),
            (['--fault', 'cut:a@soon', '--', 'true'], 2, "'cut:a@soon' is none of"),
            (['--fault', 'cut:x@1s', '--', 'true'], 2, '--fault cut:x: there is no such host'),
            (['--fault', 'kill:2@1s', '--', 'true'], 2, '--fault kill:2: there are only 2 ranks'),
            (['--fault', 'kill:0@1s', '--shell'], 2, 'kill and stop are for ranks started here'),
            (['--np', '0', '--', 'true'], 2, '--np is 1 to 1024'),
            (['--np', '1025', '--', 'true'], 2, '--np is 1 to 1024'),
            (['--report', '/nowhere/report.json', '--', 'true'], 2, 'cannot write /nowhere/report.json: No such file or directory'),
            (['--timeout', '0', '--', 'true'], 2, '--timeout is above 0'),
            (['--timeout', 'nan', '--', 'true'], 2, '--timeout is above 0'),
            (['--patience', 'inf', '--', 'true'], 2, '--patience is 0 to'),
            (['--', 'no-such-command'], 127, 'no-such-command: command not found'),
            (['--', '/'], 126, '/: not a program')):
        got, out, err = trial.run(PAIR, *words)
        expect(f'{words} ends with {code} and "{sentence}"', got == code and sentence in err, f'{got}\n{out}{err}')
    got, out, err = trial.run(PAIR, '--report', '/nowhere/report.json', '--', 'sh', '-c', 'echo ran')
    expect('nothing runs before its report can be written', got == 2 and not out, f'{got}\n{out}{err}')
    got, out, err = trial.run(PAIR, '--version')
    expect('--version prints the version', got == 0 and re.fullmatch(r'tutti-cluster \(Tutti\) \d+\.\d+\.\d+\n', out), f'{got}\n{out}{err}')
    got, _, err = trial.run('host a nic=fast\n', '--', 'true')
    expect('a mistake in the file is told with its line', got == 2 and 'topology.txt:1: ' in err, f'{got}\n{err}')
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        result = subprocess.run([sys.executable, *trial.words(PAIR, '--', 'true')], cwd=folder, stderr=subprocess.PIPE, text=True)
        expect('a folder that no host sees is refused', result.returncode == 2 and 'is in /dev/shm' in result.stderr, f'{result}')
    for words, sentence in ((['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'], 'no namespaces of our own here'),
                            (['unshare', '--user'], 'only root may make network namespaces'),
                            (['env', 'PATH=/nowhere'], 'apt-get install iproute2')):
        if words[0] == 'unshare' and subprocess.run([*words, 'true'], stderr=subprocess.DEVNULL).returncode != 0:
            continue  # no user namespaces on this machine
        result = subprocess.run([*words, sys.executable, *trial.words(PAIR, '--', '/bin/true')], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
        expect(f'under {words} it cannot', result.returncode == 77 and sentence in result.stdout, f'{result}')


def place(trial):
    tell = ['--', 'sh', '-c', 'echo $TUTTI_RANK $(hostname) $TUTTI_LOCAL_RANK $LOCAL_WORLD_SIZE $TUTTI_NRANKS $RANK $WORLD_SIZE']
    hosts = {'block': 'a a a b b c d d', 'round': 'a b c d a b d a'}
    for placement in ('block', 'round', 'random:7', 'random:8'):
        code, out, err = trial.run(FOUR, '--place', placement, *tell)
        rows = sorted(line.split() for line in out.splitlines())
        dealt = ' '.join(row[1] for row in rows)
        expect(f'{placement}: all ranks run', code == 0 and [row[0] for row in rows] == [str(rank) for rank in range(8)], out + err)
        expect(f'{placement}: as many as the file says', sorted(dealt) == sorted(hosts['block']), dealt)
        expect(f'{placement}: where they belong', dealt == hosts.setdefault(placement, dealt), dealt)
        for rank, row in enumerate(rows):
            before = [one[1] for one in rows[:rank]].count(row[1])
            wanted = [str(rank), row[1], str(before), str(dealt.split().count(row[1])), '8', str(rank), '8']
            expect(f"{placement}: rank {rank}'s variables", row == wanted, row)
    expect('seeds differ', hosts['random:7'] != hosts['random:8'], hosts)
    _, out, _ = trial.run(FOUR, '--place', 'random:7', *tell)
    expect('a seed deals alike', ' '.join(line.split()[1] for line in sorted(out.splitlines())) == hosts['random:7'], out)
    for set_by_user, wanted in (('', trial.folder / 'topology.txt'), (' ', trial.folder / 'topology.txt'), ('/x', '/x')):
        _, out, _ = trial.run(PAIR, '--', 'sh', '-c', 'echo "$TUTTI_TOPO_FILE" $TUTTI_COMM_ID', TUTTI_TOPO_FILE=set_by_user)
        expect(f'TUTTI_TOPO_FILE={set_by_user!r} and an id with a secret',
               re.fullmatch(rf'({wanted} 10\.0\.0\.1:\d+#[0-9a-f]{{32}}\n){{2}}', out) and len(set(out.splitlines())) == 1, out)
    _, out, _ = trial.run(FOUR, '--np', '6', '--tag-output', '--', 'hostname')
    expect('--np and tags', sorted(out.split('\n')) == ['', '[0] a', '[1] a', '[2] b', '[3] b', '[4] c', '[5] d'], out)


def furnish(trial):
    """A host has its own memory files, interfaces and addresses; rank 0's, which is a, is where all are sent."""
    code, out, err = trial.run(FOUR, '--place', 'round', '--', 'sh', '-c', '''
      : >/dev/shm/of-$(hostname); until [ $(ls /dev/shm | wc -l) = 1 ]; do :; done
      echo has $(ls /dev/shm /sys/class/net)
      ip -br addr | grep -q "${TUTTI_COMM_ID%%:*}/16" && ip -br addr | grep -q "$MASTER_ADDR/16" && echo master
      getent hosts d | grep -q 10.0.0.4 && echo knows''')
    lines = out.splitlines()
    expect('hosts are furnished', code == 0 and len(lines) == 8 + 3 + 8 and lines.count('master') == 3 and
           lines.count('knows') == 8 and all(f'has /dev/shm: of-{host} /sys/class/net: eth0 lo' in lines for host in 'abcd'),
           out + err)


def shape(trial):
    """Bytes need the time that the rates of the links on their way leave them."""
    def slowest(what, topology, pattern, size, addresses, crossing, bps):
        code, out, err = trial.run(topology, '--', sys.executable, FLOWS, pattern, size, addresses)
        least_s = (crossing - BUCKET) * 8 / bps
        times_s = [float(line) for line in out.split()]
        expect(f'{what}: not faster than its link', code == 0 and len(times_s) == 5 and min(times_s) > least_s,
               f'{code} {times_s} against {least_s}\n{err}')
        print(f'{what}: {min(times_s, default=0) / (crossing * 8 / bps):.3f} of the wire\'s time')

    slowest('out of a NIC', PAIR, 'pair', 2000000, 'a,b', 2000000, 100e6)
    slowest('into a NIC', 'host a nic=100Mbit\nhost b nic=1Gbit\nhost c nic=1Gbit\n', 'incast', 1000000, 'a,b,c', 2000000, 100e6)
    racks = ''.join(f'rack r{rack} uplink=50Mbit\n' for rack in (0, 1)) + \
        ''.join(f'host {host} rack=r{rack} nic=1Gbit\n' for host, rack in zip('abcd', (0, 0, 1, 1)))
    slowest("through a rack's uplink", racks, 'shift', 1000000, 'a,b,c,d', 2000000, 50e6)
    sites = 'site s uplink=40Mbit\nsite t\nrack r site=s\nhost a rack=r\nhost b\n'
    slowest("through a site's uplink", sites, 'pair', 2000000, 'a,b', 2000000, 40e6)
    rails = ''.join(f'host {host} nic=1Gbit nic=ib0:100Mbit\n' for host in 'ab')
    slowest('over a rail', rails, 'pair', 2000000, '10.1.0.1,10.1.0.2', 2000000, 100e6)
    for rail, used, idle in ((0, 'eth0', 'ib0'), (1, 'ib0', 'eth0')):
        code, out, err = trial.run(rails, '--', 'sh', '-c', f'''
          {sys.executable} {FLOWS} ring 1000000 10.{rail}.0.1,10.{rail}.0.2 >/dev/null || exit 1
          cd /sys/class/net; echo $(cat {used}/statistics/[tr]x_bytes {idle}/statistics/[tr]x_bytes)''')
        rows = [[int(word) for word in line.split()] for line in out.splitlines()]
        expect(f'rail {rail} keeps to itself', code == 0 and len(rows) == 2 and all(
            min(row[:2]) > 5000000 and max(row[2:]) < 100000 for row in rows), out + err)


def strike(trial):
    report = trial.folder / 'report.json'

    def struck(fault, script):
        code, _, err = trial.run(PAIR, '--fault', fault, '--report', report, '--', 'sh', '-c', script)
        expect(f'{fault} is told', re.search(r'fault at \d+\.\d+ s: ' + fault.split('@')[0].replace(':', ' '), err), err)
        ranks = json.loads(report.read_text())['ranks']
        return code, [rank['code'] for rank in ranks], [rank['struck'] for rank in ranks], err

    # What a rank waits for is what the fault does: if it does not, the run does not end.
    found = struck('cut:b@0.1s', '''
      [ $RANK = 1 ] || exit 0; until [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]; do sleep 0.02; done; exit 6''')
    expect('a cable is pulled', found[:3] == (6, [0, 6], [False, False]) and 'rank 1 (on b) ended with exit code 6' in found[3], found)
    found = struck('slow:a@0.1s', '''
      until tc qdisc show dev eth0 | grep -q "rate $([ $RANK = 0 ] && echo 10Mbit || echo 100Mbit)"; do sleep 0.02; done''')
    expect('a host becomes slow', found[:2] == (0, [0, 0]), found)
    # Rank 0 is struck, which runs before rank 1 looks for it.
    watch = '[ $RANK = 0 ] && exec sleep 1000; until {}; do sleep 0.02; done; exit 4'
    find = 'grep -lzx RANK=0 /proc/[0-9]*/environ 2>/dev/null'
    found = struck('kill:0@0.1s', watch.format(f'[ -z "$({find})" ]'))
    expect("a rank is killed, and that is nobody's failure", found[:3] == (4, [137, 4], [True, False]), found)
    found = struck('stop:0@0.1s', watch.format(f'grep -q "^State:.T" $({find} | sed s/environ/status/) /dev/null'))
    expect('a rank is stopped, and ended with the last', found[:3] == (4, [137, 4], [True, False]), found)


def end(trial):
    for what, topology, words, code, sentence in (
            ('a failure', PAIR, ['[ $RANK = 1 ] && exit 7; sleep 1000'], 7, 'rank 1 (on b) ended with exit code 7'),
            ('a failure with a code of no signal', PAIR, ['[ $RANK = 1 ] && exit 213; sleep 1000'], 213, 'ended with exit code 213'),
            ('a signal', PAIR, ['[ $RANK = 0 ] && kill -SEGV $$; sleep 1000'], 139, 'rank 0 (on a) was killed by signal 11'),
            ('what does not end', PAIR, ['trap "" TERM; while :; do sleep 1; done'], 124, 'still run: rank 0 (on a), rank 1 (on b)'),
            ('what a rank has left', PAIR, ["[ $RANK = 0 ] && { sleep 1000 & exit 0; }; while grep -qszx RANK=0 "
                                            "/proc/[0-9]*/environ; do sleep 0.02; done; exit 4"], 4, 'rank 1 (on b) ended with'),
            ('what leaves its group', PAIR, ['setsid sleep 1000 & exit 0'], 0, '')):
        limit = ['--timeout', '0.5'] if code == 124 else []
        got, out, err = trial.run(topology, '--patience', '0.1', *limit, '--', 'sh', '-c', *words)
        expect(f'{what}: exit code {code}', got == code and sentence in err, f'{got}\n{out}{err}')
        expect(f'{what}: nothing is left', not trial.left(), trial.left())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        process = trial.start(PAIR)
        process.send_signal(number)
        process.communicate(timeout=PATIENCE_S)
        code = -number if number == signal.SIGKILL else 128 + number
        expect(f'after {number.name}: the exit code', process.returncode == code, process.returncode)
        expect(f'after {number.name}: nothing is left', not trial.left(), trial.left())


def live_together(trial):
    before = here()
    first = trial.start(PAIR)
    expect('two clusters at once', trial.run(PAIR, '--', 'true')[0] == 0)
    expect('nothing outside is touched', here() == before, here())
    first.kill()
    first.communicate(timeout=PATIENCE_S)
    trial.left()
    expect('nothing outside has been touched', here() == before, here())


def launch(trial):
    code, out, err = trial.run(PAIR, '--shell', '--', 'sh', '-c', f'hostname; "{trial.tool}" --rsh b "hostname; exit 5"')
    expect('a command line on another host', (code, out) == (5, 'a\nb\n'), f'{code}\n{out}{err}')
    if not shutil.which('mpirun'):
        print('Open MPI is not there: --mpirun is not tried')
        return
    code, out, err = trial.run(FOUR, '--place', 'round', '--mpirun', '--', 'sh', '-c', 'echo $OMPI_COMM_WORLD_RANK $(hostname)')
    expect("mpirun's ranks are where ours would be", code == 0 and
           ' '.join(line.split()[1] for line in sorted(out.splitlines())) == 'a b c d a b d a', out + err)


def main():
    tool = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(tool, pathlib.Path(name))
        if reason := trial.cannot():
            print(f'skipped: {reason}')
            return 77
        for part in (refuse, place, furnish, shape, strike, end, live_together, launch):
            part(trial)
    return conclude()


if __name__ == '__main__':
    sys.exit(main())
