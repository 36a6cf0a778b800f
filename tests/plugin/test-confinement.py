#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the process of a plugin can still do, tried from within."""

import ctypes
import resource

from stage import Host, is_sanitized, question
from lib.testing import BUILD, Skip, main, test

PROBE = BUILD / 'tests' / 'plugin' / 'probe.so'
PYTHON = '''#!/usr/bin/python3
import json, os, socket, subprocess, sys
def possible(func):
    try:
        func()
    except (OSError, MemoryError):
        return False
    return True
json.loads(sys.stdin.readline())
print('{"abilities": ["panic"]}', flush=True)
for line in sys.stdin:
    tries = {'socket': lambda: socket.socket(), 'kill': lambda: os.kill(os.getppid(), 0), 'setsid': os.setsid,
             'write': lambda: open('/tmp/tocsin-probe', 'w'), 'proc': lambda: open('/proc/1/environ').read(),
             'memory': lambda: bytearray(1 << 30), 'child': lambda: subprocess.run(['cat', '/proc/1/environ'], check=True,
             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).check_returncode()}
    found = [name for name, func in tries.items() if name != 'child' and possible(func)]
    out = subprocess.run(['echo', 'hello'], stdout=subprocess.PIPE, text=True).stdout
    print(json.dumps({'number': json.loads(line)['number'], 'reason': f'{out.strip()} {found}'}), flush=True)
'''


def need_landlock():
    if ctypes.CDLL(None).syscall(444, None, 0, 1) < 1:
        raise Skip('Landlock in this kernel')


@test
def a_module_can_do_nothing_it_need_not(stage):
    need_landlock()
    for name in ('secrets', 'granted'):
        (stage.folder / name).mkdir()
    secret = stage.folder / 'secrets' / 'secret'
    secret.write_text('x')
    granted = stage.folder / 'granted' / 'file'
    host = Host(stage, PROBE, {'secret': str(secret), 'granted': str(granted)}, [f'--write={granted.parent}'])
    assert host.send(question(1))['reason'] == 'nothing'
    assert granted.exists()


@test
def a_program_neither_but_for_starting_others(stage):
    need_landlock()
    program = stage.folder / 'probe.py'
    program.write_text(PYTHON)
    program.chmod(0o755)
    wanted = "hello ['memory']" if is_sanitized() else 'hello []'
    assert Host(stage, program).send(question(1))['reason'] == wanted


@test
def its_limits_and_privileges(stage):
    if is_sanitized():
        raise Skip('a build without sanitizers, which need memory')
    host = Host(stage, PROBE)
    assert 'error' not in host.ready, host.ready
    status = dict(line.split(':\t', 1) for line in
                  open(f'/proc/{host.process.pid}/status', encoding='ascii').read().splitlines() if ':\t' in line)
    assert status['NoNewPrivs'] == '1' and status['Seccomp'] == '2', status
    assert all(int(status[key], 16) == 0 for key in ('CapPrm', 'CapEff', 'CapInh', 'CapAmb')), status
    limit = resource.prlimit(host.process.pid, resource.RLIMIT_AS)
    assert limit == (256 << 20, 256 << 20), limit
    assert resource.prlimit(host.process.pid, resource.RLIMIT_CORE) == (0, 0)
    assert host.end()[0] == 0


if __name__ == '__main__':
    main()
