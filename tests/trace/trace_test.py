#!/usr/bin/env python3
# trace: ranks are run with TUTTI_TRACE, their files read as JSON, merged by tutti-trace, and what it says compared with what happened.
# In: the paths of tutti-run, tutti-trace and program.c's program. Out: exit status 1 and what differs.
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

RUN, TRACE, PROGRAM = sys.argv[1:]
SLACK_US = 0.002  # times have three places


def run(*command, expected=0, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith('TUTTI_')}
    result = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=60, env=clean | environment)
    assert expected is None or result.returncode == expected, f'{command}: exit code {result.returncode}, not {expected}: {result.stderr}'
    return result


def traced(folder, way, ranks=4, expected=0, **environment):
    return run(RUN, '-n', str(ranks), PROGRAM, way, expected=expected, **{'TUTTI_TRACE': str(folder)} | environment)


def read(path):
    events = json.loads(path.read_text())
    assert events[0]['name'] == 'tutti' and events[0]['args']['format'] == 1, events[0]
    return events


def files(folder, kind='trace'):
    return sorted(folder.glob(f'{kind}-*.json'))


def merged(folder):
    return read(folder / 'merged.json')


def check_nesting(events):
    """On one row, of two events one contains the other, or they are apart; calls are in the order of their numbers."""
    rows = {}
    for event in events:
        if event['ph'] == 'X':
            rows.setdefault((event['pid'], event['tid']), []).append(event)
    for row in rows.values():
        row.sort(key=lambda event: (event['ts'], -event['dur']))
        open_until, numbers = [], []
        for event in row:
            assert event['dur'] >= 0, event
            end = event['ts'] + event['dur']
            while open_until and open_until[-1] <= event['ts'] + SLACK_US:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + SLACK_US, f'{event} goes on after what contains it'
            open_until.append(end)
            if event['cat'] in ('step', 'wait'):
                assert len(open_until) >= 2, f'{event} is in no call'
            if event['cat'] == 'call' and 'peer' not in event['args']:
                numbers.append(event['args']['number'])
        assert numbers == sorted(set(numbers)), numbers
    return rows


def check_late(folder):
    traced(folder, 'late', TUTTI_TILE='16K')
    assert len(files(folder)) == 4
    for path in files(folder):
        events = read(path)
        check_nesting(events)
        calls = [event for event in events if event.get('cat') == 'call']
        assert [call['args']['number'] for call in calls] == list(range(1, 12)), calls
        assert all(call['args']['call'] == 'AllReduce (float32, sum, count 65536)' for call in calls), calls
        assert all(call['args']['algorithm'] and call['args']['bytes'] == 262144 for call in calls), calls
        assert any(event.get('cat') == 'step' for event in events) and any(event.get('cat') == 'tile' for event in events)
    said = run(TRACE, folder).stdout
    assert said.startswith('4 ranks on 1 machine, 1 communicator, 11 collectives, '), said
    worst = re.search(r'^stragglers: 11 collectives compared\n  (rank \d) .*: last in (\d+), held up the others for ([\d.]+) (m?s) ', said, re.MULTILINE)
    assert worst and worst.group(1) == 'rank 2' and int(worst.group(2)) >= 8, said
    cost_ms = float(worst.group(3)) * (1 if worst.group(4) == 'ms' else 1000)
    assert 700 <= cost_ms <= 3000, f'ten times 100 ms, and what a busy machine adds: {said}'
    assert re.search(r'^  rank [013] .* for rank 2 ', said, re.MULTILINE), said
    events = merged(folder)
    check_nesting(events)
    assert {event['pid'] for event in events if event['ph'] == 'X'} == {0, 1, 2, 3}
    assert min(event['ts'] for event in events if 'ts' in event) == 0
    run(TRACE, folder)  # once more: the merged file is none of a rank
    assert len(merged(folder)) == len(events)


def check_killed(folder):
    said = traced(folder, 'killed', expected=None)
    assert said.stderr.count('died') >= 2, said.stderr
    victim = next(path for path in files(folder) if '-rank1-' in path.name)
    assert not victim.read_text().endswith(']\n'), 'a killed rank cannot end its file'
    with victim.open('a') as file:
        file.write(',\n{"ph":"X","cat":"call","na')  # cut off in the middle of a line
    assert len(files(folder, 'flight')) == 3, files(folder, 'flight')
    for path in files(folder, 'flight'):
        events = read(path)
        calls = [event for event in events if event.get('cat') == 'call']
        assert [call['args']['number'] for call in calls][:5] == [1, 2, 3, 4, 5], calls
        assert all(call['ph'] == 'X' and call['args']['finished'] for call in calls[:5]), calls
        assert all(call['ph'] == 'B' and not call['args']['finished'] for call in calls[5:]), calls
        assert len(calls) == (5 if '-rank3-' in path.name else 6), calls
    result = run(TRACE, folder)
    assert f'{victim} has no end' in result.stderr, result.stderr
    lines = result.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith('communicator 1 failed: rank 1 (pid '))
    where = lines[at + 1:at + 5]
    inside = r'in AllReduce \(float32, sum, count 1\) \[collective #6 of communicator 1\], waiting for rank \d, for [\d.]+ ms'
    assert re.fullmatch('  rank 0: ' + inside, where[0]), where
    assert re.fullmatch(r'  rank 1: wrote no report; its last traced call is AllReduce .* #5, which ended [\d.]+ ms before', where[1]), where
    assert re.fullmatch('  rank 2: ' + inside, where[2]), where
    assert re.fullmatch(r'  rank 3: idle after AllReduce .*#5 of communicator 1\]', where[3]), where
    assert sum(event['name'] == 'failed' for event in merged(folder)) == 3


def check_recorder_alone(folder):
    """Without TUTTI_TRACE: to TUTTI_FLIGHT_RECORDER, or to the log."""
    traced(folder, 'killed', expected=None, TUTTI_TRACE='', TUTTI_FLIGHT_RECORDER=str(folder))
    assert not files(folder) and len(files(folder, 'flight')) == 3
    said = run(TRACE, folder).stdout
    assert re.search(r'^  rank 1: wrote no report$', said, re.MULTILINE) and 'rank 0: in AllReduce' in said, said
    check_nesting(merged(folder))
    log = traced(folder, 'killed', expected=None, TUTTI_TRACE='', TUTTI_DEBUG='INFO').stderr
    assert re.search(r'at the failure of communicator 1 this rank was: in AllReduce .*waiting for rank \d; its last calls:', log), log
    assert re.search(r'^  #5 AllReduce .* took 0\.\d+ s$', log, re.MULTILINE) and re.search(r'^  #6 .* not finished$', log, re.MULTILINE), log
    assert len(files(folder, 'flight')) == 3
    assert 'at the failure' not in traced(folder, 'killed', expected=None, TUTTI_TRACE='').stderr


def check_many(folder):
    traced(folder, 'many')
    assert len(files(folder)) == 12, files(folder)
    for path in files(folder):
        check_nesting(read(path))
    said = run(TRACE, folder)
    assert said.stdout.startswith('4 ranks on 1 machine, 4 communicators, 7 collectives, ') and not said.stderr, said
    events = merged(folder)
    check_nesting(events)
    names = {event['args']['name'] for event in events if event['name'] == 'process_name'}
    assert len(names) == 4 and all(re.fullmatch(r'rank [0-3] \(pid \d+ on .*\)', name) for name in names), names
    rows = {event['args']['name'] for event in events if event['name'] == 'thread_name'}
    assert "communicator 'odd \"name\"\n?/..\\', stream 1" in rows, rows
    # The split that turned the ranks round: its rank 0 is rank 3.
    backwards = [event for event in events if event['name'] == 'Barrier' and event['pid'] == 3]
    assert len(backwards) == 2, backwards
    singles = [event['args'] for event in events if event['name'] in ('Send', 'Recv') and event['pid'] == 1]
    assert sorted((call['call'], call['peer']) for call in singles) == [
        ('Recv (float32, count 4) from rank 0', 0), ('Send (float32, count 4) to rank 2', 2)], singles


def check_threads_and_forks(folder):
    threads, fork = folder / 'threads', folder / 'fork'
    traced(threads, 'threads', ranks=1)
    assert len(files(threads)) == 3 and run(TRACE, threads).stdout.startswith('3 ranks on 1 machine, 1 communicator, 1 collective, ')
    assert {event['pid'] for event in merged(threads) if event['ph'] == 'X'} == {0, 1, 2}
    traced(fork, 'fork', ranks=2)
    assert len(files(fork)) == 8, files(fork)
    assert all(len([event for event in read(path) if event.get('cat') == 'call']) == (2 if '"ranks":2,' in path.read_text() else 1) for path in files(fork))
    said = run(TRACE, fork).stdout
    assert 'files are of other runs, and left out' in said, said


def check_quick(folder):
    traced(folder, 'quick', ranks=2)
    said = run(TRACE, folder).stdout
    lost = re.search(r'left out (\d+) calls', said)
    kept = sum(event.get('cat') == 'call' for path in files(folder) for event in read(path))
    assert kept + (int(lost.group(1)) if lost else 0) == 40000, said
    assert all(path.stat().st_size < 16 << 20 for path in files(folder))
    for path in files(folder):
        check_nesting(read(path))


def page_of(folder, name='run.html'):
    run(TRACE, folder, '--html', folder / name)
    return json.loads(re.search(r'id="timeline">(.*?)</script>', (folder / name).read_text(), re.DOTALL).group(1))


def check_page(folder):
    """The page has the calls of the merged trace, at their times."""
    late, killed = folder / 'late', folder / 'killed'
    traced(late, 'late')
    page = page_of(late)
    events = merged(late)
    assert [rank['name'] for rank in page['ranks']] == [f'rank {rank}' for rank in range(4)] and len(page['places']) == 1, page['ranks']
    for number, rank in enumerate(page['ranks']):
        shown = sorted((begin, end) for begin, end, kind, *_ in rank['spans'] if page['kinds'][kind] == 'call')
        calls = sorted((event['ts'], event['ts'] + event['dur']) for event in events if event.get('cat') == 'call' and event['pid'] == number)
        assert len(shown) == len(calls) > 0, (shown, calls)
        assert all(abs(a - b) <= SLACK_US for pair in zip(shown, calls) for a, b in zip(*pair)), (shown, calls)
    assert {page['kinds'][span[2]] for rank in page['ranks'] for span in rank['spans']} >= {'call', 'send', 'combine', 'wait'}, page['kinds']

    traced(killed, 'killed', expected=None, TUTTI_TRACE='', TUTTI_FLIGHT_RECORDER=str(killed))
    page = page_of(killed)
    said = dict(page['facts'])
    assert re.match('in AllReduce .*waiting for rank', said['rank 0 of communicator 1']), said
    unfinished = [page['texts'][span[5]] for rank in page['ranks'] for span in rank['spans'] if 'not finished' in page['texts'][span[5]]]
    assert len(unfinished) == 2, page['texts']


def check_bad_input(folder):
    for trace in '/nowhere/at/all', '/dev/null', '/proc':
        said = traced(trace, 'late', ranks=1)
        assert f'no trace is written (TUTTI_TRACE): cannot write {trace}/trace-rank0-' in said.stderr, said.stderr
    assert 'cannot read the folder' in run(TRACE, folder / 'none', expected=1).stderr
    assert 'there is no trace in' in run(TRACE, folder, expected=1).stderr
    run(TRACE, expected=2)
    run(TRACE, '--frob', expected=2)
    run(TRACE, folder, folder, expected=2)
    assert re.fullmatch(r'tutti-trace \(Tutti\) \d+\.\d+\.\d+\n', run(TRACE, '--version').stdout)

    bad = {'empty': '', 'bracket': '[', 'garbage': '\x00\xff{[', 'foreign': '[\n{"name":"x"}\n]\n', 'deep': '[' * 100000,
           'odd': '[\n{"name":"tutti","args":{"kind":"trace","format":1,"rank":-1,"ranks":"two","key":[]}}\n]\n',
           'newer': '[\n{"name":"tutti","args":{"kind":"trace","format":2}}\n]\n'}
    for name, text in bad.items():
        (folder / f'{name}.json').write_text(text)
    (folder / 'folder.json').mkdir()
    (folder / 'notes.txt').write_text('not read')
    why = run(TRACE, folder, expected=1).stderr
    assert all(f'/{name}.json ' in why for name in [*bad, 'folder']) and 'notes' not in why, why
    assert 'empty.json is empty' in why and 'newer.json has a format that this version does not know' in why, why

    # Beside good ones they do no harm; nor do damaged lines.
    traced(folder, 'late', ranks=2)
    with files(folder)[0].open('a') as file:
        file.write('{"ph":7,"name":[]}\n{"ph":"X","name":"x","ts":"soon","dur":1e300,"args":7}\nnonsense\n{"ph":"X","cat":"call","name":"x"}\n')
    said = run(TRACE, folder)
    assert '2 ranks on 1 machine' in said.stdout and '2 damaged lines were left out' in said.stderr and 'empty.json is empty, and is left out' in said.stderr, said
    merged(folder)
    assert 'cannot write /nowhere/x.json: No such file' in run(TRACE, folder, '-o', '/nowhere/x.json', expected=1).stderr
    own = files(folder)[1]
    assert 'is the file of a rank' in run(TRACE, folder, '-o', own, expected=1).stderr and own.stat().st_size > 0
    run(TRACE, folder, '--html', '', expected=2)
    assert '--html: cannot write /nowhere/x.html' in run(TRACE, folder, '--html', '/nowhere/x.html', expected=1).stderr
    assert 'is the file of a rank' in run(TRACE, folder, '--html', own, expected=1).stderr and own.stat().st_size > 0
    assert 'cannot write /dev/full' in run(TRACE, folder, '-o', '/dev/full', expected=1).stderr


def main():
    for check in check_late, check_killed, check_recorder_alone, check_many, check_threads_and_forks, check_quick, check_page, check_bad_input:
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder))


main()
