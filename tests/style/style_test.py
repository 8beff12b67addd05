#!/usr/bin/env python3
# style: the rules of the house that a program can check, read from the source as it lies on disk.
#
# In: the root of the tree. Out: one line per offence, exit status 1 if there is any.
#  - rooms: every #include of an own header is one the room may see; nothing below names a vendor's header but its room;
#  - code in lib does not mention UCX: what is general holds for every transport, and says so (comments may give UCX as a reason);
#  - nothing below the door of tutti.h (lib/api/tutti.cc) names its C functions: programs that use the library through another door see the
#    same texts with that door's names;
#  - every source file opens with a comment that says what lives there;
#  - no source file is longer than 400 lines without a reason in LONG_FILES;
#  - README.md has at most 150 lines;
#  - every relative link in the pages at the top and in docs/*.md names a file and an anchor that exist.
# Before that it plants offences in a tree of its own and demands that each is found: a check that cannot fail checks nothing.
import pathlib
import re
import sys
import tempfile

# room -> the rooms (or single headers) it may include, besides itself. A room is a prefix of the path; the longest wins.
BASE = ['lib/base']
# All that a door knows of the library. (The front's header includes the others.)
DOOR = ['lib/api/front/front.h', 'lib/base/code.h', 'lib/dtype/dtype.h']
ROOMS = {
    'include/tutti': [],
    'lib/base': [],
    'lib/dtype': BASE,
    'lib/trace': BASE,
    'lib/topo': BASE,
    'lib/sched': BASE + ['lib/topo'],
    'lib/transport': BASE + ['lib/dtype', 'lib/topo'],
    'lib/boot': BASE,
    'lib/exec': BASE + ['lib/dtype', 'lib/sched', 'lib/transport'],
    'lib/comm': BASE + ['lib/dtype', 'lib/topo', 'lib/sched', 'lib/transport', 'lib/boot', 'lib/exec', 'lib/trace'],
    'lib/api/front': BASE + ['lib/dtype', 'lib/boot', 'lib/comm'],
    'lib/api': DOOR + ['include/tutti', 'lib/base/version.h'],
    # Pure functions: of base only what neither waits, reads nor prints.
    'algorithms': ['lib/base/status.h', 'lib/topo', 'lib/sched'],
    'transports/registry.cc': ['lib/transport', 'transports'],
    'transports/*': BASE + ['lib/dtype', 'lib/topo', 'lib/transport'],
    # It starts ranks and knows the library by its public header only.
    'tools/launch': ['include/tutti', 'tools/tool.h', 'tools/failure.h'],
    'tools': ['include/tutti', 'lib', 'tools/launch'],
    'perf': ['include/tutti', 'lib', 'tools'],
    # What a user of the installed library sees. A header of its own folder is included by its bare name.
    'examples': ['include/tutti'],
    # A door in a library of its own, and its test, which links no second engine.
    'tests/door': DOOR + ['include/tutti', 'tests/catch.h'],
    'tests': ['include/tutti', 'lib', 'algorithms', 'transports', 'perf', 'tools'],
}

# A vendor's headers -> the only rooms that know them.
VENDORS = {
    r'hwloc(\.h|/.*)': ['lib/topo', 'perf', 'tools', 'tests'],
    r'sodium(\.h|/.*)': ['lib/base', 'tests'],
    r'(ucp|ucs|uct)/.*': ['transports/ucx'],
    r'(infiniband|rdma)/.*': ['transports/verbs'],
    r'(acl|hccl)/.*': ['transports/npu'],
    r'(CLI|nlohmann)/.*': ['perf', 'tools', 'tests'],
    r'catch2/.*': ['tests/catch.h', 'tests/catch.cc'],
}

# An algorithm does no I/O and knows no time, thread or environment.
IMPURE = re.compile(r'(fstream|iostream|cstdio|stdio\.h|cstdlib|stdlib\.h|chrono|ctime|time\.h|thread|mutex|atomic|random|'
                    r'filesystem|unistd\.h|fcntl\.h|poll\.h|sys/.*|linux/.*|netinet/.*)$')

# path -> why it may be longer than 400 lines.
LONG_FILES = {}
MOST_LINES = 400
MOST_README_LINES = 150

DOORS = ['lib/api/tutti.cc']

SOURCE_DIRS = ['include', 'lib', 'algorithms', 'transports', 'perf', 'tools', 'examples', 'tests']
SUFFIXES = {'.h', '.cc', '.c', '.py', '.sh'}
LINK = re.compile(r'\]\(([^)\s]*)[^)]*\)|^\[[^\]]+\]:\s+(\S+)', re.MULTILINE)
COMMENT = re.compile(r'//.*')
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def room_of(path):
    """The key of ROOMS that `path` lives in, and the prefix that is the room itself; None if it has no room."""
    best = None
    for room in ROOMS:
        prefix = room
        if room.endswith('/*'):
            parts = path.split('/')
            if len(parts) < 3 or parts[0] != room[:-2]:
                continue
            prefix = '/'.join(parts[:2])
        if (path == prefix or path.startswith(prefix + '/')) and (best is None or len(prefix) > len(best[1])):
            best = (room, prefix)
    return best


def inside(path, prefixes):
    return any(path == prefix or path.startswith(prefix + '/') for prefix in prefixes)


def include_offences(path, text):
    found = room_of(path)
    if found is None:
        return [f'{path}: lives in no room; give it one in {pathlib.Path(__file__).name}']
    room, _ = found
    offences = []
    for quote, name in INCLUDE.findall(text):
        own_header = name.startswith(tuple(top + '/' for top in SOURCE_DIRS))
        if room == 'examples' and own_header:
            offences.append(f'{path}: includes {name}, which an installed program does not see')
            continue
        if name == 'tutti/tutti.h':  # as an installed program sees it
            own_header, name = True, 'include/tutti/tutti.h'
        if own_header:
            if not inside(name, ROOMS[room]) and room_of(name) != found:
                offences.append(f'{path}: includes {name}, which {room} must not see')
        elif quote == '"' and not (room == 'examples' and '/' not in name):
            offences.append(f'{path}: includes "{name}"; write the path from the root of the tree')
        for vendor, rooms in VENDORS.items():
            if not own_header and re.fullmatch(vendor, name) and not inside(path, rooms):
                offences.append(f'{path}: includes <{name}>, which only {", ".join(rooms)} may know')
        if room == 'algorithms' and quote == '<' and IMPURE.fullmatch(name):
            offences.append(f'{path}: includes <{name}>; an algorithm is a pure function')
    return offences


def form_offences(path, text, long_files):
    offences = []
    if inside(path, ['lib']) and re.search('ucx', COMMENT.sub('', text), re.IGNORECASE):
        offences.append(f'{path}: mentions UCX, which only transports/ucx knows')
    if inside(path, ['lib', 'algorithms', 'transports']) and path not in DOORS:
        offences += [f'{path}: names {name}; only the door of tutti.h may name its functions'
                     for name in re.findall(r'\btutti[A-Z]\w*', text)]
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith('#!')), '')
    if not first.startswith('#' if path.endswith(('.py', '.sh')) else ('//', '/*')):
        offences.append(f'{path}: does not open with a comment that says what lives here')
    if len(lines) > MOST_LINES and path not in long_files:
        offences.append(f'{path}: {len(lines)} lines; more than {MOST_LINES} need a reason in LONG_FILES')
    return offences


def anchors_of(text):
    """The anchors that GitHub gives to the headings of a page: "## Add a transport" is #add-a-transport."""
    anchors = set()
    for heading in re.findall(r'^#+ +(.+?) *#*$', re.sub(r'^```.*?^```', '', text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE):
        slug = re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
        number = 0
        while (anchor := f'{slug}-{number}' if number else slug) in anchors:
            number += 1
        anchors.add(anchor)
    return anchors


def page_offences(root, page, text):
    offences = []
    lines = len(text.splitlines())
    if page == 'README.md' and lines > MOST_README_LINES:
        offences.append(f'{page}: {lines} lines; more than {MOST_README_LINES} belong in docs/')
    for link in (inline or reference for inline, reference in LINK.findall(text)):
        if re.match(r'[a-z]+:', link):
            continue
        name, _, anchor = link.partition('#')
        target = (root / page).parent / name if name else root / page
        if not target.exists():
            offences.append(f'{page}: links to {link}, which is not there')
        elif anchor and (not target.is_file() or anchor not in anchors_of(target.read_text(encoding='utf-8'))):
            offences.append(f'{page}: links to {link}, which has no such anchor')
    return offences


def check(root, long_files):
    offences = []
    files = [file for top in SOURCE_DIRS for file in sorted((root / top).rglob('*'))
             if file.suffix in SUFFIXES and file.is_file()]
    for file in files:
        path = file.relative_to(root).as_posix()
        text = file.read_text(encoding='utf-8')
        offences += form_offences(path, text, long_files)
        if file.suffix in {'.h', '.cc', '.c'}:
            offences += include_offences(path, text)
    pages = [*sorted(root.glob('*.md')), *sorted((root / 'docs').glob('*.md'))]
    for page in pages:
        offences += page_offences(root, page.relative_to(root).as_posix(), page.read_text(encoding='utf-8'))
    offences += [f'LONG_FILES names {path}, which is not there' for path in long_files if not (root / path).exists()]
    return offences, len(files) + len(pages)


GOOD = {
    'lib/base/clock.h': '// clock\n#include <ctime>  // as UCX\n',
    'lib/exec/plan.h': '// plan\n#include "lib/sched/schedule.h"\n',
    'lib/sched/schedule.h': '// schedule\n#include "lib/topo/topology.h"\n#include "lib/base/status.h"\n',
    'transports/shm/shm.cc': '// shm\n#include "transports/shm/shm.h"\n#include "lib/transport/transport.h"\n',
    'transports/registry.cc': '// rows\n#include "transports/shm/shm.h"\n',
    'algorithms/ring.cc': '// ring\n#include "algorithms/rows.h"\n#include "lib/sched/builder.h"\n#include <vector>\n',
    'lib/api/front/group.cc': '// group\n#include "lib/api/front/entry.h"\n#include "lib/comm/comm.h"\n',
    'lib/api/tutti.cc': '// tutti\n#include "include/tutti/tutti.h"\n#include "lib/api/front/front.h"\nconst char kName[] = "tuttiSend";\n',
    'tools/info.cc': '// info\n#include "include/tutti/tutti.h"\n#include "lib/base/settings.h"\n#include <CLI/CLI.hpp>\n',
    'examples/hello.c': '/* hello */\n#include <tutti/tutti.h>\n#include "check.h"\n',
    'README.md': '# Tutti\n[limits](docs/limits.md#what-it-doesnt-do-1), [here](#tutti), [code](tools/info.cc), [web](https://x.y/z#w)\n'
                 + '\n' * (MOST_README_LINES - 2),
    'docs/limits.md': "# What it doesn't do\n## What it doesn't do\n[home](../README.md#tutti)\n```sh\n# a comment\n```\n",
}

BAD = {
    'lib/base/log.cc': '// log\n#include "lib/comm/comm.h"\n',
    'lib/dtype/kernels.cc': '// kernels\n#include "lib/sched/schedule.h"\n',
    'lib/sched/check.cc': '// check\n#include "lib/transport/transport.h"\n',
    'lib/exec/execution.cc': '// execution\n#include "algorithms/rows.h"\n',
    'lib/exec/wire.cc': '// wire\n  #  include "transports/shm/shm.h"\n',
    'lib/boot/node.cc': '// node\n#include "lib/comm/comm.h"\n',
    'algorithms/tree.cc': '// tree\n#include "lib/base/clock.h"\n',
    'algorithms/star.cc': '// star\n#include <cstdlib>\n',
    'transports/ucx/ucx.cc': '// ucx\n#include "transports/shm/arena.h"\n',
    'transports/shm/arena.cc': '// arena\n#include "lib/sched/schedule.h"\n',
    'lib/comm/comm.cc': '// comm\n#include <hwloc.h>\n',
    'lib/comm/plans.cc': '// plans\n#include "lib/api/front/entry.h"\n',
    'lib/api/nccl.cc': '// nccl\n#include "lib/comm/comm.h"\n',
    'lib/api/hccl.cc': '// hccl\n#include "lib/api/front/entry.h"\n',
    'lib/api/front/comm.cc': '// comm\n#include "include/tutti/tutti.h"\n',
    'lib/api/front/entry.cc': '// entry\nconst char kName[] = "tuttiGroupEnd";\n',
    'lib/topo/nics.cc': '// nics\nconst char* const kDevices = std::getenv("UCX_NET_DEVICES");  // UCX\'s\n',
    'lib/comm/call.cc': '// call\nconst char kHint[] = "call tuttiCommDestroy";\n',
    'perf/main.cc': '// perf\n#include "transports/shm/shm.h"\n',
    'tools/plan.cc': '// plan\n#include "plan.h"\n',
    'examples/bye.c': '/* bye */\n#include "lib/base/status.h"\n',
    'examples/path.c': '/* path */\n#include "examples/check.h"\n',
    'examples/tree.c': '/* tree */\n#include "include/tutti/tutti.h"\n',
    'tests/unit/hello.cc': '// hello\n#include "examples/check.h"\n',
    'tests/door/door.cc': '// door\n#include "lib/base/status.h"\n',
    'tests/unit/plan.cc': '// plan\n#include <catch2/catch.hpp>\n',
    'lib/garden/gnome.cc': '// in no room\n',
    'lib/base/silent.cc': '#include <string>\n',
    'lib/base/long.cc': '// long\n' + 'int x;\n' * MOST_LINES,
    'README.md': '# Tutti\n' + '\n' * MOST_README_LINES,
    'CHANGELOG.md': '[gone](docs/gone.md)\n',
    'docs/file.md': '[gone](gone.md)\n',
    'docs/reference.md': '[gone][1]\n\n[1]: ../gone.md\n',
    'docs/anchor.md': '[gone](limits.md#gone)\n',
    'docs/comment.md': '[in a code block](limits.md#a-comment)\n',
    'docs/own.md': '# Own\n[gone](#gone)\n',
    'docs/folder.md': '[no page](../docs#own)\n',
}


def plant(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding='utf-8')


def self_check():
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        plant(root, GOOD)
        offences, files = check(root, {})
        assert files == len(GOOD) and not offences, f'right files were blamed: {offences}'
        for path, text in BAD.items():
            plant(root, {path: text})
            offences, _ = check(root, {})
            assert len(offences) == 1 and offences[0].startswith(path + ':'), f'{path} was not caught: {offences}'
            (root / path).unlink()
            if path in GOOD:
                plant(root, {path: GOOD[path]})


def main():
    self_check()
    offences, files = check(pathlib.Path(sys.argv[1]), LONG_FILES)
    for offence in offences:
        print(offence)
    print(f'{files} files, {len(offences)} offences')
    return 1 if offences or files == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
