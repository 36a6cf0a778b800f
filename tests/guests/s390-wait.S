# SPDX-License-Identifier: LGPL-2.1-or-later
# Loads a wait PSW: how an s390 says that it idles, that it has crashed, or that it is done.
#
#     qemu-system-s390x -M s390-ccw-virtio -nodefaults -kernel NAME.elf
#
#     MASK      0x0706000180000000  enabled for I/O, external and machine-check interruptions: idle
#               0x0002000180000000  disabled: a crash, unless the address ends in fff (quiesce)
#     ADDRESS   of the PSW
#     PROGRAM   1: not loaded by the guest itself, but on a program check
        .set    PROGRAM_NEW_PSW, 0x1d0  # in the lowcore

        .text
        .globl  _start
_start:
        larl    %r1, wait
.if PROGRAM
        lghi    %r2, 0
        mvc     PROGRAM_NEW_PSW(16, %r2), 0(%r1)
        .short  0                       # no instruction: operation exception
.else
        lpswe   0(%r1)
.endif

        .balign 16
wait:   .quad   MASK, ADDRESS
