#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ways in and who comes through them: names, discovery, attach.sock, and refusals."""

import os
import socket
import subprocess
import sys

from lib.fake import Fake
from lib.testing import Skip, add_test, main, test
from lib.waiting import wait_for

# What -name may say.
NAMES = ['web-1', 'Röhre', '../../etc/x', 'host', '.hidden', 'x' * 200, '', 'a b\x1b[2J', 'a,b']


# As a user of no group connects to a socket, and what it is told.
NOBODY = '''
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
try:
    client.connect(sys.argv[1])
except PermissionError:
    sys.exit('EACCES')
while data := client.recv(4096):
    print(data.decode())
'''


def as_nobody(stage, path):
    if os.getuid() != 0:
        raise Skip('root (to become somebody else)')
    os.chmod(stage.folder, 0o755)
    result = subprocess.run([sys.executable, '-c', NOBODY, path], capture_output=True, text=True, timeout=30, check=False)
    return result.stdout + result.stderr


def attached(tocsin):
    return [machine for machine in tocsin.execute('query-machines') if machine['name'] != 'host' and machine['attached']]


def check_name(stage, name):
    fake = Fake(stage.folder, name, lambda server: (server.attach(), server.serve()), stage.folder / 'any.qmp')
    stage.closing.callback(fake.close)
    tocsin = stage.tocsin(f'[discover]\nqmp-glob = {stage.folder}/*.qmp\n')
    machine = wait_for(lambda: attached(tocsin), 'the guest')[0]
    safe = machine['name']
    assert 1 <= len(safe) <= 80 and safe != 'host' and not safe.startswith('.'), machine
    assert all(c.isascii() and (c.isalnum() or c in '_.:-\\') for c in safe), machine
    if name == 'web-1':
        assert safe == 'web-1' and 'shown' not in machine, machine
    elif name:
        assert safe != name and machine['shown'] == name, machine
    else:
        assert safe == f'pid-{fake.pid}', machine
    with tocsin.endpoint(safe) as endpoint:
        endpoint.execute('query-status')
    assert sorted(path.name for path in (tocsin.runtime / 'qmp').iterdir() if path.name != 'host.sock') == [f'{safe}.sock']


for given in NAMES:
    add_test(f'name {given[:20]!r}', lambda stage, name=given: check_name(stage, name))


@test
def discovery_follows_the_folder(stage):
    tocsin = stage.tocsin(f'[discover]\nqmp-glob = {stage.folder}/*.qmp\n')
    assert not attached(tocsin)
    first = stage.guest('first', 'x86-idle', paused=False)
    tocsin.wait_attached('first')
    stage.guest('second', 'x86-idle', paused=False)
    tocsin.wait_attached('second')
    first.kill()
    tocsin.wait_machine('first', 'to have ended', lambda machine: 'ended' in machine)


@test
def a_folder_that_comes_later(stage):
    folder = stage.folder / 'later'
    tocsin = stage.tocsin(f'[discover]\nqmp-glob = {folder}/*.qmp\n')
    folder.mkdir()
    stage.guest('web', 'x86-idle', path=folder / 'web.qmp')
    tocsin.wait_attached('web')


@test
def qemu_calls_attach_sock(stage):
    tocsin = stage.tocsin('[attach]\nusers = root\n')
    arguments = ('-chardev', f'socket,id=tocsin,path={tocsin.runtime}/attach.sock,reconnect=1',
                 '-mon', 'chardev=tocsin,mode=control')
    guest = stage.guest('caller', 'x86-panic', '-device', 'pvpanic', '-action', 'panic=pause', *arguments)
    machine = tocsin.wait_machine('caller')
    assert machine['pid'] == guest.process.pid
    run = machine['run']
    tocsin.stop()
    tocsin.start()
    assert tocsin.wait_machine('caller')['run'] == run
    endpoint = stage.enter(tocsin.endpoint('caller'))
    guest.start()
    endpoint.wait_event('GUEST_PANICKED')


@test
def a_stranger_may_not_attach(stage):
    tocsin = stage.tocsin('[attach]\nusers = daemon\n')
    assert as_nobody(stage, tocsin.runtime / 'attach.sock') == ''
    wait_for(lambda: '65534' in str(tocsin.execute('query-tocsin')['problems']) + tocsin.log(),
             'the refusal to be told')
    assert not attached(tocsin)


@test
def a_taken_name_is_refused_loudly(stage):
    first = stage.guest('web', 'x86-idle', path=stage.folder / 'a.qmp', paused=False)
    tocsin = stage.tocsin(f'[discover]\nqmp-glob = {stage.folder}/*.qmp\n')
    assert tocsin.wait_machine('web')['pid'] == first.process.pid
    fake = Fake(stage.folder, 'web', lambda server: (server.attach(), server.serve()), stage.folder / 'b.qmp')
    stage.closing.callback(fake.close)
    wait_for(lambda: 'web' in str(tocsin.execute('query-tocsin')['problems']), 'the refusal to be told')
    machine = tocsin.machine('web')
    assert machine['attached'] and machine['pid'] == first.process.pid, machine


@test
def a_second_way_in_is_the_same_machine(stage):
    second = stage.folder / 'second.qmp'
    guest = stage.guest('web', 'x86-idle', '-qmp', f'unix:{second},server=on,wait=off', paused=False)
    tocsin = stage.tocsin(f'[discover]\nqmp-glob = {stage.folder}/*.qmp\n')
    machine = tocsin.wait_machine('web')
    assert machine['pid'] == guest.process.pid
    control = stage.enter(tocsin.control())
    guest.monitor.execute('stop')
    control.wait_event('STOP', machine='web')
    control.listen(0.3)
    assert len([event for event in control.events if event['event'] == 'STOP']) == 1
    assert len(attached(tocsin)) == 1


@test
def a_managers_socket_is_refused(stage):
    tocsin = stage.tocsin('[guest a]\nqmp = /var/lib/libvirt/qemu/domain-1-a/monitor.sock\n'
                          '[guest b]\nqmp = /var/run/qemu-server/100.qmp\n')
    for words in ('exclusive=yes', 'libvirt', 'Proxmox'):
        assert words in tocsin.log(), tocsin.log()


@test
def a_client_without_the_right_group_is_told_so(stage):
    tocsin = stage.tocsin()
    said = as_nobody(stage, tocsin.runtime / 'control.sock')
    assert 'EACCES' in said or 'error' in said, said
    assert '"QMP"' not in said, said


@test
def a_path_that_answers_later(stage):
    path = stage.folder / 'late.qmp'
    # Left behind by a QEMU that was killed.
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    tocsin = stage.tocsin(f'[guest late]\nqmp = {path}\n')
    assert not attached(tocsin)
    path.unlink()
    stage.guest('late', 'x86-idle', path=path)
    tocsin.wait_attached('late')


if __name__ == '__main__':
    main()
