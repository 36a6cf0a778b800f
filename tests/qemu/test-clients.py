#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of the event log against a whole tocsind, with its disk: whoever was away, slow or cut off
can tell from the numbers that nothing is missing. The events come from a stand-in for a guest."""

import contextlib
import json
import os
import subprocess
import threading
import time

from lib.fake import Fake, event
from lib.qmp import Closed, Qmp, QmpError
from lib.testing import Skip, main, test
from lib.waiting import Late, wait_for

PAUSE_SECONDS = 0.0005
NOBODY = 65534


def busy(count):
    """A monitor that tells of a device so many times, one after the other, while it answers."""
    def tell(server):
        with contextlib.suppress(OSError):  # tocsin has gone
            for number in range(count):
                server.send(event('VFIO_MIGRATION', {'device-id': str(number), 'qom-path': '/machine/peripheral/a',
                                                     'device-state': 'running'}))
                time.sleep(PAUSE_SECONDS)

    def script(server):
        server.attach()
        threading.Thread(target=tell, args=(server,), daemon=True).start()
        server.serve()
    return script


def busy_guest(stage, count, daemon=''):
    fake = Fake(stage.folder, 'web', busy(count))
    stage.closing.callback(fake.close)
    return stage.tocsin(f'[guest web]\nqmp = {fake.path}\n', daemon)


def last_number(tocsin):
    return tocsin.execute('query-event-log')['last']


def numbers(events):
    """Of all events, and of all that were told lost."""
    seen = []
    for message in events:
        data = message['data']
        seen += range(data['first'], data['last'] + 1) if message['event'] == 'EVENTS_LOST' else [data['seq']]
    return seen


def replay(client, after, **arguments):
    """What came live before the answer is not part of it."""
    answer = client.execute('replay-events', {'after': after} | arguments)
    client.events.clear()
    return answer


def follow(client, last, seconds=20):
    """Reads on until this number has come."""
    deadline = time.monotonic() + seconds
    while not client.events or numbers(client.events[-1:])[-1] < last:
        assert time.monotonic() < deadline, f'{client.events[-1:]} instead of {last}'
        client.read_message()
    return client.events


def assert_whole(events):
    """Every number from 1 on, once and in order."""
    expected = 1
    for message in events:
        seen = numbers([message])
        assert seen[0] == expected, f'{message} instead of {expected}'
        expected = seen[-1] + 1


def device_ids(events):
    return [e['data']['device-id'] for e in events if e['event'] == 'VFIO_MIGRATION']


@test
def replays_begun_at_any_time_see_the_same(stage):
    count = 2000
    tocsin = busy_guest(stage, count)
    clients = []
    for _ in range(20):
        client = stage.enter(tocsin.control())
        replay(client, 0)
        clients.append(client)
        time.sleep(0.05)
    wait_for(lambda: last_number(tocsin) >= count, 'all events')
    last = last_number(tocsin)
    for client in clients:
        assert_whole(follow(client, last))
        assert device_ids(client.events) == [str(number) for number in range(count)]
    assert len({json.dumps(client.events) for client in clients}) == 1


@test
def away_and_back(stage):
    tocsin = busy_guest(stage, 3000)
    log = tocsin.execute('query-event-log')['log']
    events = []
    while len(device_ids(events)) < 3000:
        with tocsin.control() as client:
            replay(client, numbers(events)[-1] if events else 0, log=log)
            for _ in range(400):
                try:
                    client.read_message(1)
                except Late:
                    break
            events += client.events
    assert_whole(events)
    assert device_ids(events) == [str(number) for number in range(3000)]


@test
def a_slow_client_is_told_and_can_catch_up(stage):
    count = 4000
    # The smallest queue there is: a socket takes some 200 KiB besides.
    tocsin = busy_guest(stage, count, 'client-queue = 64K')
    slow = stage.enter(tocsin.control())
    replay(slow, 0)
    quick = stage.enter(tocsin.control())
    replay(quick, 0)
    follow(quick, count)
    last = last_number(tocsin)
    assert_whole(follow(quick, last))
    assert all(e['event'] != 'EVENTS_LOST' for e in quick.events)

    events = list(follow(slow, last))
    assert_whole(events)
    lost = [e['data'] for e in events if e['event'] == 'EVENTS_LOST']
    assert lost
    for gap in lost:
        assert gap['reason'] == 'slow-client', gap
        replay(slow, gap['first'] - 1)
        follow(slow, gap['last'])
        assert all(e['event'] != 'EVENTS_LOST' for e in slow.events)


@test
def killed_and_back(stage):
    tocsin = busy_guest(stage, 100000)
    client = stage.enter(tocsin.control())
    log = client.execute('query-event-log')['log']
    replay(client, 0)
    follow(client, 500)
    tocsin.kill()
    try:
        while True:
            client.read_message(1)
    except Closed:
        pass
    seen = client.events
    before = numbers(seen)[-1]

    tocsin.start()
    with tocsin.control() as back:
        assert back.execute('query-event-log')['log'] == log
        answer = replay(back, before, log=log)
        assert answer['last'] >= before
        follow(back, answer['last'] + 200)
        assert_whole(seen + back.events)
        for message in back.events:
            if message['event'] == 'EVENTS_LOST':
                assert message['data']['reason'] == 'unclean-end', message

        # What was sent before the end and is in the log is the same now.
        again = stage.enter(tocsin.control())
        replay(again, 0)
        follow(again, before)
        kept = {e['data']['seq']: e for e in again.events if e['event'] != 'EVENTS_LOST'}
        for message in seen:
            assert kept.get(message['data']['seq'], message) == message


@test
def wrong_numbers_are_refused(stage):
    tocsin = busy_guest(stage, 10)
    wait_for(lambda: last_number(tocsin) >= 10, 'all events')
    for arguments, words in (({'after': 1 << 60}, str(1 << 60)), ({'after': 0, 'log': 'mine'}, 'mine')):
        try:
            tocsin.execute('replay-events', arguments)
            raise AssertionError('accepted')
        except QmpError as error:
            assert error.kind == 'GenericError' and words in error.text, error


@test
def strangers_are_told(stage):
    if os.getuid() != 0:
        raise Skip('root')
    tocsin = busy_guest(stage, 10)
    # The stage's folder is its own; a stranger needs a way in for this one test.
    for folder in (stage.folder, tocsin.runtime):
        folder.chmod(0o755)
    said = subprocess.run(
        ['/usr/bin/python3', '-c',
         'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);'
         'print(s.makefile().read())', tocsin.runtime / 'control.sock'],
        user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=20, check=True).stdout
    error = json.loads(said)['error']
    assert error['class'] == 'GenericError', error
    assert error['desc'].startswith(f'Permission denied: uid {NOBODY}'), error


@test
def half_closed_is_answered(stage):
    tocsin = busy_guest(stage, 10)
    wait_for(lambda: last_number(tocsin) >= 10, 'all events')
    last = last_number(tocsin)
    with Qmp(tocsin.runtime / 'control.sock') as client:
        client.send_raw(b'{"execute": "query-machines", "id": 1}'
                        b'{"execute": "replay-events", "arguments": {"after": 0}, "id": 2}')
        client.socket.shutdown(1)
        try:
            replies = []
            while True:
                message = client.read_message()
                if 'return' in message:
                    replies.append(message['id'])
        except Closed:
            pass
        assert replies == [1, 2]
        assert numbers(client.events)[:last] == list(range(1, last + 1))


if __name__ == '__main__':
    main()
