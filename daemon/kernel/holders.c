/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is that processes end while they are looked at: what is gone meanwhile is passed
 * over. The name of a process is its own to choose, so it comes last and without control characters.
 */
#include "daemon/kernel/holders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "daemon/kernel/fd.h"
#include "policy/util/buffer.h"

#define HOLDERS_NAME_SIZE 32 /* TASK_COMM_LEN is 16 */

/* By the beginning of a link; /dev/watchdog is the first device's other name. */
static const struct {
        const char *word, *target;
} holders_kinds[] = {
        { HOLDERS_KVM, "anon_inode:kvm-vm" },
        { HOLDERS_WATCHDOG, "/dev/watchdog" },
};

static void holders_closedir(DIR **dir) {
        if (*dir)
                (void) closedir(*dir);
}

static void holders_read_name(int process, char name[static HOLDERS_NAME_SIZE]) {
        _cleanup_fd_ int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, name, HOLDERS_NAME_SIZE - 1);

        name[n < 0 ? 0 : n] = '\0';
        name[strcspn(name, "\n")] = '\0';
        for (char *p = name; *p; p++)
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        *p = '?';
}

/* Each thing once for a process, however many descriptors it has of it. */
static int holders_look(int process, const char *pid, const char *wanted, Buffer *text) {
        _cleanup_(holders_closedir) DIR *dir = NULL;
        char target[PATH_MAX], last[PATH_MAX] = "", name[HOLDERS_NAME_SIZE];
        struct dirent *entry;
        int fd, r;

        fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir)
                return 0;
        while ((entry = readdir(dir))) {
                ssize_t n = readlinkat(fd, entry->d_name, target, sizeof(target) - 1);

                if (n <= 0)
                        continue;
                target[n] = '\0';
                if (strncmp(target, wanted, strlen(wanted)) != 0 || strcmp(target, last) == 0 ||
                    strpbrk(target, "\t\n"))
                        continue;
                memcpy(last, target, (size_t) n + 1);
                holders_read_name(process, name);
                r = buffer_printf(text, "%s\t%s\t%s\n", pid, target, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int holders_look_at_all(const char *wanted, Buffer *text) {
        _cleanup_(holders_closedir) DIR *proc = opendir("/proc");
        struct dirent *entry;
        int r = 0;

        if (!proc)
                return -errno;
        while (r == 0 && (entry = readdir(proc))) {
                _cleanup_fd_ int process = -1;

                if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
                        continue;
                process = openat(dirfd(proc), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (process >= 0)
                        r = holders_look(process, entry->d_name, wanted, text);
        }
        return r;
}

int holders_find(const char *word, int *ret_fd) {
        _cleanup_(buffer_deinit) Buffer text = { .limit = HOLDERS_TEXT_MAX };
        _cleanup_fd_ int fd = -1;
        const char *wanted = NULL;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(holders_kinds); i++)
                if (strcmp(holders_kinds[i].word, word) == 0)
                        wanted = holders_kinds[i].target;
        if (!wanted)
                return -EINVAL;
        r = holders_look_at_all(wanted, &text);
        if (r < 0)
                return r;
        fd = memfd_create("holders", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (buffer_length(&text) > 0) {
                ssize_t n = write(fd, buffer_content(&text), buffer_length(&text));

                if (n < 0 || (size_t) n != buffer_length(&text))
                        return n < 0 ? -errno : -EIO;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void holders_parse(char *text, HolderFunc func, void *userdata) {
        for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n")) {
                Holder holder = {};
                char *end;
                long pid = strtol(line, &end, 10);

                if (pid <= 0 || pid > INT32_MAX || *end != '\t')
                        continue;
                holder.pid = (pid_t) pid;
                line = end + 1;
                holder.target = strsep(&line, "\t");
                if (!line)
                        continue;
                holder.name = line;
                func(&holder, userdata);
        }
}

int holders_read(int fd, HolderFunc func, void *userdata) {
        _cleanup_free_ char *text = NULL;
        struct stat st;
        ssize_t n;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size < 0 || (size_t) st.st_size > HOLDERS_TEXT_MAX)
                return -EMSGSIZE;
        text = malloc((size_t) st.st_size + 1);
        if (!text)
                return -ENOMEM;
        n = pread(fd, text, (size_t) st.st_size, 0);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        holders_parse(text, func, userdata);
        return 0;
}
