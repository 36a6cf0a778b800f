# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host of tocsin's own: a guest whose kernel is the host's kernel for the tocsind inside it."""

import contextlib
import json
import pathlib
import re
import subprocess

from .linux import Linux, find_tool
from .testing import find_program
from .waiting import Late, wait_for

PROGRAMS = ('tocsind', 'tocsinctl', 'tocsin-kernel', 'tocsin-evidence')
LIBRARY = re.compile(r'(/\S+) \(0x')
UID = 990
CONFIG = '/tocsin.conf'
SOCKET = '/run/tocsin/control.sock'
USERS = f'root:x:0:0::/:/bin/sh\ntocsin:x:{UID}:{UID}::/:/bin/sh\n'
GROUPS = f'root:x:0:\ntocsin:x:{UID}:\ntocsin-monitor:x:{UID + 1}:\n'
WAIT_SECONDS = 20


def find_libraries(program):
    output = subprocess.run(['ldd', program], capture_output=True, text=True, check=True).stdout
    return LIBRARY.findall(output)


def collect_files(config):
    files = {'etc/passwd': USERS.encode(), 'etc/group': GROUPS.encode(), CONFIG[1:]: config.encode(),
             'bin/stand-in': find_tool('stand-in')}
    for name in PROGRAMS:
        path = find_program(name)
        files[f'bin/{name}'] = path.read_bytes()
        for library in find_libraries(path):
            files[library[1:]] = pathlib.Path(library).read_bytes()
    return files


class Host(Linux):
    """privileged=False: tocsind runs as the user tocsin without any capability, and its helper as
    systemd would start it."""

    def __init__(self, stage, version, modules=(), privileged=False, config='', **linux):
        super().__init__(stage.folder, 'host', version, modules, files=collect_files(
            '[daemon]\nruntime-dir = /run/tocsin\nstate-dir = /state\n' + config), **linux)
        stage.enter(contextlib.closing(self))
        self.privileged = privileged
        self.start()
        self.wait_ready()
        self.set_up()

    def set_up(self):
        self.run(f'mkdir -p /run/tocsin /state && chown {UID}:{UID} /run/tocsin /state && chmod 755 / && '
                 f'chmod 644 {CONFIG}')
        if not self.privileged:
            self.spawn(f'stand-in listen /run/tocsin/kernel.sock tocsin-kernel --config {CONFIG}', '/kernel.log')
        self.start_tocsin()

    def start_tocsin(self):
        user = '' if self.privileged else f'stand-in as {UID} '
        self.run(f'rm -f {SOCKET}')
        self.spawn(f'{user}tocsind --config {CONFIG}', '/tocsind.log')
        self.wait(lambda: self.run(f'test -S {SOCKET} && echo up || echo down') == 'up\n', 'tocsind to be up')

    def spawn(self, line, output='/dev/null'):
        """Its PID."""
        return int(self.run(f'{line} </dev/null >>{output} 2>&1 & echo $!'))

    def end_process(self, pid, signal='KILL'):
        """And waits for its end: /init loses what it has read of a line when a child ends meanwhile."""
        self.run(f'kill -{signal} {pid}; while [ -d /proc/{pid} ]; do usleep 10000; done')

    def kill_tocsin(self):
        self.end_process(int(self.run('pidof tocsind')))

    def ask(self, verb):
        return json.loads(self.run(f'tocsinctl --json {verb}'))

    def wait(self, test, what):
        try:
            return wait_for(test, what, WAIT_SECONDS)
        except Late as late:
            log = self.run('cat /tocsind.log /kernel.log 2>/dev/null; dmesg | tail -20; true')
            raise Late(f'{late}; it said: {log}') from None

    def source(self, name):
        return next(source for source in self.ask('sources') if source['name'] == name)

    def wait_source(self, name):
        return self.wait(lambda: self.source(name)['on'], f'source {name} to be on')

    def wait_machine(self, name, test=lambda machine: True):
        def find():
            found = [machine for machine in self.ask('machines')
                     if machine['name'] == name and test(machine)]
            return found[0] if found else None
        return self.wait(find, f'machine {name}')

    def wait_incident(self, machine, kind):
        def find():
            found = [incident for incident in self.ask(f'incidents --machine {machine}')
                     if incident['kind'] == kind]
            return found[0] if found else None
        return self.wait(find, f'{kind} of {machine}')
