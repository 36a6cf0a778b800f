# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests on real QEMU stand on: guests, the daemon, a QMP client, and waiting with deadlines."""
