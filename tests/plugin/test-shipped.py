#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shipped plugins, asked directly."""

import os
import subprocess
import sys

from stage import BAD, Host, is_sanitized, question
from lib.testing import BUILD, main, test

HYPER_V = {'type': 'hyper-v', 'arg1': 0x9f, 'arg2': 3, 'arg3': 0, 'arg4': 0, 'arg5': 0}
S390 = {'type': 's390', 'core': 0, 'psw-mask': 0x2000180000000, 'psw-addr': 0x10fff, 'reason': 'disabled-wait'}


def plugin(name):
    return BUILD / 'plugins' / f'{name}.so'


@test
def escalate_climbs_and_begins_again(stage):
    host = Host(stage, plugin('escalate'), {'ladder': 'none reset dump+reset pause', 'window': '1h', 'quiet': '30min'})
    assert host.ready['abilities'] == ['watchdog', 'panic']
    steps = [('none', 0), ('reset', 1), ('reset', 2), ('pause', 3), ('pause', 4)]
    for action, past in steps:
        answer = host.send(question(past, history=[('reset', 60 * n) for n in range(past, 0, -1)]))
        assert answer['action'] == action, (past, answer)
        assert answer.get('evidence') == (['memory'] if past == 2 else None), answer
    # A quiet time lies between the last two, or before now.
    for history in ([('reset', 2400), ('reset', 60)], [('reset', 1900)], [('reset', 3700)]):
        answer = host.send(question(9, history=history))
        assert answer['action'] == ('reset' if len(history) == 2 else 'none'), (history, answer)
    assert host.send(question(9, 'watchdog'))['action'] == 'none'


@test
def escalate_cools_down(stage):
    host = Host(stage, plugin('escalate'), {'ladder': 'none reset pause', 'cool-down': '1min'})
    assert host.send(question(1, history=[('none', 30)]))['action'] == 'none'
    assert host.send(question(1, history=[('none', 90)]))['action'] == 'reset'


@test
def escalate_refuses_a_bad_ladder(stage):
    assert 'init() failed' in Host(stage, plugin('escalate'), {'ladder': 'none fly'}).ready['error']


@test
def each_passes_its_own_check(stage):
    check = BUILD / 'plugins' / 'sdk' / 'check' / 'tocsin-plugin-check'
    table = stage.folder / 'table'
    table.write_text('stop-code=0x9f action=reset\n')
    for name, words in (('escalate', []), ('memory-health', []),
                        ('crash-table', ['--option', f'table={table}', '--read', table])):
        memory = ['--memory='] if is_sanitized() else []
        out = subprocess.run([sys.executable, check, plugin(name), *words, *memory, '--deadline', '5000'],
                             capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stdout + out.stderr
        assert 'hostile' in out.stdout and 'one after the other' in out.stdout, out.stdout


@test
def the_check_finds_what_is_wrong(stage):
    check = BUILD / 'plugins' / 'sdk' / 'check' / 'tocsin-plugin-check'
    for do, words in (('crash', 'killed by signal 11'), ('other_number', 'it answered question'),
                      ('hang', 'no answer within'), ('unknown_action', 'explode is no action'),
                      ('garbage', 'no JSON'), ('refuse', 'it does not want to'), ('endless', 'a line without end')):
        memory = ['--memory='] if is_sanitized() else []
        out = subprocess.run([sys.executable, check, BAD, '--option', f'do={do}', *memory, '--deadline', '2000'],
                             capture_output=True, text=True, check=False)
        assert out.returncode == 1 and words in out.stdout, (do, out.stdout, out.stderr)


@test
def crash_table_knows_crashes_and_follows_its_file(stage):
    folder = stage.folder / 'tables'
    folder.mkdir()
    table = folder / 'table'
    table.write_text('# known\nmachine=db-* stop-code=0x9f action=none note=not here\n'
                     'stop-code=0x9f arg2=3 action=reset evidence=memory note=driver bug, fixed in 4.2\n'
                     's390-reason=disabled-wait wait-code=0xfff note=a quiesce\n')
    host = Host(stage, plugin('crash-table'), {'table': str(table)}, [f'--read={folder}'])
    answer = host.send(question(1, info=HYPER_V))
    assert answer['action'] == 'reset' and answer['reason'].startswith('driver bug, fixed in 4.2 (line 3'), answer
    assert answer['evidence'] == ['memory']
    assert host.send(question(2, machine='db-1', info=HYPER_V))['action'] == 'none'
    answer = host.send(question(3, info=S390))
    assert 'action' not in answer and answer['reason'].startswith('a quiesce'), answer
    assert 'action' not in host.send(question(4, info=HYPER_V | {'arg1': 1}))
    assert 'action' not in host.send(question(5))
    for text, action in (('stop-code=0x9f action=pause\n', 'pause'), ('nonsense\n', 'pause'),
                         ('stop-code=0x9f action=fly\n', 'pause'), ('stop-code=159 action=shutdown\n', 'shutdown')):
        new = folder / 'new'
        new.write_text(text)
        os.replace(new, table)
        assert host.send(question(6, info=HYPER_V))['action'] == action, text


@test
def memory_health_counts_each_machine(stage):
    host = Host(stage, plugin('memory-health'), {'uncorrected': '3/1h', 'then': 'reset'})
    flags = {'action-required': True, 'recursive': False}

    def fail(machine, minute):
        time = {'seconds': 1700000000 + 60 * minute, 'microseconds': 0}
        return host.send(question(1, 'memory-failure', machine, recipient='guest', flags=flags, time=time))

    assert 'action' not in fail('a', 0)
    assert 'action' not in fail('b', 1)
    assert 'action' not in fail('a', 2)
    assert fail('a', 3)['action'] == 'reset'
    assert 'action' not in fail('a', 63), 'the first two have leaked out'


if __name__ == '__main__':
    main()
