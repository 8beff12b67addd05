#!/usr/bin/env python3
# version: a door of another build is refused when it is loaded. Arguments: the test's door and libtutti.so.
#
# A door of another build asks for another private version of libtutti.so. Here it is a copy of this build's door with one digit changed.
import ctypes
import pathlib
import re
import sys
import tempfile


def main():
    door, library = sys.argv[1:]
    ctypes.CDLL(library)
    ctypes.CDLL(door)
    content = pathlib.Path(door).read_bytes()
    wanted = re.search(rb'TUTTI_PRIVATE_[0-9.]+_[0-9a-f]{12}', content).group()
    other = wanted[:-1] + (b'1' if wanted.endswith(b'0') else b'0')
    with tempfile.TemporaryDirectory(prefix='tutti-door-') as folder:
        copy = pathlib.Path(folder) / 'libother.so'
        copy.write_bytes(content.replace(wanted, other))
        try:
            ctypes.CDLL(str(copy))
        except OSError as error:
            print(error)
            return 0 if f"version `{other.decode()}' not found" in str(error) else 1
    print('a door of another build was loaded')
    return 1


if __name__ == '__main__':
    sys.exit(main())
