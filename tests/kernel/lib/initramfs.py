# SPDX-License-Identifier: LGPL-2.1-or-later
"""An initial memory file system: busybox, kernel modules and what a test adds, as the "newc" cpio
archive that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst)."""

import lzma
import pathlib
import re
import stat

INIT = pathlib.Path(__file__).with_name('init')
MODULE_NAME = re.compile(r'([^/]+)\.ko(\.xz)?$')


class Archive:
    def __init__(self):
        self.parts = []
        self.names = set()

    def _add(self, name, mode, data=b'', device=(0, 0)):
        self.names.add(name)
        numbers = (len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        head = b'070701' + b''.join(b'%08X' % number for number in numbers) + name.encode() + b'\0'
        for part in (head, data):
            self.parts.append(part + bytes(-len(part) % 4))

    def _add_folders(self, name):
        for folder in list(pathlib.PurePath(name).parents)[-2::-1]:
            if str(folder) not in self.names:
                self.add_folder(str(folder))

    def add_folder(self, name):
        self._add(name, stat.S_IFDIR | 0o755)

    def add_file(self, name, data, mode=0o755):
        self._add_folders(name)
        self._add(name, stat.S_IFREG | mode, data)

    def add_device(self, name, major, minor):
        self._add_folders(name)
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def finish(self):
        self._add('TRAILER!!!', 0)
        return b''.join(self.parts)


def read_module(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == '.xz' else data


def find_modules(kernel_root, names):
    """[(name, contents)] of these modules and all they need, in the order to load them in; what is
    built into the kernel is left out."""
    base = next((kernel_root / 'lib' / 'modules').iterdir())
    files = {MODULE_NAME.search(path.name)[1].replace('-', '_'): path for path in base.rglob('*.ko*')}
    builtin = {MODULE_NAME.search(line)[1].replace('-', '_')
               for line in (base / 'modules.builtin').read_text().split()}
    found = {}

    def add(name):
        name = name.replace('-', '_')
        if name in builtin or name in found:
            return
        data = read_module(files[name])
        needs = re.search(rb'\0depends=([^\0]*)\0', data)
        for need in needs[1].decode().split(',') if needs and needs[1] else ():
            add(need)
        found[name] = data

    for name in names:
        add(name)
    return list(found.items())


def make(busybox_root, kernel_root, modules=(), files=None, script=None):
    """script: run by /bin/sh when all is up. files: name → contents, all executable."""
    archive = Archive()
    for folder in ('dev', 'proc', 'sys', 'tmp'):
        archive.add_folder(folder)
    archive.add_device('dev/console', 5, 1)
    archive.add_file('init', INIT.read_bytes())
    archive.add_file('bin/busybox', (busybox_root / 'bin' / 'busybox').read_bytes())
    order = []
    for name, data in find_modules(kernel_root, modules):
        archive.add_file(f'modules/{name}.ko', data)
        order.append(f'{name}\n')
    archive.add_file('modules/order', ''.join(order).encode())
    if script is not None:
        archive.add_file('script', script.encode())
    for name, data in (files or {}).items():
        archive.add_file(name, data)
    return archive.finish()
