/* SPDX-License-Identifier: MIT */
/*
 * The file system as a plugin sees it, through Landlock (Linux 5.13). libc has no functions for it, and
 * headers are older than kernels, so numbers are spelled out here as in the kernel's
 * include/uapi/linux/landlock.h. Rights the running kernel doesn't know are left out: what it can't
 * take away, the system call filter and the ordinary permissions still do.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugins/sdk/host/confine.h"
#include "policy/util/cleanup.h"

#define LANDLOCK_EXECUTE (1U << 0)
#define LANDLOCK_WRITE_FILE (1U << 1)
#define LANDLOCK_READ_FILE (1U << 2)
#define LANDLOCK_READ_DIR (1U << 3)
#define LANDLOCK_TRUNCATE (1U << 14)

#define LANDLOCK_READ (LANDLOCK_EXECUTE | LANDLOCK_READ_FILE | LANDLOCK_READ_DIR)
#define LANDLOCK_OF_FILE                                                                           \
        (LANDLOCK_EXECUTE | LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_TRUNCATE)
/* Of a folder a plugin may write to: what makes files and folders and takes them away, but no device,
 * socket or pipe (bits 6, 9, 10 and 11). */
#define LANDLOCK_WRITE (LANDLOCK_READ | LANDLOCK_WRITE_FILE | LANDLOCK_TRUNCATE | 0x31b0)

/* First version of the ABI, and the rights it knows; the last row is the newest there was in 2026. */
static const struct {
        int abi;
        uint64_t files, net, scoped;
} landlock_rights[] = {
        { 1, (1U << 13) - 1, 0, 0 }, { 2, (1U << 14) - 1, 0, 0 }, { 3, (1U << 15) - 1, 0, 0 },
        { 4, (1U << 15) - 1, 3, 0 }, { 5, (1U << 16) - 1, 3, 0 }, { 6, (1U << 16) - 1, 3, 3 },
};

typedef struct LandlockRuleset {
        uint64_t handled_access_fs, handled_access_net, scoped;
} LandlockRuleset;

typedef struct LandlockPath {
        uint64_t allowed_access;
        int32_t parent_fd;
} __attribute__((__packed__)) LandlockPath;

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

/* What a program needs to start, in any distribution; none has to be there. */
static const char *const landlock_system[] = { "/usr",   "/bin", "/sbin", "/lib",
                                               "/lib64", "/etc", "/opt" };
static const char *const landlock_devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom" };

static int landlock_allow(int ruleset, const char *path, uint64_t access, uint64_t handled) {
        LandlockPath rule = { .allowed_access = access & handled };
        struct stat st;
        int r = 0;

        rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
        if (rule.parent_fd < 0 || fstat(rule.parent_fd, &st) < 0) {
                r = -errno;
        } else {
                if (!S_ISDIR(st.st_mode))
                        rule.allowed_access &= LANDLOCK_OF_FILE;
                if (syscall(SYS_landlock_add_rule, ruleset, 1 /* path beneath */, &rule, 0) < 0)
                        r = -errno;
        }
        if (rule.parent_fd >= 0)
                (void) close(rule.parent_fd);
        return r;
}

static int landlock_allow_granted(int ruleset,
                                  const char **paths,
                                  size_t n,
                                  uint64_t access,
                                  uint64_t handled) {
        for (size_t i = 0; i < n; i++) {
                int r = landlock_allow(ruleset, paths[i], access, handled);

                if (r < 0) {
                        (void) fprintf(stderr, "%s can't be granted: %s\n", paths[i], strerror(-r));
                        return r;
                }
        }
        return 0;
}

static int landlock_allow_all(int ruleset, const Confinement *c, uint64_t handled) {
        _cleanup_free_ char *file = strdup(c->file);
        int r;

        if (!file)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(landlock_system); i++) {
                r = landlock_allow(ruleset, landlock_system[i], LANDLOCK_READ, handled);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(landlock_devices); i++) {
                r = landlock_allow(ruleset,
                                   landlock_devices[i],
                                   LANDLOCK_READ | LANDLOCK_WRITE_FILE,
                                   handled);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        r = landlock_allow(ruleset, dirname(file), LANDLOCK_READ, handled);
        if (r == 0)
                r = landlock_allow_granted(ruleset, c->reads, c->n_reads, LANDLOCK_READ, handled);
        if (r == 0)
                r = landlock_allow_granted(ruleset, c->writes, c->n_writes, LANDLOCK_WRITE, handled);
        return r;
}

int confine_files(const Confinement *c) {
        LandlockRuleset rights = {};
        int fd, r;
        long abi;

        abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* version */);
        if (abi < 1) {
                (void) fprintf(stderr,
                               "this kernel has no Landlock: files are kept from it by their "
                               "permissions alone\n");
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(landlock_rights) && landlock_rights[i].abi <= abi; i++)
                rights = (LandlockRuleset){ landlock_rights[i].files,
                                            landlock_rights[i].net,
                                            landlock_rights[i].scoped };
        fd = (int) syscall(SYS_landlock_create_ruleset, &rights, sizeof(rights), 0);
        if (fd < 0) {
                r = -errno;
        } else {
                r = landlock_allow_all(fd, c, rights.handled_access_fs);
                if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
                        r = -errno;
                (void) close(fd);
        }
        if (r < 0)
                (void) fprintf(stderr, "Landlock: %s\n", strerror(-r));
        return r;
}
