# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small QMP client. It keeps every event it has read, in order, and a mark behind those that a
test has looked at."""

import json
import os
import select
import socket

from .waiting import SECONDS, Deadline, Late

RECEIVE_BYTES = 1 << 16


def connect(client, path):
    """A path of any length, where an address holds 107 characters: its folder by a descriptor."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        client.connect(f'/proc/self/fd/{folder}/{os.path.basename(path)}')
    finally:
        os.close(folder)


class QmpError(Exception):
    def __init__(self, error):
        super().__init__(f'{error["class"]}: {error["desc"]}')
        self.kind = error['class']
        self.text = error['desc']


class Closed(Exception):
    """The server has ended the connection."""


class Qmp:
    def __init__(self, path, negotiate=True, seconds=SECONDS):
        self.path = str(path)
        self.events = []
        self.mark = 0
        self.received = b''
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            connect(self.socket, self.path)
            self.greeting = self.read_message(seconds)
            if negotiate:
                self.execute('qmp_capabilities', seconds=seconds)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed(f'{self.path}: connection closed') from None

    def read_line(self, seconds=SECONDS):
        """The next line with its CRLF, as bytes."""
        deadline = Deadline(seconds)
        while b'\n' not in self.received:
            if not select.select([self.socket], [], [], deadline.left())[0]:
                raise Late(f'{self.path}: no message within {seconds} s')
            try:
                data = self.socket.recv(RECEIVE_BYTES)
            except ConnectionResetError:
                data = b''
            if not data:
                raise Closed(f'{self.path}: connection closed')
            self.received += data
        line, _, self.received = self.received.partition(b'\n')
        return line + b'\n'

    def read_message(self, seconds=SECONDS):
        message = json.loads(self.read_line(seconds))
        if 'event' in message:
            self.events.append(message)
        return message

    def execute(self, command, arguments=None, seconds=SECONDS):
        """Returns the command's answer, or raises QmpError."""
        message = {'execute': command}
        if arguments is not None:
            message['arguments'] = arguments
        self.send_raw(json.dumps(message).encode())
        while True:
            reply = self.read_message(seconds)
            if 'error' in reply:
                raise QmpError(reply['error'])
            if 'return' in reply:
                return reply['return']

    def wait_event(self, name, seconds=SECONDS, **data):
        """The next event of that name behind the mark whose data has these members (_ for -); the
        mark moves behind it."""
        wanted = {key.replace('_', '-'): value for key, value in data.items()}
        deadline = Deadline(seconds)
        while True:
            while self.mark < len(self.events):
                event = self.events[self.mark]
                self.mark += 1
                if event['event'] == name and wanted.items() <= event.get('data', {}).items():
                    return event
            try:
                self.read_message(deadline.left())
            except Late:
                seen = ', '.join(e['event'] for e in self.events) or 'none'
                raise Late(f'{self.path}: no {name} {wanted or ""} within {seconds} s; '
                           f'events seen: {seen}') from None

    def listen(self, seconds):
        """Reads what comes within that time, or until the server closes; returns all events so far."""
        deadline = Deadline(seconds)
        try:
            while not deadline.is_over():
                self.read_message(deadline.left())
        except (Late, Closed):
            pass
        return self.events
