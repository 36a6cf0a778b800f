#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""daemon/machine alone against real QEMUs and fakes: what is observed, in which order, and what is
refused. Given the program machines-dump."""

import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading
import time

from lib.fake import Fake, event, line
from lib.testing import Skip, main, test
from lib.waiting import Deadline, Late, wait_for

DUMP = sys.argv.pop(1)
HELPER = sys.argv.pop(1)
VERBS = ['query-status', 'crash-info', 'set-action', 'system-reset', 'cont', 'stop', 'quit', 'system-powerdown',
         'inject-nmi', 'getfd', 'dump', 'query-dump']
QEMU = 'qemu-system-x86_64'


class Dump:
    def __init__(self, stage, *arguments):
        self.runtime = stage.folder / 'run'
        self.runtime.mkdir(exist_ok=True)
        self.process = subprocess.Popen([DUMP, str(self.runtime), *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.seen, self.waiting, self.killed = [], [], False
        self.queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        stage.closing.callback(self.close)

    def _read(self):
        for text in self.process.stdout:
            self.queue.put(json.loads(text))

    def say(self, text):
        self.process.stdin.write(text + '\n')
        self.process.stdin.flush()

    def command(self, machine, verb, arguments=''):
        self.say(f'command {machine} {VERBS.index(verb)} {arguments}')
        return self.wait('done')

    def _take(self, seconds):
        message = self.queue.get(timeout=seconds)
        self.seen.append(message)
        self.waiting.append(message)

    def wait(self, kind, seconds=10, **wanted):
        """The first of that type that nobody has waited for yet."""
        deadline = Deadline(seconds)
        while True:
            for message in self.waiting:
                if message['type'] == kind and all(message.get(key) == value for key, value in wanted.items()):
                    self.waiting.remove(message)
                    return message
            try:
                self._take(max(0.001, deadline.left()))
            except queue.Empty:
                raise Late(f'no {kind} {wanted}; seen: {self.seen[-5:]}') from None

    def quiet(self, seconds=0.3):
        """Everything that still comes within the time."""
        time.sleep(seconds)
        before = len(self.seen)
        while not self.queue.empty():
            self._take(1)
        return self.seen[before:]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.killed = True

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(10)
        assert status == 0 or self.killed, f'machines-dump ended with {status}'


def qemu(stage, *arguments, program=QEMU):
    process = subprocess.Popen([program, '-M', 'pc', '-accel', 'tcg', '-nodefaults', '-no-user-config', '-display',
                                'none', '-S', '-m', '16', *map(str, arguments)], stdin=subprocess.DEVNULL)
    def end():
        process.kill()
        process.wait()
    stage.closing.callback(end)
    return process


def monitor(path):
    return ['-qmp', f'unix:{path},server=on,wait=off']


def peaceful(server):
    server.attach()
    server.serve()


def fake(stage, name, script=peaceful, path=None):
    server = Fake(stage.folder, name, script, path)
    stage.closing.callback(server.close)
    return server


@test
def a_path_before_its_qemu_and_one_after_it(stage):
    path = stage.folder / 'a.qmp'
    dump = Dump(stage, f'web={path}')
    process = qemu(stage, *monitor(path), '-name', 'own')
    attached = dump.wait('attached')
    assert attached['machine'] == 'web' and attached['shown'] == 'own' and attached['state'] == 'prelaunch', attached
    assert attached['pid'] == process.pid and attached['version'].startswith('7.'), attached
    assert attached['run'].split('-')[1] == str(process.pid), attached
    assert dump.command('web', 'cont')['r'] == 0
    dump.wait('event', event='RESUME')
    process.kill()
    process.wait()
    gone = dump.wait('gone')
    assert gone['run'] == attached['run'] and gone['signal'] in (0, signal.SIGKILL), gone
    assert not [m for m in dump.seen if m['type'] == 'detached'], dump.seen

    again = qemu(stage, *monitor(path))
    second = dump.wait('attached')
    assert second['run'] != attached['run'] and second['pid'] == again.pid, second


@test
def the_last_events_come_before_the_end(stage):
    path = stage.folder / 'a.qmp'
    dump = Dump(stage, f'={path}')
    qemu(stage, *monitor(path), '-name', 'a')
    dump.wait('attached')
    dump.say('command a 6')
    dump.wait('gone')
    kinds = [m.get('event', m['type']) for m in dump.seen]
    assert kinds.index('SHUTDOWN') < kinds.index('gone') and kinds[-1] == 'gone', kinds


@test
def a_qemu_that_calls_us(stage):
    dump = Dump(stage)
    path = dump.runtime / 'attach.sock'
    wait_for(path.exists, 'attach.sock')
    process = qemu(stage, '-chardev', f'socket,id=t,path={path},reconnect=1', '-mon', 'chardev=t,mode=control',
                   '-name', 'caller')
    attached = dump.wait('attached')
    assert attached['machine'] == 'caller' and attached['pid'] == process.pid, attached
    assert dump.command('caller', 'query-status')['return']['status'] == 'prelaunch'
    process.terminate()
    gone = dump.wait('gone')
    assert gone['run'] == attached['run']


@test
def it_calls_again_after_a_restart_of_ours(stage):
    first = Dump(stage)
    path = first.runtime / 'attach.sock'
    wait_for(path.exists, 'attach.sock')
    qemu(stage, '-chardev', f'socket,id=t,path={path},reconnect=1', '-mon', 'chardev=t,mode=control')
    run = first.wait('attached')
    first.kill()
    second = Dump(stage)
    again = second.wait('attached')
    assert again['run'] == run['run'] and again['machine'] == f'pid-{run["pid"]}', again


@test
def a_stranger_is_refused(stage):
    if os.geteuid() != 0:
        raise Skip('root')
    os.chmod(stage.folder, 0o755)
    dump = Dump(stage, 'user:65534')
    path = dump.runtime / 'attach.sock'
    wait_for(path.exists, 'attach.sock')

    def call(uid):
        code = f'import socket,os,time\nos.setuid({uid})\ns=socket.socket(socket.AF_UNIX)\n' \
               f's.connect("{path}")\ns.settimeout(1)\ntry:\n d=s.recv(1)\nexcept TimeoutError:\n d=b"open"\n' \
               'print(d.decode())'
        return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout.strip()

    assert call(65533) == ''
    problem = dump.wait('problem')
    assert 'uid 65533' in problem['text'] and problem['key'] == 'attach.sock uid 65533', problem
    assert call(65534) == 'open'


@test
def a_second_way_in_is_a_spare(stage):
    a, b = stage.folder / 'a.qmp', stage.folder / 'b.qmp'
    dump = Dump(stage, f'={a}', f'={b}')
    qemu(stage, *monitor(a), *monitor(b), '-name', 'twice')
    first = dump.wait('attached')
    assert [m for m in dump.quiet(1) if m['type'] in ('attached', 'problem')] == []
    dump.command('twice', 'cont')
    dump.wait('event', event='RESUME')
    assert not [m for m in dump.quiet() if m.get('event') == 'RESUME']
    # the one in use is no longer configured: the spare takes over, in the same run
    dump.say(f'configure ={b}')
    again = dump.quiet(0.5)
    dump.say(f'configure ={a}')
    again += dump.quiet(0.5)
    assert [m['run'] for m in again if m['type'] == 'attached'] == [first['run']] * len(
        [m for m in again if m['type'] == 'attached']) and any(m['type'] == 'attached' for m in again), again
    assert not [m for m in again if m['type'] in ('detached', 'gone')], again


@test
def a_name_is_taken_only_once(stage):
    a, b = stage.folder / 'a.qmp', stage.folder / 'b.qmp'
    dump = Dump(stage, f'same={a}', f'same={b}')
    fake(stage, 'one', path=a)
    dump.wait('attached')
    second = fake(stage, 'two', path=b)
    problem = dump.wait('problem')
    assert problem['key'] == str(b) and "'same' is taken" in problem['text'], problem
    second.close()
    assert not [m for m in dump.quiet() if m['type'] == 'attached']


@test
def replaced_on_the_same_path(stage):
    path = stage.folder / 'a.qmp'
    dump = Dump(stage, f'same={path}')
    first = fake(stage, 'one', path=path)
    one = dump.wait('attached')
    first.process.kill()
    path.unlink()
    second = fake(stage, 'two', path=path)
    two = dump.wait('attached')
    kinds = [(m['type'], m.get('run')) for m in dump.seen]
    assert two['pid'] == second.pid and ('gone', one['run']) in kinds, kinds
    assert kinds.index(('gone', one['run'])) < kinds.index(('attached', two['run'])), kinds


@test
def names(stage):
    for given, safe in (('../../etc/x', r'..-..-etc-x'), ('host', None), ('x' * 200, None), ('web-1', 'web-1')):
        path = stage.folder / 'n.qmp'
        dump = Dump(stage, f'glob:{stage.folder}/*.qmp')
        server = fake(stage, given, path=path)
        attached = dump.wait('attached')
        assert attached['shown'] == given and 1 <= len(attached['machine']) <= 80, attached
        assert attached['machine'] != 'host' and '/' not in attached['machine'], attached
        if given == 'web-1':
            assert attached['machine'] == safe, attached
        dump.kill()
        server.close()
        path.unlink()


@test
def a_managers_own_socket(stage):
    path = '/run/qemu-server/100.qmp'
    dump = Dump(stage, f'={path}')
    problem = dump.wait('problem')
    assert 'Proxmox' in problem['text'] and problem['key'] == path, problem
    dump.say(f'configure exclusive:={path}')
    assert dump.wait('mended')['key'] == path


@test
def discovery(stage):
    folder = stage.folder / 'later' / 'vm'
    dump = Dump(stage, f'glob:{stage.folder}/later/*/qmp-[0-9]*')
    assert not dump.quiet(0.2)
    folder.mkdir(parents=True)
    (folder / 'qmp-0').touch()
    fake(stage, 'one', path=folder / 'qmp-1')
    assert dump.wait('attached')['machine'] == 'one'
    fake(stage, 'no', path=folder / '.qmp-2')
    other = stage.folder / 'later' / 'other'
    other.mkdir()
    two = fake(stage, 'two', path=other / 'qmp-1')
    assert dump.wait('attached')['machine'] == 'two'
    assert not [m for m in dump.quiet() if m['type'] == 'attached']
    # a folder that goes and comes back
    two.close()
    dump.wait('gone')
    (other / 'qmp-1').unlink()
    other.rmdir()
    time.sleep(0.2)
    other.mkdir()
    fake(stage, 'three', path=other / 'qmp-1')
    assert dump.wait('attached')['machine'] == 'three'


@test
def misbehaviour_is_survived(stage):
    def broken(server):
        server.attach()
        server.send(b'{"event": }\r\n')
        server.serve()

    def huge(server):
        server.attach()
        server.send(b'{"event": "')
        for _ in range(100):
            server.send(b'x' * (1 << 20))
        server.serve()

    def strange(server):
        server.attach()
        server.send(event('NEVER_SEEN', {'a': [None]}))
        server.serve()

    quiet = fake(stage, 'quiet')
    paths = {name: fake(stage, name, script).path for name, script in
             (('broken', broken), ('huge', huge), ('strange', strange), ('closes', lambda server: None),
              ('mute', lambda server: time.sleep(3600)))}
    dump = Dump(stage, f'quiet={quiet.path}', *[f'{name}={path}' for name, path in paths.items()])
    started = time.monotonic()
    wait_for(lambda: dump.quiet(0.2) is not None and len(
        {m['machine'] for m in dump.seen if m['type'] == 'detached'}) == 2, 'two broken ones to be left')
    assert dump.command('quiet', 'query-status')['r'] == 0
    problem = dump.wait('problem', seconds=8, key=str(paths['mute']))
    assert 'no greeting within 5 s' in problem['text'] and time.monotonic() - started < 8, problem
    assert [m for m in dump.seen if m.get('event') == 'NEVER_SEEN' and m['data'] == {'a': [None]}]
    assert [m for m in dump.seen if m['type'] == 'problem' and m['key'] == str(paths['closes'])]


@test
def nobody_waits_for_a_flood(stage):
    def floods(server):
        server.attach()
        data = event('GUEST_PANICKED', {'action': 'run'}) * 1000
        while True:
            server.send(data)

    quiet, loud = fake(stage, 'quiet'), fake(stage, 'loud', floods)
    dump = Dump(stage, f'quiet={quiet.path}', f'loud={loud.path}', 'events:no')
    dump.wait('attached', machine='quiet')
    dump.wait('attached', machine='loud')
    took = []
    for _ in range(20):
        before = time.monotonic()
        dump.say('command quiet 0')
        dump.wait('status')
        took.append(time.monotonic() - before)
    assert sorted(took)[10] < 0.05, took


@test
def events_while_attaching_are_kept(stage):
    def early(server):
        def hook(server, message):
            if message['execute'] == 'query-name':
                server.send(event('STOP') + event('GUEST_PANICKED', {'action': 'pause'}))
        server.send(line({'QMP': {'version': {'qemu': {'micro': 0, 'minor': 2, 'major': 4}, 'package': ''},
                                  'capabilities': []}}))
        server.serve(hook=hook)

    dump = Dump(stage, f'a={fake(stage, "early", early).path}')
    dump.wait('event', event='GUEST_PANICKED')
    assert [m.get('event', m['type']) for m in dump.seen] == ['attached', 'STOP', 'GUEST_PANICKED'], dump.seen
    assert dump.seen[0]['version'] == '4.2.0'


@test
def silence_is_told_once(stage):
    path = stage.folder / 'a.qmp'
    dump = Dump(stage, f'a={path}', 'heartbeat:200', 'silent:1000')
    process = qemu(stage, *monitor(path))
    dump.wait('attached')
    dump.wait('status')
    process.send_signal(signal.SIGSTOP)
    silent = dump.wait('silent')
    assert silent['seconds'] >= 1, silent
    assert not [m for m in dump.quiet(1.5) if m['type'] == 'silent']
    process.send_signal(signal.SIGCONT)
    dump.wait('answering')


@test
def without_a_heartbeat_nothing_wakes(stage):
    path = stage.folder / 'a.qmp'
    dump = Dump(stage, f'a={path}', f'missing={stage.folder}/missing.qmp', f'glob:{stage.folder}/none/*/x')
    qemu(stage, *monitor(path))
    dump.wait('attached')
    time.sleep(1)

    def switches():
        status = pathlib.Path(f'/proc/{dump.process.pid}/status').read_text()
        return int(status.split('voluntary_ctxt_switches:')[1].split()[0])
    before = switches()
    time.sleep(2)
    assert switches() == before, switches() - before


@test
def the_helper_connects(stage):
    path = stage.folder / 'a.qmp'
    config = stage.folder / 'tocsin.conf'
    config.write_text(f'[guest a]\nqmp = {path}\n')
    other = fake(stage, 'other')
    dump = Dump(stage, f'helper:{HELPER}', f'config:{config}', f'a={path}', f'b={other.path}')
    qemu(stage, *monitor(path))
    assert dump.wait('attached')['machine'] == 'a'
    refused = [m for m in dump.seen + dump.quiet() if m['type'] == 'problem']
    assert len(refused) == 1 and 'is not configured' in refused[0]['text'], refused


@test
def crash_information_and_actions(stage):
    path = stage.folder / 'a.qmp'
    dump = Dump(stage, f'a={path}')
    command = ['qemu-system-s390x', '-M', 's390-ccw-virtio', '-nodefaults', '-display', 'none', '-S', '-m', '64',
               *monitor(path)]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise Skip('qemu-system-s390x') from error
    stage.closing.callback(process.wait)
    stage.closing.callback(process.kill)
    dump.wait('attached')
    assert dump.command('a', 'crash-info') == {'type': 'done', 'r': 0, 'return': None}
    assert dump.command('a', 'set-action', '{"panic": "pause"}')['r'] == 0
    assert dump.command('a', 'set-action', '{"panic": "nonsense"}')['r'] < 0
    dump.command('a', 'cont')
    dump.wait('event', event='GUEST_PANICKED')
    dump.wait('event', event='STOP')
    answer = dump.command('a', 'crash-info')
    assert answer['return']['type'] == 's390' and answer['return']['psw-addr'] == 0, answer
    assert [m for m in dump.seen if m['type'] == 'crash-info' and m.get('data', {}).get('type') == 's390'], dump.seen


if __name__ == '__main__':
    main()
