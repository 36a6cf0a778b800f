# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests. Each QEMU has two monitors: `path`, which is tocsin's, and `monitor`, the test's own,
which sees what QEMU itself says."""

import pathlib
import shutil
import signal
import subprocess

from .qmp import Qmp
from .testing import BUILD, Skip
from .waiting import wait_for

MACHINES = {
    'x86': ('qemu-system-x86_64', ['-M', 'pc', '-vga', 'none']),
    's390': ('qemu-system-s390x', ['-M', 's390-ccw-virtio']),
}
START_SECONDS = 30


def find_image(image):
    suffix = 'elf' if image.startswith('s390-') else 'bin'
    path = BUILD / 'tests' / 'guests' / f'{image}.{suffix}'
    if not path.exists():
        raise Skip(f'guest {image} (s390x-linux-gnu binutils)')
    return path


class Guest:
    """image: a guest of tests/guests, or None for the machine's own firmware with nothing to boot.
    It waits for `start()` unless paused=False."""

    def __init__(self, folder, name, image, arguments=(), arch=None, paused=True, path=None, icount=False):
        self.name = name
        self.folder = pathlib.Path(folder)
        self.arch = arch or image.split('-')[0]
        self.path = pathlib.Path(path or self.folder / f'{name}.qmp')
        self.console = self.folder / f'{name}.console'
        self.errors = self.folder / f'{name}.stderr'
        program, machine = MACHINES[self.arch]
        if not shutil.which(program):
            raise Skip(program)

        own = self.folder / f'{name}.own'
        self.command = [program, *machine, '-accel', 'tcg', '-nodefaults', '-no-user-config',
                        '-display', 'none', '-m', '16' if self.arch == 'x86' else '64', '-name', name,
                        '-qmp', f'unix:{self.path},server=on,wait=off',
                        '-qmp', f'unix:{own},server=on,wait=off']
        if paused:
            self.command += ['-S']
        if image:
            self.command += ['-bios' if self.arch == 'x86' else '-kernel', str(find_image(image))]
        if self.arch == 'x86':
            self.command += ['-debugcon', f'file:{self.console}']
        if icount:
            # The guest's time jumps to its next timer when it idles: a watchdog of 15 s takes none.
            self.command += ['-icount', 'shift=0,sleep=off']
        self.command += arguments

        own.unlink(missing_ok=True)
        with open(self.errors, 'wb') as errors:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=errors)
        wait_for(lambda: own.exists() or self.process.poll() is not None, f'the socket of {name}',
                 START_SECONDS)
        if self.process.poll() is not None:
            raise RuntimeError(f'{name}: QEMU did not start: {self.errors.read_text()}')
        self.monitor = wait_for(self._connect_own(own), f'the monitor of {name}', START_SECONDS)

    def _connect_own(self, own):
        def connect():
            try:
                return Qmp(own, seconds=START_SECONDS)
            except ConnectionRefusedError:
                return None
        return connect

    def start(self):
        self.monitor.execute('cont')

    def wait_ready(self):
        """Until an idle guest has set itself up."""
        wait_for(lambda: 'R' in self.console.read_text(), f'{self.name} to be ready')

    def status(self):
        return self.monitor.execute('query-status')['status']

    def hmp(self, line):
        """A line of the human monitor: port writes (`o /b 0x505 1`) and machine checks (`mce ...`)."""
        return self.monitor.execute('human-monitor-command', {'command-line': line})

    def wait_end(self, seconds=10):
        """Its exit status."""
        return wait_for(lambda: self.process.poll() is not None and [self.process.returncode],
                        f'the end of {self.name}', seconds)[0]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        self.monitor.close()
        if self.process.poll() is None:
            self.kill()
