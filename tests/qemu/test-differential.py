#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same bytes to the installed QEMU and to tocsin's endpoint of that QEMU, valid and broken: the
answers have to be the same messages, byte for byte but for the order of members.

Each case gets a connection of its own on both sides. Behind it comes 0xFF, which ends whatever message
it left open, and a command whose answer marks the end. Not compared: what tocsin does otherwise on
purpose (no oob, limits of its own, commands that name what a server is).
"""

import json
import re
import socket

from lib.testing import add_test, main
from lib.waiting import SLOW

SENTINEL = b'\xff\n{"execute": "query-status", "id": "the end"}\n'
NEGOTIATE = b'{"execute": "qmp_capabilities"}\n'

STATUS = '{"execute": "query-status"%s}'
IDS = ['1', '-1', '0', '9223372036854775807', '9223372036854775808', '18446744073709551615', '18446744073709551616',
       '-9223372036854775808', '-9223372036854775809', '0.1', '-0.0', '1e3', '1E-3', '1.5', '123456789012345678901234567890',
       'true', 'false', 'null', '""', '"x"', "'x'", '"\\u00e4"', '"ä"', '"\\ud83d\\ude00"', '"😀"', '"\\u0000"',
       '"\\u007f"', '"\x7f"', '"/"', '"\\/"', '"\\b\\f\\n\\r\\t\\\\\\""', '"\\\'"', '[]', '{}', '[1, 2, [3]]',
       '{"a": 1}', '{"b": {"a": [true, null]}}', '"<&>"', '"%s %d %%"', '"' + 'x' * 1000 + '"', '[[[[[[[[]]]]]]]]']

ARGUMENTS = [
    ('query-status', ['{}', '{"a": 1}', '[]', '1', '"x"', 'null', 'true', '{"": 1}']),
    ('set-action', ['{}', '{"panic": "pause"}', '{"panic": "none"}', '{"panic": "Pause"}', '{"panic": ""}',
                    '{"panic": 1}', '{"panic": null}', '{"panic": []}', '{"panic": {}}', '{"panic": true}',
                    '{"reboot": "reset"}', '{"reboot": "pause"}', '{"shutdown": "pause"}', '{"shutdown": "reset"}',
                    '{"watchdog": "inject-nmi"}', '{"watchdog": "nmi"}', '{"x": 1}', '{"panic": "pause", "x": 1}',
                    '{"panic": "dance", "x": 1}', '{"reboot": "reset", "panic": "pause", "watchdog": "none"}',
                    '{"panic": "exit-failure"}', '{"watchdog": "d\\u00e4"}']),
    ('watchdog-set-action', ['{}', '{"action": "none"}', '{"action": "dance"}', '{"action": 7}', '{"x": 1}',
                             '{"action": "none", "x": 1}', '[]']),
    ('qmp_capabilities', ['{}', '{"enable": []}', '{"enable": ["oob"]}', '{"enable": 1}', '{"x": 1}']),
    ('no-such-command', ['{}', '[]', '{"x": 1}']),
    ('', ['{}']),
]

SHAPES = [
    '{}', '[]', '"s"', '1 ', 'true ', 'null ', '{"id": 7}', '{"execute": 1}', '{"execute": null}', '{"execute": []}',
    '{"execute": "query-status", "x": 1}', '{"x": 1}', '{"x": 1, "id": 2}', '{"execute": "query-status", "exec-oob": "x"}',
    '{"exec-oob": "query-status"}', '{"exec-oob": "query-status", "id": 3}', '{"execute": "query-status", "id": 1, "id": 2}',
    '{"execute": "query-status", "execute": "query-status"}', '{"arguments": {}}', '{"execute": "x", "arguments": 1, "id": 4}',
    "{'execute': 'query-status'}", '{"execute":"query-status","arguments":{}}', '  \t\r\n{"execute" : "query-status" } ',
    STATUS % '' * 3, STATUS % ', "id": 1' + STATUS % ', "id": 2', '1 "str" ', '[1]{}', 'true null ', '1 2 3 ',
]

BROKEN = [
    '{"execute": }', '{"execute" "x"}', '{"execute": "x" "y"}', '{1: 2}', '{,}', '{"a": 1,}', '[1 2]', '[1,]', '[,]',
    '{"a"}', '{"a":}', '{"a": tru}', 'truenull ', 'nul ', 'foo ', '{"a": foo}', '"\\x"', '"\\u12"', '"\\u12g4"',
    '"\\ud800"', '"\\ud800\\u0041"', '"\\udc00"', '"\\ud800x"', '{"a": "\\ud83d"}', ']', '}', ':', ',', ']]]', '}}',
    '{]', '[}', '{"a": [}', '{"a": [1}', '[{"a": 1]', '01 ', '-', '- ', '1.', '1. ', '1.e', '.5 ', '+1 ', '1e ', '1e+ ',
    '0x10 ', '--1 ', '1a ', 'Infinity ', 'NaN ', '{"a": 1}}', '{"execute": "query-status"}]', '@', '#', '$ {}', '%s',
    '/* c */ {}', '// c\n{}', '{"a": "b\nc"}', '{"a": "b\tc"}', '"abc\x01def"', '"abc', '{"a": "abc', '\\', '"\\"',
    '{"a": 1 "b": 2}', '{"a": 1, 2}', '{"a": 1: 2}', '{{}}', '{[]}', '{"a": {"b": {"c": }}}', '`', '~', '!', '^', '&',
    '(1)', '<x>', '|', ';', '?', '=', '_', '*', '"a" : 1', '\x00', '\x0b', '\x1b', '\x7f', '{\x00}', '{"\x00": 1}',
    '{"a": \x01}', '[1, \x02 2]', '\'it\\\'s\' ', "'a\"b' ", '"a\'b" ', "{'a': \"b'}", '""', "''", '{"": ""}',
]

BROKEN_BYTES = [
    b'\xff', b'\xfe', b'\xff\xff\xff', b'\xfe\xff', b'\xef\xbb\xbf{"execute": "query-status"}', b'\x80', b'\xc0\x80',
    b'"\x80"', b'"\xc0\x80"', b'"\xc1\x81"', b'"\xe0\x80\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xf8\x88"',
    b'"\xff"', b'"\xfe"', b'"\xc3"', b'"\xc3("', b'"\xe2\x82"', b'"\xe2\x82("', b'"\xf0\x9f\x98"', b'"\xef\xbf\xbf"',
    b'"\xef\xbf\xbe"', b'{"execute": "query-status"\xff}', b'{"execute": "query-\xff', b'{"id": "\xc3\xa4\xff"}',
    b'{"\xff": 1}', b'{"execute": "\xc3\x28"}', b'[1, 2, \xff', b'\xffgarbage{"execute": "query-status"}',
    b'garbage\xff{"execute": "query-status"}', b'\x00\x00', b'\x1b[2J', b'{"execute": "query-status", "id": "\xf0\x9f\x98\x80"}',
]

NOT_NEGOTIATED = ['{"execute": "query-status", "id": 1}', '{"execute": "no-such-command"}', '{}', '{"execute": 1}', ']',
                  '{"execute": "qmp_capabilities", "arguments": {"x": 1}}', '{"execute": "qmp_capabilities", "x": 1}',
                  '{"execute": "qmp_capabilities", "arguments": {"enable": ["bogus"]}}{"execute": "query-status"}',
                  '{"execute": "qmp_capabilities", "id": "n"}{"execute": "query-status"}']

# Where tocsin differs on purpose: it offers no oob, so asking for it is asking for something not offered.
NOT_COMPARED = {'{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}'}


def cases():
    for value in IDS:
        yield 'id', (STATUS % f', "id": {value}').encode()
    for command, values in ARGUMENTS:
        yield 'arguments', f'{{"execute": "{command}"}}'.encode()
        for value in values:
            yield 'arguments', f'{{"execute": "{command}", "arguments": {value}}}'.encode()
            yield 'arguments', f'{{"arguments": {value}, "id": "i", "execute": "{command}"}}'.encode()
    for text in SHAPES:
        yield 'shapes', text.encode()
    for text in BROKEN:
        yield 'broken JSON', text.encode()
        yield 'broken JSON in a command', f'{{"execute": "query-status", "id": {text}'.encode()
        yield 'a command behind broken JSON', f'{text}{STATUS % ""}'.encode()
    for data in BROKEN_BYTES:
        yield 'broken bytes', data
        yield 'broken bytes', data + b'{"execute": "query-status"}'
    for depth in (10, 1023, 1024, 1025, 1100):
        yield 'depth', b'[' * depth + b']' * depth
        yield 'depth', b'{"a":' * depth + b'1' + b'}' * depth
    # Every prefix of a command, and the command in the smallest pieces.
    command = b'{"execute": "query-status", "id": [1, "\\u00e4", {"a": -1.5e3}]}'
    for n in range(1, len(command)):
        yield 'prefixes', command[:n]


class Peer:
    def __init__(self, path):
        self.path = str(path)

    def ask(self, data, negotiate=True):
        """Every line that comes back, greeting and negotiation left out."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10 * SLOW)
            connection.connect(self.path)
            stream = connection.makefile('rb')
            stream.readline()
            if negotiate:
                connection.sendall(NEGOTIATE)
                stream.readline()
            connection.sendall(data + SENTINEL)
            lines = []
            while not lines or b'the end' not in lines[-1]:
                line = stream.readline()
                if not line:
                    lines.append(b'connection closed')
                    break
                if b'"event": ' not in line:
                    lines.append(line)
            return lines


def in_order(line):
    """The line as its server wrote it, but for the order of members; anything else stays as it is."""
    try:
        value = json.loads(line, parse_int=str, parse_float=str)
    except ValueError:
        return line
    # Spelling counts too: the same characters have to be there.
    return json.dumps(value, sort_keys=True), sorted(re.findall(rb'"(?:[^"\\]|\\.)*"|[^\s",:{}\[\]]+', line)), \
        len(line), line.endswith(b'\r\n')


def compare(qemu, tocsin, items, negotiate=True):
    differences = []
    for data in items:
        if data.decode(errors='replace') in NOT_COMPARED:
            continue
        theirs, ours = qemu.ask(data, negotiate), tocsin.ask(data, negotiate)
        if list(map(in_order, theirs)) != list(map(in_order, ours)):
            differences.append((data, theirs, ours))
    for data, theirs, ours in differences[:20]:
        print(f'    sent   {data[:200]!r}')
        for line in theirs[:5]:
            print(f'    qemu   {line[:200]!r}')
        for line in ours[:5]:
            print(f'    tocsin {line[:200]!r}')
        if len(theirs) != len(ours):
            print(f'    {len(theirs)} and {len(ours)} lines')
    assert not differences, f'{len(differences)} of {len(items)} differ'


def check_group(stage, group):
    peer = stage.folder / 'peer.qmp'
    guest = stage.guest('web', 'x86-idle', '-qmp', f'unix:{peer},server=on,wait=off', paused=False)
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n')
    tocsin.wait_machine('web', 'to run', lambda machine: machine.get('state') == 'running')
    endpoint = Peer(tocsin.runtime / 'qmp' / 'web.sock')
    if group == 'not negotiated':
        compare(Peer(peer), endpoint, [text.encode() for text in NOT_NEGOTIATED], negotiate=False)
    else:
        compare(Peer(peer), endpoint, [data for name, data in cases() if name == group])


for title in dict.fromkeys(name for name, _ in cases()):
    add_test(title, lambda stage, group=title: check_group(stage, group))
add_test('not negotiated', lambda stage: check_group(stage, 'not negotiated'))

if __name__ == '__main__':
    main()
