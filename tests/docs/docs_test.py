#!/usr/bin/env python3
# docs: what README.md and docs/*.md tell a reader to type is tried.
#
# Run by meson test with: source root, build root, C compiler, C++ compiler, "tools" or "no-tools". One line per offence, exit status 1 if
# there is any.
#  - every ```c block compiles against tutti.h: as it is if it has a main(), else inside of a function with the names in FRAGMENT;
#  - every ```cpp block compiles as a file of the source tree;
#  - every command of a ```sh block begins with a file of the tree, a program of Tutti, or a program in KNOWN, and an option that it gives to a
#    program of Tutti stands in that program's --help. Commands of CHEAP programs are run, and have to end with 0;
#  - every tutti* function and TUTTI_* name on a page exists.
# A comment in the line before a block says more:
#  <!-- docs-test: skip REASON -->           the block is not checked
#  <!-- docs-test: needs PACKAGE HEADER -->  compiled with that package of pkg-config and its header, if it is installed
#  <!-- docs-test: run -->                   a program; alone it has to end with 1, as two ranks of tutti-run with 0
#  <!-- docs-test: file NAME -->             not code, but the file of that name, which commands of the page use
# What is not built here is not run. Before all that the test plants offences and demands that each is found.
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

KNOWN = {'apt-get', 'cat', 'cc', 'cd', 'dpkg-buildpackage', 'export', 'ldconfig', 'meson', 'mpicc', 'mpiexec', 'mpirun', 'ninja', 'pkg-config',
         'srun', 'torchrun'}
PLACEHOLDERS = {'./app'}
CHEAP = {'tutti-info', 'tutti-plan', 'tutti-sim', 'tutti-topo'}
PEERS = re.compile(r'build/perf/\w+_perf_(openmpi|mpich|gloo)')  # where these libraries are installed
HAS_HELP = re.compile(r'build/(tools|perf)/|build/tests/fault/campaign$|perf/\w+\.py$')

BLOCK = re.compile(r'^(?:<!-- docs-test: ([^\n]*?) -->\n)?```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
C_FLAGS = ['-std=c99', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-Wno-unused-variable']
SECONDS = 120  # for a compiler on a busy machine
FRAGMENT = '''#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tutti/tutti.h>
{header}void die(const char* sentence);
void example(int rank, int nranks, tuttiUniqueId id, tuttiComm_t comm, tuttiStream_t stream, const float* in, float* out, size_t count);
void example(int rank, int nranks, tuttiUniqueId id, tuttiComm_t comm, tuttiStream_t stream, const float* in, float* out, size_t count) {{
  {{
#line {line} "{page}"
{text}  }}
}}
'''


def without_comment(line):
    """The line of a shell script up to its comment."""
    quote = ''
    for at, letter in enumerate(line):
        if quote:
            quote = '' if letter == quote else quote
        elif letter in '"\'':
            quote = letter
        elif letter == '#' and (at == 0 or line[at - 1].isspace()):
            return line[:at]
    return line


def commands_of(text):
    """Lists of words, one for each command of a script; and the files that it writes by `cat > NAME <<END`."""
    commands, files = [], {}
    lines = iter(text.replace('\\\n', ' ').splitlines())
    for line in lines:
        line = without_comment(line)
        if end := re.search(r'<<(\w+)', line):
            body = []
            for inner in lines:
                if inner == end.group(1):
                    break
                body.append(inner + '\n')
            if name := re.search(r'> *(\S+)', line):
                files[name.group(1)] = ''.join(body)
            line = line[:end.start()]
        for inner in re.findall(r'\$\(([^()]*)\)', line):
            commands.append(shlex.split(inner))
        line = re.sub(r'\$\([^()]*\)', 'X', line)
        lexer = shlex.shlex(line, posix=True, punctuation_chars='();<>|&')
        lexer.whitespace_split, lexer.commenters = True, ''
        words, skip = [], False
        for word in [*lexer, ';']:
            if word in ('>', '>>', '<'):
                skip = True
            elif word in (';', '&&', '||', '|', '(', ')', '&'):
                commands += [words] if words else []
                words = []
            elif not skip:
                words.append(word)
            else:
                skip = False
    return commands, files


class House:
    """The source tree and the build of it."""

    def __init__(self, source, build, cc, cxx, tools):
        self.source, self.build, self.cc, self.cxx, self.tools = source, build, cc, cxx, tools
        self.helps = {}
        self.ran = {'blocks': 0, 'blocks left out for want of a package': 0, 'commands': 0, 'runs': 0}
        clean = {name: value for name, value in os.environ.items() if not name.startswith('TUTTI_')}
        self.environment = dict(clean, PATH=f'{build}/tools:{build}/perf:{clean["PATH"]}', LD_LIBRARY_PATH=str(build))
        names = [(source / path).read_text() for path in ['include/tutti/tutti.h', 'lib/base/settings.cc', 'lib/api/libtutti.map.in']]
        self.names = set(re.findall(r'\w+', '\n'.join(names)))
        self.tool_names = {path.stem for path in (source / 'tools').rglob('tutti-*')}

    def run(self, command, **options):
        try:
            return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                                  timeout=SECONDS, env=self.environment, stdin=subprocess.DEVNULL, **options)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, f'took longer than {SECONDS} s')

    def path_of(self, word):
        """Where a program of Tutti is: build/... or a path in the tree. None: it is none."""
        if word in self.tool_names:
            return f'build/tools/{word}'
        if re.fullmatch(r'\w+_perf', word):
            return f'build/perf/{word}'
        return word if '/' in word and word not in PLACEHOLDERS and not word.startswith('-') else None

    def file_of(self, path):
        return self.build / path[len('build/'):] if path.startswith('build/') else self.source / path

    def may_be_missing(self, path):
        return bool(PEERS.fullmatch(path)) or (not self.tools and path.startswith(('build/tools/', 'build/perf/')))

    def has_option(self, option, path, *verb):
        """Whether a program's --help has the option, or that of its subcommand."""
        if (path, *verb) not in self.helps:
            text = self.run([self.file_of(path), *verb, '--help']).stdout
            self.helps[path, *verb] = set(re.findall(r'(?<![\w-])--?[A-Za-z][\w-]*', text))
        return option in self.helps[path, *verb]


def check_c(house, page, line, text, note, work):
    flags, header = [], ''
    if note.startswith('needs '):
        package, header_name = note.split()[1:]
        found = subprocess.run(['pkg-config', '--cflags', package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        if found.returncode != 0:
            house.ran['blocks left out for want of a package'] += 1
            return []
        flags, header = found.stdout.split(), f'#include <{header_name}>\n'
    whole = 'int main(' in text
    file = work / 'block.c'
    file.write_text(f'#line {line} "{page}"\n{text}' if whole else FRAGMENT.format(header=header, line=line, page=page, text=text))
    output = ['-o', work / 'app', f'-L{house.build}', '-ltutti'] if note == 'run' else ['-fsyntax-only']
    result = house.run([*house.cc, *C_FLAGS, f'-I{house.source}/include', *flags, file, *output])
    if result.returncode != 0:
        return [f'{page}:{line}: does not compile:\n{result.stdout}']
    if note != 'run':
        return []
    alone = house.run([work / 'app'])
    if alone.returncode != 1:
        return [f'{page}:{line}: started alone, it ends with {alone.returncode}, not with 1:\n{alone.stdout}']
    ranks = house.run(['tutti-run', '-n', '2', work / 'app']) if house.tools else alone
    return [f'{page}:{line}: two ranks of it end with {ranks.returncode}:\n{ranks.stdout}'] if house.tools and ranks.returncode else []


def check_cpp(house, page, line, text, work):
    file = work / 'block.cc'
    file.write_text(f'#line {line} "{page}"\n{text}')
    result = house.run([*house.cxx, '-std=c++20', '-Wall', '-Wextra', '-Werror', f'-I{house.source}', f'-I{house.source}/include',
                        '-fsyntax-only', file])
    return [f'{page}:{line}: does not compile:\n{result.stdout}'] if result.returncode else []


def check_command(house, where, words, work):
    """Checks one command, and those behind it: `tutti-run -n 2 PROGRAM ...` starts another."""
    house.ran['commands'] += 1
    settings = {}
    while words and (match := re.fullmatch(r'(\w+)=(.*)', words[0])):
        settings[match.group(1)] = match.group(2)
        words = words[1:]
    if not words:
        return []
    said = ' '.join(words)
    parts = []  # what each program is given
    for word in words:
        path = house.path_of(word) if not parts or HAS_HELP.match(house.path_of(word) or '') else None
        if path or not parts:
            parts.append((path, [word]))
        else:
            parts[-1][1].append(word)
    for path, given in parts:
        if path is None:
            if given[0] not in KNOWN | PLACEHOLDERS:
                return [f'{where}: `{said}`: {given[0]} is no program that this page could expect; see KNOWN']
            continue
        if not house.file_of(path).is_file():
            if house.may_be_missing(path):
                continue
            return [f'{where}: `{said}`: there is no {path}']
        if not os.access(house.file_of(path), os.X_OK):
            return [f'{where}: `{said}`: {path} is not executable']
        for option in given[1:]:
            name = option.split('=')[0]
            if name in PLACEHOLDERS or name == '--':
                break
            if not HAS_HELP.match(path) or not re.fullmatch(r'--?[A-Za-z][\w-]*', name):
                continue
            if not house.has_option(name, path) and not (given[1].isalpha() and house.has_option(name, path, given[1])):
                return [f'{where}: `{said}`: {path} has no option {name}']
    path = parts[0][0]
    if not path or not path.startswith('build/') or not house.file_of(path).is_file():
        return []
    asks = {'--help', '--version', '--print-id'} & set(words)
    if '--probe' in words or not (asks or path.rsplit('/', 1)[-1] in CHEAP):
        return []
    house.ran['runs'] += 1
    result = house.run(['env', *(f'{name}={value}' for name, value in settings.items()), house.file_of(path), *words[1:]], cwd=work)
    return [f'{where}: `{said}` ends with {result.returncode}:\n{result.stdout}'] if result.returncode else []


def check_page(house, page, text):
    offences = []
    for name in sorted(set(re.findall(r'\btutti[A-Z]\w*|\bTUTTI_[A-Z]+(?:_[A-Z]+)*', text))):
        if name not in house.names and not any(known.startswith(name + '_') for known in house.names):
            offences.append(f'{page}: names {name}, which does not exist')
    blocks = []
    for match in BLOCK.finditer(text):
        note, language, body = match.group(1) or '', match.group(2), match.group(3)
        blocks.append((text.count('\n', 0, match.start(3)) + 1, note, language, body))
    if text.count('<!-- docs-test:') != sum(1 for block in blocks if block[1]):
        offences.append(f'{page}: a docs-test comment does not stand in the line before a block')
    with tempfile.TemporaryDirectory(prefix='tutti-docs-') as name:
        work = pathlib.Path(name)
        for _, note, language, body in blocks:
            files = commands_of(body)[1] if language == 'sh' else {note.split()[1]: body} if note.startswith('file ') else {}
            for file, content in files.items():
                (work / file).write_text(content)
        for line, note, language, body in blocks:
            if not re.fullmatch(r'|run|skip \S.*|needs \S+ \S+|file [\w.]+', note):
                offences.append(f'{page}:{line}: docs-test: {note}: is none of skip REASON, needs PACKAGE HEADER, run, file NAME')
                continue
            if note.startswith('skip '):
                continue
            house.ran['blocks'] += language in ('c', 'cpp', 'sh')
            if language == 'c':
                offences += check_c(house, page, line, body, note, work)
            elif language == 'cpp':
                offences += check_cpp(house, page, line, body, work)
            elif language == 'sh':
                for words in commands_of(body)[0]:
                    offences += check_command(house, f'{page}:{line}', words, work)
    return offences


GOOD = '''`tuttiAllReduce`, `tuttiFloat` and `TUTTI_DEBUG`; TUTTI_PRIVATE_* is one
```c
if (tuttiAllReduce(in, out, count, tuttiFloat, tuttiSum, comm, stream) != tuttiSuccess) die(tuttiGetLastError(comm));
```
<!-- docs-test: run -->
```c
#include <stdlib.h>
#include <tutti/tutti.h>
int main(void) { return getenv("TUTTI_RANK") ? tuttiSuccess : 1; }
```
<!-- docs-test: skip it is of another library -->
```c
nonsense
```
```cpp
#include "lib/base/code.h"
static_assert(tutti::Code::Success == tutti::Code{});
```
<!-- docs-test: file pair.txt -->
```
host a
host b
```
```sh
tests/run.sh --suite unit                # a comment
cat > three.txt <<END
host a
host b
host c
END
TUTTI_DEBUG=INFO build/tools/tutti-sim -t pair.txt -s 1K && tutti-topo lint three.txt | cat > out.txt
export "$(tutti-run --print-id)"         # TUTTI_COMM_ID=...
tutti-run -n 4 ./app --of-its-own; mpirun -n 2 build/perf/all_reduce_perf -b 8
```
'''

BAD = {
    'a wrong argument': ('```c\ntuttiBarrier(comm);\n```\n', 'does not compile'),
    'an undeclared name': ('```c\ntuttiBarrier(commm, NULL);\n```\n', 'does not compile'),
    'a program that is none': ('```c\n#include <tutti/tutti.h>\nint main(void) { return 0 }\n```\n', 'does not compile'),
    'a program that crashes': ('<!-- docs-test: run -->\n```c\n#include <stdlib.h>\nint main(void) { return atoi(getenv("NOT_THERE")); }\n```\n',
                               'started alone'),
    'an algorithm of a lost time': ('```cpp\n#include "lib/sched/gone.h"\n```\n', 'does not compile'),
    'an unknown program': ('```sh\nexport A=1\nfrobnicate now\n```\n', 'frobnicate is no program'),
    'an unknown program behind another': ('```sh\nninja -C build && frobnicate\n```\n', 'frobnicate is no program'),
    'a lost file': ('```sh\ntools/gone.sh\n```\n', 'there is no tools/gone.sh'),
    'a function': ('Call `tuttiFrobnicate`.\n', 'tuttiFrobnicate'),
    'a setting': ('Set `TUTTI_FROB`.\n', 'TUTTI_FROB'),
    'a comment': ('<!-- docs-test: ignore -->\n```c\n```\n', 'is none of'),
    'a lonely comment': ('<!-- docs-test: run -->\n\n```c\n;\n```\n', 'in the line before'),
}
BAD_WITH_TOOLS = {
    'a lost tool': ('```sh\nbuild/tools/tutti-gone\n```\n', 'there is no build/tools/tutti-gone'),
    'an unknown option': ('```sh\ntutti-run --frob -n 2 ./app\n```\n', 'no option --frob'),
    'an unknown option behind another': ('```sh\ntutti-run -n 2 build/perf/all_reduce_perf --frob\n```\n', 'no option --frob'),
    'a command that fails': ('```sh\ntutti-sim -t shelf:2\n```\n', 'ends with 2'),
    'two ranks that fail': ('<!-- docs-test: run -->\n```c\nint main(void) { return 1; }\n```\n', 'two ranks'),
}


def self_check(house):
    offences = check_page(house, 'good.md', GOOD)
    assert not offences, f'a right page was blamed: {offences}'
    for what, (text, part) in (BAD | (BAD_WITH_TOOLS if house.tools else {})).items():
        offences = check_page(house, 'bad.md', text)
        assert len(offences) == 1 and part in offences[0], f'{what} was not caught: {offences}'


def main():
    source, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    house = House(source, build, sys.argv[3].split(), sys.argv[4].split(), sys.argv[5] == 'tools')
    self_check(house)
    house.ran = dict.fromkeys(house.ran, 0)
    offences = []
    for page in [source / 'README.md', *sorted((source / 'docs').glob('*.md'))]:
        offences += check_page(house, page.relative_to(source).as_posix(), page.read_text(encoding='utf-8'))
    for offence in offences:
        print(offence)
    print('docs: ' + ', '.join(f'{number} {what}' for what, number in house.ran.items()) + f', {len(offences)} offences')
    return 1 if offences or house.ran['blocks'] == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
