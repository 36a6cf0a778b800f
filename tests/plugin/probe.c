/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin that tries what it may not, and says in its answer what was possible all the same. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <tocsin/plugin.h>
#include <unistd.h>

static const struct tocsin_option options[] = {
        { "secret", TOCSIN_OPTION_TEXT, NULL, "A file it may not read." },
        { "granted", TOCSIN_OPTION_TEXT, NULL, "A file it may write." },
};

static const struct tocsin_value *configured;

static int probe_init(const struct tocsin_value *values, void **ret_state) {
        configured = values;
        return 0;
}

static long probe_open(const char *path, int flags) {
        return path ? open(path, flags, 0600) : -1;
}

static void probe(void *state, const struct tocsin_question *question, struct tocsin_answer *answer) {
        struct rlimit limit = { 1000, 1000 };
        char magic[] = "x";
        const struct {
                const char *what;
                long r;
        } tries[] = {
                { "socket", socket(AF_INET, SOCK_STREAM, 0) },
                { "unix", socket(AF_UNIX, SOCK_STREAM, 0) },
                { "netlink", socket(AF_NETLINK, SOCK_RAW, 0) },
                { "ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL) },
                { "mount", mount("none", "/tmp", "tmpfs", 0, NULL) },
                { "fork", syscall(SYS_fork) },
                { "clone3", syscall(SYS_clone3, NULL, 0) },
                { "execve", execl("/bin/true", "true", NULL) },
                { "kill", kill(getppid(), 0) },
                { "unshare", syscall(SYS_unshare, 0x10000000) },
                { "setns", syscall(SYS_setns, 0, 0) },
                { "bpf", syscall(SYS_bpf, 0, NULL, 0) },
                { "module", syscall(SYS_init_module, magic, 0, magic) },
                { "kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0) },
                { "perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) },
                { "keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0) },
                { "io_uring", syscall(SYS_io_uring_setup, 1, NULL) },
                { "userfaultfd", syscall(SYS_userfaultfd, 0) },
                { "vm", syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) },
                { "reboot", syscall(SYS_reboot, 0, 0, 0, NULL) },
                { "setuid", setuid(0) },
                { "setsid", setsid() },
                { "limit", setrlimit(RLIMIT_NOFILE, &limit) },
                { "dumpable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) },
                { "tty", ioctl(0, TIOCSTI, magic) },
                { "secret", probe_open(configured[0].text, O_RDONLY) },
                { "proc", probe_open("/proc/1/environ", O_RDONLY) },
                { "create", probe_open("/tmp/tocsin-probe", O_RDWR | O_CREAT) },
                { "etc", probe_open("/etc/hosts", O_WRONLY) },
        };
        size_t i, n = 0;
        char text[TOCSIN_REASON_SIZE] = "possible:";

        for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
                if (tries[i].r >= 0) {
                        strncat(text, " ", sizeof(text) - strlen(text) - 1);
                        strncat(text, tries[i].what, sizeof(text) - strlen(text) - 1);
                        n++;
                }
        /* and what has to be */
        if (probe_open("/etc/passwd", O_RDONLY) < 0 || probe_open("/dev/null", O_RDWR) < 0 ||
            !malloc(1 << 20))
                strncat(text, " (too little)", sizeof(text) - strlen(text) - 1);
        if (configured[1].text && probe_open(configured[1].text, O_RDWR | O_CREAT) < 0)
                strncat(text, " (nothing granted)", sizeof(text) - strlen(text) - 1);
        tocsin_leave(answer, "%s", n > 0 || strchr(text, '(') ? text : "nothing");
}

const struct tocsin_plugin tocsin_plugin = {
        TOCSIN_PLUGIN_HEAD,
        .name = "probe",
        .version = "1",
        .doc = "Tries what it may not.",
        .options = TOCSIN_PLUGIN_OPTIONS(options),
        .init = probe_init,
        .panic = probe,
};
