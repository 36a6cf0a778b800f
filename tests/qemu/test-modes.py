#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""observe and enforce, what stands above them (overrides, dry-run, hold), and that nothing loops."""

from lib.qmp import QmpError
from lib.testing import main, test
from lib.waiting import wait_for

PVPANIC = ('-device', 'pvpanic')


def policy_value(tocsin, machine, key):
    values = tocsin.execute('query-policy', {'machine': machine})['values']
    return next((value for value in values if value['key'] == key), None)


def start_guest(stage, keys, image='x86-panic', action='panic=shutdown', daemon=''):
    guest = stage.guest('web', image, *PVPANIC, '-action', action)
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n{keys}\n', daemon)
    tocsin.wait_attached('web')
    return guest, tocsin, stage.enter(tocsin.endpoint('web'))


@test
def observe_leaves_qemu_alone_and_says_what_it_would_do(stage):
    guest, tocsin, endpoint = start_guest(stage, 'panic = pause')
    machine = tocsin.machine('web')
    assert machine['mode'] == 'observe'
    assert machine['would'] == {'panic': 'pause'}, machine
    assert not machine.get('enforced'), machine
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='poweroff')
    assert guest.wait_end() == 0
    incident = tocsin.wait_incidents('web')[0]
    assert incident['decision'].get('would') == 'pause', incident


@test
def enforce_hands_fixed_actions_to_qemu(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = pause')
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'panic': 'pause'})
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='pause')
    endpoint.wait_event('STOP')
    assert guest.status() == 'guest-panicked'
    incident = tocsin.wait_incidents('web')[0]
    assert incident['decision']['action'] == 'pause', incident


@test
def enforce_watchdog(stage):
    guest = stage.guest('web', 'x86-ib700', '-device', 'ib700', '-action', 'watchdog=none')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = enforce\nwatchdog = pause\n')
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'watchdog': 'pause'})
    endpoint = stage.enter(tocsin.endpoint('web'))
    guest.start()
    endpoint.wait_event('WATCHDOG', action='pause')
    endpoint.wait_event('STOP')
    assert guest.status() == 'watchdog'


@test
def enforce_again_on_every_attach(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = pause')
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'panic': 'pause'})
    tocsin.kill()
    guest.monitor.execute('set-action', {'panic': 'none'})
    tocsin.start()
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'panic': 'pause'})
    guest.start()
    guest.monitor.wait_event('GUEST_PANICKED', action='pause')


@test
def enforce_panic_reset_is_done_by_tocsin_once(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = reset')
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='pause')
    endpoint.wait_event('STOP')
    endpoint.wait_event('RESET', reason='host-qmp-system-reset')
    endpoint.wait_event('RESUME')
    incident = tocsin.wait_incidents('web')[0]
    assert incident['decision']['action'] == 'reset', incident
    assert incident['outcome'] == 'done', incident
    assert incident['resets'] == 1, incident
    assert guest.status() == 'running'


@test
def a_crash_loop_ends_paused(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = reset', image='x86-panic-every-boot')
    guest.start()
    incidents = tocsin.wait_incidents('web', 6)
    wait_for(lambda: guest.status() == 'guest-panicked', 'web to be left paused')
    assert [incident['decision']['action'] for incident in incidents] == ['reset'] * 5 + ['pause'], incidents
    resets = [event for event in guest.monitor.events if event['event'] == 'RESET']
    assert len(resets) == 5, resets


@test
def override_lives_as_long_as_the_run(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = pause')
    endpoint.execute('set-action', {'panic': 'none'})
    assert tocsin.machine('web')['overrides'] == {'panic': 'none'}
    value = policy_value(tocsin, 'web', 'panic')
    assert (value['value'], value['from']) == ('none', 'override'), value
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='run')
    tocsin.execute('reset-action', {'machine': 'web', 'key': 'panic'})
    value = policy_value(tocsin, 'web', 'panic')
    assert (value['value'], value['from']) == ('pause', 'configuration'), value
    guest.hmp('o /b 0x505 1')
    endpoint.wait_event('GUEST_PANICKED', action='pause')


@test
def override_survives_a_restart_of_tocsind(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = pause')
    endpoint.execute('set-action', {'panic': 'none'})
    tocsin.stop()
    tocsin.start()
    tocsin.wait_attached('web')
    assert tocsin.machine('web').get('overrides') == {'panic': 'none'}, tocsin.machine('web')
    guest.start()
    guest.monitor.wait_event('GUEST_PANICKED', action='run')


@test
def reload_that_changes_the_key_drops_the_override(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = pause\nwatchdog = none')
    endpoint.execute('set-action', {'panic': 'none', 'watchdog': 'pause'})
    tocsin.configure(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = shutdown\nwatchdog = none\n')
    tocsin.reload()
    tocsin.wait_machine('web', 'to lose the override', lambda machine: machine.get('overrides') == {'watchdog': 'pause'})
    value = policy_value(tocsin, 'web', 'panic')
    assert (value['value'], value['from']) == ('shutdown', 'configuration'), value


@test
def dry_run_enforces_nothing(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = pause', daemon='dry-run = yes')
    assert not tocsin.machine('web').get('enforced')
    assert tocsin.execute('query-tocsin')['dry-run'] is True
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='poweroff')
    guest.wait_end()


@test
def hold_leaves_a_panic_alone(stage):
    guest, tocsin, endpoint = start_guest(stage, 'mode = enforce\npanic = reset', image='x86-panic-every-boot')
    tocsin.execute('hold-machine', {'machine': 'web', 'seconds': 3600})
    assert 'hold-until' in tocsin.machine('web')
    guest.start()
    endpoint.wait_event('GUEST_PANICKED')
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] != 'done', incident
    assert not [event for event in endpoint.listen(0.3) if event['event'] == 'RESET']
    tocsin.execute('hold-machine', {'machine': 'web', 'seconds': 0})
    assert 'hold-until' not in tocsin.machine('web')


@test
def commands_for_machines_that_are_not_there(stage):
    _, tocsin, _ = start_guest(stage, '')
    for command, arguments in (('hold-machine', {'machine': 'nobody', 'seconds': 1}),
                               ('reset-action', {'machine': 'nobody'}),
                               ('query-policy', {'machine': 'nobody'})):
        try:
            tocsin.execute(command, arguments)
            raise AssertionError(f'{command} accepted')
        except QmpError as error:
            assert 'nobody' in error.text, error


if __name__ == '__main__':
    main()
