/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands in, inside a guest, for programs that are not there:
 *     stand-in vm                       a VMM: makes a virtual machine, says its PID, and waits
 *     stand-in listen PATH PROGRAM ...  systemd: runs PROGRAM with a socket that listens at PATH
 *     stand-in as UID PROGRAM ...       runs PROGRAM as that user and group, with no capability
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_FD 3

static int fail(const char *what) {
        perror(what);
        return EXIT_FAILURE;
}

static int stand_in_vm(void) {
        int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

        if (kvm < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0)
                return fail("/dev/kvm");
        (void) printf("%d\n", getpid());
        (void) fflush(stdout);
        (void) close(STDOUT_FILENO);
        pause();
        return EXIT_SUCCESS;
}

static int stand_in_listen(const char *path, char *const *program) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char pid[16];
        int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ||
            chmod(path, 0666) < 0 || listen(fd, 1) < 0)
                return fail(path);
        if (fd != LISTEN_FD && dup2(fd, LISTEN_FD) < 0)
                return fail("dup2");
        (void) snprintf(pid, sizeof(pid), "%d", getpid());
        (void) setenv("LISTEN_PID", pid, 1);
        (void) setenv("LISTEN_FDS", "1", 1);
        (void) execvp(program[0], program);
        return fail(program[0]);
}

static int stand_in_as(const char *uid, char *const *program) {
        unsigned id = (unsigned) strtoul(uid, NULL, 10);

        if (setgroups(0, NULL) < 0 || setgid(id) < 0 || setuid(id) < 0)
                return fail(uid);
        (void) execvp(program[0], program);
        return fail(program[0]);
}

int main(int argc, char **argv) {
        if (argc == 2 && strcmp(argv[1], "vm") == 0)
                return stand_in_vm();
        if (argc > 3 && strcmp(argv[1], "listen") == 0)
                return stand_in_listen(argv[2], argv + 3);
        if (argc > 3 && strcmp(argv[1], "as") == 0)
                return stand_in_as(argv[2], argv + 3);
        (void) fprintf(stderr, "stand-in vm | listen PATH PROGRAM ... | as UID PROGRAM ...\n");
        return EXIT_FAILURE;
}
