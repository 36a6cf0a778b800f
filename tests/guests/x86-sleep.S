# SPDX-License-Identifier: LGPL-2.1-or-later
# Goes to an ACPI sleep state through the power management function of the PIIX4 (device 1.3).
#
#     TYPE    SLP_TYP as QEMU's tables have it: 0 soft off (S5), 1 to RAM (S3), 2 to disk (S4)
        .code16
        .set    DEVICE, 0x80000000 + (1 << 11) + (3 << 8)
        .set    PM_BASE, 0x40
        .set    PM_ENABLE, 0x80
        .set    PM_PORTS, 0xb000        # where we put its registers
        .set    PM_CONTROL, PM_PORTS + 4
        .set    SLEEP_ENABLE, 0x2000

        .text
        .globl  main
main:
        call    once

        movl    $DEVICE + PM_BASE, %eax
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        movl    $PM_PORTS + 1, %eax     # bit 0: an I/O range
        outl    %eax, %dx

        movl    $DEVICE + PM_ENABLE, %eax
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        movb    $1, %al
        outb    %al, %dx

        movw    $PM_CONTROL, %dx
        movw    $SLEEP_ENABLE + (TYPE << 10), %ax
        outw    %ax, %dx
        ret
