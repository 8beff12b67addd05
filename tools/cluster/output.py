# output: files that a program writes at its end. The program checks before it begins whether they can be written. For tutti-cluster and
# the scripts in perf/; tools/output.h does the same in C++.
import errno
import os
import pathlib
import stat


def try_folder(folder):
    """Raises OSError if no new file can be made there. Tries it with a file that has no name, so that nobody sees it."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):  # this file system has no files without a name
            raise
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def cannot_write(path):
    """'' if the file can be written, else an error with the path and the reason. Creates and changes nothing."""
    try:
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            try_folder(pathlib.Path(path).parent)
            return ''
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
        elif not os.access(path, os.W_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        return f'cannot write {path}: {error.strerror}'
    return ''


def cannot_fill(folder):
    """'' if new files can be made in the folder, else an error. The folder and its parents need not exist yet."""
    there = pathlib.Path(folder).absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        try_folder(there)
    except OSError as error:
        return f'cannot write to {folder}: {error.strerror}'
    return ''


def write_file(path, text):
    """Writes the whole text. Returns '' or an error. If there is no room, an existing file keeps its old text."""
    data, is_new = text.encode(), not os.path.exists(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            size = os.fstat(descriptor).st_size
            if regular and data:
                try:
                    os.posix_fallocate(descriptor, 0, len(data))
                except OSError:
                    os.truncate(descriptor, size)
                    raise
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left):]
            if regular:
                os.truncate(descriptor, len(data))
        finally:
            os.close(descriptor)
    except OSError as error:
        if is_new and os.path.isfile(path):
            os.unlink(path)
        return f'cannot write {path}: {error.strerror}'
    return ''
