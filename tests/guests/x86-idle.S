# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest that boots, says 'R' (ready), and is content. MCE=1 makes it able to take a machine check (CR4.MCE): a memory
# failure is then injected, where QEMU would reset it otherwise.
        .code16
        .set    CR4_MCE, 0x40

        .text
        .globl  main
main:
.if MCE
        movl    %cr4, %eax
        orl     $CR4_MCE, %eax
        movl    %eax, %cr4
.endif
        movb    $'R', %al
        call    mark
        ret
