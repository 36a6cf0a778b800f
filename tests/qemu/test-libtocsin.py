#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libtocsin against tocsind: asked, away, killed, come back."""

import json
import os
import select
import signal
import subprocess
import time

from lib.testing import BUILD, Skip, main, test
from lib.waiting import SLOW, Deadline, Late, wait_for

PANIC, CRASHLOADED, WATCHDOG = 0, 1, 2
NONE, RUN, PAUSE, RESET, SHUTDOWN, POWEROFF = range(6)
ENFORCE = '[guest *]\nmode = enforce\n'


class Driver:
    def __init__(self, stage, tocsin, *arguments):
        program = BUILD / 'tests' / 'qemu' / 'vmm-driver'
        if not program.exists():
            raise Skip(f'{program}')
        self.process = subprocess.Popen([program, tocsin.runtime / 'vmm.sock', *arguments], bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.received = b''
        self.lines = []
        stage.closing.callback(self.close)

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(10)
        self.process.stdout.close()
        assert status == 0, status

    def read(self, what, seconds=10):
        """The next object of that name; others are kept."""
        deadline = Deadline(seconds)
        while True:
            for number, line in enumerate(self.lines):
                if what in line:
                    return self.lines.pop(number)[what]
            if not select.select([self.process.stdout], [], [], deadline.left())[0]:
                raise Late(f'no {what}; {self.lines}')
            self.received += os.read(self.process.stdout.fileno(), 1 << 16)
            *lines, self.received = self.received.split(b'\n')
            self.lines += [json.loads(line) for line in lines]

    def write(self, line):
        self.process.stdin.write(line.encode() + b'\n')

    def say(self, line, what=None):
        self.write(line)
        return self.read(what or line.split()[0])

    def register(self, name='vm'):
        self.say(f'register {name}')
        wait_for(lambda: self.say('status')['ready'] == 1, 'the driver to be connected')

    def ask(self, kind=PANIC, deadline=5000, fallback=PAUSE, name='vm'):
        return self.say(f'ask {kind} {name} {deadline} {fallback}')


@test
def asked_and_done(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\n')
    driver = Driver(stage, tocsin)
    driver.register()
    decision = driver.ask()
    assert decision['action'] == RESET and not decision['fallback'], decision
    driver.say(f"done vm {decision['incident']} {RESET}")
    assert tocsin.wait_incidents('vm')[0]['outcome'] == 'done'


@test
def without_a_loop(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\n')
    driver = Driver(stage, tocsin, '--deaf')
    driver.say('register vm')
    decision = driver.ask()
    assert decision['action'] == RESET, decision
    driver.say(f"done vm {decision['incident']} {RESET}")
    assert tocsin.wait_incidents('vm')[0]['outcome'] == 'done'


@test
def tocsind_away(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\n', start=False)
    driver = Driver(stage, tocsin)
    driver.say('register vm')
    decision = driver.ask(fallback=PAUSE)
    assert decision['fallback'] and decision['action'] == PAUSE and decision['took'] < 50_000 * SLOW, decision
    tocsin.start()
    # It stood still by itself: what is to be done is told when tocsind is there.
    act = driver.read('act')
    assert act['action'] == RESET, act
    driver.say(f"done vm {act['incident']} {RESET}")
    records = tocsin.wait_incidents('vm')
    assert len(records) == 1 and records[0]['outcome'] == 'done', records
    assert not records[0]['report']['asked'], records[0]


@test
def a_queue_with_an_end(stage):
    tocsin = stage.tocsin(start=False)
    driver = Driver(stage, tocsin)
    driver.say('register vm')
    for _ in range(80):
        assert driver.say(f'tell {CRASHLOADED} vm {NONE}')['r'] == 0
    tocsin.configure('', 'incident-rate = 1000\n')
    tocsin.start()
    records = tocsin.wait_incidents('vm', 64)
    numbers = [record['report']['number'] for record in records]
    assert numbers == list(range(17, 81)), numbers


@test
def killed_while_asked(stage):
    """Each report is one incident, whenever tocsind dies; each is answered by its deadline."""
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\nwatchdog = shutdown\n', 'incident-rate = 1000\naction-cap = 1000/1s\n')
    driver = Driver(stage, tocsin)
    driver.register()
    for number in range(1, 21):
        driver.write(f'ask {WATCHDOG} vm 3000 {NONE}')
        time.sleep(number * 0.0003)
        tocsin.kill()
        decision = driver.read('ask')
        assert decision['took'] < 3_100_000, decision
        tocsin.start()
        driver.register()
        if not decision['fallback']:
            driver.say(f"done vm {decision['incident']} {decision['action']}")
        deadline = Deadline(1)
        while decision['fallback'] and not deadline.is_over():
            try:
                act = driver.read('act', 0.3)
                driver.say(f"done vm {act['incident']} {act['action']}")
            except Late:
                break
    records = tocsin.wait_incidents('vm', 20)
    numbers = [record['report']['number'] for record in records]
    assert len(set(numbers)) == len(numbers) == 20, numbers
    assert {record['outcome'] for record in records} == {'done'}, [record['outcome'] for record in records]


@test
def tocsind_that_hangs(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\n')
    driver = Driver(stage, tocsin)
    driver.register()
    tocsin.process.send_signal(signal.SIGSTOP)
    try:
        decision = driver.ask(deadline=200)
        assert decision['fallback'] and 190_000 < decision['took'] < 400_000 * SLOW, decision
    finally:
        tocsin.process.send_signal(signal.SIGCONT)
    # The answer comes late, and is what is left to do.
    act = driver.read('act')
    assert act['action'] == RESET, act
    driver.say(f"done vm {act['incident']} {RESET}")
    assert [record['outcome'] for record in tocsin.wait_incidents('vm')] == ['done']


@test
def later(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\npanic = reset\n')
    driver = Driver(stage, tocsin)
    driver.register()
    driver.write(f'later {PANIC} vm 1000 {PAUSE}')
    answers = [driver.read('later'), driver.read('later')]
    decision = next(answer for answer in answers if 'action' in answer)
    assert decision['action'] == RESET, decision
    driver.say(f"done vm {decision['incident']} {RESET}")
    tocsin.process.send_signal(signal.SIGSTOP)
    try:
        driver.write(f'later {PANIC} vm 100 {PAUSE}')
        answers = [driver.read('later'), driver.read('later')]
        decision = next(answer for answer in answers if 'action' in answer)
        assert decision['fallback'] and decision['action'] == PAUSE, decision
    finally:
        tocsin.process.send_signal(signal.SIGCONT)


@test
def many_threads(stage):
    tocsin = stage.tocsin(ENFORCE + '[guest vm]\nwatchdog = shutdown\n', 'incident-rate = 1000\naction-cap = 1000/1s\n')
    driver = Driver(stage, tocsin)
    driver.register()
    driver.write(f'threads {WATCHDOG} vm 16')
    decisions = [driver.read('thread') for _ in range(16)]
    assert all(decision['action'] == SHUTDOWN and not decision['fallback'] for decision in decisions), decisions
    assert len({decision['incident'] for decision in decisions}) == 16
    records = tocsin.wait_incidents('vm', 16)
    assert {record['outcome'] for record in records} == {'done'}, records


@test
def a_delayed_decision(stage):
    tocsin = stage.tocsin(ENFORCE + '[rule r]\nkind = panic\naction = reset\ndelay = 1s\n')
    driver = Driver(stage, tocsin)
    driver.register()
    decision = driver.ask()
    assert decision['action'] == NONE and decision['due'] > 0, decision
    tocsin.kill()
    tocsin.start()
    act = driver.read('act')
    assert act['incident'] == decision['incident'] and act['action'] == RESET, act
    # Told again after another crash, it is not carried out again.
    tocsin.kill()
    tocsin.start()
    driver.register()
    driver.say(f"done vm {act['incident']} {RESET}")
    assert tocsin.wait_incidents('vm')[0]['outcome'] == 'done'
    assert not any('act' in line for line in driver.lines), driver.lines


@test
def not_allowed(stage):
    tocsin = stage.tocsin('[vmm]\nallow = 12345:*\n')
    driver = Driver(stage, tocsin)
    driver.say('register vm')
    decision = driver.ask(deadline=300)
    assert decision['fallback'] and decision['action'] == PAUSE, decision
    wait_for(lambda: 'Permission denied' in driver.say('status')['error'], 'the refusal')
    assert os.geteuid() != 12345


def run_example(tocsin):
    program = BUILD / 'docs' / 'examples' / 'example-vmm'
    if not program.exists():
        raise Skip(f'{program}')
    result = subprocess.run([program, 'win', tocsin.runtime / 'vmm.sock'], capture_output=True, text=True, timeout=60,
                            check=False)
    assert result.returncode == 0, result
    return result.stdout.splitlines()


@test
def the_example(stage):
    tocsin = stage.tocsin(ENFORCE + '[rule crash]\nstop-code = 0x9f\naction = reset\nlimit = 3/1h\nthen = shutdown\n')
    lines = run_example(tocsin)
    assert [line for line in lines if line.endswith((': resets', ': ends'))] == ['win: resets'] * 3 + ['win: ends'], lines
    records = tocsin.wait_incidents('win', 4)
    assert {record['info']['arg1'] for record in records} == {0x9f}, records
    assert [record['outcome'] for record in records] == ['done'] * 4, records
    tocsin.wait_machine('win', 'to end', lambda machine: machine.get('ended'))


@test
def the_example_with_a_delay(stage):
    tocsin = stage.tocsin(ENFORCE + '[rule crash]\nstop-code = 0x9f\naction = shutdown\ndelay = 1s\n')
    assert run_example(tocsin)[-1] == 'win: ends'
    record = tocsin.wait_incidents('win')[0]
    assert record['outcome'] == 'done', record


if __name__ == '__main__':
    main()
