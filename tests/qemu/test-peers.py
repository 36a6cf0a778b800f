#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Monitors that say nothing, too much, or nonsense: each is survived and reported, the others notice
nothing, and what was broken is tried again with a growing pause."""

import statistics
import time

from lib.fake import Fake, event, line
from lib.testing import add_test, main, test
from lib.waiting import SLOW, wait_for

# For a query and for a STOP and a RESUME there and back, half of the time and at worst.
USUAL_SECONDS = 0.02
WORST_SECONDS = 0.5
WATCHED_SECONDS = 3
# As many connections as a growing pause leaves room for in that time.
RETRIES_MAX = 6


def silent(server):
    server.connection.recv(1)
    time.sleep(3600)


def closes(server):
    pass


def greets_and_closes(server):
    server.send(b'{"QMP": {"version": {}, "capabilities": []}}\r\n')


def greets_strangely(server):
    server.send(b'{"hello": 1}\r\n')
    server.serve()


def floods(server):
    server.attach()
    data = event('GUEST_PANICKED', {'action': 'run'}) * 1000
    while True:
        server.send(data)


def floods_without_line_end(server):
    server.attach()
    server.send(b'{"event": "')
    for _ in range(100):
        server.send(b'x' * (1 << 20))
    server.send(b'"}\r\n')
    server.serve()


def nests(server):
    server.attach()
    server.send(b'[' * 100000)
    server.serve()


def breaks_json(server):
    server.attach()
    server.send(b'{"event": }\r\n\xff\xff{"a" "b"}\r\n]]]\r\n')
    server.serve()


def answers_nobody(server):
    server.attach()
    server.send(line({'return': {}}) + line({'error': {'class': 'GenericError', 'desc': 'no'}})
                + line({'return': {}, 'id': 'nobody'}) + b'[]\r\n17 \r\n"x"\r\n')
    server.serve()


def answers_wrong_types(server):
    server.send(b'{"QMP": {"version": {"qemu": {"micro": "a", "minor": [], "major": null}}, "capabilities": {}}}\r\n')
    server.serve(hook=lambda server, message: server.send(
        line({'return': 17} | ({'id': message['id']} if 'id' in message else {}))) or True)


def refuses_everything(server):
    server.send(b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 6}, "package": ""}, '
                b'"capabilities": []}}\r\n')
    server.serve(hook=lambda server, message: server.send(line(
        {'error': {'class': 'GenericError', 'desc': 'not today \x1b[2J\u202e'}}
        | ({'id': message['id']} if 'id' in message else {}))) or True)


MISBEHAVIOURS = [silent, closes, greets_and_closes, greets_strangely, floods, floods_without_line_end, nests,
                 breaks_json, answers_nobody, answers_wrong_types, refuses_everything]


def section(*guests):
    return ''.join(f'[guest {guest.name}]\nqmp = {guest.path}\n' for guest in guests)


def check_misbehaviour(stage, script):
    fake = Fake(stage.folder, 'bad', script)
    stage.closing.callback(fake.close)
    good = stage.guest('good', 'x86-idle', paused=False)
    tocsin = stage.tocsin(section(fake, good))
    tocsin.wait_attached('good')
    wait_for(lambda: fake.connections.value > 0, 'tocsind to try the bad one')
    start = time.monotonic()
    endpoint = stage.enter(tocsin.endpoint('good'))
    times = []
    while time.monotonic() < start + WATCHED_SECONDS:
        before = time.monotonic()
        endpoint.execute('query-status')
        good.monitor.execute('stop')
        endpoint.wait_event('STOP')
        good.monitor.execute('cont')
        endpoint.wait_event('RESUME')
        times.append(time.monotonic() - before)
        time.sleep(0.05)
    assert fake.connections.value <= RETRIES_MAX, fake.connections.value
    assert statistics.median(times) < USUAL_SECONDS * SLOW and max(times) < WORST_SECONDS * SLOW, sorted(times)
    # What is wrong with it is said, within the deadline of an answer; a flood is no fault of the connection.
    if script is not floods:
        wait_for(lambda: 'bad' in str(tocsin.execute('query-tocsin')['problems']) + str(tocsin.machine('bad') or ''),
                 'the trouble to be told', 30)


for func in MISBEHAVIOURS:
    add_test(f'a monitor that {func.__name__.replace("_", " ")}'.replace('that silent', 'that is silent'),
             lambda stage, script=func: check_misbehaviour(stage, script))


@test
def unknown_events_and_values_hurt_nothing(stage):
    """An event that is no word of ours is not passed on; a value that is none comes as it is."""
    def script(server):
        server.attach()
        server.send(event('NEVER_HEARD_OF', {'x': [1, 2.5, None, True], 'y': 18446744073709551615})
                    + event('GUEST_PANICKED', {'action': 'dance', 'info': {'type': 'tdx', 'error-code': 7}})
                    + event('WATCHDOG', {'action': 'somersault'})
                    + event('MEMORY_FAILURE', {'recipient': 'moon', 'action': 'inject', 'new': 1,
                                               'flags': {'action-required': True, 'recursive': False}}))
        server.serve()

    fake = Fake(stage.folder, 'new', script)
    stage.closing.callback(fake.close)
    tocsin = stage.tocsin(section(fake))
    control = stage.enter(tocsin.control())
    log = tocsin.execute('query-event-log')
    control.execute('replay-events', {'after': 0, 'log': log['log']})
    panic = control.wait_event('GUEST_PANICKED', machine='new')['data']
    assert panic['info'] == {'type': 'tdx', 'error-code': 7}, panic
    control.wait_event('WATCHDOG', machine='new', action='somersault')
    control.wait_event('MEMORY_FAILURE', machine='new', recipient='moon', new=1)
    assert not [event for event in control.events if event['event'] == 'NEVER_HEARD_OF']
    kinds = [incident['kind'] for incident in tocsin.wait_incidents('new', 3)]
    assert sorted(kinds) == ['memory-failure', 'panic', 'watchdog'], kinds


@test
def a_flood_is_counted_not_kept(stage):
    guest = stage.guest('web', 'x86-panic-flood', '-device', 'pvpanic', '-action', 'panic=none')
    tocsin = stage.tocsin(section(guest))
    tocsin.wait_attached('web')
    guest.start()
    time.sleep(3)
    guest.monitor.execute('stop', seconds=30)
    wait_for(lambda: any(incident.get('repeated') for incident in tocsin.incidents('web')), 'a count of repeats')
    # Ten a second are opened at most; what went on until the stop was relayed counts too.
    assert len(tocsin.incidents('web')) <= 100


@test
def an_impossible_transition_is_reported(stage):
    def script(server):
        server.status = 'paused'
        server.attach()
        server.send(event('GUEST_PANICKED', {'action': 'pause'}) + event('STOP'))
        server.serve()

    fake = Fake(stage.folder, 'odd', script)
    stage.closing.callback(fake.close)
    tocsin = stage.tocsin(section(fake))
    tocsin.wait_machine('odd', 'to be asked again', lambda machine: machine.get('state') == 'paused')


if __name__ == '__main__':
    main()
