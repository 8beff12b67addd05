# output: files that a program writes when all is done, as perf/output.h has them for the others. Whether they can be written is found
# before anything begins. tutti-cluster's, and that of the scripts in perf/.
import errno
import os
import pathlib
import stat


def try_folder(folder):
    """Whether a new file can be made in there: by one without a name, which nobody sees."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):  # unknown to this file system
            raise
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def cannot_write(path):
    """'', or a sentence with the path and the reason. Makes and changes nothing."""
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
    """The same of new files in a folder, which may have to be made with those above it."""
    there = pathlib.Path(folder).absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        try_folder(there)
    except OSError as error:
        return f'cannot write to {folder}: {error.strerror}'
    return ''


def write_file(path, text):
    """The whole text. '', or a sentence. A file that is there keeps its text when there is no room for the new one."""
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
