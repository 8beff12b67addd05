#!/usr/bin/env python3
# compare_test: perf/compare.py over programs of which the times are known: the right ratios, in the table, the JSON and the picture;
# what is not there or not supported is left out with a reason, and a failure is a failure. Then over the real ones, briefly.
#
# Arguments: perf/compare.py, the build folder.
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

FLOOR = '''#!/bin/sh
echo "# floor $*"
echo "8 8 uint8 hop -1 1.0 0 0 N/A"
echo "8 8 uint8 swap -1 2.0 0 0 N/A"
for size in $(echo "$4" | tr , " "); do
  echo "$size $size uint8 copy -1 $((size / 4)) 0 0 N/A"
  echo "$size $size uint8 pull -1 $((size / 2)) 0 0 N/A"
  case "$6" in
  none) ;;
  broadcast | reduce) echo "$size $size uint8 bare -1 $((size * 2)) 0 0 N/A" ;;
  *) [ "$size" -lt 64 ] || echo "$size $size uint8 bare -1 $((size * 2)) 0 0 N/A" ;;
  esac
done
'''
# Medians of 3 us for 12 bytes and of 48 us for 24, and no in-place half, as in sendrecv.
BENCHMARK = '''#!/bin/sh
echo 'a launcher may say something first'
cat <<END
{"collective": "x", "results": [
  {"size": 12, "out_of_place": {"p50_us": 3}, "in_place": null}, {"size": 24, "out_of_place": {"p50_us": 48}, "in_place": null}]}
END
'''
REFUSING = '#!/bin/sh\necho "all_reduce_perf: rank 0: unsupported: no such op" >&2\nexit 1\n'
BROKEN = '#!/bin/sh\necho "it broke" >&2\nexit 3\n'

failures = 0


def expect(what, holds, shown=''):
    global failures
    if not holds:
        failures += 1
        print(f'FAILED: {what}\n{shown}')


def compare(script, build, *words):
    command = [sys.executable, str(script), '--build', str(build), *words]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


def plant(build, programs):
    for name, text in programs.items():
        path = build / 'perf' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)


def over_known_programs(script, folder):
    plant(folder, {'floor': FLOOR, 'all_reduce_perf': BENCHMARK, 'all_reduce_perf_gloo': REFUSING, 'reduce_perf': BENCHMARK,
                   'reduce_perf_gloo': BENCHMARK.replace('48', '480'), 'sendrecv_perf': BENCHMARK})
    code, text = compare(script, folder, 'all_reduce', 'reduce', '-p', '3', '--rounds', '2', '--out', str(folder / 'out'))
    expect('it runs', code == 0, text)
    expect('what is not there is left out', 'open mpi: not there: apt-get install' in text, text)
    expect('what is refused is left out', 'gloo: unsupported: no such op' in text and ' - ' in text, text)

    figures = json.loads((folder / 'out/all_reduce-3.json').read_text())
    # 12 bytes: copied 3 us, pulled 6; 24 bytes: 6 and 12.
    expect('the floor of all_reduce', figures['floor_us'] == {'12': 6, '24': 12}, figures['floor_us'])
    expect('the ratios to it', figures['over_floor'] == {'tutti': {'12': 0.5, '24': 4}}, figures['over_floor'])
    expect('an exchange is the barest of so few bytes', figures['bare_us'] == {'12': 2, '24': 2}, figures['bare_us'])
    expect('no figure for who refused', figures['libraries_us']['gloo'] is None, figures['libraries_us'])

    figures = json.loads((folder / 'out/reduce-3.json').read_text())
    # Pulled: half of what all_reduce pulls. Copied: a third.
    expect('the floor of reduce', figures['floor_us'] == {'12': 3, '24': 6}, figures['floor_us'])
    expect('an exchange is not the barest of what goes one way', figures['bare_us'] == {'12': 24, '24': 48}, figures['bare_us'])
    expect("a peer's ratios", figures['over_floor']['gloo'] == {'12': 1, '24': 80}, figures['over_floor'])
    picture = (folder / 'out/reduce-3.svg').read_text(encoding='utf-8')
    lines = xml.etree.ElementTree.fromstring(picture).findall('{http://www.w3.org/2000/svg}polyline')
    expect('a line for each library, and for the barest', len(lines) == 3, picture)
    expect('what is beyond the scale has its number', '>80× ↑<' in picture, picture)

    code, text = compare(script, folder, 'reduce', '-o', 'max', '--rounds', '1')
    expect('there is a barest sum only', code == 0 and 'bare' not in text.splitlines()[1], text)
    code, text = compare(script, folder, 'sendrecv', '--in-place', '--rounds', '1')
    expect('no in-place half is said', code == 1 and 'sendrecv, 2 ranks: unsupported: x has no in-place half' in text, text)
    plant(folder, {'reduce_perf_gloo': BROKEN})
    code, text = compare(script, folder, 'reduce', '--rounds', '1')
    expect('a broken peer is left out, shown and a failure', code == 1 and 'it broke' in text and '48.00' in text, text)
    plant(folder, {'reduce_perf': BROKEN})
    code, text = compare(script, folder, 'reduce', '--rounds', '1')
    expect('without Tutti there is no comparison', code == 1 and 'it broke' in text and 'summary' not in text, text)


def over_further_mpis(script, folder):
    """MPIs of which the build was told: each is asked what it is, and gets the settings of its kind and version."""
    def launcher(said, us):
        return f'''#!/bin/sh
[ "$1" = --version ] && {{ echo "{said}"; exit; }}
echo "$0 $* $MPIR_CVAR_CH4_CMA_ENABLE" >>{folder}/words
cat <<END
{{"collective": "x", "results": [{{"size": 12, "out_of_place": {{"p50_us": {us}}}, "in_place": null}},
                                {{"size": 24, "out_of_place": {{"p50_us": {us}}}, "in_place": null}}]}}
END
'''
    plant(folder, {'all_reduce_perf': BENCHMARK, **{f'all_reduce_perf_{name}': BROKEN for name in ('open', 'mpich5', 'mpich4', 'odd')},
                   'open.sh': launcher('mpirun (Open MPI) 5.0.1', 12), 'mpich5.sh': launcher('HYDRA build details:\n    Version:    5.1', 6),
                   'mpich4.sh': launcher('HYDRA build details:\n    Version:    4.0.2', 1), 'odd.sh': launcher('hello', 1),
                   'mpis.json': json.dumps({name: f'{folder}/perf/{name}.sh' for name in ('open', 'mpich5', 'mpich4', 'odd', 'gone')})})
    code, text = compare(script, folder, 'all_reduce', '-p', '1000', '--rounds', '1', '--peers', 'open,mpich5,mpich4,odd,gone', '--json',
                         str(folder / 'mpis.json'))
    expect('it runs', code == 0, text)
    figures, words = json.loads((folder / 'mpis.json').read_text()), (folder / 'words').read_text()
    expect('each has its kind and version', [*figures['libraries_us']] == ['tutti', 'open mpi 5.0.1', 'mpich 5.1'], figures['libraries_us'])
    expect('the best of them counts', figures['best_mpi_us'] == {'12': 6, '24': 6}, figures['best_mpi_us'])
    expect('settings are those of the version', 'mpi_yield_when_idle' in words and 'smsc ^cma' in words and 'vader' not in words and
           re.search('mpich5.sh .* 0$', words, re.MULTILINE), words)
    expect('the others have their reasons', 'outnumber' in text and 'does not say what it is' in text and 'gone' in text, text)


def on_command_lines(script, folder):
    for words, sentence in ((['barrier'], "'barrier' is none of"), (['--peers', 'nccl'], "'nccl' is none of"), (['-p', '1'], '-p starts at 2'),
                            (['all_reduce', 'reduce', '--svg', 'x.svg'], 'give --out FOLDER'),
                            (['--json', '/nowhere/x.json'], 'cannot write /nowhere/x.json: No such file or directory'),
                            (['--svg', str(folder)], f'cannot write {folder}: Is a directory'),
                            (['--out', str(folder / 'perf/floor/out')], f'cannot write to {folder}/perf/floor/out: Not a directory')):
        code, text = compare(script, folder, *words)
        expect(f'{words} is refused before anything runs', code == 2 and sentence in text and '#' not in text, text)
    old = folder / 'old.json'
    old.write_text('old')
    code, text = compare(script, folder, 'reduce', '--rounds', '1', '--json', str(old), '--out', str(folder / 'new/out'))
    expect('a run that fails changes no file and makes none',
           code == 1 and old.read_text() == 'old' and not (folder / 'new').exists(), text)
    code, text = compare(script, folder, '--version')
    expect('--version prints the version', code == 0 and re.fullmatch(r'compare.py \(Tutti\) \d+\.\d+\.\d+\n', text), text)


def over_real_programs(script, build):
    code, text = compare(script, build, 'all_reduce', '-b', '16', '-e', '256', '-f', '16', '-n', '2', '--rounds', '1', '--peers', '')
    expect('the real ones have a bare AllReduce beside them', code == 0 and 'bare' in text.splitlines()[1], text)
    code, text = compare(script, build, 'all_reduce', '-b', '16', '-e', '256', '-f', '16', '-n', '2', '--rounds', '1', '--peers', '', '--registered')
    expect('beside registered memory stands the barest between mapped buffers', code == 0 and 'mapped' in text.splitlines()[1], text)
    code, text = compare(script, build, 'all_gather', 'broadcast', '-p', '2,3', '-b', '16', '-e', '4K', '-f', '16', '-n', '2',
                         '--rounds', '1', '--peers', '')
    expect('the real programs run', code == 0, text)
    expect('three ranks: sizes of whole blocks', '\n        12 ' in text and '\n       252 ' in text, text)


def main():
    script, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name:
        over_known_programs(script, pathlib.Path(name))
        over_further_mpis(script, pathlib.Path(name))
        on_command_lines(script, pathlib.Path(name))
    over_real_programs(script, build)
    print('all as expected' if not failures else f'{failures} failures')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
