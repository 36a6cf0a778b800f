#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What QEMU 7.2 does for every action, on real guests: each sequence of events as tocsin's endpoint
tells it, as QEMU's own second monitor does, and as the incident that stays.

A row: name, guest, arguments, what the test does to it, events, state afterwards (None: it has ended),
kinds of the incidents.
"""

from lib.qmp import Closed
from lib.testing import add_test, main

PVPANIC = ['-device', 'pvpanic']
IB700 = ['-device', 'ib700']
# Bank 9; action required and optional (scrubbed) of recoverable errors, and a corrected one.
MCE_REQUIRED = 'mce 0 9 0xbd80000000000134 0x7 0x1000 0x8c'
MCE_OPTIONAL = 'mce 0 9 0xbd000000000000c0 0x5 0x1000 0x8c'
MCE_CORRECTED = 'mce 0 9 0x9c00000000000080 0 0x1000 0x8c'

STOP = ('STOP', None)
GUEST_RESET = ('RESET', {'guest': True, 'reason': 'guest-reset'})


def shutdown(reason, guest=True):
    return ('SHUTDOWN', {'guest': guest, 'reason': reason})


def watchdog(action):
    return ('WATCHDOG', {'action': action})


def panicked(action, **info):
    return ('GUEST_PANICKED', {'action': action} | ({'info': info} if info else {}))


def memory_failure(action, required, recursive=False):
    return ('MEMORY_FAILURE', {'recipient': 'guest', 'action': action,
                               'flags': {'action-required': required, 'recursive': recursive}})


def s390_wait(address):
    return {'type': 's390', 'core': 0, 'psw-mask': 0x0002000180000000, 'psw-addr': address,
            'reason': 'disabled-wait'}


def hmp(*lines):
    def do(guest):
        guest.wait_ready()
        for line in lines:
            guest.hmp(line)
    return do


def command(name):
    def do(guest):
        guest.monitor.wait_event('RESUME')
        guest.monitor.execute(name)
    return do


def terminate(guest):
    guest.monitor.wait_event('RESUME')
    guest.process.terminate()


def x86_watchdog(action, events, state, more=''):
    return (f'ib700 {action}{more}', 'x86-ib700', [*IB700, '-action', f'watchdog={action}{more}'], None,
            [watchdog(action), *events], state, ['watchdog'])


def x86_panic(action, events, state, more=''):
    return (f'pvpanic {action}{more}', 'x86-panic', [*PVPANIC, '-action', f'panic={action}{more}'], None,
            events, state, ['panic'])


SEQUENCES = [
    x86_watchdog('reset', [GUEST_RESET], 'running'),
    x86_watchdog('reset', [shutdown('guest-reset')], None, ',reboot=shutdown'),
    x86_watchdog('reset', [shutdown('guest-reset'), STOP], 'shutdown', ',reboot=shutdown,shutdown=pause'),
    x86_watchdog('shutdown', [('POWERDOWN', None)], 'running'),
    x86_watchdog('pause', [STOP], 'watchdog'),
    x86_watchdog('debug', [], 'running'),
    x86_watchdog('none', [], 'running'),
    x86_watchdog('inject-nmi', [], 'running'),
    ('i6300esb pause', 'x86-i6300esb', ['-device', 'i6300esb,addr=5', '-action', 'watchdog=pause'], None,
     [watchdog('pause'), STOP], 'watchdog', ['watchdog']),
    ('diag288 pause', 's390-diag288', ['-device', 'diag288', '-action', 'watchdog=pause'], None,
     [watchdog('pause'), STOP], 'watchdog', ['watchdog']),

    x86_panic('pause', [panicked('pause'), STOP], 'guest-panicked'),
    x86_panic('shutdown', [panicked('poweroff'), shutdown('guest-panic')], None),
    x86_panic('shutdown', [panicked('pause'), STOP], 'guest-panicked', ',shutdown=pause'),
    x86_panic('exit-failure', [panicked('poweroff'), shutdown('guest-panic')], None),
    x86_panic('exit-failure', [panicked('poweroff'), shutdown('guest-panic'), STOP], 'shutdown', ',shutdown=pause'),
    x86_panic('none', [panicked('run')], 'running'),
    ('pvpanic with a crash kernel', 'x86-crashloaded', [*PVPANIC, '-action', 'panic=pause'], None,
     [('GUEST_CRASHLOADED', {'action': 'run'})], 'running', ['crashloaded']),
    ('pvpanic saying both', 'x86-panic-and-crashloaded', [*PVPANIC, '-action', 'panic=pause'], None,
     [panicked('pause'), STOP], 'guest-panicked', ['panic']),
    ('s390 disabled wait pause', 's390-disabled-wait', ['-action', 'panic=pause'], None,
     [panicked('pause', **s390_wait(0xdeadbeef)), STOP], 'guest-panicked', ['panic']),
    ('s390 disabled wait shutdown', 's390-disabled-wait', ['-action', 'panic=shutdown'], None,
     [panicked('poweroff', **s390_wait(0xdeadbeef)), shutdown('guest-panic')], None, ['panic']),
    ('s390 disabled wait none', 's390-disabled-wait', ['-action', 'panic=none'], None,
     [panicked('run', **s390_wait(0xdeadbeef))], 'running', ['panic']),
    ('s390 PSW address above 2^63', 's390-disabled-wait-high', ['-action', 'panic=pause'], None,
     [panicked('pause', **s390_wait(0x8000000000001234)), STOP], 'guest-panicked', ['panic']),
    ('s390 program check', 's390-program-check', ['-action', 'panic=pause'], None,
     [panicked('pause', **s390_wait(0x4711)), STOP], 'guest-panicked', ['panic']),
    ('s390 quiesce', 's390-quiesce', [], None, [shutdown('guest-shutdown')], None, []),

    ('machine check, guest not ready', 'x86-idle', [], hmp(MCE_REQUIRED),
     [memory_failure('reset', True), GUEST_RESET], 'running', ['memory-failure']),
    ('machine check, guest not ready, no reboot', 'x86-idle', ['-action', 'reboot=shutdown'], hmp(MCE_REQUIRED),
     [memory_failure('reset', True), shutdown('guest-reset')], None, ['memory-failure']),
    ('machine check, action required', 'x86-machine-check', [], hmp(MCE_REQUIRED),
     [memory_failure('inject', True)], 'running', ['memory-failure']),
    ('machine check, action optional', 'x86-machine-check', [], hmp(MCE_OPTIONAL),
     [memory_failure('inject', False)], 'running', ['memory-failure']),
    ('machine check, corrected', 'x86-machine-check', [], hmp(MCE_CORRECTED),
     [memory_failure('inject', False)], 'running', ['memory-failure']),
    ('machine check, recursive', 'x86-machine-check', [], hmp(MCE_REQUIRED, MCE_REQUIRED),
     [memory_failure('inject', True), memory_failure('reset', True, True), GUEST_RESET], 'running',
     ['memory-failure', 'memory-failure']),

    ('ACPI off', 'x86-off', [], None, [shutdown('guest-shutdown')], None, []),
    ('ACPI suspend', 'x86-suspend', [], None, [('SUSPEND', None)], 'suspended', []),
    ('ACPI hibernate', 'x86-hibernate', [], None, [('SUSPEND_DISK', None), shutdown('guest-shutdown')], None, []),
    ('triple fault', 'x86-triple-fault', [], None, [GUEST_RESET], 'running', []),
    ('system_reset', 'x86-idle', [], command('system_reset'),
     [('RESET', {'guest': False, 'reason': 'host-qmp-system-reset'})], 'running', []),
    ('system_powerdown', 'x86-idle', [], command('system_powerdown'), [('POWERDOWN', None)], 'running', []),
    ('quit', 'x86-idle', [], command('quit'), [shutdown('host-qmp-quit', False)], None, []),
    ('SIGTERM', 'x86-idle', [], terminate, [shutdown('host-signal', False)], None, []),
]


def told(events):
    """Names and data. QEMU may squeeze a STOP between a panic and the SHUTDOWN that ends it: which of its
    threads was first decides that."""
    pairs = [(event['event'], event.get('data')) for event in events if event['event'] != 'RESUME']
    return [pair for i, pair in enumerate(pairs)
            if not (pair == STOP and pairs[i + 1:i + 2] == [shutdown('guest-panic')])]


def listen_for(client, count):
    """Until so many events (RESUME is one more) have come, or the server closes; and then a little for
    what should not come."""
    while len(told(client.events)) < count:
        try:
            client.read_message()
        except Closed:
            return
    client.listen(0.1)


def check_sequence(stage, row):
    name, image, arguments, do, events, state, kinds = row
    guest = stage.guest('web', image, *arguments, icount='diag288' in image)
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n')
    tocsin.wait_attached('web')
    endpoint = stage.enter(tocsin.endpoint('web'))

    guest.start()
    if do:
        try:
            do(guest)
        except Closed:
            assert state is None

    listen_for(endpoint, len(events))
    listen_for(guest.monitor, len(events))
    assert told(endpoint.events) == events, told(endpoint.events)
    # Events are relayed with the time QEMU gave them, and nothing is left out or made up.
    assert ([(e['event'], e['timestamp']) for e in endpoint.events]
            == [(e['event'], e['timestamp']) for e in guest.monitor.events])

    if state is None:
        guest.wait_end()
        tocsin.wait_machine('web', 'to have ended', lambda machine: 'ended' in machine)
    else:
        assert guest.status() == state
        tocsin.wait_machine('web', f'to be {state}', lambda machine: machine.get('state') == state)
        assert endpoint.execute('query-status')['status'] == state

    # An incident whose machine rests is complete; RESETs may follow for two seconds.
    incidents = tocsin.wait_incidents('web', len(kinds)) if kinds else tocsin.incidents('web')
    assert [incident['kind'] for incident in incidents] == kinds, incidents
    wanted = [event for event in events
              if event[0] in ('WATCHDOG', 'GUEST_PANICKED', 'GUEST_CRASHLOADED', 'MEMORY_FAILURE')]
    assert [(incident['event'], incident['data']) for incident in incidents] == wanted, incidents
    for incident in incidents:
        assert incident['outcome'] in ('backend', 'left', 'ended'), incident
        assert incident.get('resets', 0) <= 1
    if GUEST_RESET in events and kinds:
        assert incidents[-1]['resets'] == 1, incidents


def check_poweroff(stage):
    """QEMU ends without a SHUTDOWN here: that one is tocsin's."""
    guest = stage.guest('web', 'x86-ib700', *IB700, '-action', 'watchdog=poweroff')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n')
    tocsin.wait_attached('web')
    endpoint = stage.enter(tocsin.endpoint('web'))
    control = stage.enter(tocsin.control())
    guest.start()
    assert guest.wait_end() == 0
    endpoint.wait_event('WATCHDOG', action='poweroff')
    assert endpoint.wait_event('SHUTDOWN')['data'] == {'guest': True, 'reason': 'guest-shutdown'}
    control.wait_event('SHUTDOWN', machine='web', synthetic=True, reason='guest-shutdown')
    incidents = tocsin.wait_incidents('web')
    assert [incident['kind'] for incident in incidents] == ['watchdog'], incidents


for line in SEQUENCES:
    add_test(line[0], lambda stage, row=line: check_sequence(stage, row))
add_test('ib700 poweroff', check_poweroff)

if __name__ == '__main__':
    main()
