/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kexec-load KERNEL INITRD COMMAND-LINE: what the kernel is to start when it panics. Statically
 * linked, for a guest that has nothing else.
 */
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char *argv[]) {
        int kernel, initrd;

        if (argc != 4) {
                (void) fputs("kexec-load KERNEL INITRD COMMAND-LINE\n", stderr);
                return 2;
        }
        kernel = open(argv[1], O_RDONLY | O_CLOEXEC);
        initrd = open(argv[2], O_RDONLY | O_CLOEXEC);
        if (kernel < 0 || initrd < 0 ||
            syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], KEXEC_FILE_ON_CRASH) <
                    0) {
                perror("kexec-load");
                return 1;
        }
        return 0;
}
