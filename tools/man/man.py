#!/usr/bin/env python3
# man: writes the man pages. A program's page is made from what its --help prints, so that the two cannot disagree. The environment of
# tutti(7) is the table in docs/settings.md.
#
# Usage: man.py program NAME PATH VERSION PAGE    man.py overview TEMPLATE SETTINGS VERSION PAGE
#
# It reads the help of CLI11 and of argparse: a description, a usage, and sections ("Options:") of rows with a tag and a text. What it cannot
# read is an error. tests/install/pages.py compares each page with the help again.
import os
import pathlib
import re
import subprocess
import sys

PAGES = ['tutti-cluster', 'tutti-info', 'tutti-plan', 'tutti-run', 'tutti-sim', 'tutti-topo', 'tutti-trace']
NAMES = re.compile(r'-[^ ,]+(?:, ?-[^ ,]+)*')
RANGE = re.compile(r':(?:U?INT|FLOAT) in \[(\S+) - (\S+)\]')
RELATION = re.compile(r' (Excludes|Needs): ((?:--?[\w-]+[, ]*)+)')


def roff(text):
    """The text, with nothing in it that troff takes for a command."""
    for plain, escaped in (('\\', '\\e'), ('-', '\\-'), ('^', '\\(ha'), ('~', '\\(ti'), ('`', '\\(ga')):
        text = text.replace(plain, escaped)
    return re.sub(r"^(?=[.'])", '\\&', text)


def bold(text):
    return f'\\fB{roff(text)}\\fR'


class Help:
    """What one --help says."""

    def __init__(self, program, path, *subcommand):
        # The name that the program sees is its own, not a path in the build folder.
        command = [program, *subcommand, '--help']
        text = subprocess.run(command, executable=path, check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, COLUMNS='1000', LC_ALL='C.UTF-8')).stdout
        self.title = ' '.join([program, *subcommand])
        self.description, self.usage, self.sections = [], None, {}
        rows = None
        for line in text.splitlines():
            line = re.sub(r'^( +-\w,) +(?=-)', r'\1', line)
            if match := re.fullmatch(r'(\S.*):', line):
                rows = self.sections.setdefault(match.group(1).capitalize(), [])
            elif self.usage is None and (match := re.match(rf'(?:[Uu]sage: )?({re.escape(self.title)}\b.*)', line)):
                self.usage = match.group(1)
            elif match := re.fullmatch(r' {1,3}(\S.*?)(?: {2,}(\S.*))?', line):
                rows.append([match.group(1), match.group(2) or ''])
            elif line.startswith('    '):
                rows[-1][1] = f'{rows[-1][1]} {line.strip()}'.strip()
            elif line and rows is None:
                self.description.append(line)
            elif line:
                sys.exit(f'man.py: {self.title} --help: what is this line: {line!r}')
        if not (self.usage and self.description and self.sections):
            sys.exit(f'man.py: {self.title} --help has no usage, no description or no options:\n{text}')


def row_of(tag, text):
    """One option or argument. "-n,--ranks N:INT in [1 - 8]=2 REQUIRED Excludes: -p" becomes "-n, --ranks N" and sentences."""
    notes = [f'{kind} {others.strip(" ,")}.' for kind, others in RELATION.findall(tag)]
    tag = RELATION.sub('', tag)
    if ' REQUIRED' in tag:
        tag = tag.replace(' REQUIRED', '')
        notes.insert(0, 'Required.')
    if match := re.search(r'=(\S+)$', tag):
        tag = tag[:match.start()]
        notes.insert(0, f'Default: {match.group(1)}.')
    if match := RANGE.search(tag):
        tag = RANGE.sub('', tag)
        notes.insert(0, f'From {match.group(1)} to {match.group(2)}.')
    names = NAMES.match(tag)
    head = ', '.join(bold(name.strip()) for name in names.group().split(',')) + roff(tag[names.end():]) if names else bold(tag)
    if text and notes and text[-1] not in '.:':
        text += '.'
    return ['.TP', head, roff(' '.join([text, *notes]).strip()) or '\\&']


def rows_of(help_, subcommand=False):
    for title, rows in help_.sections.items():
        if title.lower() == 'subcommands':
            continue
        if not subcommand:
            yield f'.SS {roff(title.capitalize())}'
        for tag, text in rows:
            if not (subcommand and re.match(r'-h\b', tag)):
                yield from row_of(tag, text)


def program_page(program, path, version):
    help_ = Help(program, path)
    description, usage = ' '.join(help_.description), help_.usage
    # A description may end with a better usage.
    if match := re.fullmatch(rf'(.*): ({re.escape(program)} .*)', description):
        description, usage = match.group(1) + '.', match.group(2)
    summary = re.split(r'[.:](?: |$)', description)[0]
    yield f'.\\" {program}(1): made by man.py from {program} --help.'
    yield f'.TH {roff(program).upper()} 1 "" "Tutti {version}" "User Commands"'
    yield from ['.SH NAME', f'{roff(program)} \\- {roff(summary[:1].lower() + summary[1:])}']
    yield from ['.SH SYNOPSIS', '.nf', bold(program) + roff(usage.removeprefix(program)), '.fi']
    yield from ['.SH DESCRIPTION', roff(description)]
    yield from rows_of(help_)
    for title, rows in help_.sections.items():
        for name, _ in rows if title.lower() == 'subcommands' else []:
            sub = Help(program, path, name)
            yield from [f'.SS {roff(sub.title)}', roff(' '.join(sub.description)[:1].upper() + ' '.join(sub.description)[1:] + '.'), '.PP']
            yield from ['.nf', bold(sub.title) + roff(sub.usage.removeprefix(sub.title)), '.fi']
            yield from rows_of(sub, subcommand=True)
    yield from ['.SH ENVIRONMENT', 'The settings TUTTI_* are described in', '.BR tutti (7).']
    yield from see_also(program)


def see_also(program):
    yield '.SH SEE ALSO'
    for page in PAGES:
        if page != program:
            yield f'.BR {roff(page)} (1),'
    yield '.BR tutti (7)'


def markdown(text):
    """A cell of a table of docs/, for troff."""
    text = re.sub(r'\[[^\]]*\]\((\w+\.md)\)', r'docs/\1', text)
    parts = text.split('`')
    return ''.join(bold(part) if number % 2 else roff(part) for number, part in enumerate(parts))


def settings_of(text):
    """The rows | `TUTTI_NAME` | default | meaning | of docs/settings.md."""
    rows = re.findall(r'^\| `(TUTTI_\w+)` \| (.*?) ?\| (.*) \|$', text, re.MULTILINE)
    if len(rows) < 2:
        sys.exit('man.py: the page of settings has no table of settings')
    for name, fallback, meaning in rows:
        meaning += '' if meaning.endswith('.') else '.'
        yield from ['.TP', bold(name), markdown(meaning + (f' Default: {fallback}.' if fallback else ''))]


def overview_page(template, settings, version):
    for line in pathlib.Path(template).read_text(encoding='utf-8').replace('@VERSION@', version).splitlines():
        if line == '@SETTINGS@':
            yield from settings_of(pathlib.Path(settings).read_text(encoding='utf-8'))
        else:
            yield line


def main():
    kind, first, second, version, page = sys.argv[1:]
    lines = {'program': program_page, 'overview': overview_page}[kind](first, second, version)
    pathlib.Path(page).write_text('\n'.join(lines) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
