# terminal: runs a program whose stderr is a pseudo-terminal. Not a program.
import os
import pty
import subprocess
import threading

TAKE_AWAY = '\r\x1b[K'  # back to the first column, and away with what stands there


def on_terminal(command, columns=200, **options):
    """Exit code, stdout, and what came to the terminal that stderr is. options: of subprocess.run()"""
    ours, theirs = pty.openpty()
    subprocess.run(['stty', 'cols', str(columns)], stdin=theirs, check=True)
    shown = []

    def read():
        try:
            while part := os.read(ours, 4096):
                shown.append(part)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, text=True,
                              **{'timeout': 100, **options})
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    return done.returncode, done.stdout, b''.join(shown).decode()
