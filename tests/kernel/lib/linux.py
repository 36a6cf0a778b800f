# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that run Debian's own kernel, most with a shell of the test's: `guest.run(line)`. Under TCG one
is up in about two seconds."""

import re
import socket

from . import initramfs, packages, vmlinux
from .qemu import Guest
from .qmp import connect
from .testing import BUILD, Skip
from .waiting import Deadline, Late

# Kernel of the guest: its package.
KERNELS = {
    '6.1': 'linux-image-amd64',
    '6.12': 'linux-image-6.12-amd64',
}
KERNEL_S390 = 'linux-image-s390x'
BUSYBOX = 'busybox-static'
MEMORY_MIB = 512
CRASH_MEMORY_MIB = 192
# How long a guest may take to start, its dump kernel too, which has to decompress itself.
BOOT_SECONDS = 60
RUN_SECONDS = 30
RECEIVE_BYTES = 1 << 16

QUIET = 'quiet nokaslr'
COMMAND_LINE = f'console=ttyS0 PORT=ttyS1 {QUIET} tsc=reliable no_timer_check random.trust_cpu=on'
CRASH_COMMAND_LINE = f'console=ttyS0 PORT=ttyS1 {QUIET} nr_cpus=1 reset_devices'
STATUS = re.compile(rb'^= (\d+)\n', re.MULTILINE)


def find_tool(name):
    """A program of ours for the inside of a guest."""
    path = BUILD / 'tests' / 'kernel' / name
    if not path.exists():
        raise Skip(f'{name} in {BUILD}')
    return path.read_bytes()


def get_kernel(version):
    """The folder of its package, the ELF file in it and its bzImage."""
    root = packages.unpack(KERNELS[version])
    image = next((root / 'boot').glob('vmlinuz-*'))
    elf = root / 'vmlinux'
    with packages.locked():
        if not elf.exists():
            unfinished = root / 'vmlinux.unfinished'
            unfinished.write_bytes(vmlinux.extract(image.read_bytes()))
            unfinished.rename(elf)
    return root, elf, image


class Linux(Guest):
    """modules: to be loaded at the start; later: for the test to load. files: name → contents, all
    executable. crash_script: what its dump kernel does, when it is to have one. As every Guest it waits
    for start()."""

    def __init__(self, folder, name, version, modules=(), arguments=(), command_line='', crash_script=None,
                 files=None, later=()):
        root, elf, image = get_kernel(version)
        busybox = packages.unpack(BUSYBOX)
        files = dict(files or {})
        self.later = []
        for module, data in initramfs.find_modules(root, later):
            files[f'modules-later/{module}.ko'] = data
            self.later.append(module)
        if crash_script is not None:
            crash = initramfs.make(busybox, root, script=crash_script)
            files |= {'crash/kernel': image.read_bytes(),
                      'crash/initrd': crash,
                      'bin/kexec-load': find_tool('kexec-load')}
            command_line += f' crashkernel={CRASH_MEMORY_MIB}M'
        initrd = folder / f'{name}.initrd'
        initrd.write_bytes(initramfs.make(busybox, root, modules, files))

        self.has_crash_kernel = crash_script is not None
        self.said = b''
        self.log = folder / f'{name}.log'
        port = folder / f'{name}.port'
        self.port = None
        super().__init__(folder, name, None, (
            '-cpu', 'max', '-m', str(MEMORY_MIB),
            '-kernel', str(elf), '-initrd', str(initrd), '-append', f'{COMMAND_LINE} {command_line}',
            '-serial', f'file:{self.log}',
            '-chardev', f'socket,id=port,path={port},server=on,wait=off', '-serial', 'chardev:port',
            *arguments), arch='x86')
        self.port = socket.socket(socket.AF_UNIX)
        connect(self.port, str(port))

    def _receive(self, deadline, what):
        self.port.settimeout(max(deadline.left(), 0.001))
        try:
            data = self.port.recv(RECEIVE_BYTES)
        except TimeoutError:
            data = b''
        if not data:
            raise Late(f'{self.name}: no {what}; it said {self.said[-500:]!r}, '
                       f'and its kernel {self.log.read_bytes()[-1000:]!r}')
        self.said += data

    def wait_said(self, text, seconds=BOOT_SECONDS):
        """Reads up to and with a line that it says by itself; returns what came before it."""
        deadline = Deadline(seconds)
        line = text.encode() + b'\n'
        while line not in self.said:
            self._receive(deadline, text)
        before, _, self.said = self.said.partition(line)
        return before.decode(errors='replace')

    def wait_ready(self):
        self.wait_said('ready')
        if self.has_crash_kernel:
            self.run(f'kexec-load /crash/kernel /crash/initrd "{CRASH_COMMAND_LINE}"')

    def send(self, line):
        """A line that has no answer: the guest is not there any more."""
        self.port.sendall(line.encode() + b'\n')

    def run(self, line, seconds=RUN_SECONDS):
        """The output of a line of shell, which has to succeed."""
        deadline = Deadline(seconds)
        self.send(line)
        while not (end := STATUS.search(self.said)):
            self._receive(deadline, f'end of {line}')
        output = self.said[:end.start()].decode(errors='replace')
        self.said = self.said[end.end():]
        if end[1] != b'0':
            raise AssertionError(f'{self.name}: {line}: status {end[1].decode()}: {output}')
        return output

    def load_later(self):
        for module in self.later:
            self.run(f'insmod /modules-later/{module}.ko')

    def panic(self):
        self.send('echo c > /proc/sysrq-trigger')

    def close(self):
        if self.port is not None:
            self.port.close()
        super().close()


class LinuxS390(Guest):
    """A mainframe: it has no shell, but a script that it carries out by itself."""

    def __init__(self, folder, name, script):
        root = packages.unpack(KERNEL_S390, 's390x')
        initrd = folder / f'{name}.initrd'
        initrd.write_bytes(initramfs.make(packages.unpack(BUSYBOX, 's390x'), root, script=script))
        self.log = folder / f'{name}.log'
        super().__init__(folder, name, None, (
            '-m', str(MEMORY_MIB), '-kernel', str(next((root / 'boot').glob('vmlinuz-*'))),
            '-initrd', str(initrd), '-append', f'console=ttysclp0 PORT=ttysclp0 {QUIET}',
            '-chardev', f'file,id=console,path={self.log}', '-device', 'sclpconsole,chardev=console'),
            arch='s390')
