# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that panic on demand, without a QEMU, and the plugins of these tests."""

import json
import os
import pathlib
import select
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'qemu'))

from lib import fake  # noqa: E402
from lib.testing import BUILD, SOURCE, Skip  # noqa: E402

INFO = {'type': 'hyper-v', 'arg1': 0x9f, 'arg2': 3, 'arg3': 0, 'arg4': 0, 'arg5': 0}
BAD = HERE / 'bad.py'


class Panicking:
    """A guest; panic() makes it panic. It is reset and goes on as a QEMU would."""

    def __init__(self, stage, name):
        self.trigger_out, self.trigger_in = os.pipe()
        self.fake = fake.Fake(stage.folder, name, self.script)
        self.path = self.fake.path
        stage.closing.callback(self.close)

    def script(self, server):
        server.attach()
        while True:
            ready, _, _ = select.select([server.connection, self.trigger_out], [], [])
            if self.trigger_out in ready:
                os.read(self.trigger_out, 1)
                server.status = 'guest-panicked'
                server.send(fake.event('GUEST_PANICKED', {'action': 'pause', 'info': INFO}))
                server.send(fake.event('STOP'))
            elif server.connection in ready:
                before = len(server.commands)
                server.serve(1, self.hook)
                if len(server.commands) == before:
                    return

    @staticmethod
    def hook(server, message):
        reply = fake.line({'return': {}, 'id': message.get('id')})
        if message.get('execute') == 'system_reset':
            server.status = 'prelaunch'
            server.send(reply + fake.event('RESET', {'guest': False, 'reason': 'host-qmp-system-reset'}))
            return True
        if message.get('execute') == 'cont':
            server.status = 'running'
            server.send(reply + fake.event('RESUME'))
            return True
        return False

    def panic(self):
        os.write(self.trigger_in, b'p')

    def close(self):
        self.fake.close()
        os.close(self.trigger_in)
        os.close(self.trigger_out)


def build_module(folder, name, source):
    """A plugin in C, built against the headers of this tree."""
    path = pathlib.Path(folder, f'{name}.c')
    path.write_text(source)
    target = pathlib.Path(folder, f'{name}.so')
    subprocess.run(['cc', '-std=c99', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', '-shared', '-fPIC',
                    f'-I{SOURCE}/plugins/sdk/include', f'-I{BUILD}/plugins/sdk/include', '-o', target, path], check=True)
    return target


def find_host():
    path = BUILD / 'plugins' / 'sdk' / 'host' / 'tocsin-plugin'
    if not path.is_file():
        raise Skip(f'tocsin-plugin in {BUILD}')
    return path


def is_sanitized():
    return os.environ.get('TOCSIN_SLOW', '1') != '1'


# The sanitizers map terabytes.
MEMORY = '64T' if is_sanitized() else '256M'


def config(guests, plugins, chain=None, keys=''):
    """plugins: {name: (module= or program=, {option: value}, more keys)}"""
    text = f'[guest *]\nmode = enforce\npanic = pause\nplugins = {" ".join(chain or plugins)}\n{keys}\n'
    for name, guest in guests.items():
        text += f'[guest {name}]\nqmp = {guest.path}\n'
    for name, (file, options, more) in plugins.items():
        kind = 'module' if str(file).endswith('.so') else 'program'
        text += f'[plugin {name}]\n{kind} = {file}\nmemory = {MEMORY}\n{more}\n'
        text += f'[plugin {name} options]\n' + ''.join(f'{key} = {value}\n' for key, value in options.items())
    return text


TIME = {'seconds': 1, 'microseconds': 2}


def question(number, kind='panic', machine='vm', info=None, history=(), **incident):
    """A PluginQuestion. history: (action, how many seconds ago)"""
    ability = {'panic': 'panic', 'watchdog': 'watchdog', 'memory-failure': 'memory-failure'}[kind]
    incident = {'id': number, 'machine': machine, 'run': 'r', 'kind': kind, 'status': 'open', 'time': TIME,
                'opened': TIME, 'opened-boot': 5, 'boot-id': 'x', 'steps': []} | incident
    if info:
        incident['info'] = info
    return {'number': number, 'ability': ability, 'incident': incident,
            'decision': {'action': 'pause', 'by': 'x', 'reason': 'y', 'trail': []},
            'history': [{'incident': 1, 'kind': kind, 'action': action, 'ago': int(ago * 1000000)}
                        for action, ago in history]}


class Host:
    """A plugin in its tocsin-plugin, without tocsind."""

    def __init__(self, stage, file, options=None, arguments=()):
        kind = 'module' if str(file).endswith('.so') else 'program'
        memory = [] if is_sanitized() else ['--memory=256M']
        self.process = subprocess.Popen([find_host(), *memory, *arguments, f'--{kind}={file}'], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stage.closing.callback(self.close)
        self.ready = self.send({'protocol': 1, 'name': 'x', 'options': options or {}})

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f'no answer: {self.process.stderr.read()}')
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        text = self.process.stderr.read()
        return self.process.wait(), text

    def close(self):
        self.process.kill()
        self.process.wait()
