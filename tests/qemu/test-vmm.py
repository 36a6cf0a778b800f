#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vmm.sock as its clients see it: what is reported is decided, once, whatever dies in between, and
nobody reports for another's machine."""

import contextlib
import os
import re
import subprocess
import sys
import time
import uuid

from lib.qmp import Closed, Qmp, QmpError
from lib.testing import SOURCE, Skip, main, test
from lib.waiting import Late, wait_for

ENFORCE = '[guest *]\nmode = enforce\n'
OTHER_UID = 65534

MACHINE = '''
import os, sys
sys.stdin.read()
'''


class Vmm:
    """A VMM without libtocsin. Its machine is a process of its own, so that it can end."""

    def __init__(self, stage, tocsin, machine='vm', client=None):
        self.tocsin = tocsin
        self.machine = machine
        self.client = client or str(uuid.uuid4())
        self.number = 0
        self.process = subprocess.Popen([sys.executable, '-c', MACHINE], stdin=subprocess.PIPE)
        stage.closing.callback(self.end)
        self.qmp = None

    def connect(self, **more):
        self.qmp = Qmp(self.tocsin.runtime / 'vmm.sock')
        return self.qmp.execute('register-machine', {'machine': self.machine, 'client': self.client,
                                                     'pid': self.process.pid, **more})

    def end(self):
        self.process.kill()
        self.process.wait()
        if self.qmp:
            self.qmp.close()

    def report(self, command, number=None, again=False, by_itself=None, acted=None, **arguments):
        if number is None:
            self.number += 1
            number = self.number
        report = {'machine': self.machine, 'client': self.client, 'number': number}
        for key, value in {'again': again or None, 'action': by_itself, 'acted': acted}.items():
            if value is not None:
                report[key] = value
        return self.qmp.execute(command, {'report': report,
                                          **{key.replace('_', '-'): value for key, value in arguments.items()}})

    def done(self, incident, action, **more):
        return self.report('report-done', incident=incident, action=action, **more)


def msrs(*values):
    return [{'index': 0x40000100 + number, 'value': value} for number, value in enumerate(values)]


@test
def decision_in_the_reply(stage):
    tocsin = stage.tocsin(ENFORCE + '[rule r]\nkind = panic\nstop-code = 0x9f\naction = reset\n')
    vmm = Vmm(stage, tocsin, 'win 1')
    answer = vmm.connect(version='test 1', uuid='6a1bb02e-8d4a-4a6e-95b5-2c4b7b4c3b11')
    assert answer == {'name': 'win\\x201', 'mode': 'enforce'}, answer
    machine = tocsin.machine(answer['name'])
    assert machine['backend'] == 'vmm' and machine['state'] == 'running' and machine['shown'] == 'win 1', machine
    with tocsin.endpoint(answer['name']) as endpoint:
        decision = vmm.report('report-panic', hyperv=msrs(0x9f, 3, 2, 1, 0))
        assert decision['action'] == 'reset', decision
        event = endpoint.wait_event('GUEST_PANICKED')
        assert event['data'] == {'action': 'pause', 'info': {
            'type': 'hyper-v', 'arg1': 0x9f, 'arg2': 3, 'arg3': 2, 'arg4': 1, 'arg5': 0}}, event
        vmm.done(decision['incident'], 'reset')
        assert endpoint.wait_event('RESET')['data'] == {'guest': False, 'reason': 'host-qmp-system-reset'}
    record = tocsin.wait_incidents(answer['name'])[0]
    assert record['outcome'] == 'done' and record['resets'] == 1, record
    assert [step['what'] for step in record['steps']] == [
        'GUEST_PANICKED', 'intent', 'answer', 'reset', 'RESET'], record['steps']
    vmm.process.kill()
    tocsin.wait_machine(answer['name'], 'to end', lambda machine: machine.get('ended'))


@test
def observed_only(stage):
    tocsin = stage.tocsin('[guest *]\npanic = reset\n')
    vmm = Vmm(stage, tocsin)
    assert vmm.connect()['mode'] == 'observe'
    decision = vmm.report('report-panic', by_itself='shutdown')
    assert decision['action'] == 'shutdown', decision
    record = tocsin.wait_incidents('vm')[0]
    assert record['outcome'] == 'backend' and record['decision']['would'] == 'reset', record
    assert record['data'] == {'action': 'poweroff'}, record


@test
def counts_once(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    first = vmm.report('report-panic', number=7)
    assert vmm.report('report-panic', number=7, again=True)['incident'] == first['incident']
    # Again on a new connection, and to a tocsind that was killed meanwhile.
    vmm.connect()
    again = vmm.report('report-panic', number=7, again=True)
    assert again['incident'] == first['incident'] and again['action'] == 'reset', again
    tocsin.kill()
    tocsin.start()
    vmm.connect()
    again = vmm.report('report-panic', number=7, again=True)
    assert again['incident'] == first['incident'] and again['action'] == 'reset', again
    vmm.number = 7
    vmm.done(first['incident'], 'reset')
    tocsin.wait_incidents('vm')
    # ... and when its record is closed.
    tocsin.kill()
    tocsin.start()
    vmm.connect()
    assert vmm.report('report-panic', number=7, again=True)['incident'] == first['incident']
    assert len(tocsin.incidents('vm')) == 1
    assert vmm.report('report-panic', number=9, again=True)['incident'] != first['incident']


@test
def killed_between_report_and_reply(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\nwatchdog = reset\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    done = set()
    for number in range(1, 16):
        vmm.qmp.send_raw((
            '{"execute": "report-watchdog", "arguments": {"report": {"machine": "vm", "client": "%s", "number": %d}}}'
            % (vmm.client, number)).encode())
        time.sleep(number * 0.0004)
        tocsin.kill()
        tocsin.start()
        vmm.connect()
        decision = vmm.report('report-watchdog', number=number, again=True)
        vmm.number = 100 + 10 * number
        # What it has said to have done is kept.
        assert not any(event['data']['incident'] in done for event in vmm.qmp.events), vmm.qmp.events
        done.add(decision['incident'])
        if decision['action'] == 'reset':
            vmm.done(decision['incident'], 'reset')
        # a reset more than five times in ten minutes is a pause
        else:
            assert decision['action'] == 'pause', decision
            vmm.done(decision['incident'], 'pause')
    records = tocsin.wait_incidents('vm', 15)
    assert [record['report']['number'] for record in records] == list(range(1, 16)), records
    outcomes = [record['outcome'] for record in records]
    assert set(outcomes) <= {'done', 'overtaken'}, records


@test
def a_delayed_decision_comes_as_an_event(stage):
    tocsin = stage.tocsin(ENFORCE + '[rule r]\nkind = panic\naction = reset\ndelay = 1s\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    decision = vmm.report('report-panic')
    assert decision['action'] == 'none' and 'due' in decision, decision
    act = vmm.qmp.wait_event('ACT')['data']
    assert (act['machine'], act['incident'], act['action']) == ('vm', decision['incident'], 'reset'), act
    vmm.done(act['incident'], 'reset')
    assert tocsin.wait_incidents('vm')[0]['outcome'] == 'done'


@test
def a_delayed_decision_survives_tocsind(stage):
    tocsin = stage.tocsin(ENFORCE + '[rule r]\nkind = panic\naction = reset\ndelay = 1s\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    decision = vmm.report('report-panic')
    tocsin.kill()
    tocsin.start()
    vmm.connect()
    assert vmm.qmp.wait_event('ACT')['data']['incident'] == decision['incident']
    tocsin.kill()
    tocsin.start()
    vmm.connect()
    # told again: whether it was heard nobody knows
    assert vmm.qmp.wait_event('ACT')['data']['incident'] == decision['incident']
    vmm.done(decision['incident'], 'reset')
    assert tocsin.wait_incidents('vm')[0]['outcome'] == 'done'


@test
def what_could_not_be_done(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    decision = vmm.report('report-panic')
    vmm.done(decision['incident'], 'reset', error='no such button')
    record = tocsin.wait_incidents('vm')[0]
    assert record['outcome'] == 'failed' and record['steps'][-1]['error'] == 'no such button', record


@test
def one_that_did_not_wait(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\nwatchdog = reset\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    # It was away and stood still: what is left to do is told.
    decision = vmm.report('report-panic', by_itself='pause', acted=True)
    assert decision['action'] == 'none', decision
    act = vmm.qmp.wait_event('ACT')['data']
    assert act['action'] == 'reset', act
    vmm.done(act['incident'], 'reset')
    # What can't be taken back is recorded.
    vmm.report('report-watchdog', by_itself='poweroff', acted=True)
    records = tocsin.wait_incidents('vm', 2)
    assert [record['outcome'] for record in records] == ['done', 'backend'], records


@test
def clamped_to_what_it_can(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = exit-failure\nwatchdog = inject-nmi\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect(can=['pause', 'poweroff', 'shutdown', 'none'])
    decision = vmm.report('report-watchdog')
    assert decision['action'] == 'pause', decision
    vmm.done(decision['incident'], 'pause')
    vmm.connect(can=['inject-nmi', 'exit-failure', 'pause'])
    assert vmm.report('report-panic')['action'] == 'exit-failure'


@test
def events_of_a_vmm(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\nwatchdog = none\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    with tocsin.endpoint('vm') as endpoint:
        vmm.report('report-run-state', state='paused')
        endpoint.wait_event('STOP')
        status = endpoint.execute('query-status')
        assert status['status'] == 'paused' and not status['running'], status
        vmm.report('report-run-state', state='running')
        endpoint.wait_event('RESUME')
        vmm.report('report-vfio-migration', device_id='nic', qom_path='/nic', device_state='stop-copy')
        assert endpoint.wait_event('VFIO_MIGRATION')['data']['device-state'] == 'stop-copy'
        # throttled as QEMU does: the first at once, the last when the second is over
        for _ in range(4):
            vmm.report('report-watchdog')
        endpoint.listen(0.2)
        assert sum(event['event'] == 'WATCHDOG' for event in endpoint.events) == 1, endpoint.events
        endpoint.listen(1)
        assert sum(event['event'] == 'WATCHDOG' for event in endpoint.events) == 2, endpoint.events
        vmm.report('report-memory-failure', recipient='guest', by_itself='inject', address=0x7f0000001000,
                   flags={'action-required': True, 'recursive': False})
        event = endpoint.wait_event('MEMORY_FAILURE')
        assert event['data'] == {'action': 'inject', 'recipient': 'guest',
                                 'flags': {'action-required': True, 'recursive': False}}, event
        vmm.report('report-crashloaded')
        endpoint.wait_event('GUEST_CRASHLOADED', action='run')
        vmm.report('report-notify-vmexit')
        vmm.report('report-run-state', state='shutdown', reason='guest-shutdown')
        event = endpoint.wait_event('SHUTDOWN')
        assert event['data'] == {'guest': True, 'reason': 'guest-shutdown'}, event
        assert not any(event['event'] == 'NOTIFY_VMEXIT' for event in endpoint.events)
    kinds = [record['kind'] for record in tocsin.incidents('vm')]
    assert kinds == ['watchdog'] * 4 + ['memory-failure', 'crashloaded', 'notify-vmexit'], kinds
    assert any('0x7f0000001000' in step['text'] for step in tocsin.incidents('vm')[4]['steps'])


@test
def a_message_and_a_psw(stage):
    tocsin = stage.tocsin()
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    registers = msrs(0, 0, 0, 0x1000, 11) + [{'index': 0x40000105, 'value': 3 << 62}]
    vmm.report('report-panic', hyperv=registers, message='Oops: \x1b[2J\n')
    vmm.report('report-panic', s390={'core': 1, 'psw': {'mask': 0x0002000180000000, 'addr': 0x4711}})
    try:
        vmm.report('report-panic', s390={'core': 1, 'psw': {'mask': 0x0002000180000000, 'addr': 0xfff}})
        raise AssertionError('a guest that has shut down is no panic')
    except QmpError:
        pass
    message, psw = tocsin.wait_incidents('vm', 2)
    assert message['message'] == 'Oops: \x1b[2J\n' and message['info']['arg4'] == 0x1000, message
    assert psw['info'] == {'type': 's390', 'core': 1, 'psw-mask': 0x0002000180000000, 'psw-addr': 0x4711,
                           'reason': 'disabled-wait'}, psw


@test
def the_words_of_a_linux_guest_become_the_headline(stage):
    tocsin = stage.tocsin()
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    message = ('<0>[    4.8] Kernel panic - not syncing: sysrq triggered crash\n<4>[    4.8] Call Trace:\n'
               '<4>[    4.8]  panic+0x344/0x3a0\n<4>[    4.8]  sysrq_handle_crash+0x1a/0x20\n')
    registers = msrs(0, 0, 0, 0x1000, len(message)) + [{'index': 0x40000105, 'value': 3 << 62}]
    vmm.report('report-panic', hyperv=registers, message=message)
    incident, = tocsin.wait_incidents('vm')
    assert incident['headline'] == 'Linux stopped: Kernel panic - not syncing: sysrq triggered crash', incident
    assert incident['signature'] == 'panic-sysrq-triggered-crash'
    assert incident['call-trace'] == 'panic, sysrq_handle_crash'
    assert 'call trace: panic, sysrq_handle_crash' in tocsin.ctl('incidents', 'show', '1')


@test
def relayed_events(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\n')
    vmm = Vmm(stage, tocsin)
    vmm.connect(relays=True)
    when = {'seconds': 1700000000, 'microseconds': 123456}
    with tocsin.endpoint('vm') as endpoint:
        for name, data in (('GUEST_PANICKED', {'action': 'pause'}), ('STOP', None)):
            vmm.number += 1
            arguments = {'report': {'machine': 'vm', 'client': vmm.client, 'number': vmm.number, 'time': when},
                         'event': name}
            if data:
                arguments['data'] = data
            vmm.qmp.execute('relay-event', arguments)
        assert endpoint.wait_event('GUEST_PANICKED')['timestamp'] == when
        act = vmm.qmp.wait_event('ACT')['data']
        assert act['action'] == 'reset', act
        for name in ('RESET', 'RESUME'):
            vmm.report('relay-event', event=name, **({'data': {'guest': False, 'reason': 'host-qmp-system-reset'}}
                                                     if name == 'RESET' else {}))
            endpoint.wait_event(name)
        vmm.done(act['incident'], 'reset')
        endpoint.listen(0.1)
        assert sum(event['event'] == 'RESET' for event in endpoint.events) == 1, endpoint.events
    assert tocsin.wait_incidents('vm')[0]['outcome'] == 'done'


@test
def connection_and_process_end(stage):
    tocsin = stage.tocsin()
    vmm = Vmm(stage, tocsin)
    vmm.connect()
    vmm.qmp.close()
    tocsin.wait_machine('vm', 'to be lost', lambda machine: not machine['attached'])
    assert 'ended' not in tocsin.machine('vm')
    vmm.connect()
    tocsin.wait_attached('vm')
    vmm.qmp.execute('unregister-machine', {'machine': 'vm', 'client': vmm.client})
    tocsin.wait_machine('vm', 'to end', lambda machine: machine.get('ended'))
    vmm.connect()
    vmm.process.kill()
    tocsin.wait_machine('vm', 'to end', lambda machine: machine.get('ended'))


@test
def tocsinctl_report(stage):
    tocsin = stage.tocsin(ENFORCE + '[rule r]\nkind = panic\naction = reset\nlimit = 1/1h\nthen = pause\n'
                          '[rule w]\nkind = watchdog\naction = reset\ndelay = 1s\n')
    text = tocsin.ctl('report', 'web 1', '--panic', 'hyper-v:0x9f,3', '--message', 'gone', '--action', 'none')
    assert re.fullmatch(r'incident \d+: reset \(.*\)\n', text), text
    record = tocsin.wait_incidents('web\\x201')[0]
    assert record['outcome'] == 'done' and record['message'] == 'gone' and record['report']['action'] == 'none', record
    lines = tocsin.ctl('report', 'web', '--watchdog', '--wait').splitlines()
    assert len(lines) == 2 and ': none (' in lines[0] and ': reset (' in lines[1], lines
    assert tocsin.wait_incidents('web')[0]['outcome'] == 'done'
    assert tocsin.ctl('report', 'web', check=False).returncode == 2
    assert tocsin.ctl('report', 'web', '--panic', 'hyper-v:x', check=False).returncode == 2


@contextlib.contextmanager
def as_user(uid):
    if os.geteuid() != 0:
        raise Skip('root, to be somebody else')
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def refusal(func):
    try:
        func()
    except QmpError as error:
        return error.text
    except (Closed, KeyError):
        return 'closed'
    raise AssertionError('was not refused')


@test
def who_may_report(stage):
    os.chmod(stage.folder, 0o755)
    tocsin = stage.tocsin()
    vmm = Vmm(stage, tocsin, 'mine-1')
    with as_user(OTHER_UID):
        assert refusal(vmm.connect) == 'closed'
    tocsin.configure(f'[vmm]\nallow = root:*, {OTHER_UID}:mine-*\n')
    tocsin.reload()
    with as_user(OTHER_UID):
        wait_for(lambda: allowed(vmm), 'the new configuration')
    other = Vmm(stage, tocsin, 'yours')
    with as_user(OTHER_UID):
        assert 'may not report' in refusal(other.connect)
    problems = tocsin.execute('query-tocsin')['problems']
    assert any(f'uid {OTHER_UID}' in problem and 'yours' in problem for problem in problems), problems
    # A machine of somebody else's client is not to be had, nor its reports made.
    other.client, other.machine = vmm.client, 'mine-1'
    other.process, vmm.process = vmm.process, other.process
    assert 'connected already' in refusal(other.connect)
    thief = Vmm(stage, tocsin, 'mine-1')
    assert 'taken' in refusal(thief.connect)
    assert 'not registered' in refusal(lambda: thief.report('report-panic'))


def allowed(vmm):
    try:
        vmm.connect()
        return True
    except (QmpError, Closed, KeyError):
        return False


if __name__ == '__main__':
    main()
