#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asks the installed QEMU and a QMP server of ours the same bytes, and compares the answers.

    qmp-differential.py --session PROGRAM   the session by itself, on stdin and stdout
    qmp-differential.py --socket PATH       the endpoint of a machine
    qmp-differential.py --socket PATH --against PATH
                                            the same, compared with a monitor of that machine's QEMU
    options: --qemu PROGRAM, --only GROUP, --verbose

The cases are systematic: every byte in every state of the lexer, every short sequence of tokens,
boundaries of Unicode and of numbers, members and arguments of every type; and mutations of good
commands with a fixed seed. Messages are compared byte for byte, but for the order of members, which
is that of a hash table in QEMU. What differs on purpose is in intended(), each with its reason.

Exit status 0: no difference, 1: differences, 77: there is no QEMU.
"""

import argparse
import itertools
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SECONDS = 20
DEPTH = 1024  # braces and brackets a message may have open
NEGOTIATE = b'{"execute": "qmp_capabilities", "id": "negotiated"}'
# FF ends whatever a case has left open.
SYNC = b'\xff{"execute": "query-status", "id": "the end"}'
STATUS = b'{"execute": "query-status"}'

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+|\s+')


class Peer:
    """One of the two; connect() gives a socket to a fresh session."""

    def __init__(self, name, connect):
        self.name, self.connect = name, connect
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def open(self, negotiate):
        """Returns the greeting."""
        self.close()
        self.connection, self.rest = self.connect(), b''
        self.connection.settimeout(SECONDS)
        greeting = self.read_until(b'')[0]
        if negotiate:
            self.connection.sendall(NEGOTIATE)
            self.read_until(b'"negotiated"')
        return greeting

    def read_until(self, mark):
        """Lines up to one with the mark, but events; the connection is gone after an unfinished one."""
        lines = []
        while True:
            while b'\n' in self.rest:
                line, self.rest = self.rest.split(b'\n', 1)
                if not line.startswith(b'{"timestamp"'):
                    lines.append(line)
                if mark in line:
                    return lines
            data = self.connection.recv(1 << 16)
            if not data:
                return lines + [b'EOF ' + self.rest]
            self.rest += data


def parse(tokens):
    """The raw tokens of a value without space, members sorted by name."""
    token = next(tokens)
    if token == b'{':
        members = []
        while (key := next(tokens)) != b'}':
            if key != b',':
                next(tokens)
                members.append(key + b':' + parse(tokens))
        return b'{' + b','.join(sorted(members)) + b'}'
    if token == b'[':
        items = []
        while (item := next(tokens)) != b']':
            if item != b',':
                items.append(parse(itertools.chain([item], tokens)))
        return b'[' + b','.join(items) + b']'
    return token


def normal(line):
    """The line without the order of its members; its spacing has to be QEMU's."""
    tokens = TOKEN.findall(line.removesuffix(b'\r'))
    bare = [token for token in tokens if not token.isspace()]
    spaced = b''.join(token + b' ' if token in (b':', b',') else token for token in bare)
    try:
        return parse(iter(bare)), spaced + b'\r' == line
    except StopIteration:
        return line


UNEXPECTED = re.compile(rb'''(QMP input member|Parameter) '(.*)' is unexpected''')


def intended(data, theirs, ours):
    """Why these two lines may differ, or None."""
    if b'"oob"' in data and (b'Capability oob not available' in ours or b'Expecting capabilities negotiation' in ours):
        return 'we do not offer oob'
    if b'The command query-stats has not been found' in ours:
        return 'a mutation of query-status is a command of QEMU only'
    their, our = UNEXPECTED.search(theirs), UNEXPECTED.search(ours)
    if our and (b"' must be a" in theirs or their and their[1] == our[1]):
        return "of several wrong members QEMU's hash table picks one, we take the first"
    if their and b"' must be a" in ours:
        return "of several wrong members QEMU's hash table picks one, we take the first"
    return None


# The cases: (group, bytes)

def lexer_bytes():
    """Every byte in every state of the lexer."""
    for before in (b'', b'[', b'"a', b"'a", b'"\\', b"'\\", b'-', b'0', b'-0', b'12', b'1.', b'1.5', b'1e', b'1E+', b'1e5',
                   b'tru', b'true', b'@', b'@ a', b'{"a"', b'{"a":1', b'[1', b'[bogus,'):
        for byte in range(256):
            yield before + bytes([byte]) + b'1"}] '


def token_sequences():
    tokens = (b'{', b'}', b'[', b']', b':', b',', b'"a"', b'"b"', b'1', b'null', b'bogus')
    for length in (1, 2, 3):
        for sequence in itertools.product(tokens, repeat=length):
            yield b' '.join(sequence) + b' '
    for sequence in itertools.product(tokens, repeat=2):
        yield b'{"a":1,' + b' '.join(sequence) + b'}'
        yield b'[1,' + b' '.join(sequence) + b']'
        yield b'{"a":' + b' '.join(sequence) + b'}]}'


def unicode_escapes():
    edges = [0, 1, 0x1f, 0x20, 0x22, 0x2f, 0x5c, 0x7e, 0x7f, 0x80, 0x9f, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff,
             0xe000, 0xfdcf, 0xfdd0, 0xfdef, 0xfdf0, 0xfffc, 0xfffd, 0xfffe, 0xffff]
    for code in edges:
        yield b'{"id": "%s"}' % (b'\\u%04x' % code)
        yield b'{"id": "x%sy"}' % (b'\\u%04X' % code)
    for first, second in itertools.product((0xd7ff, 0xd800, 0xd801, 0xd83f, 0xd83d, 0xdbff, 0xdc00), edges):
        yield b'{"id": "\\u%04x\\u%04x"}' % (first, second)
    for plane in range(1, 17):
        for code in (plane << 16, plane << 16 | 0xfffd, plane << 16 | 0xfffe, plane << 16 | 0xffff):
            code -= 0x10000
            yield b'{"id": "\\u%04x\\u%04x"}' % (0xd800 | code >> 10, 0xdc00 | code & 0x3ff)
    for digits in (b'', b'1', b'12', b'123', b'123g', b'g123', b'12 4', b'+123', b'0x12', b'\xc3\xa9\xe2\x82\xac', b'12\\"',
                   b'\\\\', b'\\"', b'1\\u1234', b'd800', b'd800\\', b'd800\\u', b'd800\\udc', b'd800\\n', b'd800x'):
        yield b'{"id": "\\u%s"}' % digits
        yield b'{"id": "\\u%s' % digits


def utf8():
    """Sequences that are valid, cut short, too long, overlong or out of range: in strings, where they
    are refused, and in a stray string, where they are repeated."""
    sequences = [bytes([lead]) + tail for lead in (*range(0x80, 0x84), *range(0xbe, 0x100))
                 for tail in (b'', b'\x80', b'\xbf', b'\x80\x80', b'\xbf\xbf', b'\x80\x80\x80', b'\xbf\xbf\xbf', b'\x90\x80\x80')]
    sequences += [bytes([lead]) + bytes([middle]) * n + b'A' for lead in (0xc0, 0xe0, 0xed, 0xf0, 0xf4, 0xf8, 0xfc, 0xfd)
                  for middle in (0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf) for n in range(1, 7)]
    sequences += [chr(code).encode() for code in (0x80, 0x7ff, 0x800, 0xfdd0, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1fffe,
                                                  0x1ffff, 0x10fffd, 0x10ffff)]
    for sequence in sequences:
        yield b'{"id": "%s"}' % sequence
        yield b'"%s\x01' % sequence
    for sequence in sequences[::7]:
        yield b'{"execute": "%s"}' % sequence
        yield b'{"%s": 1}' % sequence


def numbers():
    for sign, integer, fraction, exponent in itertools.product(
            (b'', b'-', b'+'), (b'', b'0', b'00', b'7', b'10', b'18446744073709551615'), (b'', b'.', b'.0', b'.25'),
            (b'', b'e', b'e0', b'E5', b'e+3', b'e-7', b'e400')):
        if sign + integer + fraction + exponent:
            yield b'{"id": %s}' % (sign + integer + fraction + exponent)
    for base in (1 << 31, 1 << 32, 1 << 53, 1 << 63, 1 << 64, 10 ** 30):
        for value in range(base - 2, base + 3):
            yield b'{"id": [%d, %d, %d.0]}' % (value, -value, value)
    for text in ('0.1', '1e22', '1e23', '123456789.125', '5e-324', '2e-324', '1.7976931348623157e308', '1.8e308', '1' * 400,
                 '0.' + '3' * 400, '4.35', '2.675', '9007199254740993.0', '1e-5', '0.0001', '1e16', '1e17', '123456789012345678'):
        yield f'{{"id": {text}}}'.encode()


VALUES = (b'null', b'true', b'1', b'-1.5', b'""', b'"x"', b'[]', b'[null]', b'{}', b'{"x": 1}')


def shapes():
    for member in (b'execute', b'arguments', b'id', b'exec-oob', b'x', b'', b'Execute', b'\\u0000'):
        for value in VALUES:
            yield b'{"%s": %s}' % (member, value)
            yield b'{"%s": %s, "execute": "query-status"}' % (member, value)
            yield b'{"execute": "no-such-command", "%s": %s, "id": 7}' % (member, value)
            yield b'{"arguments": 1, "%s": %s}' % (member, value)
    for value in VALUES:
        yield value + b' '
        yield value + STATUS
    for name in (b'', b'query-status ', b'Query-Status', b'query_status', b'%s%n', b'a\\u0000b', b'\\u00e9', b'\\"', b'x' * 300000):
        yield b'{"execute": "%s", "id": "%s"}' % (name, name)


def arguments():
    for command, members in ((b'query-status', (b'x',)), (b'watchdog-set-action', (b'action', b'x')),
                             (b'set-action', (b'watchdog', b'panic', b'reboot', b'shutdown', b'x')),
                             (b'qmp_capabilities', (b'enable', b'x'))):
        yield b'{"execute": "%s"}' % command
        values = VALUES + (b'"none"', b'"pause"', b'"reset"', b'"Reset"', b'"inject-nmi"', b'"exit-failure"', b'"\\u0000"',
                           b'["oob"]', b'["bogus"]', b'["oob", 1]', b'[[]]', b'"\\u00e9\\""')
        for value in values:
            yield b'{"execute": "%s", "arguments": %s}' % (command, value)
            for member in members:
                yield b'{"execute": "%s", "arguments": {"%s": %s}}' % (command, member, value)
        for pair in itertools.permutations(members, 2):
            for pair_values in itertools.product((b'1', b'"none"', b'"bogus"', b'"pause"', b'[]'), repeat=2):
                yield b'{"execute": "%s", "arguments": {"%s": %s, "%s": %s}}' % (
                    command, pair[0], pair_values[0], pair[1], pair_values[1])


def depth():
    for n in (10, DEPTH // 2 - 1, DEPTH // 2, DEPTH // 2 + 1, DEPTH - 1, DEPTH, DEPTH + 1, DEPTH + 2, 2 * DEPTH + 2):
        yield b'[' * n + b'1' + b']' * n
        yield b'{"id":' * n + b'1' + b'}' * n
        yield b'{"id":[' * n + b']}' * n
        yield b'[' * n + b'1,{}' + b']' * 3
        yield b'[bogus,' + b'[' * n + b']' * n
        yield b'[}[' * (n // 4)
    for n in (10, 500, 1020):
        yield b'{"execute": "query-status", "id": ' + b'[' * n + b']' * n + b'}'
        yield b'{"execute": "query-status", "id": ' + b'{"a": ' * n + b'1' + b'}' * (n + 1)


def streams():
    pieces = (STATUS, b'{}', b'1', b'true', b'"a"', b'@', b'\xff', b'bogus ', b'{"a" 1}', b'\n', b'[}', b'"\x01', b'"')
    for sequence in itertools.product(pieces, repeat=3):
        yield b''.join(sequence)


def mutations():
    rand = random.Random(0x746f6373696e)
    good = (b'{"execute": "set-action", "arguments": {"panic": "pause", "watchdog": "none"}, "id": {"a": [1, "\\u00e9"]}}',
            b"{'execute': 'query-status', 'id': [1.5e3, -0.0, true, null, '\\ud83d\\ude00', {'b': 'it\\'s'}]}",
            b'{"execute":"watchdog-set-action","arguments":{"action":"reset"},"id":18446744073709551615}\r\n' + STATUS)
    alphabet = b'{}[]:,"\'\\ \n\t\x00\x01\x1b\x7f\x80\xc3\xff-+.019eEatu@'
    for _ in range(2000):
        data = bytearray(rand.choice(good))
        for _ in range(rand.randint(1, 4)):
            at = rand.randrange(len(data))
            kind = rand.randrange(4)
            if kind == 0:
                data[at] = rand.choice(alphabet)
            elif kind == 1:
                data.insert(at, rand.choice(alphabet))
            elif kind == 2:
                del data[at]
            else:
                data[at:at] = data[rand.randrange(len(data)):][:rand.randint(1, 20)]
            if not data:
                break
        yield bytes(data)


def not_negotiated():
    capabilities = b'{"execute": "qmp_capabilities"%s}'
    for first in (STATUS, b'{"execute": "no-such-command"}', b'{"execute": "no-such-command", "arguments": 1}', b'{}', b'[]', b'1 ',
                  b'{"execute": 1}', b'{"exec-oob": "qmp_capabilities"}', b'{"execute": "query-status", "x": 1}', b'@', b'\xff',
                  b'bogus ', capabilities % b'', capabilities % b', "arguments": null', capabilities % b', "x": 1',
                  *(capabilities % b', "arguments": {%s}' % enable for enable in (
                      b'', b'"enable": []', b'"enable": ["oob"]', b'"enable": ["oob", "oob"]', b'"enable": ["bogus"]',
                      b'"enable": ["oob", "bogus"]', b'"enable": [1]', b'"enable": ["oob", 1]', b'"enable": [null]',
                      b'"enable": "oob"', b'"enable": null', b'"enable": {}', b'"x": 1', b'"enable": [], "x": 1',
                      b'"enable": 1, "x": 1', b'"enable": ["bogus"], "x": 1'))):
        yield first
        if b'["oob' not in first:
            yield first + STATUS + capabilities % b', "id": 1' + STATUS + capabilities % b', "id": 2'


GROUPS = {function.__name__.replace('_', '-'): function for function in (
    not_negotiated, shapes, arguments, streams, token_sequences, lexer_bytes, numbers, unicode_escapes, utf8, depth, mutations)}


def ask(peer, data, negotiate):
    try:
        if not peer.connection or not negotiate:
            peer.open(negotiate)
        peer.connection.sendall(data + SYNC)
        lines = peer.read_until(b'"the end"')
    except OSError as error:
        lines = [repr(error).encode()]
    if not lines[-1].endswith(b'\r') or not negotiate:
        peer.close()
    return lines


class Comparison:
    def __init__(self, qemu, ours, verbose):
        self.qemu, self.ours, self.verbose = qemu, ours, verbose
        self.n_compared = self.n_different = 0
        self.reasons = {}

    def explain(self, data, theirs, ours):
        """Reasons why the two answers may differ; None: they must not."""
        if len(theirs) != len(ours):
            return None
        reasons = set()
        for their, our in zip(theirs, ours):
            if their != our and normal(their) != normal(our):
                reasons.add(intended(data, their, our))
        return None if None in reasons else reasons

    def compare(self, data, negotiate):
        theirs, ours = ask(self.qemu, data, negotiate), ask(self.ours, data, negotiate)
        reasons = self.explain(data, theirs, ours)
        self.n_compared += 1
        for reason in reasons or ():
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if reasons is not None:
            return
        self.n_different += 1
        if self.verbose or self.n_different <= 20:
            print('sent  ', repr(data[:300]))
            for name, lines in (('qemu', theirs), ('ours', ours)):
                print(f'{name}  ', *(repr(line[:300]) for line in lines[:6]), sep='\n        ')
            print(f'        ({len(theirs)} and {len(ours)} lines)')


def connector(path):
    def connect():
        connection = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                connection.connect(path)
                return connection
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
    return connect


def starter(program):
    def connect():
        here, there = socket.socketpair()
        with there:
            # ends with its input
            subprocess.Popen([program], stdin=there, stdout=there)
        return here
    return connect


def run(args, qemu):
    """Returns the exit status."""
    ours = starter(args.session) if args.session else connector(args.socket)
    comparison = Comparison(Peer('qemu', qemu), Peer('ours', ours), args.verbose)
    for name, group in GROUPS.items():
        if args.only in (None, name):
            before = comparison.n_compared
            for data in group():
                comparison.compare(data, name != 'not-negotiated')
            print(f'{name}: {comparison.n_compared - before} compared')
    comparison.qemu.close()
    comparison.ours.close()
    for reason, n in comparison.reasons.items():
        print(f'{n} differ on purpose: {reason}')
    print(f'{comparison.n_compared} compared, {comparison.n_different} differ')
    return 1 if comparison.n_different else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--session')
    parser.add_argument('--socket')
    parser.add_argument('--against')
    parser.add_argument('--qemu', default='qemu-system-x86_64')
    parser.add_argument('--only', choices=GROUPS)
    parser.add_argument('--verbose', action='store_true')
    args = parser.parse_args()
    if bool(args.session) == bool(args.socket):
        parser.error('one of --session and --socket')
    sys.setrecursionlimit(5 * DEPTH)
    if args.against:
        return run(args, connector(args.against))
    if not shutil.which(args.qemu):
        print('no', args.qemu)
        return 77

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'qmp')
        qemu = subprocess.Popen([args.qemu, '-M', 'none', '-nodefaults', '-display', 'none', '-S',
                                 '-qmp', f'unix:{path},server=on,wait=off'], stdin=subprocess.DEVNULL)
        try:
            return run(args, connector(path))
        finally:
            qemu.kill()
            qemu.wait()


if __name__ == '__main__':
    sys.exit(main())
