#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The configuration of a running daemon: reloaded as a whole or not at all, and checked with words
that help."""

import subprocess

from lib.testing import find_program, main, test
from lib.waiting import wait_for


def check(file):
    return subprocess.run([find_program('tocsind'), '--check', '--config', file], capture_output=True, text=True,
                          timeout=30, check=False)


@test
def reload_takes_a_new_guest(stage):
    first = stage.guest('first', 'x86-idle')
    second = stage.guest('second', 'x86-idle')
    tocsin = stage.tocsin(f'[guest first]\nqmp = {first.path}\n')
    run = tocsin.wait_machine('first')['run']
    control = stage.enter(tocsin.control())
    tocsin.configure(f'[guest first]\nqmp = {first.path}\n[guest second]\nqmp = {second.path}\n')
    tocsin.reload()
    tocsin.wait_attached('second')
    # Who was there stays: the connection and its clients have noticed nothing.
    assert tocsin.machine('first')['run'] == run
    first.start()
    control.wait_event('RESUME', machine='first')


@test
def a_broken_reload_keeps_the_old_one(stage):
    guest = stage.guest('web', 'x86-panic', '-device', 'pvpanic', '-action', 'panic=none')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = pause\n')
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'panic': 'pause'})
    tocsin.configure(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = dance\n')
    tocsin.reload()
    wait_for(lambda: 'dance' in tocsin.log(), 'the error to be logged')
    assert tocsin.machine('web')['enforced'] == {'panic': 'pause'}
    endpoint = stage.enter(tocsin.endpoint('web'))
    guest.start()
    endpoint.wait_event('GUEST_PANICKED', action='pause')


@test
def reload_changes_what_is_enforced(stage):
    guest = stage.guest('web', 'x86-panic', '-device', 'pvpanic', '-action', 'panic=shutdown')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = pause\n')
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'panic': 'pause'})
    tocsin.configure(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = none\n')
    tocsin.reload()
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'panic': 'none'})
    guest.start()
    guest.monitor.wait_event('GUEST_PANICKED', action='run')


@test
def what_a_start_left_out_is_told(stage):
    tocsin = stage.tocsin('[guest web]\npanic = dance\n[guest other]\npanic = pause\n')
    problems = [problem for problem in tocsin.execute('query-tocsin')['problems'] if 'configuration' in problem]
    assert len(problems) == 1 and 'dance' in problems[0], problems
    tocsin.configure('[guest web]\npanic = pause\n')
    tocsin.reload()
    wait_for(lambda: not tocsin.execute('query-tocsin')['problems'], 'it to be mended')


@test
def a_guest_that_never_answered_is_shown(stage):
    missing = stage.folder / 'missing.qmp'
    tocsin = stage.tocsin(f'[guest web]\nqmp = {missing}\n')
    web = tocsin.wait_machine('web', 'to be shown', lambda machine: 'problem' in machine)
    assert not web['attached'] and 'run' not in web and str(missing) in web['problem'], web
    assert str(missing) in tocsin.ctl('machines')
    guest = stage.guest('web', 'x86-idle', path=missing, paused=False)
    tocsin.wait_attached('web')
    assert 'problem' not in tocsin.machine('web')
    # That it was shut down is no trouble.
    guest.kill()
    assert 'problem' not in tocsin.wait_machine('web', 'to have ended', lambda machine: 'ended' in machine)


@test
def check_names_file_line_and_the_nearest_key(stage):
    file = stage.folder / 'bad.conf'
    file.write_text('[daemon]\nlog-level = loud\nruntime-dri = /run/x\n[guest web]\nmode = enforced\npanic = dance\n')
    result = check(file)
    text = result.stdout + result.stderr
    assert result.returncode != 0, text
    for words in ('bad.conf:2', 'loud', 'bad.conf:3', 'runtime-dir', 'bad.conf:5', 'enforced', 'bad.conf:6', 'dance'):
        assert words in text, f'{words} is missing in:\n{text}'


@test
def check_is_content_with_what_is_good(stage):
    file = stage.folder / 'good.conf'
    file.write_text('[daemon]\nlog-level = info\n[guest web-*]\nmode = enforce\npanic = reset\n'
                    '[rule loop]\nkind = panic\naction = reset\nlimit = 3/10min\nthen = pause\n')
    result = check(file)
    assert result.returncode == 0, result


if __name__ == '__main__':
    main()
