#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tocsinctl against a control.sock played by this test: what it asks, what it prints, how it ends,
and that monitor goes on over a restart without a gap or a repeat."""

import json
import os
import pty
import re
import select
import socket
import subprocess
import threading

from lib.testing import SOURCE, find_program, main, test
from lib.waiting import wait_for

SECONDS = 20
WHEN = {'seconds': 1795230727, 'microseconds': 412000}
LOG = '2f1d4a2e-0000-4000-8000-000000000001'
STATUS = {'version': '0.1.0', 'pid': 42, 'started': WHEN, 'machines': 2, 'attached': 1, 'incidents': 1,
          'clients': 3, 'dry-run': False, 'log': LOG, 'last': 9, 'store': 'ok', 'lost': 0,
          'problems': ['no permission to \x1b[31m read']}
MACHINES = [{'name': 'host', 'backend': 'host', 'mode': 'observe', 'attached': True, 'incidents': 0},
            {'name': 'web-7', 'backend': 'qmp', 'mode': 'enforce', 'attached': True, 'incidents': 1,
             'state': 'guest-panicked', 'running': False, 'held': 5, 'enforced': {'panic': 'pause'}, 'pid': 77,
             'last-stop': 'panic \u202etxt'}]
INCIDENT = {'id': 5, 'machine': 'web-7', 'run': 'r', 'kind': 'panic', 'status': 'closed', 'outcome': 'done',
            'time': WHEN, 'opened': WHEN, 'opened-boot': 1, 'boot-id': 'b', 'steps': [],
            'info': {'type': 'hyper-v', 'arg1': 0x9f, 'arg2': 3, 'arg3': 2**64 - 1, 'arg4': 0, 'arg5': 0},
            'decision': {'action': 'reset', 'by': 'rule known', 'reason': 'known bug',
                         'trail': [{'by': 'rule known', 'action': 'reset', 'text': 'matches', 'origin': 'web.conf:4'}]}}
POLICY = {'machine': 'web-7', 'mode': 'enforce', 'rules': ['known'], 'dry-run': False,
          'values': [{'key': 'panic', 'value': 'pause', 'from': 'told', 'origin': 'web.conf:2'}]}


def event(seq, name='STOP', machine='web-7', **data):
    return {'timestamp': WHEN, 'event': name, 'data': {'machine': machine, 'seq': seq} | data}


class Control:
    """A control.sock. `answers` maps a command to what it returns, or to a function of its arguments
    that may raise Refused; every command is kept in `calls`."""

    def __init__(self, folder, answers=None, log=LOG):
        self.path = folder / 'control.sock'
        self.path.unlink(missing_ok=True)
        self.answers = {'qmp_capabilities': {}, 'query-tocsin': STATUS, 'query-machines': MACHINES,
                        'query-incidents': [INCIDENT], 'query-incident': self.one_incident, 'query-policy': POLICY,
                        'explain': INCIDENT['decision'], 'acknowledge-incident': {}, 'hold-machine': {},
                        'reset-action': {}, 'query-event-log': self.event_log,
                        'replay-events': self.replay} | (answers or {})
        self.calls = []
        self.log = log
        self.events = []     # the event log
        self.clients = []
        self.after_reply = []
        self.lock = threading.RLock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        for gone in [self.listener, *self.clients]:
            try:
                gone.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            gone.close()
        self.path.unlink(missing_ok=True)

    @staticmethod
    def one_incident(arguments):
        if arguments['id'] != 5:
            raise Refused('DeviceNotFound', f'Incident {arguments["id"]} not found')
        return INCIDENT

    def event_log(self, _arguments):
        return {'log': self.log, 'first': 1, 'last': len(self.events)}

    def replay(self, arguments):
        if arguments.get('log', self.log) != self.log:
            raise Refused('GenericError', 'another log')
        self.after_reply = [e for e in self.events if e['data']['seq'] > arguments['after']]
        return self.event_log({})

    def announce(self, *events):
        with self.lock:
            for one in events:
                self.events.append(one)
                for client in self.clients:
                    self.send(client, one)

    @staticmethod
    def send(client, message):
        try:
            client.sendall(json.dumps(message).encode() + b'\r\n')
        except OSError:
            pass

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        self.send(client, {'QMP': {'version': {'qemu': {'micro': 0, 'minor': 1, 'major': 0}, 'package': 'tocsin'},
                                   'capabilities': []}})
        try:
            for text in client.makefile('rb'):
                self.answer(client, json.loads(text))
        except (OSError, ValueError):
            pass

    def answer(self, client, message):
        command, arguments = message['execute'], message.get('arguments', {})
        with self.lock:
            self.calls.append((command, arguments))
            answer = self.answers[command]
            try:
                reply = {'return': answer(arguments) if callable(answer) else answer}
            except Refused as refused:
                reply = {'error': {'class': refused.args[0], 'desc': refused.args[1]}}
            self.send(client, reply | {'id': message['id']})
            if command == 'qmp_capabilities':
                self.clients.append(client)
            for one in self.after_reply:
                self.send(client, one)
            self.after_reply = []


class Refused(Exception):
    pass


def run(control, *words, status=0):
    result = subprocess.run([find_program('tocsinctl'), '--socket', control.path, *words], capture_output=True,
                            text=True, timeout=SECONDS, check=False)
    assert result.returncode == status, f'{words}: {result.returncode}: {result.stdout}{result.stderr}'
    return result.stdout if status == 0 else result.stderr


@test
def status_shows_problems_safely(stage):
    control = stage.enter(Control(stage.folder))
    text = run(control, 'status')
    assert 'tocsind 0.1.0, process 42, since 2026-11-21 03:12:07.412 UTC' in text
    assert 'no permission to \\x1B[31m read' in text and '\x1b' not in text
    assert json.loads(run(control, 'status', '--json')) == STATUS


@test
def machines_list_one_and_none(stage):
    control = stage.enter(Control(stage.folder))
    text = run(control, 'machines')
    assert 'held: incident 5 waits for its delay' in text and 'told the VMM: panic=pause' in text
    assert 'panic \\u{202E}txt' in text
    text = run(control, 'machines', 'web-7')
    assert 'process' in text and '77' in text
    assert [m['name'] for m in json.loads(run(control, '--json', 'machines', 'w*'))] == ['web-7']
    assert 'nobody' in run(control, 'machines', 'nobody', status=4)


@test
def equal_crashes_are_counted(stage):
    group = {'signature': '9f-3', 'kind': 'panic', 'headline': 'Windows stopped', 'count': 11, 'newest': 5,
             'first': WHEN, 'last': WHEN, 'machines': 2, 'most': [{'machine': 'web-7', 'count': 11}]}
    control = stage.enter(Control(stage.folder, {
        'query-incident': INCIDENT | {'signature': '9f-3'},
        'query-crashes': lambda arguments: [group | {'count': 3 if 'machine' in arguments else 11}]}))
    text = run(control, 'incidents', '--group', '--machine', 'web-*', '--since', '2026-11-21')
    assert re.search(r'^3 +9f-3 .* web-7 11, 1 more +Windows stopped$', text, re.M), text
    assert control.calls[-1] == ('query-crashes', {'machine': 'web-*', 'since': 1795219200})
    text = run(control, 'incidents', 'show', '5')
    assert 'the same crash: 3 times on web-7, 11 times on this host since ' in text, text
    assert control.calls[-2:] == [('query-crashes', {'signature': '9f-3', 'machine': 'web-7'}),
                                  ('query-crashes', {'signature': '9f-3'})]
    assert '--group goes with' in run(control, 'incidents', '--group', '--status', 'open', status=2)


@test
def incidents_are_filtered_shown_and_acknowledged(stage):
    control = stage.enter(Control(stage.folder))
    run(control, 'incidents', '--machine', 'web-*', '--kind=panic', '--status', 'closed', '--since', '2026-11-21',
        '--before', '9', '--limit', '5')
    assert control.calls[-1] == ('query-incidents', {'machine': 'web-*', 'kind': 'panic', 'status': 'closed',
                                                     'since': 1795219200, 'before': 9, 'limit': 5})
    run(control, 'incidents', '--until', '2026-11-21', '--signature', '9f-3', '--stop-code', '0x9f')
    assert control.calls[-1] == ('query-incidents', {'until': 1795219200, 'signature': '9f-3', 'stop-code': 0x9f})
    run(control, 'incidents', '--reason', 'disabled-wait')
    assert control.calls[-1] == ('query-incidents', {'reason': 'disabled-wait'})
    assert 'DRIVER_POWER_STATE_FAILURE (0x9f)' in run(control, 'incidents')
    text = run(control, 'incidents', 'show', '5')
    assert '0xffffffffffffffff' in text and 'web.conf:4' in text
    assert json.loads(run(control, 'incidents', 'show', '5', '--json')) == INCIDENT
    assert 'Incident 6 not found' in run(control, 'incidents', 'show', '6', status=4)
    run(control, 'incidents', 'ack', '5', '7')
    assert control.calls[-1] == ('acknowledge-incident', {'id': 7})


@test
def explain_past_and_made_up(stage):
    control = stage.enter(Control(stage.folder))
    text = run(control, 'explain', '5')
    assert 'Decided  reset, by rule known\n    known bug\n' in text, text
    run(control, 'explain', '--machine', 'm', '--panic', 'hyper-v:0x9f,3')
    assert control.calls[-1] == ('explain', {'machine': 'm', 'kind': 'panic', 'info': {
        'type': 'hyper-v', 'arg1': 0x9f, 'arg2': 3, 'arg3': 0, 'arg4': 0, 'arg5': 0}})
    run(control, 'explain', '--machine', 'm', '--s390', 'disabled-wait,0x2000180000000,0x10fdee')
    assert control.calls[-1][1]['info']['psw-addr'] == 0x10fdee
    run(control, 'explain', '--machine', 'm', '--memory-failure', 'guest', '--action-required')
    assert control.calls[-1] == ('explain', {'machine': 'm', 'kind': 'memory-failure', 'recipient': 'guest',
                                             'flags': {'action-required': True, 'recursive': False}})
    run(control, 'explain', '--machine', 'm', '--watchdog', '--state', 'running')
    assert control.calls[-1] == ('explain', {'machine': 'm', 'kind': 'watchdog', 'state': 'running'})
    run(control, 'explain', '--machine', 'm', '--watchdog', '--panic', 'plain', status=2)
    run(control, 'explain', '--machine', 'm', '--panic', 'hyper-v:x', status=2)


@test
def machine_verbs(stage):
    control = stage.enter(Control(stage.folder))
    run(control, 'hold', 'web-7', '2h')
    assert control.calls[-1] == ('hold-machine', {'machine': 'web-7', 'seconds': 7200})
    run(control, 'hold', 'web-7', 'off')
    assert control.calls[-1] == ('hold-machine', {'machine': 'web-7', 'seconds': 0})
    run(control, 'hold', 'web-7', 'soon', status=2)
    run(control, 'reset-action', 'web-7', 'panic')
    assert control.calls[-1] == ('reset-action', {'machine': 'web-7', 'key': 'panic'})
    assert 'web.conf:2' in run(control, 'policy', 'web-7')


@test
def names_that_can_attach(stage):
    control = stage.enter(Control(stage.folder))
    assert f'path={stage.folder}/attach.sock' in run(control, 'attach', 'web-7', '--print')
    for name in ['host', '../../etc/x', '.hidden', 'a' * 81, '']:
        run(control, 'attach', name, '--print', status=2)


@test
def exit_statuses(stage):
    control = stage.enter(Control(stage.folder, {'query-tocsin': lambda _: refuse()}))
    assert 'busy' in run(control, 'status', status=1)
    assert 'did you mean status' in run(control, 'statsu', status=2)
    run(control, 'status', '--colour', status=2)
    run(control, status=2)
    control.close()
    run(control, 'status', status=3)


def refuse():
    raise Refused('GenericError', 'busy')


@test
def a_refused_client_is_told_why(stage):
    path = stage.folder / 'control.sock'
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def serve():
        client, _ = listener.accept()
        Control.send(client, {'error': {'class': 'GenericError', 'desc': 'You may not'}})
        client.close()
    threading.Thread(target=serve, daemon=True).start()
    result = subprocess.run([find_program('tocsinctl'), '--socket', path, 'status'], capture_output=True, text=True,
                            timeout=SECONDS, check=False)
    listener.close()
    assert result.returncode == 3 and 'You may not' in result.stderr, result


class Monitor:
    def __init__(self, control, *words):
        self.lines = []
        self.process = subprocess.Popen([find_program('tocsinctl'), '--socket', control.path, 'monitor', *words],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip('\n'))

    def seqs(self):
        return [json.loads(line)['data']['seq'] for line in list(self.lines)]

    def wait_seqs(self, *seqs):
        wait_for(lambda: self.seqs() == list(seqs), f'events {seqs}')


def wait_replay(control, count=1):
    wait_for(lambda: [c for c, _ in control.calls].count('replay-events') == count, 'a replay to be asked for')


@test
def monitor_shows_what_happens_now(stage):
    control = stage.enter(Control(stage.folder))
    control.announce(event(1))
    monitor = stage.enter(Monitor(control))
    wait_replay(control)
    info = {'type': 'hyper-v', 'arg1': 1, 'arg2': 0, 'arg3': 0, 'arg4': 0, 'arg5': 0}
    control.announce(event(2, 'GUEST_PANICKED', action='pause', info=info),
                     event(3, 'STOP', 'x\x1b]0;'),
                     event(4, 'GUEST_PANICKED', action='pause', info={'type': 'vax', 'sp': 1}))
    wait_for(lambda: len(monitor.lines) == 4, 'four lines')
    assert monitor.lines[0] == '2026-11-21 UTC'
    assert 'web-7' in monitor.lines[1] and 'APC_INDEX_MISMATCH (0x1)' in monitor.lines[1]
    assert 'x\\x1B]0;' in monitor.lines[2]
    assert 'vax sp 1' in monitor.lines[3]


@test
def monitor_replays_and_filters(stage):
    control = stage.enter(Control(stage.folder))
    control.announce(event(1), event(2), event(3, machine='db'), event(4, 'RESET'), event(5, 'STOP'))
    monitor = stage.enter(Monitor(control, '--json', '--after', '1', '--machine', 'web-*', '--event', 'STOP,RESUME'))
    monitor.wait_seqs(2, 5)
    assert json.loads(monitor.lines[0]) == event(2)


@test
def monitor_survives_a_restart(stage):
    control = stage.enter(Control(stage.folder))
    monitor = stage.enter(Monitor(control, '--json'))
    wait_replay(control)
    control.announce(event(1), event(2))
    monitor.wait_seqs(1, 2)
    control.close()
    again = stage.enter(Control(stage.folder))
    again.events = [event(seq) for seq in range(1, 6)]
    monitor.wait_seqs(1, 2, 3, 4, 5)
    wait_replay(again)
    again.announce(event(6))
    monitor.wait_seqs(1, 2, 3, 4, 5, 6)
    assert ('replay-events', {'after': 2, 'log': LOG}) in again.calls


@test
def monitor_begins_again_in_a_new_log(stage):
    control = stage.enter(Control(stage.folder))
    monitor = stage.enter(Monitor(control, '--json'))
    wait_replay(control)
    control.announce(event(1), event(2))
    monitor.wait_seqs(1, 2)
    control.close()
    again = stage.enter(Control(stage.folder, log='other'))
    again.events = [event(1, 'RESET')]
    monitor.wait_seqs(1, 2, 1)


@test
def monitor_fetches_what_it_was_too_slow_for(stage):
    control = stage.enter(Control(stage.folder))
    monitor = stage.enter(Monitor(control, '--json'))
    wait_replay(control)
    control.announce(event(1))
    monitor.wait_seqs(1)
    with control.lock:
        control.events += [event(2), event(3)]
        control.send(control.clients[0], {'timestamp': WHEN, 'event': 'EVENTS_LOST',
                                          'data': {'first': 2, 'last': 3, 'reason': 'slow-client'}})
        control.announce(event(4))
    monitor.wait_seqs(1, 2, 3, 4)


@test
def monitor_says_what_is_gone_for_good(stage):
    control = stage.enter(Control(stage.folder))
    monitor = stage.enter(Monitor(control, '--json', '--machine', 'web-*'))
    wait_replay(control)
    control.send(control.clients[0], {'timestamp': WHEN, 'event': 'EVENTS_LOST',
                                      'data': {'first': 2, 'last': 3, 'reason': 'expired'}})
    wait_for(lambda: len(monitor.lines) == 1, 'the loss to be told')


@test
def the_manual_and_completion_know_every_word(_stage):
    text = subprocess.run([find_program('tocsinctl'), '--help'], capture_output=True, text=True, check=True).stdout
    words = set(re.findall(r'^  ([a-z][a-z-]+) ', text, re.M))
    assert 'status' in words
    for source in (SOURCE / 'daemon' / 'ctl').glob('*.c'):
        words |= set(re.findall(r'\{ "([a-z0-9-]+)", (?:0|\'.\'), ', source.read_text()))
    assert 'memory-failure' in words
    for name in ['docs/tocsinctl.1', 'packaging/completion/tocsinctl.bash', 'packaging/completion/_tocsinctl',
                 'packaging/completion/tocsinctl.fish']:
        known = (SOURCE / name).read_text().replace('\\-', '-')
        missing = [word for word in words if not re.search(rf'(?<![a-z]){word}(?![a-z-])', known)]
        assert not missing, f'{name}: {missing}'


@test
def decode_asks_nobody(stage):
    words = [find_program('tocsinctl'), '--socket', '/nowhere', 'decode']
    log = ("2024-08-28 06:56:35.430+0000: panic s390: core='0' psw-mask='0x0002000180000000' "
           "psw-addr='0x000000000010fdee' reason='disabled-wait'\n"
           'HV crash parameters: (0x9f 0x3 0xffffe00012345060 0 0x1)\n')
    system_map = stage.folder / 'System.map'
    system_map.write_text('000000000010fcd6 T panic\n')
    text = subprocess.run([*words, '--system-map', system_map], input=log, capture_output=True, text=True, check=True).stdout
    assert 'disabled wait at panic+0x118 (0x10fdee)' in text and 'DRIVER_POWER_STATE_FAILURE (0x9f)' in text, text
    found = json.loads(subprocess.run([*words, '--json'], input=log, capture_output=True, text=True, check=True).stdout)
    assert [crash['signature'] for crash in found] == ['s390-disabled-wait-at-dee', '9f-3']
    assert found[1]['info'] == {'type': 'hyper-v', 'arg1': 0x9f, 'arg2': 3, 'arg3': 0xffffe00012345060, 'arg4': 0, 'arg5': 1}
    # Words of an argument; nothing known; a stop code alone.
    assert 'MANUALLY_INITIATED_CRASH' in subprocess.run([*words, '0xe2'], capture_output=True, text=True, check=True).stdout
    failed = subprocess.run([*words, 'it', 'died'], capture_output=True, text=True, check=False)
    assert failed.returncode == 1 and 'five numbers' in failed.stderr and failed.stdout == ''


@test
def top_once(stage):
    control = stage.enter(Control(stage.folder))
    text = run(control, 'top', '--once')
    assert '2 machines, 1 attached, 1 open' in text and '\x1b' not in text
    # Who needs somebody stands first.
    assert text.index('web-7') < text.index('host ')


@test
def top_leaves_the_terminal_as_it_was(stage):
    control = stage.enter(Control(stage.folder))
    ours, theirs = pty.openpty()
    process = subprocess.Popen([find_program('tocsinctl'), '--socket', control.path, 'top'], stdin=theirs,
                               stdout=theirs, stderr=theirs)
    os.close(theirs)
    output = b''
    asked = False
    while select.select([ours], [], [], SECONDS)[0]:
        try:
            output += os.read(ours, 65536)
        except OSError:  # nobody holds the other end any more
            break
        if b'web-7' in output and not asked:
            os.write(ours, b'q')
            asked = True
    assert process.wait(SECONDS) == 0
    os.close(ours)
    assert output.startswith(b'\x1b[?1049h\x1b[?25l') and output.endswith(b'\x1b[?25h\x1b[?1049l'), output[-80:]


if __name__ == '__main__':
    main()
