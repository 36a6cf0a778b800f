#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Incidents in the journal, as fields; and the same on stderr where there is none. The journal's socket
has a fixed path, so the test has a mount namespace of its own."""

import ctypes
import os
import pathlib
import re
import shutil
import socket
import subprocess

from lib.testing import SOURCE, Skip, main, test
from lib.waiting import wait_for

CONFIG = '[discover]\nqmp-glob = {folder}/*.qmp\n'
JOURNAL = pathlib.Path('/run/systemd/journal')
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18


def crash(stage, tocsin):
    guest = stage.guest('z', 's390-disabled-wait')
    tocsin.wait_attached('z')
    guest.start()
    return tocsin.wait_incidents('z')[0]


def own_journal():
    """A socket where the journal's is, for us and what we start."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNS) != 0:
        raise Skip('root, for a mount namespace')
    libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None)
    if libc.mount(b'tmpfs', b'/run', b'tmpfs', 0, None) != 0:
        raise Skip('mounting a tmpfs')
    JOURNAL.mkdir(parents=True)
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(JOURNAL / 'socket'))
    journal.setblocking(False)
    return journal


def start_in_journal(stage, tocsin):
    """As systemd would: stderr is a file of which JOURNAL_STREAM says the numbers."""
    tocsin.log_file.touch()
    info = tocsin.log_file.stat()
    os.environ['JOURNAL_STREAM'] = f'{info.st_dev}:{info.st_ino}'
    stage.closing.callback(os.environ.pop, 'JOURNAL_STREAM')
    tocsin.start()


def entries(journal):
    found = []
    while True:
        try:
            lines = journal.recv(1 << 16).decode().splitlines()
        except BlockingIOError:
            return found
        found.append(dict(line.split('=', 1) for line in lines))


@test
def without_a_journal_it_is_a_line(stage):
    os.environ.pop('JOURNAL_STREAM', None)
    tocsin = stage.tocsin(CONFIG.format(folder=stage.folder))
    incident = crash(stage, tocsin)
    line = wait_for(lambda: re.search(r'^.*incident 1: guest panicked.*$', tocsin.log(), re.M), 'the line')[0]
    assert line.startswith('tocsind: z: '), line
    for field in ['MACHINE=z', 'KIND=panic', 'INCIDENT=1', 'REASON=disabled-wait',
                  f'SIGNATURE={incident["signature"]}', f'ACTION={incident["decision"]["action"]}']:
        assert re.search(rf'[\[ ]TOCSIN_{field}[\] ]', line), line


@test
def an_incident_is_an_entry(stage):
    journal = stage.enter(own_journal())
    tocsin = stage.tocsin(CONFIG.format(folder=stage.folder), start=False)
    start_in_journal(stage, tocsin)
    incident = crash(stage, tocsin)
    entry, = entries(journal)
    assert entry['MESSAGE'].startswith('z: incident 1: guest panicked: '), entry
    assert entry | {'TOCSIN_INCIDENT': '1', 'TOCSIN_MACHINE': 'z', 'TOCSIN_KIND': 'panic', 'PRIORITY': '4',
                    'TOCSIN_REASON': 'disabled-wait', 'TOCSIN_RUN': incident['run'],
                    'TOCSIN_SIGNATURE': incident['signature'], 'SYSLOG_IDENTIFIER': 'tocsind',
                    'TOCSIN_ACTION': incident['decision']['action']} == entry, entry
    assert 'incident 1' not in tocsin.log()
    catalog = (SOURCE / 'packaging' / 'tocsin.catalog').read_text()
    assert f'-- {entry["MESSAGE_ID"]}\n' in catalog
    assert set(re.findall('@(.*?)@', catalog)) <= set(entry), entry


@test
def a_journal_that_is_gone_or_hangs_is_not_waited_for(stage):
    journal = stage.enter(own_journal())
    tocsin = stage.tocsin(CONFIG.format(folder=stage.folder), start=False)
    start_in_journal(stage, tocsin)
    filler = stage.enter(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    filler.setblocking(False)
    try:
        while True:
            filler.sendto(b'MESSAGE=full\n', str(JOURNAL / 'socket'))
    except BlockingIOError:
        pass
    crash(stage, tocsin)
    assert 'incident 1: guest panicked' in tocsin.log()
    assert journal.recv(100) == b'MESSAGE=full\n'


@test
def the_catalog_is_one(stage):
    journalctl = shutil.which('journalctl')
    if not journalctl:
        raise Skip('journalctl')
    root = stage.folder / 'root'
    (root / 'usr/lib/systemd/catalog').mkdir(parents=True)
    (root / 'var/lib/systemd/catalog').mkdir(parents=True)
    shutil.copy(SOURCE / 'packaging' / 'tocsin.catalog', root / 'usr/lib/systemd/catalog')
    result = subprocess.run([journalctl, f'--root={root}', '--update-catalog'], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0 and not result.stderr, result
    result = subprocess.run([journalctl, f'--root={root}', '--list-catalog'], capture_output=True, text=True, check=False)
    assert 'tocsin: Incident @TOCSIN_INCIDENT@' in result.stdout, result


main()
