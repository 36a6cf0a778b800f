# SPDX-License-Identifier: LGPL-2.1-or-later
# Tells of a panic through pvpanic (-device pvpanic): bit 0 panicked, bit 1 crash kernel loaded.
#
#     BYTE    what is written
#     ONCE    1: in the first life only, 0: at every boot
#     FLOOD   1: again and again, as fast as it can be said
        .code16
        .set    PVPANIC_PORT, 0x505

        .text
        .globl  main
main:
.if ONCE
        call    once
.endif
        movw    $PVPANIC_PORT, %dx
        movb    $BYTE, %al
again:
        outb    %al, %dx
.if FLOOD
        jmp     again
.endif
        movb    $'C', %al               # the panic returned: the guest goes on
        call    mark
        ret
