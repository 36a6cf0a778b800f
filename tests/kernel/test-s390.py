#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real Linux on s390 that panics: its program status word, all the way into the incident."""

import contextlib
import re

from lib.linux import BOOT_SECONDS, LinuxS390
from lib.testing import main, test

# z/Architecture Principles of Operation, "Program-Status Word"
PSW_WAIT = 1 << (63 - 14)
PSW_EXTERNAL_IO_AND_MACHINE_CHECK = 1 << (63 - 6) | 1 << (63 - 7) | 1 << (63 - 13)

SCRIPT = """
grep -E ' _(stext|etext)$' /proc/kallsyms
echo c > /proc/sysrq-trigger
"""


@test
def a_panic_has_the_psw_of_the_kernel_that_gave_up(stage):
    guest = stage.enter(contextlib.closing(LinuxS390(stage.folder, 'z', SCRIPT)))
    tocsin = stage.tocsin(f'[guest z]\nqmp = {guest.path}\nmode = enforce\npanic = pause\n')
    tocsin.wait_attached('z')
    endpoint = stage.enter(tocsin.endpoint('z'))
    guest.start()
    event = endpoint.wait_event('GUEST_PANICKED', BOOT_SECONDS, action='pause')
    info = event['data']['info']
    assert (info['type'], info['reason'], info['core']) == ('s390', 'disabled-wait', 0), info
    assert info['psw-mask'] & PSW_WAIT and not info['psw-mask'] & PSW_EXTERNAL_IO_AND_MACHINE_CHECK, info
    start, end = (int(address, 16) for address in re.findall(r'^([0-9a-f]+) . _[se]text', guest.log.read_text(), re.M))
    assert start <= info['psw-addr'] < end, (start, end, info)
    incident = tocsin.wait_incidents('z')[0]
    assert (incident['kind'], incident['info']) == ('panic', info), incident
    assert 'disabled-wait' in tocsin.ctl('incidents', 'show', str(incident['id']))


if __name__ == '__main__':
    main()
