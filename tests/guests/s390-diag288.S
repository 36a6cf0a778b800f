# SPDX-License-Identifier: LGPL-2.1-or-later
# Arms the diag288 watchdog (-device diag288) with the shortest time it takes, 15 seconds, and waits.
        .set    INIT, 0
        .set    SECONDS, 15

        .text
        .globl  _start
_start:
        lghi    %r2, INIT
        lghi    %r3, SECONDS
        lghi    %r4, 0                  # what the watchdog should do: QEMU decides that
        lghi    %r5, 0
        diag    %r2, %r4, 0x288
        larl    %r1, wait
        lpswe   0(%r1)

        .balign 16
wait:   .quad   0x0706000180000000, 0
