# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests and their stage. A test is a function marked @test; it gets a Stage, which makes guests and
daemons in a folder of their own, and ends them all when the test is over."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import traceback

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get('TOCSIN_BUILD', SOURCE / 'build'))
LOG_LINES_SHOWN = 40

_tests = []


class Skip(Exception):
    """The test can't run here; the text names what is missing."""


def test(func):
    add_test(func.__name__.replace('_', ' '), func)
    return func


def add_test(name, func):
    _tests.append((name, func))


def find_program(name):
    """A program of the build."""
    for path in [BUILD / 'daemon' / name, *sorted((BUILD / 'daemon').glob(f'*/{name}'))]:
        if path.is_file():
            return path
    raise Skip(f'{name} in {BUILD}')


class Stage:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-'))
        self.closing = contextlib.ExitStack()
        self.closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.daemons = []

    def guest(self, name, image, *arguments, **keywords):
        from .qemu import Guest
        guest = Guest(self.folder, name, image, arguments, **keywords)
        self.closing.callback(guest.close)
        return guest

    def tocsin(self, config='', daemon='', **keywords):
        from .daemon import Tocsin
        tocsin = Tocsin(self.folder, config, daemon, **keywords)
        self.daemons.append(tocsin)
        self.closing.callback(tocsin.close)
        return tocsin

    def enter(self, context):
        return self.closing.enter_context(context)

    def logs(self):
        for tocsin in self.daemons:
            yield from tocsin.log().splitlines()[-LOG_LINES_SHOWN:]


def run_test(name, func):
    stage = Stage()
    try:
        with stage.closing:
            try:
                func(stage)
                # Ended within the test: a daemon that leaks, crashes or hangs at its end fails it.
                for tocsin in stage.daemons:
                    tocsin.stop()
            except Skip:
                raise
            except BaseException:
                for line in stage.logs():
                    print(f'    tocsind: {line}')
                raise
    except Skip as skip:
        print(f'skip {name}: {skip}', flush=True)
        return True
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        print(f'not ok {name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ""}', flush=True)
        return False
    print(f'ok {name}', flush=True)
    return True


def main():
    words = sys.argv[1:]
    suite = pathlib.Path(sys.argv[0]).stem.removeprefix('test-')
    results = [run_test(f'{suite}: {name}', func)
               for name, func in _tests
               if not words or any(word in name for word in words)]
    sys.exit(0 if all(results) else 1)
