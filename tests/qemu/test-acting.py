#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every action a rule may name, carried out on real guests: what QEMU itself says on a monitor that
tocsin does not know of, what tocsin's endpoint says, and what the record says. And a second manager
that meddles."""

from lib.fake import Fake, event, line
from lib.testing import add_test, main, test
from lib.waiting import wait_for

# What QEMU does for each action, after it stopped: events, and the state it is in at the end.
WATCHDOG = {
    'reset': (['RESET', 'RESUME'], 'running', 'done'),
    'shutdown': (['RESUME', 'POWERDOWN'], 'running', 'done'),
    'poweroff': (['SHUTDOWN'], None, 'done'),
    'pause': ([], 'watchdog', 'left'),
    'debug': ([], 'watchdog', 'done'),
    'none': (['RESUME'], 'running', 'done'),
    'inject-nmi': (['RESUME'], 'running', 'done'),
}
PANIC = {
    'reset': (['RESET', 'RESUME'], 'running', 'done'),
    'pause': ([], 'guest-panicked', 'left'),
    'shutdown': (['SHUTDOWN'], None, 'done'),
    # Only QEMU itself exits with a failure: a rule's is clamped to shutdown.
    'exit-failure': (['SHUTDOWN'], None, 'done'),
    'none': (['RESUME'], 'running', 'done'),
}
MEMORY = {
    'pause': (['STOP'], 'paused', 'done'),
    'reset': (['RESET'], 'running', 'done'),
    'fatal': (['SHUTDOWN'], None, 'done'),
    'ignore': ([], 'running', 'backend'),
}


def act(stage, image, devices, rule, mode='enforce'):
    guest = stage.guest('web', image, *devices, '-action', 'reboot=reset')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = {mode}\n[rule cure]\n{rule}\n')
    tocsin.wait_attached('web')
    if mode == 'enforce' and 'memory-failure' not in rule:
        tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced'))
    return guest, tocsin, stage.enter(tocsin.endpoint('web'))


def check_end(guest, tocsin, first, events, state, outcome):
    """The events that QEMU sent, behind the first one, are these and no others."""
    record = tocsin.wait_incidents('web')[0]
    assert record['outcome'] == outcome, record
    if state is None:
        guest.wait_end()
    else:
        assert guest.status() == state, guest.status()
    guest.monitor.listen(0.2)
    names = [event['event'] for event in guest.monitor.events]
    names = names[names.index(first) + 1:]
    if names[:1] == ['STOP'] and 'STOP' not in events:
        names = names[1:]
    assert names == events, names
    return record


def watchdog(stage, action, image='x86-ib700', devices=('-device', 'ib700')):
    events, state, outcome = WATCHDOG[action]
    guest, tocsin, endpoint = act(stage, image, devices, f'kind = watchdog\naction = {action}')
    guest.start()
    # Truth wins: the action in force is tocsin's, and so says the event.
    endpoint.wait_event('WATCHDOG', action=action)
    record = check_end(guest, tocsin, 'WATCHDOG', events, state, outcome)
    assert record['decision']['by'] == 'rule cure', record
    if action == 'inject-nmi':
        assert 'inject-nmi' in [step['what'] for step in record['steps']], record


def panic(stage, action, image='x86-panic', devices=('-device', 'pvpanic')):
    events, state, outcome = PANIC[action]
    guest, tocsin, endpoint = act(stage, image, devices, f'kind = panic\naction = {action}')
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='pause')
    endpoint.wait_event('STOP')
    record = check_end(guest, tocsin, 'GUEST_PANICKED', events, state, outcome)
    if action == 'exit-failure':
        assert record['decision']['by'] == 'clamp', record


def memory(stage, action):
    events, state, outcome = MEMORY[action]
    guest, tocsin, endpoint = act(stage, 'x86-machine-check', ('-cpu', 'max'),
                                  f'kind = memory-failure\naction = {action}')
    guest.start()
    guest.wait_ready()
    guest.hmp('mce 0 9 0xbd000000000000c0 0x5 0x1000 0x8c')
    endpoint.wait_event('MEMORY_FAILURE', action='inject')
    check_end(guest, tocsin, 'MEMORY_FAILURE', events, state, outcome)


for name in WATCHDOG:
    add_test(f'watchdog {name}', lambda stage, action=name: watchdog(stage, action))
for name in PANIC:
    add_test(f'panic {name}', lambda stage, action=name: panic(stage, action))
    if name != 'reset':  # it would panic again at once: see below
        add_test(f's390 panic {name}',
                 lambda stage, action=name: panic(stage, action, 's390-disabled-wait', ()))
for name in MEMORY:
    add_test(f'memory failure {name}', lambda stage, action=name: memory(stage, action))


@test
def observe_does_nothing_and_says_what_it_would(stage):
    guest, tocsin, endpoint = act(stage, 'x86-panic', ('-device', 'pvpanic', '-action', 'panic=pause'),
                                  'kind = panic\naction = reset', mode='observe')
    guest.start()
    endpoint.wait_event('STOP')
    record = tocsin.wait_incidents('web')[0]
    assert (record['outcome'], record['decision']['would']) == ('left', 'reset'), record
    assert guest.status() == 'guest-panicked'


@test
def s390_panic_reset_until_the_loop_guard(stage):
    guest, tocsin, endpoint = act(stage, 's390-disabled-wait', (), 'kind = panic\naction = reset')
    guest.start()
    records = tocsin.wait_incidents('web', 6)
    assert [record['outcome'] for record in records] == ['done'] * 5 + ['left'], records
    assert records[-1]['decision']['by'] == 'loop-guard', records[-1]
    assert guest.status() == 'guest-panicked'


@test
def an_error_of_the_disk(stage):
    image = stage.folder / 'disk.img'
    image.write_bytes(bytes(1 << 20))
    rules = stage.folder / 'blkdebug.conf'
    rules.write_text('[inject-error]\nevent = "read_aio"\nerrno = "5"\n')
    guest = stage.guest('web', None, '-drive',
                        f'if=none,id=d,format=raw,file=blkdebug:{rules}:{image},rerror=stop',
                        '-device', 'ide-hd,drive=d', arch='x86')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = enforce\n'
                          '[rule disk]\nkind = stopped\nstate = io-error\naction = reset\n')
    tocsin.wait_attached('web')
    guest.start()
    # The disk stays broken: five resets by its firmware's boots, then it is left as it is.
    records = tocsin.wait_incidents('web', 6)
    record = records[0]
    assert (record['kind'], record['state'], record['outcome']) == ('stopped', 'io-error', 'done'), record
    assert [record['decision']['action'] for record in records] == ['reset'] * 5 + ['pause'], records
    assert guest.status() == 'io-error'
    resets = [event for event in guest.monitor.events if event['event'] == 'RESET'
              and event['data']['reason'] == 'host-qmp-system-reset']
    assert len(resets) == 5, resets


@test
def another_manager_resumes_first(stage):
    guest, tocsin, endpoint = act(stage, 'x86-panic-every-boot', ('-device', 'pvpanic'),
                                  'kind = panic\naction = reset')
    # One machine a minute, and this one has had its turn: the second stop is held.
    tocsin.configure(f'[guest web]\nqmp = {guest.path}\nmode = enforce\n[guest other]\nmode = enforce\n'
                     '[rule cure]\nkind = panic\naction = reset\ndelay = 1h\ncancel-on = GUEST_CRASHLOADED\n')
    tocsin.reload()
    tocsin.wait_machine('web', 'to be told to go on', lambda machine: machine['enforced'] == {'panic': 'none'})
    guest.start()
    held = tocsin.wait_incidents('web', status='held')[0]
    assert 'due' in held['decision'], held
    guest.monitor.execute('system_reset')
    endpoint.wait_event('RESET', reason='host-qmp-system-reset')
    # Somebody's reset is not what cancels here, and the decision stands.
    assert tocsin.incidents('web')[0]['status'] == 'held'


@test
def another_manager_sets_the_action(stage):
    guest, tocsin, endpoint = act(stage, 'x86-panic', ('-device', 'pvpanic'), 'kind = panic\naction = reset')
    guest.monitor.execute('set-action', {'panic': 'shutdown'})
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='poweroff')
    record = tocsin.wait_incidents('web')[0]
    assert (record['outcome'], record['decision']['action']) == ('backend', 'shutdown'), record
    assert record['decision']['would'] == 'reset', record
    assert guest.wait_end() == 0


@test
def another_manager_continues_a_found_stop(stage):
    guest, tocsin, endpoint = act(stage, 'x86-panic', ('-device', 'pvpanic'), 'kind = panic\naction = reset')
    tocsin.kill()
    guest.start()
    guest.monitor.wait_event('STOP')
    guest.monitor.execute('cont')
    tocsin.start()
    tocsin.wait_attached('web')
    guest.monitor.listen(0.5)
    assert 'RESET' not in [event['event'] for event in guest.monitor.events]
    assert guest.status() == 'running'


@test
def an_action_qemu_refuses(stage):
    def refuse(server):
        server.attach()

        def hook(server, message):
            if message['execute'] == 'set-action' and message['arguments'] == {'panic': 'pause'}:
                server.send(line({'return': {}, 'id': message.get('id')}))
                server.send(event('GUEST_PANICKED', {'action': 'pause'}))
                server.send(event('STOP'))
                server.status = 'guest-panicked'
                return True
            if message['execute'] == 'system_reset':
                server.send(line({'error': {'class': 'GenericError', 'desc': 'not today'},
                                  'id': message.get('id')}))
                return True
            return False
        server.serve(hook=hook)

    fake = Fake(stage.folder, 'web', refuse)
    stage.closing.callback(fake.close)
    tocsin = stage.tocsin(f'[guest web]\nqmp = {fake.path}\nmode = enforce\npanic = reset\n')
    record = tocsin.wait_incidents('web')[0]
    refused = [step for step in record['steps'] if step['what'] == 'system_reset']
    assert refused and refused[0]['error'] == 'not today', record
    # It falls back to standing still, which it does.
    assert 'falls back: pause' in [step['text'] for step in record['steps']], record
    assert record['outcome'] == 'failed', record


@test
def one_guest_floods_and_the_others_do_not_notice(stage):
    """The 12-byte guest that panics without end, beside a quiet one."""
    flood = stage.guest('flood', 'x86-panic-flood', '-device', 'pvpanic', '-action', 'panic=none')
    quiet = stage.guest('quiet', 'x86-panic', '-device', 'pvpanic', '-action', 'panic=pause')
    tocsin = stage.tocsin(f'[guest flood]\nqmp = {flood.path}\n[guest quiet]\nqmp = {quiet.path}\n')
    tocsin.wait_attached('flood', 'quiet')
    endpoint = stage.enter(tocsin.endpoint('quiet'))
    flood.start()
    wait_for(lambda: any(record.get('repeated') for record in tocsin.incidents('flood')),
             'the flood to be folded')
    quiet.start()
    endpoint.wait_event('STOP', seconds=2)
    record = tocsin.wait_incidents('quiet')[0]
    assert record['outcome'] == 'left', record
    # Ten incidents a second at most, and the counted ones say how many there were.
    records = tocsin.incidents('flood')
    seconds = {}
    for record in records:
        second = record['opened']['seconds']
        seconds[second] = seconds.get(second, 0) + 1
    assert max(seconds.values()) <= 20, seconds
    assert max(record.get('repeated', 0) for record in records) > 100, records


if __name__ == '__main__':
    main()
