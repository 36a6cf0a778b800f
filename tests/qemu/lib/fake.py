# SPDX-License-Identifier: LGPL-2.1-or-later
"""Monitors that misbehave. Each is a process of its own, as a QEMU would be, and answers what tocsin
asks on attaching until its script says otherwise."""

import json
import multiprocessing
import os
import socket

GREETING = {'QMP': {'version': {'qemu': {'micro': 22, 'minor': 2, 'major': 7}, 'package': 'fake'},
                    'capabilities': ['oob']}}
COMMANDS = ['qmp_capabilities', 'query-version', 'query-commands', 'query-status', 'query-name', 'query-uuid',
            'query-cpus-fast', 'set-action', 'watchdog-set-action', 'qom-get', 'system_reset', 'cont', 'stop',
            'quit', 'system_powerdown', 'inject-nmi']


def line(message):
    return json.dumps(message).encode() + b'\r\n'


def event(name, data=None, seconds=1700000000):
    message = {'timestamp': {'seconds': seconds, 'microseconds': 1}, 'event': name}
    return line(message if data is None else message | {'data': data})


class Server:
    """What a script gets: one connection of tocsin."""

    def __init__(self, connection, number, name, status='running'):
        self.connection = connection
        self.number = number  # of this connection, from 1
        self.name = name
        self.status = status
        self.received = b''
        self.commands = []

    def send(self, data):
        self.connection.sendall(data)

    def answer(self, command, arguments):
        answers = {
            'query-version': GREETING['QMP']['version'],
            'query-commands': [{'name': command} for command in COMMANDS],
            'query-status': {'status': self.status, 'running': self.status == 'running', 'singlestep': False},
            'query-name': {'name': self.name} if self.name else {},
            'query-uuid': {'UUID': '00000000-0000-0000-0000-000000000000'},
            'query-cpus-fast': [{'cpu-index': 0, 'thread-id': os.getpid(), 'target': 'x86_64',
                                 'qom-path': '/machine/unattached/device[0]'}],
        }
        return answers.get(command, {})

    def read_command(self):
        """The next command, or None when tocsin has gone."""
        while b'\n' not in self.received and not self._is_whole():
            data = self.connection.recv(65536)
            if not data:
                return None
            self.received += data
        text, _, self.received = self.received.partition(b'\n')
        return json.loads(text)

    def _is_whole(self):
        try:
            json.loads(self.received)
        except ValueError:
            return False
        return True

    def serve(self, count=None, hook=None):
        """Answers so many commands (None: until the end); hook(command) may answer itself (True)."""
        while count is None or count > 0:
            message = self.read_command()
            if message is None:
                return
            command = message.get('execute', message.get('exec-oob'))
            self.commands.append(command)
            if not (hook and hook(self, message)):
                reply = {'return': self.answer(command, message.get('arguments', {}))}
                if 'id' in message:
                    reply['id'] = message['id']
                self.send(line(reply))
            count = None if count is None else count - 1

    def attach(self):
        """The greeting, and all that tocsin asks until its query-status has its answer."""
        self.send(line(GREETING))
        while 'query-status' not in self.commands:
            before = len(self.commands)
            self.serve(1)
            if len(self.commands) == before:
                return


def _run(listener, name, script, connections):
    while True:
        connection, _ = listener.accept()
        with connections.get_lock():
            connections.value += 1
        try:
            script(Server(connection, connections.value, name))
        except (BrokenPipeError, ConnectionResetError):
            pass
        connection.close()


class Fake:
    """script(server) is run for each connection, in the fake's own process; then it is closed."""

    def __init__(self, folder, name, script, path=None):
        self.name = name
        self.path = path or folder / f'{name}.qmp'
        self.connections = multiprocessing.Value('i', 0)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(1)
        self.process = multiprocessing.get_context('fork').Process(
            target=_run, args=(listener, name, script, self.connections), daemon=True)
        self.process.start()
        listener.close()

    @property
    def pid(self):
        return self.process.pid

    def close(self):
        self.process.kill()
        self.process.join()
