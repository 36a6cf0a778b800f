#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plugin that does what its option `do` says, which is mostly what no plugin should. It behaves for
the machine `good` in any case, and resets it."""

import json
import os
import signal
import subprocess
import sys
import time


def write(message):
    print(json.dumps(message), flush=True)


def reset(question):
    write({'number': question['number'], 'action': 'reset', 'reason': 'it was asked'})


def leave(question):
    write({'number': question['number']})


def hang(question):
    while True:
        time.sleep(1)


def spin(question):
    while True:
        pass


def crash(question):
    os.kill(os.getpid(), signal.SIGSEGV)


def leave_with(question):
    sys.exit(3)


def garbage(question):
    print('\x00\xff}{ what?', flush=True)


def unknown_action(question):
    write({'number': question['number'], 'action': 'explode'})


def wrong_action(question):
    write({'number': question['number'], 'action': 'inject-nmi', 'reason': 'for a panic?'})


def other_number(question):
    write({'number': question['number'] + 100, 'action': 'reset'})


def twice(question):
    reset(question)
    reset(question)


def endless(question):
    while True:
        sys.stdout.write('x' * 65536)


def chatter(question):
    while True:
        sys.stderr.write('I have so much to say\n')


def close(question):
    os.close(1)
    time.sleep(60)


def memory(question):
    held = []
    while True:
        held.append(bytearray(1 << 20))


def late(question):
    time.sleep(0.6)
    reset(question)


def child(question):
    subprocess.Popen(['sleep', '300'])
    os.kill(os.getpid(), signal.SIGKILL)


def long_delay(question):
    write({'number': question['number'], 'action': 'reset', 'delay': 100000})


def main():
    hello = json.loads(sys.stdin.readline())
    do = hello['options'].get('do', 'reset')
    if do == 'mute':
        time.sleep(600)
    if do == 'refuse':
        write({'abilities': [], 'error': 'it does not want to'})
    if do == 'die':
        sys.exit(1)
    write({'abilities': ['panic'], 'version': hello['options'].get('version', '1')})
    for line in sys.stdin:
        question = json.loads(line)
        func = reset if question['incident']['machine'] == 'good' else globals()[do]
        func(question)


if __name__ == '__main__':
    main()
