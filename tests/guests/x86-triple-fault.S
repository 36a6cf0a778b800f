# SPDX-License-Identifier: LGPL-2.1-or-later
# Takes an interrupt with no room in its interrupt table for any: the CPU resets the machine.
        .code16
        .text
        .globl  main
main:
        call    once
        lidtw   %cs:no_table
        int3

no_table:
        .word   0
        .long   0
