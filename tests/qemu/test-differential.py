#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same bytes to a machine's endpoint and to a monitor of that machine's QEMU: qmp-differential.py's
cases once more, through the daemon. Left out are the groups that try the lexer alone, some fifteen
thousand cases: those the session has answered by itself."""

import pathlib
import subprocess
import sys

from lib.testing import add_test, main

GROUPS = ('unicode-escapes', 'utf8', 'numbers', 'shapes', 'arguments', 'depth', 'streams', 'mutations',
          'not-negotiated')
SECONDS = 120


def check_group(stage, group):
    peer = stage.folder / 'peer.qmp'
    guest = stage.guest('web', 'x86-idle', '-qmp', f'unix:{peer},server=on,wait=off', paused=False)
    tocsin = stage.tocsin(f'[guest web]\nqmp = {guest.path}\n')
    tocsin.wait_machine('web', 'to run', lambda machine: machine.get('state') == 'running')
    result = subprocess.run([sys.executable, pathlib.Path(__file__).with_name('qmp-differential.py'), '--only', group,
                             '--socket', tocsin.runtime / 'qmp' / 'web.sock', '--against', peer],
                            capture_output=True, text=True, timeout=SECONDS, check=False)
    if result.returncode != 0:
        print(result.stdout + result.stderr)
    assert result.returncode == 0


for title in GROUPS:
    add_test(title, lambda stage, group=title: check_group(stage, group))

if __name__ == '__main__':
    main()
