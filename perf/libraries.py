# libraries: what compare.py (and, between hosts, scaleout.py) runs: each library's benchmark program, how it is started, and in which settings.
#
# All run the same program text (perf/peers/), hence the same buffers, rewriting of inputs, timing and pinning (rank i to core i,
# --bind; the launchers bind nothing themselves). An MPI runs in the settings that people commonly choose between on one host, and
# the best of them counts at each size: copying large messages by the kernel in one step (CMA), the default, is the faster way on
# some machines and much the slower on others, virtual ones above all.
#
#  open mpi   defaults; and btl_vader_single_copy_mechanism=none. mpi_yield_when_idle where ranks outnumber the cores.
#  mpich      defaults; and UCX without CMA. Has no setting that makes a waiting rank yield: where ranks outnumber the cores it
#             takes 10 ms and more for a call, so it is left out there, unless asked for.
#  gloo       defaults, over TCP on the loopback, the transport that it has for one host. Its thread is pinned with its rank.
import json
import os
import shutil
import subprocess

CORES = len(os.sched_getaffinity(0))


class Unsupported(Exception):
    """The library does not have this collective, type or op."""


class Failed(Exception):
    """The program did not end well."""


class Setting:
    """One way to run a library: the words before and after the program's name, and the environment's additions."""

    def __init__(self, name, program, before=(), after=(), environment=None, bind='--bind'):
        self.name, self.program, self.bind = name, program, bind
        self.before, self.after = [str(word) for word in before], [str(word) for word in after]
        self.environment = dict(os.environ, **(environment or {}))

    def run(self, flags, placement, timeout_s):
        """{size: us} of one run: the program's median for each size."""
        command = [*self.before, str(self.program), *self.after, self.bind, *flags, '-c', '0', '--percentiles', '-J', '-']
        try:
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment,
                                    timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise Failed(f'{" ".join(command)} did not end within {timeout_s} s') from None
        if result.returncode != 0:
            for line in (result.stderr + result.stdout).splitlines():
                if 'unsupported: ' in line:
                    raise Unsupported(line[line.index('unsupported: '):].strip())
            raise Failed(f'{" ".join(command)} ended with {result.returncode}:\n{result.stderr}{result.stdout}')
        report = json.loads(result.stdout[result.stdout.index('{'):])
        halves = {row['size']: row[placement] for row in report['results']}
        if None in halves.values():
            raise Unsupported(f'unsupported: {report["collective"]} has no in-place half')
        return {size: half['p50_us'] for size, half in halves.items()}


def tutti_settings(program, ranks, registered):
    found = {'tutti': [Setting('default', program, after=['-p', ranks])]}
    if registered:
        found['tutti registered'] = [Setting('default', program, after=['-p', ranks, '-R', '1'])]
    return found


def open_mpi_settings(program, ranks, _):
    launcher = shutil.which('mpirun.openmpi') or shutil.which('mpirun')
    if not program.exists() or not launcher:
        return 'not there: apt-get install libopenmpi-dev openmpi-bin, then build again'
    before = [launcher, '--oversubscribe', '--bind-to', 'none', '-n', ranks]
    if os.geteuid() == 0:
        before[1:1] = ['--allow-run-as-root']
    if ranks > CORES:
        before[1:1] = ['--mca', 'mpi_yield_when_idle', '1']
    without_cma = [before[0], '--mca', 'btl_vader_single_copy_mechanism', 'none', *before[1:]]
    return [Setting('default', program, before), Setting('no CMA', program, without_cma)]


def mpich_settings(program, ranks, crowded):
    launcher = shutil.which('mpirun.mpich') or shutil.which('mpiexec.hydra')
    if not program.exists() or not launcher:
        return 'not there: apt-get install libmpich-dev mpich, then build again'
    if ranks > CORES and not crowded:
        return f'left out: it spins without yielding, and {ranks} ranks outnumber {CORES} cores (--mpich-crowded)'
    before = [launcher, '-bind-to', 'none', '-n', ranks]
    return [Setting('default', program, before), Setting('no CMA', program, before, environment={'UCX_TLS': 'posix,sysv,self'})]


def gloo_settings(program, ranks, _):
    if not program.exists():
        return 'not there: apt-get install libgloo-dev, then build again'
    return [Setting('default', program, after=['-p', ranks])]


# name in flags and files -> name in tables, and the function that gives its settings or the reason why it is not run
PEERS = {'openmpi': ('open mpi', open_mpi_settings), 'mpich': ('mpich', mpich_settings), 'gloo': ('gloo', gloo_settings)}
MPIS = ['open mpi', 'mpich']


def find(build, collective, ranks, peers, registered, mpich_crowded):
    """({library: its settings}, {library: why it is not run})"""
    program = build / f'perf/{collective}_perf'
    found, left_out = tutti_settings(program, ranks, registered), {}
    for peer in peers:
        name, settings_of = PEERS[peer]
        settings = settings_of(program.with_name(f'{program.name}_{peer}'), ranks, mpich_crowded)
        if isinstance(settings, str):
            left_out[name] = settings
        else:
            found[name] = settings
    return found, left_out
