#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An action is carried out once, whatever dies in between.

The guest panics at every boot, and every panic wants a reset. tocsind is killed again and again at
times nobody chose. What counts is what QEMU itself tells on a monitor tocsind does not know of:
each panic is followed by one system_reset and one cont, and has one complete record."""

import os
import random
import time

from lib.testing import main, test
from lib.waiting import wait_for

KILLS = int(os.environ.get('TOCSIN_KILLS', '50'))
# A kill comes within so many seconds of the daemon's being up: long enough for some cycles of panic
# and reset (some ten milliseconds each), short enough to hit every step of one.
LIFE_SECONDS = 0.12
CONFIG = 'mode = enforce\npanic = reset\n'
# The loop guard would end the experiment, and so would the cap.
DAEMON = 'reset-guard = 64/1s\naction-cap = 10000/1s\nincident-rate = 1000\n'


def tell(event):
    """The letter of an event that matters here: Panic, system Reset, Continued."""
    name = event['event']
    if name == 'GUEST_PANICKED':
        return 'P'
    if name == 'RESET' and event['data']['reason'] == 'host-qmp-system-reset':
        return 'R'
    if name == 'RESUME':
        return 'C'
    return ''


@test
def killed_at_random_times(stage):
    seed = int(os.environ.get('TOCSIN_SEED', random.randrange(1 << 32)))
    chance = random.Random(seed)
    guest = stage.guest('web', 'x86-panic-every-boot', '-device', 'pvpanic', '-action', 'panic=pause')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n{CONFIG}', DAEMON)
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'panic': 'pause'})
    guest.start()

    for _ in range(KILLS):
        time.sleep(chance.uniform(0, LIFE_SECONDS))
        tocsin.kill()
        tocsin.start()

    # One that resets no more lets the last panic stand, and its record be completed.
    tocsin.configure(f'[guest web]\nqmp = {guest.path}\nmode = enforce\npanic = pause\n', DAEMON)
    tocsin.reload()
    tocsin.wait_machine('web', 'to stand still', lambda machine: machine.get('state') == 'guest-panicked'
                        and machine['incidents'] == 0)
    guest.monitor.listen(0.2)
    story = ''.join(tell(event) for event in guest.monitor.events)[1:]  # the first C is our own start
    panics = story.count('P')
    cycles = story[:story.rindex('P')].replace('PRC', '')
    assert cycles == '', f'seed {seed}: {panics} panics; not one reset and one cont each: {cycles!r} in {story}'

    def read_all():
        records, before = [], None
        while True:
            arguments = {'machine': 'web', 'limit': 1000, **({'before': before} if before else {})}
            page = tocsin.execute('query-incidents', arguments)
            records += page
            if len(page) < 1000:
                return records
            before = page[-1]['id']

    records = read_all()
    unclosed = [record['id'] for record in records if record['status'] != 'closed']
    assert not unclosed, f'seed {seed}: {unclosed}'
    outcomes = {}
    for record in records:
        outcomes[record['outcome']] = outcomes.get(record['outcome'], 0) + 1
    strange = [record for record in records if record['outcome'] not in ('done', 'left')]
    assert outcomes == {'done': panics - 1, 'left': 1}, f'seed {seed}: {panics} panics, {outcomes}: {strange[-3:]}'
    incomplete = [record['id'] for record in records if record['outcome'] == 'done' and not
                  {'intent', 'reset'} <= {step['what'] for step in record['steps']}]
    assert not incomplete, f'seed {seed}: {incomplete}'


@test
def two_watchdogs_within_a_second(stage):
    guest = stage.guest('dog', 'x86-ib700-every-boot', '-device', 'ib700', '-action', 'watchdog=pause')
    tocsin = stage.tocsin(f'[guest dog]\nqmp = {guest.path}\nmode = enforce\n'
                          '[rule bite]\nkind = watchdog\naction = reset\nlimit = 4/10min\nthen = pause\n')
    tocsin.wait_machine('dog', 'to be told', lambda machine: machine.get('enforced') == {'watchdog': 'pause'})
    guest.start()
    records = tocsin.wait_incidents('dog', 5)
    guest.monitor.listen(0.2)
    story = ''.join(tell(event) for event in guest.monitor.events)
    assert story == 'C' + 'RC' * 4, story
    assert [record['outcome'] for record in records] == ['done'] * 4 + ['left'], records
    # QEMU's second WATCHDOG, a second late, has completed a record and opened none.
    assert len(tocsin.incidents('dog')) == 5
    assert guest.status() == 'watchdog'


@test
def qemu_replaced_in_the_middle(stage):
    guest = stage.guest('web', 'x86-panic', '-device', 'pvpanic', '-action', 'panic=pause')
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\nmode = enforce\n'
                          '[rule late]\nkind = panic\naction = reset\ndelay = 1h\n')
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced') == {'panic': 'none'})
    guest.start()
    tocsin.wait_incidents('web', status='held')
    tocsin.kill()
    guest.kill()
    other = stage.guest('web2', 'x86-idle', path=guest.path)
    tocsin.start()
    tocsin.wait_attached('web')
    record = tocsin.wait_incidents('web')[0]
    assert record['outcome'] == 'ended', record
    assert other.status() == 'prelaunch'


if __name__ == '__main__':
    main()
