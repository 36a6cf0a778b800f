#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""delay= and cancel-on= on a real Linux: what helps itself is left alone, what does not is reset.

What Debian's kernels say through pvpanic when they panic:
    no crash kernel loaded                          GUEST_PANICKED
    crash kernel loaded                             nothing: it is started at once
    the same, with crash_kexec_post_notifiers       GUEST_CRASHLOADED alone, then it is started
So a rule for crashloaded gives the dump its time, and one that hangs is reset; so does, where nothing is
said, one for the guest's watchdog, which the panicked kernel no longer feeds.
"""

import contextlib

from lib.linux import BOOT_SECONDS, Linux
from lib.testing import main, test

DELAY_SECONDS = 3
PATIENT_PANIC = f'''
[rule patient]
kind = panic
action = reset
delay = {DELAY_SECONDS}s
cancel-on = RESET,GUEST_CRASHLOADED
'''
PATIENT_WATCHDOG = f'''
[rule dump]
kind = watchdog
action = reset
delay = {DELAY_SECONDS}s
cancel-on = RESET
'''
PATIENT_DUMP = f'''
[rule dump]
kind = crashloaded
action = reset
delay = {DELAY_SECONDS}s
'''
POST_NOTIFIERS = 'crash_kexec_post_notifiers'
FEED_WATCHDOG = 'watchdog -T 2 -t 1 /dev/watchdog'
# Its output is what is compared: that this is a dump kernel, with the memory of the one that died.
DUMP = 'echo dump of $(dd if=/proc/vmcore bs=1 skip=1 count=3 2>/dev/null)'


class Stand:
    """A guest in enforce, and both ends of what is said of it."""

    def __init__(self, stage, rules, version='6.1', **linux):
        self.guest = stage.enter(contextlib.closing(Linux(
            stage.folder, 'web', version, ('pvpanic-pci', 'i6300esb'),
            ('-device', 'pvpanic-pci', '-device', 'i6300esb'), **linux)))
        self.tocsin = stage.tocsin(f'[guest web]\nqmp = {self.guest.path}\nmode = enforce\n{rules}')
        self.tocsin.wait_attached('web')
        self.monitor = self.guest.monitor
        self.guest.start()
        self.guest.wait_ready()

    def wait_event(self, name, **data):
        return self.monitor.wait_event(name, BOOT_SECONDS, **data)

    def resets(self):
        """How often somebody outside the guest reset it, by QEMU's own words."""
        self.monitor.listen(0.1)
        return [event for event in self.monitor.events
                if event['event'] == 'RESET' and event['data']['reason'] == 'host-qmp-system-reset']

    def incident(self):
        incidents = self.tocsin.wait_incidents('web')
        assert len(incidents) == 1, incidents
        return incidents[0]


def seconds(event):
    return event['timestamp']['seconds'] + event['timestamp']['microseconds'] / 1e6


@test
def a_guest_that_hangs_in_its_panic_is_reset_when_the_delay_is_over(stage):
    stand = Stand(stage, PATIENT_PANIC)
    stand.guest.panic()
    panicked = stand.wait_event('GUEST_PANICKED', action='run')
    stand.tocsin.wait_incidents('web', status='held')
    reset = stand.wait_event('RESET', reason='host-qmp-system-reset')
    waited = seconds(reset) - seconds(panicked)
    assert DELAY_SECONDS <= waited, waited
    stand.guest.wait_said('ready')
    incident = stand.incident()
    assert (incident['kind'], incident['outcome']) == ('panic', 'done'), incident
    assert len(stand.resets()) == 1, stand.monitor.events


@test
def a_guest_that_reboots_itself_is_left_alone(stage):
    stand = Stand(stage, PATIENT_PANIC.replace('3s', '30s'), command_line='panic=1')
    stand.guest.panic()
    stand.wait_event('GUEST_PANICKED', action='run')
    stand.wait_event('RESET', reason='guest-reset')
    incident = stand.incident()
    assert (incident['kind'], incident['outcome']) == ('panic', 'recovered'), incident
    assert incident['decision']['action'] == 'reset', incident
    assert not stand.resets()


@test
def a_guest_that_dumps_itself_for_longer_than_the_delay_is_left_alone(stage):
    stand = Stand(stage, PATIENT_PANIC, command_line=POST_NOTIFIERS,
                  crash_script=f'{DUMP}; sleep {DELAY_SECONDS}; echo dumped; reboot -f')
    stand.guest.panic()
    stand.wait_event('GUEST_CRASHLOADED', action='run')
    stand.guest.wait_said('dump of ELF')
    stand.guest.wait_said('dumped')
    stand.wait_event('RESET', reason='guest-reset')
    incident = stand.incident()
    assert (incident['kind'], incident['outcome']) == ('crashloaded', 'left'), incident
    assert incident['decision']['action'] == 'none', incident
    assert not stand.resets()


@test
def a_watchdog_does_not_cut_a_dump_short(stage):
    stand = Stand(stage, PATIENT_WATCHDOG.replace('3s', '60s'), '6.12', command_line=POST_NOTIFIERS,
                  crash_script=f'{DUMP}; sleep 15; echo dumped; reboot -f')
    stand.guest.run(FEED_WATCHDOG)
    stand.guest.panic()
    stand.wait_event('GUEST_CRASHLOADED', action='run')
    stand.wait_event('WATCHDOG', action='none')
    stand.guest.wait_said('dumped')
    stand.wait_event('RESET', reason='guest-reset')
    incidents = stand.tocsin.wait_incidents('web', 2)
    assert [(incident['kind'], incident['outcome']) for incident in incidents] == [
        ('crashloaded', 'left'), ('watchdog', 'recovered')], incidents
    assert not stand.resets()


@test
def a_dump_that_ends_in_time_is_not_cut_short(stage):
    stand = Stand(stage, PATIENT_DUMP.replace('3s', '60s'), command_line=POST_NOTIFIERS,
                  crash_script=f'{DUMP}; echo dumped; reboot -f')
    stand.guest.panic()
    stand.wait_event('GUEST_CRASHLOADED', action='run')
    stand.guest.wait_said('dumped')
    stand.wait_event('RESET', reason='guest-reset')
    incident = stand.incident()
    assert (incident['kind'], incident['outcome']) == ('crashloaded', 'recovered'), incident
    assert not stand.resets()


@test
def a_dump_kernel_that_hangs_is_reset_when_the_delay_is_over(stage):
    stand = Stand(stage, PATIENT_DUMP, '6.12', command_line=POST_NOTIFIERS,
                  crash_script=f'{DUMP}; sleep 3600')
    stand.guest.panic()
    crashed = stand.wait_event('GUEST_CRASHLOADED', action='run')
    reset = stand.wait_event('RESET', reason='host-qmp-system-reset')
    waited = seconds(reset) - seconds(crashed)
    assert DELAY_SECONDS <= waited, waited
    stand.guest.wait_said('ready')
    incident = stand.incident()
    assert (incident['kind'], incident['outcome']) == ('crashloaded', 'done'), incident
    assert len(stand.resets()) == 1, stand.monitor.events


if __name__ == '__main__':
    main()
