#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU that lives and does not answer, and the only thing that helps then. And three that must not be
taken for one: a slow one, one that dumps, and one that came back."""

import os
import select
import signal
import socket
import subprocess
import threading
import time

from lib.testing import main, test
from lib.waiting import SECONDS, wait_for

QUICK = 'heartbeat = 1s\nsilent-after = 5s\n'
RULE = '[rule hung]\nkind = unresponsive\naction = fatal\n'
GUEST = '[guest web]\nqmp = {path}\nmode = enforce\n'


def freeze(guest):
    guest.process.send_signal(signal.SIGSTOP)


def thaw(guest):
    guest.process.send_signal(signal.SIGCONT)


def check_killed(guest, tocsin, control):
    control.wait_event('MACHINE_UNRESPONSIVE', machine='web')
    shutdown = control.wait_event('SHUTDOWN', machine='web')
    assert shutdown['data']['reason'] in ('host-error', 'host-signal'), shutdown
    assert shutdown['data']['synthetic'], shutdown
    assert guest.wait_end() == -signal.SIGKILL
    record = tocsin.wait_incidents('web')[0]
    assert (record['kind'], record['outcome']) == ('unresponsive', 'done'), record
    assert record['decision']['action'] == 'fatal', record
    steps = [step['what'] for step in record['steps']]
    assert steps[:2] == ['intent', 'kill'], record
    assert 'error' not in record['steps'][1], record


@test
def a_hung_guest_is_ended(stage):
    guest = stage.guest('web', 'x86-idle')
    tocsin = stage.tocsin(GUEST.format(path=guest.path) + RULE, QUICK)
    tocsin.wait_attached('web')
    control = stage.enter(tocsin.control())
    freeze(guest)
    check_killed(guest, tocsin, control)


@test
def a_hung_guest_that_called_us_is_ended(stage):
    tocsin = stage.tocsin('[guest web]\nmode = enforce\n' + RULE, QUICK)
    guest = stage.guest('web', 'x86-idle', '-chardev',
                        f'socket,id=tocsin,path={tocsin.runtime}/attach.sock,reconnect=1',
                        '-mon', 'chardev=tocsin,mode=control')
    tocsin.wait_attached('web')
    control = stage.enter(tocsin.control())
    freeze(guest)
    check_killed(guest, tocsin, control)


@test
def one_whose_socket_was_another_process_s_is_left(stage):
    """QEMU listens once more on a socket that is passed to it, and then it is known by it; but who had
    connected before that has the word of whoever listened first."""
    path = stage.folder / 'passed.qmp'
    listener = stage.enter(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen(1)
    os.set_inheritable(listener.fileno(), True)
    tocsin = stage.tocsin(GUEST.format(path=path) + RULE, QUICK)
    assert select.select([listener], [], [], SECONDS)[0], 'tocsin calls'
    guest = subprocess.Popen(['qemu-system-x86_64', '-M', 'pc', '-accel', 'tcg', '-S', '-nodefaults',
                              '-display', 'none', '-chardev',
                              f'socket,id=q,server=on,wait=off,fd={listener.fileno()}',
                              '-mon', 'chardev=q,mode=control'], close_fds=False)
    stage.closing.callback(guest.wait)
    stage.closing.callback(guest.kill)
    tocsin.wait_attached('web')
    guest.send_signal(signal.SIGSTOP)
    record = tocsin.wait_incidents('web')[0]
    assert record['outcome'] == 'failed', record
    kill = [step for step in record['steps'] if step['what'] == 'kill'][0]
    assert f'is that of process {os.getpid()}, not {guest.pid}' in kill['error'], record
    assert guest.poll() is None


@test
def a_slow_one_is_left_alone(stage):
    guest = stage.guest('web', 'x86-idle')
    tocsin = stage.tocsin(GUEST.format(path=guest.path) + RULE, QUICK)
    tocsin.wait_attached('web')
    for _ in range(2):
        freeze(guest)
        time.sleep(3.5)
        thaw(guest)
        time.sleep(1.2)
    assert guest.process.poll() is None
    assert tocsin.incidents('web') == []


@test
def one_that_dumps_is_left_alone(stage):
    """A dump through a pipe that takes 60 MB a second: QEMU answers nobody for twice the time after
    which it would be unresponsive."""
    guest = stage.guest('web', None, '-m', '768', arch='x86')
    tocsin = stage.tocsin(GUEST.format(path=guest.path) + RULE, QUICK)
    tocsin.wait_attached('web')
    fifo = stage.folder / 'dump'
    os.mkfifo(fifo)

    def read():
        with open(fifo, 'rb', buffering=0) as pipe:
            while pipe.read(1 << 16):
                time.sleep(1 / 1000)

    reader = threading.Thread(target=read)
    reader.start()
    began = time.monotonic()
    guest.monitor.execute('dump-guest-memory', {'paging': False, 'protocol': f'file:{fifo}'}, seconds=60)
    took = time.monotonic() - began
    reader.join()
    assert took > 8, f'the dump took {took:.1f} s: too little to tell'
    assert guest.process.poll() is None
    assert tocsin.incidents('web') == []


@test
def nothing_is_done_unasked(stage):
    guest = stage.guest('web', 'x86-idle')
    tocsin = stage.tocsin(GUEST.format(path=guest.path), QUICK)
    tocsin.wait_attached('web')
    freeze(guest)
    wait_for(lambda: tocsin.incidents('web'), 'the incident', 20)
    thaw(guest)
    record = tocsin.wait_incidents('web')[0]
    assert record['outcome'] == 'recovered', record
    assert guest.process.poll() is None


@test
def one_that_answers_when_tocsin_returns_is_left(stage):
    guest = stage.guest('web', 'x86-idle')
    # The decision waits, so that there is time to be away.
    tocsin = stage.tocsin(GUEST.format(path=guest.path) + RULE + 'delay = 3s\n', QUICK)
    tocsin.wait_attached('web')
    freeze(guest)
    wait_for(lambda: tocsin.incidents('web'), 'the incident', 20)
    tocsin.kill()
    thaw(guest)
    tocsin.start()
    record = tocsin.wait_incidents('web')[0]
    assert record['outcome'] == 'recovered', record
    time.sleep(3.5)
    assert guest.process.poll() is None


if __name__ == '__main__':
    main()
