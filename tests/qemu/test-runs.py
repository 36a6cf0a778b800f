#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs: a guest's life and its end, restarts of QEMU and of tocsind, what was missed meanwhile, and the
event log that clients catch up with."""

import signal
import subprocess

from lib.fake import Fake
from lib.qmp import QmpError
from lib.testing import find_program, main, test
from lib.waiting import wait_for

PANIC = ('-device', 'pvpanic', '-action', 'panic=pause')


def section(guest, keys=''):
    return f'[guest {guest.name}]\nqmp = {guest.path}\n{keys}\n'


def plain(events):
    """Events of machines only, without what belongs to one client."""
    return [(event['data']['seq'], event['event'], event['data'].get('machine'))
            for event in events if 'seq' in event.get('data', {})]


@test
def a_killed_qemu_gets_its_shutdown(stage):
    guest = stage.guest('web', 'x86-idle', paused=False)
    tocsin = stage.tocsin(section(guest))
    tocsin.wait_attached('web')
    endpoint = stage.enter(tocsin.endpoint('web'))
    control = stage.enter(tocsin.control())
    guest.kill()
    event = endpoint.wait_event('SHUTDOWN', guest=False)
    assert event['data']['reason'] in ('host-error', 'host-signal'), event
    assert set(event['data']) == {'guest', 'reason'}, event
    control.wait_event('SHUTDOWN', machine='web', synthetic=True)
    machine = tocsin.wait_machine('web', 'to have ended', lambda machine: 'ended' in machine)
    assert not machine['attached']
    assert machine.get('last-stop'), machine
    assert len([e for e in control.listen(0.3) if e['event'] == 'SHUTDOWN']) == 1


@test
def a_qemu_that_says_shutdown_gets_no_second(stage):
    guest = stage.guest('web', 'x86-off')
    tocsin = stage.tocsin(section(guest))
    tocsin.wait_attached('web')
    control = stage.enter(tocsin.control())
    guest.start()
    event = control.wait_event('SHUTDOWN', machine='web')
    assert 'synthetic' not in event['data'], event
    tocsin.wait_machine('web', 'to have ended', lambda machine: 'ended' in machine)
    assert len([e for e in control.listen(0.3) if e['event'] == 'SHUTDOWN']) == 1


@test
def a_closed_connection_is_no_end(stage):
    """Its process lives: the guest is not dead because its monitor has hung up."""
    def script(server):
        server.attach()
        if server.number > 1:
            server.serve()

    fake = Fake(stage.folder, 'web', script)
    stage.closing.callback(fake.close)
    tocsin = stage.tocsin(section(fake))
    control = stage.enter(tocsin.control())
    run = tocsin.wait_machine('web')['run']
    wait_for(lambda: fake.connections.value > 1, 'tocsind to come back')
    machine = tocsin.wait_machine('web')
    assert machine['run'] == run and 'ended' not in machine, machine
    assert not [event for event in control.listen(0.3) if event['event'] == 'SHUTDOWN']


@test
def qemu_restarted_on_the_same_path_is_a_new_run(stage):
    guest = stage.guest('web', 'x86-panic', *PANIC)
    tocsin = stage.tocsin(section(guest))
    first = tocsin.wait_machine('web')['run']
    guest.start()
    tocsin.wait_incidents('web')
    guest.kill()
    guest.path.unlink()
    again = stage.guest('web', 'x86-idle')
    machine = tocsin.wait_machine('web', 'to be in a new run',
                                  lambda machine: machine['attached'] and machine['run'] != first)
    assert machine['state'] == 'prelaunch', machine
    assert machine['pid'] == again.process.pid
    incidents = tocsin.incidents('web')
    assert [incident['run'] for incident in incidents] == [first], incidents


@test
def the_same_run_is_known_again_after_a_restart(stage):
    guest = stage.guest('web', 'x86-idle', paused=False)
    tocsin = stage.tocsin(section(guest))
    before = tocsin.wait_machine('web')
    assert before['pid'] == guest.process.pid
    tocsin.stop()
    tocsin.start()
    after = tocsin.wait_machine('web')
    assert after['run'] == before['run']
    assert after['state'] == 'running'


@test
def a_panic_while_tocsind_was_away_is_found(stage):
    guest = stage.guest('z', 's390-disabled-wait', '-action', 'panic=pause')
    tocsin = stage.tocsin(section(guest))
    tocsin.wait_attached('z')
    tocsin.stop()
    guest.start()
    wait_for(lambda: guest.status() == 'guest-panicked', 'the panic')
    tocsin.start()
    incident = tocsin.wait_incidents('z')[0]
    assert incident['kind'] == 'panic', incident
    assert incident.get('found') is True, incident
    # Asked of QEMU, since the event was missed.
    assert incident['info']['psw-addr'] == 0xdeadbeef, incident


@test
def a_found_stop_of_a_known_run_is_decided(stage):
    guest = stage.guest('web', 'x86-panic', *PANIC)
    tocsin = stage.tocsin(section(guest, 'mode = enforce\npanic = reset'))
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced'))
    tocsin.kill()
    guest.start()
    wait_for(lambda: guest.status() == 'guest-panicked', 'the panic')
    tocsin.start()
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    wait_for(lambda: guest.status() == 'running', 'web to run again')


@test
def a_found_stop_of_a_strange_run_is_left_alone(stage):
    guest = stage.guest('web', 'x86-panic', *PANIC)
    guest.start()
    wait_for(lambda: guest.status() == 'guest-panicked', 'the panic')
    tocsin = stage.tocsin(section(guest, 'mode = enforce\npanic = reset'))
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'found', incident
    assert guest.status() == 'guest-panicked'


@test
def a_found_stop_of_a_strange_run_is_decided_with_adopt(stage):
    guest = stage.guest('web', 'x86-panic', *PANIC)
    guest.start()
    wait_for(lambda: guest.status() == 'guest-panicked', 'the panic')
    tocsin = stage.tocsin(section(guest, 'mode = enforce\npanic = reset\nadopt = yes'))
    incident = tocsin.wait_incidents('web')[0]
    assert incident['outcome'] == 'done', incident
    wait_for(lambda: guest.status() == 'running', 'web to run again')


@test
def a_stop_already_closed_is_not_found_again(stage):
    guest = stage.guest('web', 'x86-panic', *PANIC)
    tocsin = stage.tocsin(section(guest, 'mode = enforce\npanic = pause'))
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced'))
    guest.start()
    tocsin.wait_incidents('web')
    tocsin.stop()
    tocsin.start()
    tocsin.wait_attached('web')
    with tocsin.control() as control:
        control.listen(0.5)
    assert len(tocsin.incidents('web')) == 1
    assert guest.status() == 'guest-panicked'


@test
def replay_without_gap_or_repeat(stage):
    guest = stage.guest('web', 'x86-idle', paused=False)
    tocsin = stage.tocsin(section(guest))
    tocsin.wait_attached('web')
    witness = stage.enter(tocsin.control())
    for _ in range(20):
        guest.monitor.execute('stop')
        guest.monitor.execute('cont')
    for _ in range(20):
        witness.wait_event('RESUME')
    first = plain(witness.events)[0][0]

    late = stage.enter(tocsin.control())
    log = late.execute('replay-events', {'after': first - 1})
    guest.monitor.execute('stop')
    witness.wait_event('STOP')
    last = plain(witness.events)[-1][0]
    wait_for(lambda: late.listen(0.1) and plain(late.events)[-1][0] >= last, 'the replay')
    assert plain(late.events)[:len(plain(witness.events))] == plain(witness.events)
    numbers = [seq for seq, _, _ in plain(late.events)]
    assert numbers == sorted(set(numbers)), numbers

    try:
        late.execute('replay-events', {'after': 0, 'log': '00000000-0000-0000-0000-000000000000'})
        raise AssertionError('a log that never was is accepted')
    except QmpError:
        pass
    assert tocsin.execute('query-event-log')['log'] == log['log']


def check_replay_over_restart(stage, end):
    guest = stage.guest('web', 'x86-idle', paused=False)
    tocsin = stage.tocsin(section(guest))
    tocsin.wait_attached('web')
    witness = stage.enter(tocsin.control())
    guest.monitor.execute('stop')
    seen = witness.wait_event('STOP', machine='web')['data']['seq']
    guest.monitor.execute('cont')
    resumed = witness.wait_event('RESUME', machine='web')['data']['seq']
    log = tocsin.execute('query-event-log')
    # The writer thread commits within a moment; a kill before that loses it, and says so.
    witness.listen(0.5)

    end(tocsin)
    tocsin.start()
    tocsin.wait_attached('web')
    assert tocsin.execute('query-event-log')['log'] == log['log']
    client = stage.enter(tocsin.control())
    client.execute('replay-events', {'after': seen, 'log': log['log']})
    guest.monitor.execute('stop')
    client.wait_event('RESUME', machine='web', seq=resumed)
    later = client.wait_event('STOP', machine='web')['data']['seq']
    assert later > resumed
    numbers = [seq for seq, _, _ in plain(client.events)]
    assert numbers == sorted(set(numbers)), numbers
    return client


@test
def replay_over_a_restart(stage):
    client = check_replay_over_restart(stage, lambda tocsin: tocsin.stop())
    assert not [event for event in client.events if event['event'] == 'EVENTS_LOST']


@test
def replay_over_a_crash_names_the_hole(stage):
    client = check_replay_over_restart(stage, lambda tocsin: tocsin.kill())
    lost = [event['data'] for event in client.events if event['event'] == 'EVENTS_LOST']
    assert [hole['reason'] for hole in lost] == ['unclean-end'], lost


@test
def two_daemons_on_one_folder(stage):
    tocsin = stage.tocsin()
    second = subprocess.run([find_program('tocsind'), '--config', tocsin.file], capture_output=True, text=True,
                            timeout=10, check=False)
    assert second.returncode != 0, second
    # The first goes on serving.
    tocsin.execute('query-tocsin')


@test
def sigterm_and_sigint_end_it_well(stage):
    tocsin = stage.tocsin()
    tocsin.process.send_signal(signal.SIGINT)
    tocsin.stop()
    assert not (tocsin.runtime / 'control.sock').exists()


if __name__ == '__main__':
    main()
