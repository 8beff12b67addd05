# libraries: what compare.py (and, between hosts, scaleout.py) runs: each library's benchmark program, how it is started, and in which settings.
#
# All run the same program text (perf/peers/), hence the same buffers, rewriting of inputs, timing and pinning (rank i to core i,
# --bind; the launchers bind nothing themselves). An MPI runs in the settings that people commonly choose between on one host, and
# the best of them counts at each size: copying large messages by the kernel in one step (CMA), the default, is the faster way on
# some machines and much the slower on others, virtual ones above all.
#
#  open mpi   defaults; and without CMA. mpi_yield_when_idle where ranks outnumber the cores.
#  mpich      defaults; and without CMA. Version 4 has no setting that makes a waiting rank yield: where ranks outnumber the cores it
#             takes 10 ms and more for a call, so it is left out there, unless asked for.
#  intel mpi  shm, its fabric for one host. I_MPI_THREAD_YIELD where ranks outnumber the cores.
#  gloo       defaults, over TCP on the loopback, the transport that it has for one host. Its thread is pinned with its rank.
#
# Open MPI and MPICH come from the system. Others, or other versions, are what the build was told: meson configure -Dmpis=NAME=PREFIX,...
import json
import os
import pathlib
import re
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


class Mpi:
    """An MPI library, by its launcher, which says what it is and of which version."""

    def __init__(self, launcher):
        self.launcher = str(launcher)
        folder = pathlib.Path(launcher).parent
        self.environment = {'PATH': f'{folder}:{os.environ.get("PATH", "")}'}  # launchers start programs of their own
        try:
            said = subprocess.run([self.launcher, '--version'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  env=dict(os.environ, **self.environment), timeout=20).stdout
        except (OSError, subprocess.TimeoutExpired):
            said = ''
        self.kind, self.version = '', ()
        for kind, pattern in (('open mpi', r'(?:Open MPI|OpenRTE)\) ([\d.]+)'), ('intel mpi', r'Intel\(R\) MPI Library.* Version ([\d.]+)'),
                              ('mpich', r'HYDRA[^V]*Version: +([\d.]+)')):
            if found := re.search(pattern, said):
                self.kind, self.version = kind, tuple(map(int, found.group(1).split('.')))
                break

    def title(self):
        return f'{self.kind} {".".join(map(str, self.version))}'

    def settings(self, program, ranks, crowded):
        """The settings, or why there are none."""
        if not self.kind:
            return f'{self.launcher} does not say what it is'
        return {'open mpi': self.open_mpi, 'mpich': self.mpich, 'intel mpi': self.intel_mpi}[self.kind](program, ranks, crowded)

    def open_mpi(self, program, ranks, _):
        def setting(name, *words):
            root = ['--allow-run-as-root'] if os.geteuid() == 0 else []
            idle = ['--mca', 'mpi_yield_when_idle', '1'] if ranks > CORES else []
            return Setting(name, program, [self.launcher, *root, *idle, *words, '--oversubscribe', '--bind-to', 'none', '-n', ranks],
                           environment=self.environment)
        without_cma = ('btl_vader_single_copy_mechanism', 'none') if self.version < (5,) else ('smsc', '^cma')
        return [setting('default'), setting('no CMA', '--mca', *without_cma)]

    def mpich(self, program, ranks, crowded):
        if ranks > CORES and self.version < (5,) and not crowded:
            return f'left out: it spins without yielding, and {ranks} ranks outnumber {CORES} cores (--mpich-crowded)'
        before = [self.launcher, '-bind-to', 'none', '-n', ranks]
        without_cma = {'UCX_TLS': 'posix,sysv,self'} if self.version < (5,) else {'MPIR_CVAR_CH4_CMA_ENABLE': '0'}
        return [Setting('default', program, before, environment=self.environment),
                Setting('no CMA', program, before, environment=self.environment | without_cma)]

    def intel_mpi(self, program, ranks, _):
        shared = self.environment | {'I_MPI_FABRICS': 'shm', 'I_MPI_PIN': '0'} | ({'I_MPI_THREAD_YIELD': '2'} if ranks > CORES else {})
        before = [self.launcher, '-n', ranks]
        return [Setting('default', program, before, environment=shared)]


def further_mpis(build):
    """{name: launcher} of the MPIs that the build was told of."""
    path = build / 'perf/mpis.json'
    return json.loads(path.read_text()) if path.exists() else {}


def mpi_of(build, peer):
    """The MPI of this name, or why there is none."""
    if peer in (further := further_mpis(build)):
        return Mpi(further[peer])
    launchers = {'openmpi': ('mpirun.openmpi', 'mpirun'), 'mpich': ('mpirun.mpich', 'mpiexec.hydra')}.get(peer, ())
    launcher = next(filter(None, map(shutil.which, launchers)), None)
    return Mpi(launcher) if launcher else NOT_THERE.get(peer, f'{build} was not configured with it: -Dmpis={peer}=PREFIX')


NAMES = {'openmpi': 'open mpi'}  # in tables, of what is not there
NOT_THERE = {'openmpi': 'not there: apt-get install libopenmpi-dev openmpi-bin, then build again',
             'mpich': 'not there: apt-get install libmpich-dev mpich, then build again'}


def gloo_settings(program, ranks):
    if not program.exists():
        return 'not there: apt-get install libgloo-dev, then build again'
    return [Setting('default', program, after=['-p', ranks])]


PEERS = ['openmpi', 'mpich', 'gloo']  # those that are compared without being asked for


def settings_of(build, program, peer, ranks, mpich_crowded):
    """(name in tables, settings or why there are none)"""
    if peer == 'gloo':
        return 'gloo', gloo_settings(program, ranks)
    mpi = mpi_of(build, peer)
    if isinstance(mpi, str) or not program.exists():
        return NAMES.get(peer, peer), mpi if isinstance(mpi, str) else NOT_THERE.get(peer, f'{program} is not built')
    return mpi.title(), mpi.settings(program, ranks, mpich_crowded)


def find(build, collective, ranks, peers, registered, mpich_crowded):
    """({library: its settings}, {library: why it is not run}, which of them are MPIs)"""
    program = build / f'perf/{collective}_perf'
    found, left_out, mpis = tutti_settings(program, ranks, registered), {}, []
    for peer in peers:
        name, settings = settings_of(build, program.with_name(f'{program.name}_{peer}'), peer, ranks, mpich_crowded)
        if isinstance(settings, str):
            left_out[name] = settings
            continue
        found[name] = settings
        if peer != 'gloo':
            mpis.append(name)
    return found, left_out, mpis
