# trial: tutti-cluster, run over topologies written for a test. Not a program.
import os
import pathlib
import subprocess
import time
import uuid

PATIENCE_S = 120  # for what takes a second: nothing here is a matter of speed

failures = []


def expect(what, holds, shown=''):
    if not holds:
        failures.append(what)
        print(f'FAILED: {what}\n{shown}', flush=True)


def conclude():
    print('all as expected' if not failures else f'{len(failures)} failures')
    return 1 if failures else 0


class Trial:
    """The tool over topologies written for it. Whatever it starts is marked in its environment."""

    def __init__(self, tool, folder):
        self.tool, self.folder, self.mark = tool, folder, f'CLUSTER_TEST={uuid.uuid4()}'

    def words(self, topology, *words):
        path = self.folder / 'topology.txt'
        path.write_text(topology)
        return [str(self.tool), '--topo', str(path), *map(str, words)]

    def environment(self):
        name, value = self.mark.split('=')
        return {**os.environ, name: value}

    def run(self, topology, *words, **environment):
        """(exit code, stdout, stderr)"""
        result = subprocess.run(self.words(topology, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.PIPE, env={**self.environment(), **environment}, timeout=PATIENCE_S)
        return result.returncode, result.stdout, result.stderr

    def start(self, topology, *words):
        """A run that lasts, once all its ranks have printed a line."""
        process = subprocess.Popen(self.words(topology, *words, '--', 'sh', '-c', 'echo here; exec sleep 1000'),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=self.environment())
        for _ in range(len(topology.splitlines())):
            process.stdout.readline()
        return process

    def left(self):
        """The processes that carry the mark, after waiting for there to be none."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = []
            for path in pathlib.Path('/proc').glob('[0-9]*/environ'):
                try:
                    if self.mark.encode() in path.read_bytes():
                        found.append(path.parent.name)
                except OSError:
                    pass  # it has ended
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def cannot(self):
        """Why there can be no cluster here, or nothing."""
        code, _, err = self.run('host a\n', '--', 'true')
        return err if code == 77 else None
