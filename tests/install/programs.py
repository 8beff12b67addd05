# programs: every installed program answers --version with its name and the version, and --help with exit code 0. The Debian packages have
# the same version.
#
# Imported by install_test.py, which has the installed tree.
import re
import subprocess


def programs_of(install):
    """Everything in bin and in libexec/tutti."""
    found = sorted([*install.destination.glob('**/bin/*'), *install.destination.glob('**/libexec/tutti/*')])
    return [path for path in found if path.is_file()]


def answer(program, word, install):
    """What the program prints on stdout, or nothing if it fails or complains."""
    result = subprocess.run([program, word], env=install.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return '' if result.returncode != 0 or result.stderr else result.stdout


def wrong_answers(install, version):
    """A sentence for each program that does not say what it should."""
    for program in programs_of(install):
        said, expected = answer(program, '--version', install), f'{program.name} (Tutti) {version}\n'
        if said != expected:
            yield f'{program} --version prints {said!r}, not {expected!r}'
        if not re.search('usage', answer(program, '--help', install), re.IGNORECASE):
            yield f'{program} --help prints no usage'


def check_programs(install, source, demand):
    version = re.search(r"version: '([0-9.]+)'", (source / 'meson.build').read_text()).group(1)
    packaged = (source / 'debian/changelog').read_text().partition('\n')[0]
    demand(packaged.startswith(f'tutti ({version}'), f'the version is {version}, but debian/changelog begins with {packaged!r}')
    names = [program.name for program in programs_of(install)]
    demand('tutti-run' in names and 'all_reduce_perf' in names, f'only these programs were installed: {names}')
    wrong = list(wrong_answers(install, version))
    demand(not wrong, '\n'.join(wrong))
