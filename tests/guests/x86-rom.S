# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What every x86 guest is made of: a 64 KiB firmware image that runs from the reset vector in real
# mode, with no SeaBIOS before it, so that no reset or event but the guest's own is seen.
#
#     qemu-system-x86_64 -M pc -vga none -bios NAME.bin
#
# A guest is one file that defines `main`. The debug console (-debugcon) gets 'B' when it has
# booted, and a letter for each interrupt that reached it: 'N' for an NMI, 'M' for a machine check.
# RAM survives a reset, and so does what `once` remembers there.

        .code16

        .set    DEBUG_PORT, 0xe9
        .set    DONE, 0x500             # address of the word `once` writes
        .set    DONE_VALUE, 0xbeef
        .set    SEGMENT, 0xf000         # where the firmware's last 64 KiB lie

        .text
        .globl  _start, idle, once, mark
_start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7000, %sp

        movw    $nmi, 2 * 4             # interrupt vectors 2 and 18
        movw    $SEGMENT, 2 * 4 + 2
        movw    $machine_check, 18 * 4
        movw    $SEGMENT, 18 * 4 + 2

        movb    $'B', %al
        call    mark
        call    main
idle:
        hlt
        jmp     idle

# Returns in the first life of this RAM; goes idle in every later one.
once:
        cmpw    $DONE_VALUE, DONE
        je      idle
        movw    $DONE_VALUE, DONE
        ret

# Writes AL to the debug console.
mark:
        outb    %al, $DEBUG_PORT
        ret

nmi:
        pushw   %ax
        movb    $'N', %al
        call    mark
        popw    %ax
        iretw

# MCG_STATUS.MCIP stays set: the next machine check is a recursive one.
machine_check:
        pushw   %ax
        movb    $'M', %al
        call    mark
        popw    %ax
        iretw

        .section .reset, "ax"
        ljmp    $SEGMENT, $_start
