# SPDX-License-Identifier: LGPL-2.1-or-later
# Enables the i6300esb watchdog (-device i6300esb,addr=5) through PCI configuration space alone, with the
# preload it has after reset: two stages of a second each.
        .code16
        .set    DEVICE, 0x80000000 + (5 << 11)
        .set    CONFIG, 0x60            # bits 0-1: what stage one raises; bit 2: 1 MHz clock
        .set    LOCK, 0x68              # bit 1: enable

        .text
        .globl  main
main:
        call    once

        movl    $DEVICE + CONFIG, %eax
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        movw    $0x0005, %ax
        outw    %ax, %dx

        movl    $DEVICE + LOCK, %eax
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        movb    $0x02, %al
        outb    %al, %dx
        ret
