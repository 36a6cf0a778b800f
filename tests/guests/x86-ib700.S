# SPDX-License-Identifier: LGPL-2.1-or-later
# Arms the ib700 watchdog (-device ib700) and never feeds it: it expires 30 - 2 * CODE seconds later.
#
#     CODE    0x0f: at once, 0x0e: after two seconds
#     ONCE    1: in the first life only, 0: at every boot
#     FLOOD   1: at once, and again about a hundred times a second
        .code16
        .set    IB700_ENABLE, 0x443

        .text
        .globl  main
main:
.if ONCE
        call    once
.endif
again:
        movw    $IB700_ENABLE, %dx
        movb    $CODE, %al
        outb    %al, %dx
.if FLOOD
        movl    $1000000, %ecx
1:      decl    %ecx
        jnz     1b
        jmp     again
.endif
        ret
