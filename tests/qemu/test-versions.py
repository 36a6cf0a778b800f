#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU from 4.2 to 11. One release is installed and runs in all the other tests; what others do
differently is played here, message by message, by a stand-in. The name of each test says which it is."""

import subprocess

from lib import fake
from lib.fake import Fake, event, line
from lib.testing import main, test
from lib.waiting import wait_for

TDX = {'type': 'tdx', 'error-code': 7, 'message': 'no \x1b[2J such page', 'gpa': 1 << 63}
SEV = {'type': 'sev', 'set': 0, 'code': 1}


def play(stage, version, missing=(), without_singlestep=False, then=lambda server: None, keys=''):
    """A stand-in of that release, attached. It keeps what it was told in a file, a command a line."""
    told = stage.folder / 'told'
    told.touch()

    def script(server):
        major, minor, micro = version
        greeting = {'QMP': {'version': {'qemu': {'micro': micro, 'minor': minor, 'major': major},
                                        'package': ''}, 'capabilities': ['oob']}}
        server.send(line(greeting))
        answer = server.answer

        def answer_as(command, arguments):
            if command == 'query-commands':
                return [{'name': name} for name in fake.COMMANDS if name not in missing]
            reply = answer(command, arguments)
            if command == 'query-status' and without_singlestep:
                del reply['singlestep']
            return reply

        def hook(server, message):
            command = message['execute']
            if command in missing:
                server.send(line({'error': {'class': 'CommandNotFound',
                                            'desc': f'The command {command} has not been found'},
                                  'id': message.get('id')}))
                return True
            if 'set-action' in command:
                with open(told, 'a', encoding='utf-8') as file:
                    print(command, *(f'{key}={value}' for key, value in message['arguments'].items()), file=file)
            return False

        server.answer = answer_as
        while 'query-status' not in server.commands:
            server.serve(1, hook)
        then(server)
        server.serve(hook=hook)

    guest = Fake(stage.folder, 'web', script)
    stage.closing.callback(guest.close)
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n{keys}\n')
    tocsin.wait_attached('web')
    return tocsin, told


def say(*events):
    def then(server):
        for name, data in events:
            server.send(event(name, data))
    return then


@test
def the_installed_qemu_is_the_one_that_runs(stage):
    text = subprocess.run(['qemu-system-x86_64', '--version'], capture_output=True, text=True, check=True).stdout
    guest = stage.guest('web', 'x86-idle')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n')
    tocsin.wait_attached('web')
    assert f'version {tocsin.machine("web")["version"]}' in text, text


@test
def played_4_2_has_only_the_watchdog_to_set(stage):
    tocsin, told = play(stage, (4, 2, 1), missing=('set-action',),
                        keys='mode = enforce\nwatchdog = pause\npanic = pause')
    wait_for(lambda: 'watchdog-set-action action=pause' in told.read_text(), 'the watchdog to be set')
    assert tocsin.machine('web')['version'] == '4.2.1'
    wait_for(lambda: 'panic' in tocsin.log(), 'it to be said that panic= can not be set')


@test
def played_5_2_tells_one_panic_twice(stage):
    tocsin, _ = play(stage, (5, 2, 0), missing=('set-action',),
                     then=say(('GUEST_PANICKED', {'action': 'pause'}), ('GUEST_PANICKED', {'action': 'poweroff'}),
                              ('SHUTDOWN', {'guest': True, 'reason': 'guest-panic'})))
    records = tocsin.wait_incidents('web')
    assert len(records) == 1, records
    assert records[0]['decision']['action'] == 'shutdown', records


@test
def played_6_0_has_no_exit_failure(stage):
    tocsin, told = play(stage, (6, 0, 0), keys='mode = enforce\npanic = exit-failure')
    wait_for(lambda: 'set-action panic=shutdown' in told.read_text(), 'the next best to be set')


@test
def played_9_1_migrates_devices_and_shuts_down_through_pvpanic(stage):
    device = {'device-id': '', 'qom-path': '/machine/peripheral-anon/device[0]'}
    twin = {'device-id': '', 'qom-path': '/machine/peripheral-anon/device[1]'}
    tocsin, _ = play(stage, (9, 1, 0),
                     then=say(('VFIO_MIGRATION', device | {'device-state': 'pre-copy'}),
                              ('VFIO_MIGRATION', twin | {'device-state': 'running'}),
                              ('VFIO_MIGRATION', device | {'device-state': 'stop-copy'}),
                              ('DEVICE_DELETED', {'path': twin['qom-path']}),
                              ('GUEST_PVSHUTDOWN', None)))
    machine = tocsin.wait_machine('web', 'to know its device',
                                  lambda machine: machine.get('vfio') == [device | {'device-state': 'stop-copy'}])
    assert machine['incidents'] == 0


@test
def played_10_1_tells_of_tdx_and_no_singlestep(stage):
    tocsin, _ = play(stage, (10, 1, 0), without_singlestep=True,
                     then=say(('GUEST_PANICKED', {'action': 'pause', 'info': TDX}), ('STOP', None)))
    record = tocsin.wait_incidents('web')[0]
    assert record['info'] == TDX, record
    shown = tocsin.ctl('incidents', 'show', str(record['id']))
    assert '\x1b' not in shown and 'such page' in shown, shown
    with tocsin.endpoint('web') as endpoint:
        assert 'singlestep' in endpoint.execute('query-status')


@test
def played_11_0_tells_of_sev(stage):
    tocsin, _ = play(stage, (11, 0, 0), without_singlestep=True,
                     then=say(('GUEST_PANICKED', {'action': 'pause', 'info': SEV}), ('STOP', None)))
    record = tocsin.wait_incidents('web')[0]
    assert record['info'] == SEV, record


@test
def played_11_0_stays_readable_when_it_says_what_nobody_knows(stage):
    strange = {'type': 'new-in-12', 'words': ['a', 1]}
    tocsin, _ = play(stage, (11, 0, 0),
                     then=say(('GUEST_PANICKED', {'action': 'pause', 'info': strange}), ('STOP', None)))
    record = tocsin.wait_incidents('web')[0]
    assert record['data']['info'] == strange, record
    assert tocsin.ctl('incidents', 'show', str(record['id']))


if __name__ == '__main__':
    main()
