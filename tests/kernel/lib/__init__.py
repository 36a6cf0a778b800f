# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests on a real Linux kernel stand on: packages, initial memory file systems and guests
of Linux; besides them all that tests/qemu/lib has (`from lib.qmp import Qmp`)."""

import pathlib

__path__.append(str(pathlib.Path(__file__).resolve().parents[2] / 'qemu' / 'lib'))
