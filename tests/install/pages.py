# pages: every program in bin has a man page, which names every option of its --help; tutti(7) names every setting; groff has no complaints.
#
# Imported by install_test.py, which has the installed tree. A page is read as a person sees it, not with the eyes of man.py.
import json
import re
import shutil
import subprocess

from programs import answer

OPTION = re.compile(r'(?<![\w-])--?[A-Za-z][\w-]*')


def shown(page):
    """The page as text, and what groff complains about."""
    command = ['groff', '-man', '-ww', '-Tutf8', '-P-cbou', '-rLL=1000n', page]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return re.sub('[‐−]', '-', result.stdout), result.stderr


def helps_of(program, install):
    text = answer(program, '--help', install)
    yield text
    if 'Subcommands:' in text:
        for name in re.findall(r'^  (\w+) ', text.partition('Subcommands:')[2], re.MULTILINE):
            yield subprocess.run([program, name, '--help'], capture_output=True, text=True, check=True, timeout=60).stdout


def lacking(page, words):
    return sorted(word for word in words if not re.search(rf'(?<![\w-]){re.escape(word)}(?![\w-])', page))


def check_pages(install, demand, sanitizer):
    pages = {path.name: path for path in install.destination.glob('**/man/man[17]/*')}
    programs = sorted(install.destination.glob('**/bin/*'))
    expected = {'tutti.7'} | ({f'{program.name}.1' for program in programs} if not sanitizer else set())
    demand(set(pages) == expected, f'man pages: {sorted(pages)} are there, {sorted(expected)} should be')
    if not shutil.which('groff'):
        print('no groff: man pages were not read')
        return
    texts = {}
    for name, path in pages.items():
        texts[name], complaints = shown(path)
        demand(not complaints, f'{name}: {complaints}')
        demand(all(title in texts[name] for title in ('NAME', 'DESCRIPTION', 'SEE ALSO')), f'{name} lacks a section:\n{texts[name]}')
    for program in programs if not sanitizer else []:
        for text in helps_of(program, install):
            options = set(OPTION.findall(re.sub(r'^[Uu]sage: .*', '', text, flags=re.MULTILINE)))
            demand('--help' in options, f'{program} --help names no options:\n{text}')
            missing = lacking(texts[f'{program.name}.1'], options)
            demand(not missing, f'{program.name}(1) does not name {missing}')
    settings = [row['name'] for row in json.loads(answer(install.only('**/bin/tutti-info'), '--json', install))['settings']]
    missing = lacking(texts['tutti.7'], settings)
    demand(settings and not missing, f'tutti(7), made from docs/settings.md, does not name {missing}')
