#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ways in and who comes through them: names, discovery, attach.sock, and refusals."""

import os
import socket
import subprocess

from lib.fake import Fake
from lib.testing import Skip, add_test, main, test
from lib.waiting import wait_for

# What -name may say.
NAMES = ['web-1', 'Röhre', '../../etc/x', 'host', '.hidden', 'x' * 200, '', 'a b\x1b[2J', 'a,b']


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
    arguments = ('-chardev', f'socket,id=tocsin,path={tocsin.runtime}/attach.sock,reconnect=1',
                 '-mon', 'chardev=tocsin,mode=control')
    stage.guest('stranger', 'x86-idle', *arguments)
    wait_for(lambda: 'attach' in str(tocsin.execute('query-tocsin')['problems']) or 'attach' in tocsin.log(),
             'the refusal to be told')
    assert tocsin.machine('stranger') is None or not tocsin.machine('stranger')['attached']


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
    problems = wait_for(lambda: tocsin.execute('query-tocsin')['problems'], 'the refusals')
    text = ' '.join(problems) + tocsin.log()
    assert 'exclusive' in text, text


@test
def a_client_without_the_right_group_is_told_so(stage):
    if os.getuid() != 0:
        raise Skip('root (to become somebody else)')
    tocsin = stage.tocsin()
    os.chmod(stage.folder, 0o755)
    script = ('import os,socket,sys\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n'
              's=socket.socket(socket.AF_UNIX)\n'
              'try:\n s.connect(sys.argv[1])\nexcept PermissionError: print("EACCES"); sys.exit()\n'
              's.settimeout(5)\nwhile True:\n d=s.recv(4096)\n if not d: break\n print(d.decode())')
    out = subprocess.run(['/usr/bin/python3', '-c', script, tocsin.runtime / 'control.sock'], capture_output=True,
                         text=True, timeout=20, check=False).stdout
    assert 'EACCES' in out or 'error' in out, out
    assert '"QMP"' not in out, out


@test
def a_path_that_answers_later(stage):
    path = stage.folder / 'late.qmp'
    tocsin = stage.tocsin(f'[guest late]\nqmp = {path}\n')
    machine = tocsin.wait_machine('late', 'to be known', lambda machine: True)
    assert not machine['attached']
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    path.unlink()
    stage.guest('late', 'x86-idle', path=path)
    tocsin.wait_attached('late')


if __name__ == '__main__':
    main()
