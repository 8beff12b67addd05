# system: what tutti-cluster asks of the kernel: calls that Python 3.11's os module lacks, `ip` and `tc`, and the one exception
# by which a run ends early.
import ctypes
import os
import re
import subprocess

WRONG_USE, CANNOT_HERE, TIMED_OUT, NOT_RUNNABLE, NOT_FOUND = 2, 77, 124, 126, 127

# linux/sched.h, linux/mount.h, linux/prctl.h
NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """Ends the program with a sentence and an exit code."""

    def __init__(self, sentence, code=1):
        super().__init__(sentence)
        self.code = code


def _call(name, *words):
    given = [word.encode() if isinstance(word, str) else word for word in words]
    if getattr(_libc, name)(*given) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f'{name}: {os.strerror(number)}')


def unshare(kinds):
    _call('unshare', kinds)


def setns(descriptor, kind=0):
    _call('setns', descriptor, kind)


def mount(source, target, kind, flags=0):
    _call('mount', source, target, kind, ctypes.c_ulong(flags), None)


def die_with_parent(number):
    """The kernel sends this process the signal when its parent ends."""
    _call('prctl', PR_SET_PDEATHSIG, ctypes.c_ulong(number))


def configure(program, lines, network=None):
    """`ip` or `tc` on many lines at once, in this network namespace or in another one (a descriptor)."""
    if not lines:
        return
    result = subprocess.run([program, '-batch', '-'], input='\n'.join(lines) + '\n', stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True,
                            preexec_fn=None if network is None else lambda: setns(network, NEWNET))
    if result.returncode != 0:
        lacking = re.search(r'not supported|not permitted|[Uu]nknown', result.stdout)
        raise Refused(f'{program}: {result.stdout.strip()}', CANNOT_HERE if lacking else 1)
