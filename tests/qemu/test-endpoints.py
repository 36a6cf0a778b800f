#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Endpoints: many clients on one guest, what each may say, and that nobody slows anybody."""

import json
import time

from lib.qmp import Qmp, QmpError
from lib.testing import main, test
from lib.waiting import wait_for

CLIENTS = 50


def watched_guest(stage, image='x86-idle', *arguments):
    guest = stage.guest('web', image, *arguments)
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n')
    tocsin.wait_attached('web')
    return guest, tocsin


@test
def many_clients_see_the_same(stage):
    guest, tocsin = watched_guest(stage, 'x86-panic', '-device', 'pvpanic', '-action', 'panic=pause')
    clients = [stage.enter(tocsin.endpoint('web')) for _ in range(CLIENTS)]
    guest.start()
    for client in clients:
        client.wait_event('STOP')
    assert len({json.dumps(client.events, sort_keys=True) for client in clients}) == 1
    assert [event['event'] for event in clients[0].events] == ['RESUME', 'GUEST_PANICKED', 'STOP']


@test
def events_wait_for_the_negotiation(stage):
    guest, tocsin = watched_guest(stage)
    early = stage.enter(Qmp(tocsin.runtime / 'qmp' / 'web.sock', negotiate=False))
    late = stage.enter(tocsin.endpoint('web'))
    guest.start()
    late.wait_event('RESUME')
    early.execute('qmp_capabilities')
    guest.monitor.execute('stop')
    early.wait_event('STOP')
    assert [event['event'] for event in early.events] == ['STOP']


@test
def greeting_offers_no_oob(stage):
    _, tocsin = watched_guest(stage)
    for path in ('qmp/web.sock', 'control.sock'):
        with Qmp(tocsin.runtime / path) as client:
            assert client.greeting['QMP']['capabilities'] == []
            assert set(client.greeting['QMP']['version']['qemu']) == {'major', 'minor', 'micro'}
            try:
                client.execute('no-such-command')
                raise AssertionError('accepted')
            except QmpError as error:
                assert error.kind == 'CommandNotFound'
                assert error.text == 'The command no-such-command has not been found'


@test
def control_events_carry_machine_and_seq(stage):
    guest, tocsin = watched_guest(stage)
    control = stage.enter(tocsin.control())
    guest.start()
    for _ in range(10):
        guest.monitor.execute('stop')
        guest.monitor.execute('cont')
    for _ in range(10):
        control.wait_event('STOP', machine='web')
    control.wait_event('RESUME', machine='web')
    numbers = [event['data']['seq'] for event in control.events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers


@test
def set_action_reaches_qemu(stage):
    guest, tocsin = watched_guest(stage, 'x86-panic', '-device', 'pvpanic', '-action', 'panic=shutdown')
    endpoint = stage.enter(tocsin.endpoint('web'))
    assert endpoint.execute('set-action', {'panic': 'pause'}) == {}
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='pause')
    endpoint.wait_event('STOP')
    assert guest.status() == 'guest-panicked'


@test
def set_action_of_nonsense_changes_nothing(stage):
    guest, tocsin = watched_guest(stage, 'x86-panic', '-device', 'pvpanic', '-action', 'panic=none')
    endpoint = stage.enter(tocsin.endpoint('web'))
    for arguments, text in (({'panic': 'dance'}, "Parameter 'panic' does not accept value 'dance'"),
                            ({'panic': 'pause', 'x': 1}, "Parameter 'x' is unexpected"),
                            ({'panic': 1}, "Invalid parameter type for 'panic', expected: string")):
        try:
            endpoint.execute('set-action', arguments)
            raise AssertionError(f'{arguments} accepted')
        except QmpError as error:
            assert (error.kind, error.text) == ('GenericError', text), error
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='run')


@test
def a_client_that_does_not_read_hurts_nobody(stage):
    guest, tocsin = watched_guest(stage, 'x86-panic-flood', '-device', 'pvpanic', '-action', 'panic=none')
    deaf = stage.enter(tocsin.endpoint('web'))
    deaf_control = stage.enter(tocsin.control())
    guest.start()
    time.sleep(1)
    endpoint = stage.enter(tocsin.endpoint('web'))
    start = time.monotonic()
    endpoint.execute('query-status')
    assert time.monotonic() - start < 1
    guest.monitor.execute('stop', seconds=30)
    assert deaf.path and deaf_control.path


@test
def the_endpoint_goes_with_the_last_of_the_guest(stage):
    guest, tocsin = watched_guest(stage)
    endpoint = stage.enter(tocsin.endpoint('web'))
    guest.start()
    endpoint.wait_event('RESUME')
    guest.monitor.send_raw(b'{"execute": "quit"}')
    endpoint.wait_event('SHUTDOWN')
    guest.wait_end()
    wait_for(lambda: tocsin.machine('web') and not tocsin.machine('web')['attached'], 'web to be gone')
    # Its last words stay when it is gone.
    assert 'ended' in tocsin.machine('web')


if __name__ == '__main__':
    main()
