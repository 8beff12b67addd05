#!/usr/bin/env python3
# install: what a packager and a user see: the tree is installed into a fresh prefix, a C99 program is built against it by
# pkg-config and by CMake and run, so are the examples by pkg-config, and the library exports exactly the calls that tutti.h declares, and
# the front's for other doors. Every installed program says its version (programs.py) and those in bin have man pages (pages.py).
#
# Run by meson test with: source root, build root, C compiler, C++ compiler, and whether the build has a sanitizer. Exit
# status 77 (skipped): no cmake.
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from pages import check_pages  # noqa: E402
from programs import check_programs  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
STRICT = ['-Wall', '-Wextra', '-Werror', '-pedantic']


class Failure(Exception):
    pass


def run(command, **options):
    command = [str(word) for word in command]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode != 0:
        raise Failure(f'{" ".join(command)}\nended with {result.returncode}:\n{result.stdout}')
    return result.stdout


def demand(condition, sentence):
    if not condition:
        raise Failure(sentence)


class Install:
    """The tree, installed below a directory of its own by DESTDIR, as a packager does."""

    def __init__(self, build, destination):
        run(['meson', 'install', '-C', build, '--no-rebuild', '--destdir', destination])
        self.destination = destination
        self.library = self.only('**/libtutti.so.1')
        self.libdir = self.library.parent
        self.header = self.only('**/include/tutti/tutti.h')
        self.environment = dict(os.environ, LD_LIBRARY_PATH=str(self.libdir))

    def only(self, pattern):
        found = [path for path in self.destination.glob(pattern)]
        demand(len(found) == 1, f'{pattern} was installed as {found or "nothing"}')
        return found[0]


def check_contents(install):
    """Nothing but the library, its header and what finds them."""
    allowed = re.compile(r'libtutti\.so(\.[0-9.]+)?|tutti\.h|tutti\.pc|tutti-config(-version)?\.cmake|'
                         r'tutti-(run|info|plan|topo|sim|trace|cluster)|transport-\w+\.so|(network|output|supervisor|system)\.py|\w+_perf|'
                         r'tutti(-\w+)?\.[17]')
    for path in install.destination.rglob('*'):
        demand(path.is_dir() or allowed.fullmatch(path.name), f'{path} was installed; who asked for it?')
    run([install.only('**/bin/tutti-cluster'), '--help'])  # finds its modules


def check_symbols(install, source):
    listed = (HERE / 'symbols.txt').read_text().split()
    text = (source / 'include/tutti/tutti.h').read_text()
    declared = sorted(re.findall(r'^TUTTI_API [^;(]*?(\w+)\(', text, re.MULTILINE))
    demand(declared == sorted(listed), f'tutti.h and symbols.txt differ: {sorted(set(declared) ^ set(listed))}')
    front = set(re.findall(r'^(?:Code|const char\*) (\w+)\(', (source / 'lib/api/front/front.h').read_text(), re.MULTILINE))
    demand('all_reduce' in front, f'front.h declares only {sorted(front)}')
    exported, private = set(), set()
    for line in run(['nm', '-DC', '--defined-only', install.library]).splitlines():
        kind, name = line.split(maxsplit=2)[1:]
        if kind == 'A' and name.startswith('TUTTI_'):  # the name of a version itself
            continue
        match = (re.fullmatch(r'(\w+)@@TUTTI_[0-9.]+', name) or
                 re.fullmatch(r'tutti::front::(\w+)\(.*\)@@TUTTI_PRIVATE_[0-9.]+_[0-9a-f]{12}', name))
        demand(match, f'the library exports {name}, which has no version')
        (private if '@@TUTTI_PRIVATE_' in name else exported).add(match.group(1))
    demand(exported == set(listed), f'exported and declared calls differ: {sorted(exported ^ set(listed))}')
    demand(private == front, f'what is exported for doors, and front.h, differ: {sorted(private ^ front)}')
    dynamic = run(['readelf', '-d', install.library])
    demand('Library soname: [libtutti.so.1]' in dynamic, f'SONAME is not libtutti.so.1:\n{dynamic}')
    demand('RUNPATH' not in dynamic and 'RPATH' not in dynamic, f'the library carries a search path:\n{dynamic}')


def check_hardening(install, sanitizer):
    """The library and its modules are linked with relro and now, and compiled with stack protection and _FORTIFY_SOURCE."""
    for library in [install.library, *install.destination.glob('**/transport-*.so')]:
        demand('GNU_RELRO' in run(['readelf', '-lW', library]), f'{library} is linked without -z relro')
        demand(re.search(r'FLAGS.*\bNOW\b|BIND_NOW', run(['readelf', '-d', library])), f'{library} is linked without -z now')
        needed = run(['nm', '-D', '--undefined-only', library])
        demand('__stack_chk_fail' in needed, f'{library} is compiled without -fstack-protector')
        demand(sanitizer or re.search(r'__\w+_chk\b', needed), f'{library} is compiled without _FORTIFY_SOURCE')


def check_thread_locals(install, sanitizer):
    """No thread_local variable needs an allocation at its first use. The C library ends the process if such an allocation fails."""
    for library in [install.library, *install.destination.glob('**/transport-*.so')]:
        needed = run(['nm', '-D', '--undefined-only', library])
        dynamic = ['TLSDESC'] if 'TLSDESC' in run(['readelf', '-rW', library]) else []  # ARM64's way
        dynamic += [function for function in ['__cxa_thread_atexit', '__tls_get_addr'] if function in needed]
        demand(sanitizer or not dynamic, f'{library} has a thread_local variable that needs {dynamic}: see lib/base/per_thread.h')


def check_modules(install, work):
    """Every module shows one symbol, and is found from where it was installed; by the tools in bin, too."""
    modules = list(install.destination.glob('**/transport-*.so'))
    for module in modules:
        demand(module.parent == install.libdir / 'tutti', f'{module} is not in tutti/ beside the library')
        lines = run(['nm', '-D', '--defined-only', module]).splitlines()
        demand([line.split()[-1] for line in lines] == ['tutti_transport_module'], f'{module} exports {lines}')
        name = module.stem.removeprefix('transport-')
        info = json.loads(run([install.only('**/tutti-info'), '--json']))
        why = {row['name']: row['why_not'] for row in info['transports']}
        demand(name in why and 'there is no /' not in why[name], f'the installed tutti-info does not find {module}: {why}')
        if not why[name]:
            environment = dict(install.environment, TUTTI_TRANSPORTS=name)
            print(run([work / 'smoke-pkg-config'], env=environment), end='')
        module.rename(work / module.name)
        try:
            smoke = subprocess.run([work / 'smoke-pkg-config'], env=dict(install.environment, TUTTI_TRANSPORTS=name), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            demand(smoke.returncode != 0 and str(module) in smoke.stdout, f'no word of the missing {module}:\n{smoke.stdout}')
            run([work / 'smoke-pkg-config'], env=install.environment)  # nobody needs it here
        finally:
            (work / module.name).rename(module)
    return modules


def check_header(install, cc, cxx, work):
    for compiler, language, standard in [(cc, 'c', 'c99'), (cc, 'c', 'c11'), (cxx, 'c++', 'c++11'), (cxx, 'c++', 'c++20')]:
        run([*compiler, '-x', language, f'-std={standard}', *STRICT, '-Wno-pragma-once-outside-header', '-fsyntax-only',
             install.header] if 'clang' in compiler[-1] else
            [*compiler, '-x', language, f'-std={standard}', *STRICT, '-fsyntax-only', install.header], cwd=work)


def check_pkg_config(install, cc, sanitizer, work):
    pc = install.only('**/tutti.pc')
    text = pc.read_text()
    demand('Requires' not in text, f'tutti.pc asks its users for other packages:\n{text}')
    environment = dict(install.environment, PKG_CONFIG_PATH=str(pc.parent), PKG_CONFIG_SYSROOT_DIR=str(install.destination),
                       PKG_CONFIG_ALLOW_SYSTEM_LIBS='1', PKG_CONFIG_ALLOW_SYSTEM_CFLAGS='1')
    flags = run(['pkg-config', '--cflags', '--libs', 'tutti'], env=environment).split()
    demand('-ltutti' in flags, f'pkg-config does not link the library: {flags}')
    for flag in flags:
        demand(flag == '-ltutti' or flag.startswith(('-I', '-L')), f'pkg-config drags in {flag}: {flags}')
    program = work / 'smoke-pkg-config'
    run([*cc, '-std=c99', *STRICT, *sanitizer, HERE / 'smoke.c', '-o', program, *flags])
    print(run([program], env=install.environment), end='')
    return flags


def mpi_flags():
    """The flags of an MPI whose headers are here, or None. They are not held to STRICT."""
    for package in ['ompi-c', 'mpich']:
        found = subprocess.run(['pkg-config', '--cflags', '--libs', package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               check=False)
        if found.returncode == 0:
            return ['-isystem' + flag[2:] if flag.startswith('-I') else flag for flag in found.stdout.split()]
    return None


def check_examples(install, source, cc, cxx, sanitizer, flags, work):
    """Each example compiles in a copy of its folder, as its user compiles it. All but the one with MPI run."""
    folder = work / 'examples'
    shutil.copytree(source / 'examples', folder)
    files = sorted([*folder.glob('*.c'), *folder.glob('*.cc')])
    demand(len(files) > 1, f'{source / "examples"} has only {files}')
    launcher = list(install.destination.glob('**/bin/tutti-run'))
    for file in files:
        compiler = [*cc, '-std=c99'] if file.suffix == '.c' else [*cxx, '-std=c++17']
        needs_mpi = file.stem == 'mpi'
        mpi = mpi_flags() if needs_mpi else []
        if mpi is None:
            print('no MPI with headers (packages libopenmpi-dev, libmpich-dev): mpi.c is not tried')
            continue
        program = folder / file.stem
        run([*compiler, *STRICT, *sanitizer, file, '-o', program, *flags, *mpi])
        demand(f'-o {file.stem} ' in file.read_text(), f'{file.name} does not say how it is built')
        if launcher and not needs_mpi:
            run([launcher[0], '-n', '2', program], env=install.environment)
        if file.stem == 'hello':
            alone = subprocess.run([program], env=install.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            demand(alone.returncode == 1 and 'tutti-run -n 4 ./hello' in alone.stdout, f'hello without a launcher says:\n{alone.stdout}')


def check_cmake(install, cc, sanitizer, work):
    config = install.only('**/tutti-config.cmake')
    project = work / 'project'
    project.mkdir()
    (project / 'CMakeLists.txt').write_text(f'''
cmake_minimum_required(VERSION 3.16)
project(smoke C)
find_package(tutti 1 REQUIRED)
add_executable(smoke "{HERE / 'smoke.c'}")
set_target_properties(smoke PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
target_compile_options(smoke PRIVATE {' '.join(STRICT + sanitizer)})
target_link_options(smoke PRIVATE {' '.join(sanitizer)})
target_link_libraries(smoke PRIVATE Tutti::tutti)
find_package(tutti 1 REQUIRED)  # a second time must do no harm
''')
    environment = {name: value for name, value in install.environment.items() if name not in ('CFLAGS', 'LDFLAGS')}
    environment['CC'] = ' '.join(cc)
    run(['cmake', '-S', project, '-B', work / 'cmake', f'-Dtutti_DIR={config.parent}'], env=environment)
    run(['cmake', '--build', work / 'cmake'], env=environment)
    print(run([work / 'cmake' / 'smoke'], env=environment), end='')

    wrong = project / 'wrong'
    wrong.mkdir()
    (wrong / 'CMakeLists.txt').write_text('cmake_minimum_required(VERSION 3.16)\nproject(wrong C)\n'
                                          'find_package(tutti 2 QUIET)\nif(tutti_FOUND)\n'
                                          '  message(FATAL_ERROR "version 1 answers for version 2")\nendif()\n')
    run(['cmake', '-S', wrong, '-B', work / 'wrong', f'-Dtutti_DIR={config.parent}'], env=environment)


def main():
    source, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    cc, cxx, sanitize = sys.argv[3].split(), sys.argv[4].split(), sys.argv[5]
    if not shutil.which('cmake'):
        print('skipped: no cmake')
        return 77
    sanitizer = [] if sanitize == 'none' else [f'-fsanitize={sanitize}']
    with tempfile.TemporaryDirectory(prefix='tutti-install-') as name:
        work = pathlib.Path(name)
        try:
            install = Install(build, work / 'root')
            check_contents(install)
            check_programs(install, source, demand)
            check_pages(install, demand, sanitizer)
            check_symbols(install, source)
            check_header(install, cc, cxx, work)
            flags = check_pkg_config(install, cc, sanitizer, work)
            check_examples(install, source, cc, cxx, sanitizer, flags, work)
            check_hardening(install, sanitizer)
            check_thread_locals(install, sanitizer)
            check_modules(install, work)
            check_cmake(install, cc, sanitizer, work)
        except Failure as failure:
            print(failure)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
