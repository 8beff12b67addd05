# supervisor: starts processes on the cluster's hosts and watches them: forwards their output, injects faults, names the first
# failure, ends what has to be ended.
#
# Its process is the first of a process namespace of its own, so that whatever loses its parent in there becomes its child, and
# everything in there ends with it. It never blocks but in one select.
import os
import selectors
import signal
import subprocess
import sys
import time

from network import enter
from system import TIMED_OUT

TERM_TO_KILL_S = 2
LAST_OUTPUT_S = 0.05


def listed(ranks):
    ranks = list(ranks)
    return ', '.join(map(str, ranks[:8])) + (f' and {len(ranks) - 8} more' if len(ranks) > 8 else '')


def say(sentence):
    print(f'tutti-cluster: {sentence}', file=sys.stderr, flush=True)


def write_all(descriptor, data):
    try:
        while data:
            data = data[os.write(descriptor, data):]
    except BrokenPipeError:
        pass  # nobody reads: that is no concern of the ranks


class Rank:
    """A process to start on a host. number None: not one of the ranks, but what starts them (a shell, mpirun)."""

    def __init__(self, number, host, local=0, locals_=1):
        self.number, self.host, self.local, self.locals = number, host, local, locals_
        self.process, self.code, self.ended_s = None, None, None
        self.struck = False  # killed or stopped by a fault: its end is nobody's failure

    def __str__(self):
        return f'rank {self.number} (on {self.host.name})' if self.number is not None else 'the command'


class Supervisor:
    def __init__(self, cluster, faults, timeout_s, patience_s, tag_output):
        self.cluster, self.timeout_s, self.patience_s, self.tag_output = cluster, timeout_s, patience_s, tag_output
        self.running = {}  # by process number
        self.ranks = []
        self.agenda = []  # (seconds since the beginning, action), soonest first
        self.code = self.interruption = 0
        self.selector = selectors.DefaultSelector()
        woken, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self.selector.register(woken, selectors.EVENT_READ, lambda: os.read(woken, 4096))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        self.begin = time.monotonic()
        for what, whom, when_s in faults:
            self._at(when_s, lambda what=what, whom=whom: self._strike(what, whom))
        if timeout_s:
            self._at(timeout_s, self._give_up)

    def start(self, rank, command, environment, from_terminal=False):
        """from_terminal: with our input, in our process group, so that a terminal's keys reach it; else apart, with none."""
        def prepare():
            if not from_terminal:
                os.setpgid(0, 0)
            enter(rank.host.namespaces)
        output = subprocess.PIPE if self.tag_output else None
        rank.process = subprocess.Popen(command, env=environment, stdin=None if from_terminal else subprocess.DEVNULL,
                                        stdout=output, stderr=output, preexec_fn=prepare)
        rank.own_group = not from_terminal
        self.ranks.append(rank)
        self.running[rank.process.pid] = rank
        if output:
            self._tag(rank, rank.process.stdout, sys.stdout.fileno())
            self._tag(rank, rank.process.stderr, sys.stderr.fileno())

    def supervise(self):
        """Until all have ended. The exit code: 128 + the signal that interrupted us, or the first failure's, or 0."""
        while self.running:
            while self.agenda and self.agenda[0][0] <= self._now():
                self.agenda.pop(0)[1]()
            self._select(max(0, self.agenda[0][0] - self._now()) if self.agenda else None)
            self._reap()
        # A descendant that left its group may hold a pipe open: what is written by now is all that is printed.
        while len(self.selector.get_map()) > 1 and self._select(LAST_OUTPUT_S):
            pass
        return 128 + self.interruption if self.interruption else self.code

    def _now(self):
        return time.monotonic() - self.begin

    def _at(self, when_s, action):
        self.agenda.append((when_s, action))
        self.agenda.sort(key=lambda entry: entry[0])

    def _select(self, wait_s):
        events = self.selector.select(wait_s)
        for key, _ in events:
            key.data()
        return bool(events)

    def _tag(self, rank, stream, to):
        """Forwards a stream, each line with its rank before it."""
        tag, rest = b'[%d] ' % rank.number, b''

        def forward():
            nonlocal rest
            got = os.read(stream.fileno(), 65536)
            *lines, rest = (rest + got).split(b'\n')
            if not got:
                self.selector.unregister(stream)
                stream.close()
                lines += [rest] if rest else []
            write_all(to, b''.join(tag + line + b'\n' for line in lines))
        self.selector.register(stream, selectors.EVENT_READ, forward)

    @staticmethod
    def _signal(rank, number):
        """To a running rank and all that it has started, as far as it stayed in its group."""
        (os.killpg if rank.own_group else os.kill)(rank.process.pid, number)

    def _signal_all(self, number):
        for rank in self.running.values():
            self._signal(rank, number)

    def _end_all(self, number=signal.SIGTERM):
        self._signal_all(number)
        self._at(self._now() + TERM_TO_KILL_S, lambda: self._signal_all(signal.SIGKILL))

    def _interrupt(self, number, _):
        self.interruption = number
        self._at(0, lambda: self._end_all(number))

    def _give_up(self):
        say(f'{self.timeout_s:g} s are over, and these still run: {listed(self.running.values())}')
        self.code = self.code or TIMED_OUT
        self._end_all()

    def _strike(self, what, whom):
        say(f'fault at {self._now():.2f} s: {what} {whom}')
        if what == 'cut':
            self.cluster.cut(whom)
        elif what == 'slow':
            self.cluster.shape(whom, 0.1)
        else:
            rank = self.ranks[whom]
            if rank.code is None:
                rank.struck = True
                self._signal(rank, signal.SIGKILL if what == 'kill' else signal.SIGSTOP)

    def _ended(self, rank, code):
        rank.code = rank.process.returncode = code
        rank.ended_s = self._now()
        del self.running[rank.process.pid]
        if code != 0 and not rank.struck and self.code == 0 and self.interruption == 0:
            self.code = code  # only the first failure is a cause
            number = code - 128
            how = (f'was killed by signal {number} ({signal.strsignal(number)})' if number in signal.valid_signals() else
                   f'ended with exit code {code}')
            say(f'{rank} {how}')
            self._at(self._now() + self.patience_s, self._end_all)
        if all(other.struck for other in self.running.values()):
            self._signal_all(signal.SIGKILL)  # stopped by a fault, and nobody is left to notice

    def _reap(self):
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            rank = self.running.get(found.si_pid)
            if rank and rank.own_group:
                self._signal(rank, signal.SIGKILL)  # what it has started; while it is a zombie its number is not another's
            code = os.waitstatus_to_exitcode(os.waitpid(found.si_pid, 0)[1])
            if rank:
                self._ended(rank, code if code >= 0 else 128 - code)
