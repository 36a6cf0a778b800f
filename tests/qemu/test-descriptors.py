#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""More guests than there are descriptors for: those that can be watched are, the others wait, and
whoever talks to tocsind is still answered."""

import os
import resource
import signal
import subprocess
import time

from lib.testing import BUILD, main, test
from lib.waiting import wait_for

GUESTS = 100
FILES = 160
# A quarter of a small limit is kept free; the host has an endpoint too.
ROOM = (FILES - FILES // 4 - 1) // 3
END_SECONDS = 5
LOG_LINES_MAX = 12


def start_farm(stage):
    folder = stage.folder / 'farm'
    folder.mkdir()
    farm = subprocess.Popen([BUILD / 'tests' / 'bench' / 'guests', folder, str(GUESTS)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)

    def stop():
        farm.stdin.close()
        farm.wait()
        farm.stdout.close()
    stage.closing.callback(stop)
    assert farm.stdout.readline() == b'listening\n'
    return farm, folder


@test
def more_guests_than_files(stage):
    farm, folder = start_farm(stage)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    tocsin = stage.tocsin(f'[discover]\nqmp-glob = {folder}/*.qmp\n')

    def attached():
        return [machine for machine in tocsin.machines().values() if machine['attached'] and machine['name'] != 'host']
    guests = wait_for(lambda: len(found := attached()) >= ROOM - 1 and found, 'as many as there is room for')
    assert len(guests) <= ROOM, len(guests)
    # Every client of a few gets through.
    clients = [tocsin.control() for _ in range(8)]
    for client in clients:
        client.execute('query-tocsin')
        client.close()
    problems = tocsin.execute('query-tocsin')['problems']
    assert len(problems) == 1 and 'LimitNOFILE=' in problems[0], problems

    # One goes, and makes room for another.
    for guest in guests[:5]:
        os.kill(guest['pid'], signal.SIGKILL)
    gone = {guest['name'] for guest in guests[:5]}
    wait_for(lambda: len(now := attached()) >= ROOM - 1 and not gone & {guest['name'] for guest in now},
             'others in their place')

    lines = tocsin.log().splitlines()
    assert sum('descriptors' in line for line in lines) == 1, lines
    assert len(lines) <= LOG_LINES_MAX, lines
    start = time.monotonic()
    tocsin.stop()
    assert time.monotonic() - start < END_SECONDS


main()
