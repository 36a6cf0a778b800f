#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What prose can't hold: which folder includes which, purity, licenses, format, sizes, words.

    lint.py LIBPOLICY [WORD...]

Each check is a function marked @check that returns what is wrong, a line each. Only files known to
git are looked at; without git, all files of the tree.
"""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]

FILE_LINES_MAX = 1000
# A longer file says in its first comment why it is in one file.
FILE_LINES_REASON = 600
FUNCTION_LINES_MAX = 80
PARAMETERS_MAX = 7

GENERATED = ('qapi-', 'tocsin-version.h')
# Folder: what it may include; the first match of a path counts.
LAYERS = {
    'policy/util/': ('policy/util/',),
    'policy/qapi/': ('policy/qapi/', 'policy/util/', *GENERATED),
    'policy/': ('policy/', *GENERATED),
    'plugins/sdk/': ('plugins/sdk/', 'policy/qapi/', 'policy/util/', *GENERATED),
    'plugins/': (),
    'daemon/ctl/': ('daemon/ctl/', 'policy/', *GENERATED),
    'daemon/': ('daemon/', 'policy/', 'plugins/sdk/', *GENERATED),
    'tests/': ('tests/', 'daemon/', 'policy/', 'plugins/', *GENERATED),
}
# policy/ has no descriptor, no clock and no log.
IMPURE_HEADERS = {'fcntl.h', 'poll.h', 'pthread.h', 'signal.h', 'sqlite3.h', 'sys/epoll.h', 'sys/socket.h',
                  'sys/stat.h', 'sys/time.h', 'syslog.h', 'systemd/sd-event.h', 'systemd/sd-journal.h',
                  'time.h', 'unistd.h'}
IMPURE_SYMBOLS = {'accept4', 'clock', 'clock_gettime', 'close', 'connect', 'fopen', 'getenv', 'gettimeofday',
                  'nanosleep', 'open', 'openat', 'perror', 'poll', 'printf', '__printf_chk', 'putchar', 'puts',
                  'read', 'recv', 'secure_getenv', 'send', 'socket', 'stderr', 'stdout', 'syslog', 'time',
                  'vprintf', '__vprintf_chk', 'vsyslog', 'write'}

NO_SPDX = re.compile(r'^(LICENSES/|NEWS$|README\.md$|\.clang-format$|\.clang-tidy$|\.editorconfig$|\.gitignore$'
                     r'|tests/fuzz/corpus/|tests/.*/recordings?/|packaging/debian/(changelog|copyright|compat'
                     r'|source/|.*\.(install|manpages|docs|dirs|links|triggers))|docs/.*\.md$|.*\.(db|bin)$)')
# In pieces, so that this file does not hold them.
WORDS = re.compile('|'.join([r'\bTO' r'DO\b', r'\bFIX' r'ME\b', r'\bX' r'XX\b', r'#\s*if(def)?\s+TEST\b',
                             '/wor' r'k/\w', '/ro' 'ot/', '/tmp/pl' 'an']))

_checks = []


def check(func):
    _checks.append(func)
    return func


class Skip(Exception):
    pass


@functools.cache
def files():
    try:
        out = subprocess.run(['git', '-C', SOURCE, 'ls-files', '-z'], capture_output=True, check=True).stdout
        names = out.decode().split('\0')[:-1]
    except (OSError, subprocess.CalledProcessError):
        names = [os.path.relpath(os.path.join(folder, name), SOURCE)
                 for folder, _, here in os.walk(SOURCE) for name in here
                 if not os.path.relpath(folder, SOURCE).startswith(('build', '.git'))]
    return [name for name in sorted(names) if (SOURCE / name).is_file()]


@functools.cache
def text(name):
    return (SOURCE / name).read_text(errors='replace')


def c_files(*folders):
    return [name for name in files() if name.endswith(('.c', '.h')) and name.startswith(folders or ('',))]


def includes(name):
    for number, line in enumerate(text(name).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if match:
            yield number, match[1] == '"', match[2]


@check
def layers():
    for name in c_files(*LAYERS):
        folder = next(folder for folder in LAYERS if name.startswith(folder))
        for number, own, path in includes(name):
            if own and not path.startswith(LAYERS[folder]):
                yield f'{name}:{number}: {folder} may not include "{path}"'
            if own and folder == 'daemon/' and path.startswith('daemon/ctl/'):
                yield f'{name}:{number}: daemon/ctl is a program of its own'
            if not own and folder.startswith('policy/') and path in IMPURE_HEADERS:
                yield f'{name}:{number}: policy/ is pure and may not include <{path}>'


@check
def policy_is_pure():
    if not shutil.which('nm'):
        raise Skip('nm (binutils)')
    out = subprocess.run(['nm', '--undefined-only', '--print-file-name', sys.argv[1]],
                         capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        symbol = line.split()[-1].split('@')[0] if line.split() else ''
        if symbol in IMPURE_SYMBOLS or symbol.startswith(('sd_', 'sqlite3_', 'epoll_', 'pthread_')):
            yield f'{line.split(":")[1]}: policy/ is pure and may not use {symbol}()'


@check
def licenses():
    for name in files():
        if NO_SPDX.match(name):
            continue
        mit = name.startswith('plugins/sdk/') and name.endswith(('.c', '.h')) or name.startswith('tests/abi/')
        wanted = 'MIT' if mit else 'LGPL-2.1-or-later'
        head = '\n'.join(text(name).splitlines()[:5])
        if f'SPDX-License-Identifier: {wanted}' not in head:
            yield f'{name}: no line "SPDX-License-Identifier: {wanted}" at its head'


@check
def formatting():
    if not shutil.which('clang-format-14'):
        raise Skip('clang-format-14')
    out = subprocess.run(['clang-format-14', '--dry-run', *c_files()], cwd=SOURCE, capture_output=True,
                         text=True, check=False).stderr
    for name in sorted(set(re.findall(r'^([^:\n]+):\d+:\d+: warning: code should be', out, re.MULTILINE))):
        yield f'{name}: not as clang-format has it; run make format'


@check
def words():
    for name in files():
        if name.startswith(('LICENSES/', 'tests/fuzz/corpus/')):
            continue
        for number, line in enumerate(text(name).splitlines(), 1):
            match = WORDS.search(line)
            if match:
                yield f'{name}:{number}: "{match[0]}" does not belong here'


@check
def listed_in_meson():
    for name in files():
        if not name.endswith('.c') or not name.startswith(('policy/', 'daemon/', 'plugins/', 'tests/')):
            continue
        path = pathlib.PurePath(name)
        if not any(f"'{path.relative_to(folder)}'" in text(f'{folder}/meson.build')
                   for folder in path.parents if f'{folder}/meson.build' in files()):
            yield f'{name}: in no meson.build'


@check
def dependencies_have_packages():
    """A bare machine gets what packaging/build-depends names, and nothing else."""
    known = {line.split()[2] for line in text('packaging/build-depends').splitlines()
             if not line.startswith('#') and len(line.split()) > 2}
    for name in files():
        if name.endswith('meson.build'):
            for needed in re.findall(r"\bdependency\('([^']+)'(?![^)]*required: false)", text(name)):
                if needed not in known | {'threads'}:
                    yield f'{name}: packaging/build-depends has no package for {needed}'


@check
def file_lengths():
    for name in files():
        if not name.endswith(('.c', '.h', '.py')) and not text(name).startswith('#!'):
            continue
        lines = len(text(name).splitlines())
        if lines > FILE_LINES_MAX:
            yield f'{name}: {lines} lines; {FILE_LINES_MAX} are the most'
        elif lines > FILE_LINES_REASON and 'in one file' not in '\n'.join(text(name).splitlines()[:30]):
            yield f'{name}: {lines} lines; its first comment should say why this is "in one file"'


def functions(name):
    """(line number, head, lines) of each function; the format puts `{` last and `}` first."""
    head, start = [], 0
    for number, line in enumerate(text(name).splitlines(), 1):
        if line.startswith('}'):
            if start and head:
                yield start, ' '.join(head), number - start - 1
            head, start = [], 0
        elif start:
            continue
        elif re.match(r'[A-Za-z_]', line) or (head and line.startswith(' ')):
            head = [line] if re.match(r'[A-Za-z_]', line) and not (head and head[-1].endswith(',')) else head + [line]
            if line.endswith('{'):
                joined = ' '.join(head)
                start = number if '(' in joined and '=' not in joined else 0
                head = head if start else []
            elif line.endswith(';'):
                head = []


@check
def function_sizes():
    for name in c_files('policy/', 'plugins/', 'daemon/', 'tests/'):
        for number, head, lines in functions(name):
            if lines > FUNCTION_LINES_MAX:
                yield f'{name}:{number}: a function of {lines} lines; {FUNCTION_LINES_MAX} are the most'
            parameters = head.count(',') + 1
            if parameters > PARAMETERS_MAX and '(*' not in head:
                yield f'{name}:{number}: {parameters} parameters; {PARAMETERS_MAX} are the most'


@check
def no_conditional_code():
    """Optional features are files that meson picks, never #if inside a function."""
    for name in c_files('policy/', 'plugins/', 'daemon/'):
        lines = text(name).splitlines()
        for start, _, count in functions(name):
            for number in range(start, start + count):
                if re.match(r'\s*#\s*if', lines[number]):
                    yield f'{name}:{number + 1}: #if inside a function'


def main():
    good = True
    for func in _checks:
        name = func.__name__.replace('_', ' ')
        if sys.argv[2:] and not any(word in name for word in sys.argv[2:]):
            continue
        try:
            problems = list(func())
        except Skip as skip:
            print(f'skip lint: {name}: {skip}')
            continue
        for problem in problems:
            print(f'    {problem}')
        print(f'{"not ok" if problems else "ok"} lint: {name}' + (f': {len(problems)} places' if problems else ''))
        good = good and not problems
    sys.exit(0 if good else 1)


if __name__ == '__main__':
    main()
