#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plugins as tocsind runs them: good ones, malicious ones, and reloads."""

import os
import pathlib
import signal
import subprocess
import time

from stage import BAD, Panicking, build_module, config
from lib.testing import add_test, find_program, main, test
from lib.waiting import SLOW, wait_for

AGAIN = '''
#include <tocsin/plugin.h>

static const struct tocsin_option options[] = {
        { "most", TOCSIN_OPTION_LIMIT, "2/1h", "Resets." },
        { "note", TOCSIN_OPTION_TEXT, NULL, "A word for the trail." },
};

static const struct tocsin_value *configured;

static int init(const struct tocsin_value *values, void **ret_state) {
        configured = values;
        return 0;
}

static void panic(void *state, const struct tocsin_question *question, struct tocsin_answer *answer) {
        unsigned resets = tocsin_count(question, TOCSIN_ACTION_RESET, configured[0].within_us);

        if (question->incident->info->u.hyper_v->arg1 != 0x9f)
                tocsin_leave(answer, "unknown");
        else if (resets < configured[0].number)
                tocsin_decide(answer, TOCSIN_ACTION_RESET, "%u resets so far %s", resets,
                              configured[1].text ? configured[1].text : "");
        else
                tocsin_leave(answer, "enough, after %s", question->decision->reason);
}

const struct tocsin_plugin tocsin_plugin = {
        TOCSIN_PLUGIN_HEAD, .name = "again", .version = "7", .doc = "Resets.",
        .options = TOCSIN_PLUGIN_OPTIONS(options), .init = init, .panic = panic,
};
'''


def plugins(tocsin):
    return {plugin['name']: plugin for plugin in tocsin.execute('query-plugins')}


def wait_ready(tocsin, *names):
    wait_for(lambda: all(plugins(tocsin)[name]['state'] == 'ready' for name in names), f'{names} to be ready')


def start(stage, guests, configured, chain=None, daemon='', keys=''):
    machines = {name: Panicking(stage, name) for name in guests}
    tocsin = stage.tocsin(config(machines, configured, chain, keys), 'reset-guard = 1000/1min\n' + daemon)
    tocsin.wait_attached(*guests)
    return machines, tocsin


def decide(tocsin, guest, name, count=1):
    guest.panic()
    return tocsin.wait_incidents(name, count)[-1]['decision']


def voice(decision, plugin):
    return [entry for entry in decision['trail'] if entry['by'] == f'plugin {plugin}']


@test
def a_plugin_in_c_decides_by_history(stage):
    module = build_module(stage.folder, 'again', AGAIN)
    machines, tocsin = start(stage, ['vm'], {'again': (module, {'note': 'hear hear'}, '')})
    wait_ready(tocsin, 'again')
    for count in range(2):
        decision = decide(tocsin, machines['vm'], 'vm', count + 1)
        assert decision['action'] == 'reset', decision
        assert decision['reason'] == f'{count} resets so far hear hear', decision
        assert decision['by'] == 'plugin again'
        assert voice(decision, 'again')[0]['took'] > 0
    decision = decide(tocsin, machines['vm'], 'vm', 3)
    assert decision['action'] == 'pause', decision
    assert 'enough, after' in voice(decision, 'again')[0]['text']
    info = plugins(tocsin)['again']
    assert (info['asked'], info['decided'], info['failures']) == (3, 2, 0), info
    assert info['version'] == '7' and info['abilities'] == ['panic'] and info['p50'] > 0
    assert [option['name'] for option in info['description']['options']] == ['most', 'note']


@test
def each_plugin_sees_what_the_last_decided(stage):
    module = build_module(stage.folder, 'again', AGAIN)
    machines, tocsin = start(stage, ['vm'], {'first': (BAD, {}, 'deadline = 5s'), 'second': (module, {'most': '1/1us'}, '')})
    wait_ready(tocsin, 'first', 'second')
    decision = decide(tocsin, machines['vm'], 'vm')
    assert [entry['by'] for entry in decision['trail']][-2:] == ['plugin first', 'plugin second'], decision
    assert decision['action'] == 'reset'


def check_bad(stage, do, text, deadline='300ms'):
    deadline = '5s' if deadline != '300ms' else f'{int(300 * SLOW)}ms'
    machines, tocsin = start(stage, ['vm', 'good'], {'bad': (BAD, {'do': do}, f'deadline = {deadline}')})
    wait_ready(tocsin, 'bad')
    decision = decide(tocsin, machines['vm'], 'vm')
    said = voice(decision, 'bad')
    assert len(said) == 1 and text in said[0]['text'], decision
    assert decision['action'] == 'pause', decision
    # It is started again, and of use to others.
    wait_ready(tocsin, 'bad')
    decision = decide(tocsin, machines['good'], 'good')
    assert decision['action'] == 'reset', decision


for _do, _text in (('hang', 'it gave no answer within'), ('spin', 'it gave no answer within'),
                   ('crash', 'it was killed by SIGSEGV'), ('leave_with', 'it exited with status 3'),
                   ('garbage', 'it wrote no PluginAnswer'), ('unknown_action', "does not accept value 'explode'"),
                   ('wrong_action', 'is no action for panic'), ('other_number', 'a question nobody asked'),
                   ('endless', 'a line without end'), ('chatter', 'stderr without end'),
                   ('close', 'it closed its output'), ('memory', 'it exited with status 1'),
                   ('late', 'it gave no answer within'), ('long_delay', 'nonsense'),
                   ('leave', 'it leaves the decision as it is')):
    add_test(f'bad: {_do}', lambda stage, do=_do, text=_text: check_bad(
        stage, do, text, '300ms' if 'no answer' in text else '5s'))


@test
def what_it_started_ends_with_it(stage):
    machines, tocsin = start(stage, ['vm'], {'bad': (BAD, {'do': 'child'}, 'deadline = 5s')})
    wait_ready(tocsin, 'bad')
    pid = plugins(tocsin)['bad']['pid']
    decide(tocsin, machines['vm'], 'vm')
    wait_for(lambda: not any(stat.read_text().rsplit(')', 1)[1].split()[2] == str(pid)
                             for stat in pathlib.Path('/proc').glob('[0-9]*/stat') if stat.exists()),
             'its process group to be empty')


@test
def a_hung_plugin_holds_up_nobody_but_its_own(stage):
    module = build_module(stage.folder, 'again', AGAIN)
    guests = ['vm', 'free']
    machines = {name: Panicking(stage, name) for name in guests}
    text = config(machines, {'bad': (BAD, {'do': 'hang'}, 'deadline = 8s'), 'again': (module, {}, '')}, ['bad'])
    tocsin = stage.tocsin(text + '[guest free]\nplugins = again\n')
    tocsin.wait_attached(*guests)
    wait_ready(tocsin, 'bad', 'again')
    machines['vm'].panic()
    wait_for(lambda: plugins(tocsin)['bad']['waiting'] == 1, 'the question to be asked')
    begin = time.monotonic()
    assert decide(tocsin, machines['free'], 'free')['action'] == 'reset'
    assert time.monotonic() - begin < 4 * SLOW
    assert plugins(tocsin)['bad']['waiting'] == 1


@test
def set_aside_after_too_many_failures_until_a_reload(stage):
    machines, tocsin = start(stage, ['vm'], {'bad': (BAD, {'do': 'die'}, 'failures = 2/1h')})
    wait_for(lambda: plugins(tocsin)['bad']['state'] == 'set-aside', 'it to be set aside')
    assert any('plugin bad' in problem or 'set aside' in problem
               for problem in tocsin.execute('query-tocsin')['problems']), tocsin.execute('query-tocsin')
    decision = decide(tocsin, machines['vm'], 'vm')
    assert decision['action'] == 'pause', decision
    tocsin.configure(config(machines, {'bad': (BAD, {'do': 'reset'}, 'deadline = 5s')}), 'reset-guard = 1000/1min')
    tocsin.reload()
    wait_ready(tocsin, 'bad')
    assert not tocsin.execute('query-tocsin')['problems'], tocsin.execute('query-tocsin')


@test
def refuse_is_told(stage):
    _, tocsin = start(stage, ['vm'], {'bad': (BAD, {'do': 'refuse'}, '')})
    wait_for(lambda: 'it does not want to' in plugins(tocsin)['bad'].get('last-error', ''), 'the error to be told')


@test
def a_reload_starts_the_new_one_first(stage):
    machines, tocsin = start(stage, ['vm', 'good'], {'bad': (BAD, {'version': '1'}, 'deadline = 5s')})
    wait_ready(tocsin, 'bad')
    first = plugins(tocsin)['bad']['pid']
    tocsin.configure(config(machines, {'bad': (BAD, {'version': '2'}, 'deadline = 5s')}), 'reset-guard = 1000/1min')
    tocsin.reload()
    wait_for(lambda: plugins(tocsin)['bad'].get('version') == '2', 'the new one to take over')
    assert plugins(tocsin)['bad']['pid'] != first
    wait_for(lambda: not os.path.exists(f'/proc/{first}'), 'the old one to end')
    assert decide(tocsin, machines['vm'], 'vm')['action'] == 'reset'
    second = plugins(tocsin)['bad']['pid']
    # One that fails changes nothing.
    tocsin.configure(config(machines, {'bad': (BAD, {'do': 'die'}, 'deadline = 5s')}), 'reset-guard = 1000/1min')
    tocsin.reload()
    wait_for(lambda: 'the old one goes on' in tocsin.log(), 'the failure to be told')
    assert plugins(tocsin)['bad']['pid'] == second
    assert decide(tocsin, machines['vm'], 'vm', 2)['action'] == 'reset'


@test
def restart_by_command(stage):
    _, tocsin = start(stage, ['vm'], {'bad': (BAD, {}, '')})
    wait_ready(tocsin, 'bad')
    first = plugins(tocsin)['bad']['pid']
    tocsin.execute('restart-plugin', {'plugin': 'bad'})
    wait_for(lambda: plugins(tocsin)['bad']['pid'] != first, 'another process')


@test
def killed_from_outside_it_comes_back(stage):
    _, tocsin = start(stage, ['vm'], {'bad': (BAD, {}, '')})
    wait_ready(tocsin, 'bad')
    os.kill(plugins(tocsin)['bad']['pid'], signal.SIGKILL)
    wait_for(lambda: plugins(tocsin)['bad']['failures'] == 1, 'the failure')
    wait_ready(tocsin, 'bad')


@test
def errors_have_file_and_line(stage):
    module = build_module(stage.folder, 'again', AGAIN)
    tocsin = stage.tocsin(f'[plugin again]\nmodule = {module}\n[plugin again options]\nmots = 1/1h\nmost = many\n'
                          f'[plugin none]\nmodule = {BAD}\n[guest x]\nplugins = again nobody\n', start=False)
    out = subprocess.run([find_program('tocsind'), '--config', tocsin.file, '--check'], capture_output=True, text=True,
                         check=False)
    text = out.stdout + out.stderr
    assert out.returncode != 0
    first = tocsin.file.read_text().splitlines().index('[plugin again]') + 1
    for line, words in ((3, "has no such option; did you mean 'most'?"), (4, 'expected so many within a time'),
                        (6, 'expected a plugin, found'), (8, 'there is no [plugin nobody]')):
        assert any(f'tocsin.conf:{first + line}: ' in told and words in told for told in text.splitlines()), (line, words, text)


if __name__ == '__main__':
    main()
