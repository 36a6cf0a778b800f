#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sources of the host's kernel, by real events of real kernels: tocsind runs inside, as the user
tocsin without any capability, beside a tocsin-kernel."""

import re

from lib.host import Host
from lib.testing import add_test, main

KERNELS = ('6.1', '6.12')
# What QEMU's CPU offers to nested guests without any help of ours.
KVM = ('kvm', 'kvm-amd')
BOOT_STATUS_RESET = 32


def test(func):
    for version in KERNELS:
        add_test(f'{func.__name__.replace("_", " ")}, {version}', lambda stage, v=version: func(stage, v))
    return func


def start_vm(host):
    host.run('stand-in vm </dev/null >/vm.pid 2>/vm.error &')
    return int(host.wait(lambda: host.run('cat /vm.pid'), 'a virtual machine'))


@test
def every_source_is_on_without_privilege(stage, version):
    host = Host(stage, version)
    for name in ('deaths', 'uevents', 'watchdogs'):
        host.wait_source(name)
    assert 'CapEff:\t0000000000000000' in host.run('cat /proc/$(pidof tocsind)/status')


@test
def a_kvm_guest_without_a_monitor_is_shown_and_its_end_told(stage, version):
    host = Host(stage, version, KVM)
    host.wait_source('deaths')
    for signal, reason in (('KILL', 'host-signal'), ('BUS', 'host-error')):
        pid = start_vm(host)
        machine = host.wait_machine(f'pid-{pid}')
        assert (machine['backend'], machine['pid'], machine.get('state')) == ('process', pid, None), machine
        host.end_process(pid, signal)
        machine = host.wait_machine(f'pid-{pid}', lambda machine: 'ended' in machine)
        assert machine['last-stop'] == f'its process ended by SIG{signal} ({reason})', machine
    assert host.source('uevents')['overruns'] == 0


@test
def guests_that_were_there_first_are_found(stage, version):
    host = Host(stage, version, KVM)
    pid = start_vm(host)
    host.wait_machine(f'pid-{pid}')
    host.kill_tocsin()
    host.start_tocsin()
    host.wait_machine(f'pid-{pid}')


@test
def a_probe_is_no_guest(stage, version):
    host = Host(stage, version, KVM)
    pid = start_vm(host)
    host.end_process(pid)
    host.run('sleep 3')
    assert not [machine for machine in host.ask('machines') if machine['name'] == f'pid-{pid}']


@test
def a_watchdog_is_followed_and_its_holder_named(stage, version):
    host = Host(stage, version, later=('softdog',))
    assert host.ask('watchdogs') == []
    host.load_later()
    watchdog = host.wait(lambda: host.ask('watchdogs'), 'a watchdog')[0]
    assert (watchdog['name'], watchdog['identity'], watchdog['running'], watchdog['timeout']) == (
        'watchdog0', 'Software Watchdog', False, 60), watchdog
    assert 'holder' not in watchdog and not watchdog['bit'], watchdog

    holder = host.spawn('sh -c "exec 3>/dev/watchdog; exec sleep 3600"')
    watchdog = host.wait(lambda: [w for w in host.ask('watchdogs') if 'holder' in w], 'a holder')[0]
    assert (watchdog['running'], watchdog['holder']) == (True, {'pid': holder, 'name': 'sleep'}), watchdog
    shown = host.run('tocsinctl watchdogs')
    assert re.search(rf'^watchdog0 +running +60 s +- +sleep \({holder}\) +Software Watchdog$', shown, re.M), shown
    shown = host.run('tocsinctl sources')
    assert re.search(r'^watchdogs +on +[1-9]\d* +0 +2\d{3}-', shown, re.M), shown

    host.end_process(holder)
    incident = host.wait_incident('host', 'watchdog')
    assert incident['headline'].startswith(
        f'watchdog0 (Software Watchdog) did not stop when sleep ({holder}) left it'), incident

    # who takes it over keeps it alive, and stops it
    host.run('printf V >/dev/watchdog')
    host.wait(lambda: not host.ask('watchdogs')[0]['running'], 'the watchdog to be stopped')
    host.run('rmmod softdog')
    host.wait(lambda: host.ask('watchdogs') == [], 'the watchdog to vanish')
    assert len(host.ask('incidents --machine host')) == 1


@test
def the_reset_of_a_watchdog_is_told_once_after_the_boot(stage, version):
    host = Host(stage, version, ('i6300esb',), arguments=('-device', 'i6300esb', '-action', 'watchdog=reset'))
    assert host.ask('incidents --machine host') == []
    host.run('watchdog -T 2 /dev/watchdog && kill -STOP $(pidof watchdog)')
    host.wait_said('ready')
    host.set_up()
    incident = host.wait_incident('host', 'watchdog')
    assert incident['headline'] == (
        'the last reset of the host was done by its watchdog watchdog0 (i6300ESB timer)'), incident
    watchdog = host.ask('watchdogs')[0]
    assert (watchdog['bit'], watchdog['boot-status']) == (True, BOOT_STATUS_RESET), watchdog
    host.kill_tocsin()
    host.start_tocsin()
    host.wait_source('watchdogs')
    assert len(host.ask('incidents --machine host')) == 1


if __name__ == '__main__':
    main()
