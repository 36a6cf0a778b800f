#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tocsinctl record: what a live daemon saw and decided comes out again in virtual time."""

import signal
import subprocess

from lib.testing import BUILD, find_program, main, test
from lib.waiting import wait_for

SCENARIO = BUILD / 'tests' / 'scenario' / 'scenario'


def judge(file):
    return subprocess.run([SCENARIO, file], capture_output=True, text=True, check=False).stdout


class Recorder:
    def __init__(self, stage, tocsin):
        self.tocsin = tocsin
        self.file = stage.folder / 'recorded.scn'
        errors = stage.folder / 'record.stderr'
        self.process = subprocess.Popen([find_program('tocsinctl'), '--socket', tocsin.runtime / 'control.sock',
                                         'record', '--config', tocsin.file, self.file],
                                        stderr=errors.open('wb'))
        stage.closing.callback(self.process.kill)
        wait_for(lambda: 'recording' in errors.read_text(), 'the recorder to have begun')

    def stop(self):
        """The scenario, which has to pass."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == 0
        text = self.file.read_text()
        verdict = judge(self.file)
        assert verdict.startswith('ok '), verdict + text
        return text


def play(stage, image, rules, *arguments, mode='enforce', **guest):
    guest = stage.guest('web', image, *arguments, **guest)
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = {mode}\n{rules}\n')
    tocsin.wait_attached('web')
    return guest, tocsin, Recorder(stage, tocsin)


@test
def a_crash_loop(stage):
    guest, tocsin, recorder = play(stage, 'x86-panic-every-boot', 'panic = reset', '-device', 'pvpanic')
    guest.start()
    tocsin.wait_incidents('web', 6)
    text = recorder.stop()
    assert 'panic=reset' in text, text
    assert text.count('say') >= 18, text
    assert str(tocsin.folder) not in text, text


@test
def a_decision_that_is_held_and_carried_out(stage):
    guest, tocsin, recorder = play(stage, 'x86-panic',
                                   '[rule patient]\nkind = panic\naction = reset\ndelay = 1s\ncancel-on = RESET',
                                   '-device', 'pvpanic')
    guest.start()
    tocsin.wait_incidents('web')
    text = recorder.stop()
    assert '> say 1 web panic held: guest panicked; reset (rule patient)\n' in text, text
    assert '> say 1 web panic closed: guest panicked; reset (rule patient); done\n' in text, text
    recorder.file.write_text(text.replace('action=reset', 'action=pause'))
    assert 'not ok' in judge(recorder.file)


@test
def a_guest_that_helps_itself(stage):
    guest, tocsin, recorder = play(stage, 'x86-panic',
                                   '[rule patient]\nkind = panic\naction = reset\ndelay = 10s\ncancel-on = RESET',
                                   '-device', 'pvpanic')
    guest.start()
    tocsin.wait_incidents('web', status='held')
    guest.monitor.execute('system_reset')
    tocsin.wait_incidents('web')
    text = recorder.stop()
    assert 'recovered' in text, text


@test
def a_watchdog_whose_action_is_not_what_the_backend_did(stage):
    guest, tocsin, recorder = play(stage, 'x86-ib700', '[rule dog]\nkind = watchdog\naction = reset',
                                   '-device', 'ib700')
    guest.start()
    tocsin.wait_incidents('web')
    text = recorder.stop()
    assert 'web WATCHDOG {"action": "pause"}' in text, text
    assert 'reset (rule dog); done' in text, text


@test
def observed_until_the_process_is_gone(stage):
    guest, tocsin, recorder = play(stage, 'x86-panic', 'panic = reset', '-device', 'pvpanic', mode='observe')
    guest.start()
    guest.wait_end()
    tocsin.wait_machine('web', 'to have ended', lambda machine: 'ended' in machine)
    text = recorder.stop()
    assert 'would' in text, text


@test
def killed(stage):
    guest, tocsin, recorder = play(stage, 'x86-idle', '')
    guest.start()
    guest.kill()
    tocsin.wait_machine('web', 'to have ended', lambda machine: 'ended' in machine)
    text = recorder.stop()
    assert ' web gone 9\n' in text, text


@test
def begun_in_the_middle_of_an_incident(stage):
    guest = stage.guest('web', 'x86-panic', '-device', 'pvpanic')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = pause\n')
    tocsin.wait_attached('web')
    guest.start()
    tocsin.wait_incidents('web')
    recorder = Recorder(stage, tocsin)
    guest.monitor.execute('system_reset')
    guest.monitor.execute('cont')
    assert ' web ' not in recorder.stop()


@test
def so_many_seconds_of_one_machine(stage):
    guest = stage.guest('web', 'x86-idle')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n')
    tocsin.wait_attached('web')
    text = tocsin.ctl('record', '--config', str(tocsin.file), '--seconds', '1', '--machine', 'nobody')
    assert text.startswith('# Recorded from '), text
    assert ' web ' not in text, text


if __name__ == '__main__':
    main()
