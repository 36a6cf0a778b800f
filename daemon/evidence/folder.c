/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is that any program here may be killed at any instant, and another comes after
 * it. So a name without ".part" is a whole file, a lock on a part says that somebody is still
 * writing it, and a part without a lock is rubbish.
 */
#include "daemon/evidence/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "daemon/kernel/fd.h"

#define FOLDER_OWNER "owner"
/* A machine's name and the UUID of a store are far shorter. */
#define FOLDER_OWNER_MAX 256
#define FOLDER_PART ".part"
#define FOLDER_NAME_MAX 24 /* of a number */

static void folder_closedirp(DIR **dir) {
        if (*dir)
                (void) closedir(*dir);
}

static void folder_format(uint64_t incident, char name[static FOLDER_NAME_MAX]) {
        (void) snprintf(name, FOLDER_NAME_MAX, "%" PRIu64, incident);
}

/* Numbers as folder_format() writes them, and nothing else. */
static bool folder_parse(const char *name, uint64_t *ret) {
        char again[FOLDER_NAME_MAX];

        if (name[0] < '1' || name[0] > '9')
                return false;
        *ret = strtoull(name, NULL, 10);
        folder_format(*ret, again);
        return strcmp(again, name) == 0;
}

static int folder_open_dir(int at, const char *name, int *ret_fd) {
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

static int folder_make_dir(int at, const char *name, int *ret_fd) {
        if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        return folder_open_dir(at, name, ret_fd);
}

/* Another descriptor of the same folder, to read it from the beginning. */
static DIR *folder_read(int dir_fd) {
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir)
                (void) fd_close(fd);
        return dir;
}

int folder_open_root(const char *state_dir, int *ret_fd) {
        _cleanup_fd_ int state_fd = -1;

        state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (state_fd < 0)
                return -errno;
        return folder_make_dir(state_fd, FOLDER_ROOT, ret_fd);
}

/* "MACHINE STORE\n"; -ENOENT when it does not say. */
static int folder_read_owner(int folder_fd, char text[static FOLDER_OWNER_MAX], FolderOwner *ret) {
        _cleanup_fd_ int fd = -1;
        char *space, *end;
        ssize_t n;

        fd = openat(folder_fd, FOLDER_OWNER, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, FOLDER_OWNER_MAX - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        space = strchr(text, ' ');
        end = strchr(text, '\n');
        if (!space || !end || end < space)
                return -ENOENT;
        *space = *end = '\0';
        *ret = (FolderOwner){ .machine = text, .store = space + 1 };
        return 0;
}

static int folder_write_owner(int folder_fd, const FolderOwner *owner) {
        _cleanup_fd_ int fd = -1;
        char text[FOLDER_OWNER_MAX];
        int n;

        n = snprintf(text, sizeof(text), "%s %s\n", owner->machine, owner->store);
        if (n < 0 || (size_t) n >= sizeof(text))
                return -ENAMETOOLONG;
        fd = openat(folder_fd,
                    FOLDER_OWNER,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    0600);
        if (fd < 0)
                return -errno;
        if (write(fd, text, (size_t) n) != n)
                return errno > 0 ? -errno : -EIO;
        return 0;
}

int folder_open(int root_fd, uint64_t incident, const FolderOwner *owner, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        char name[FOLDER_NAME_MAX], text[FOLDER_OWNER_MAX];
        FolderOwner found;
        int r;

        folder_format(incident, name);
        r = folder_make_dir(root_fd, name, &fd);
        if (r < 0)
                return r;
        r = folder_read_owner(fd, text, &found);
        if (r == -ENOENT)
                r = folder_write_owner(fd, owner);
        else if (r == 0 && (strcmp(found.machine, owner->machine) != 0 ||
                            strcmp(found.store, owner->store) != 0))
                r = -EEXIST;
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int folder_file_size(int folder_fd, const char *name, uint64_t *ret) {
        struct stat st;

        if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        *ret = (uint64_t) st.st_size;
        return 0;
}

int folder_survey(int root_fd, const char *machine, Room *room) {
        _cleanup_(folder_closedirp) DIR *dir = folder_read(root_fd);
        struct dirent *entry;

        if (!dir)
                return -errno;
        while ((entry = readdir(dir))) {
                _cleanup_fd_ int fd = -1;
                char text[FOLDER_OWNER_MAX];
                uint64_t incident, bytes;
                FolderOwner owner;
                bool own;
                int r;

                if (!folder_parse(entry->d_name, &incident) ||
                    folder_open_dir(root_fd, entry->d_name, &fd) < 0 ||
                    folder_file_size(fd, FOLDER_MEMORY, &bytes) < 0)
                        continue;
                own = folder_read_owner(fd, text, &owner) == 0 && strcmp(owner.machine, machine) == 0;
                r = room_add(room, incident, bytes, own);
                if (r < 0)
                        return r;
        }
        return 0;
}

int folder_remove_dump(int root_fd, uint64_t incident) {
        _cleanup_fd_ int fd = -1;
        char name[FOLDER_NAME_MAX];
        int r;

        folder_format(incident, name);
        r = folder_open_dir(root_fd, name, &fd);
        if (r < 0)
                return r;
        return unlinkat(fd, FOLDER_MEMORY, 0) < 0 ? -errno : 0;
}

/* The owner goes last: a folder that could be removed in part only still says whose it is. */
static int folder_empty(int folder_fd) {
        _cleanup_(folder_closedirp) DIR *dir = folder_read(folder_fd);
        struct dirent *entry;

        if (!dir)
                return -errno;
        while ((entry = readdir(dir))) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    strcmp(entry->d_name, FOLDER_OWNER) == 0)
                        continue;
                if (unlinkat(folder_fd, entry->d_name, 0) < 0)
                        return -errno;
        }
        return unlinkat(folder_fd, FOLDER_OWNER, 0) < 0 ? -errno : 0;
}

int folder_remove(int root_fd, uint64_t incident, const char *store) {
        _cleanup_fd_ int fd = -1;
        char name[FOLDER_NAME_MAX], text[FOLDER_OWNER_MAX];
        FolderOwner owner;
        int r;

        folder_format(incident, name);
        r = folder_open_dir(root_fd, name, &fd);
        if (r < 0)
                return r;
        r = folder_read_owner(fd, text, &owner);
        if (r < 0)
                return r;
        if (strcmp(owner.store, store) != 0)
                return -EEXIST;
        r = folder_empty(fd);
        if (r < 0)
                return r;
        return unlinkat(root_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static void folder_remove_part(int folder_fd, const char *name) {
        _cleanup_fd_ int fd = openat(folder_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                (void) unlinkat(folder_fd, name, 0);
}

/* Keeps the lowest of the numbers that were offered, in order. */
static void folder_offer(uint64_t *ids, size_t most, size_t *n, uint64_t id) {
        size_t at;

        if (*n == most && (most == 0 || ids[most - 1] < id))
                return;
        if (*n < most)
                (*n)++;
        for (at = *n - 1; at > 0 && ids[at - 1] > id; at--)
                ids[at] = ids[at - 1];
        ids[at] = id;
}

int folder_list(int root_fd, const char *store, uint64_t after, uint64_t *ids, size_t *n) {
        _cleanup_(folder_closedirp) DIR *dir = folder_read(root_fd);
        struct dirent *entry;
        size_t found = 0;

        if (!dir)
                return -errno;
        while ((entry = readdir(dir))) {
                _cleanup_fd_ int fd = -1;
                char text[FOLDER_OWNER_MAX];
                FolderOwner owner;
                uint64_t id;

                if (!folder_parse(entry->d_name, &id) ||
                    folder_open_dir(root_fd, entry->d_name, &fd) < 0)
                        continue;
                folder_remove_part(fd, FOLDER_MEMORY FOLDER_PART);
                folder_remove_part(fd, FOLDER_REGISTERS FOLDER_PART);
                folder_remove_part(fd, FOLDER_LOG FOLDER_PART);
                if (id > after && folder_read_owner(fd, text, &owner) == 0 &&
                    strcmp(owner.store, store) == 0)
                        folder_offer(ids, *n, &found, id);
        }
        *n = found;
        return 0;
}

int folder_file_open(FolderFile *file, int folder_fd, const char *name) {
        _cleanup_fd_ int fd = -1;

        (void) snprintf(file->part, sizeof(file->part), "%s" FOLDER_PART, name);
        fd = openat(folder_fd, file->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(fd, 0) < 0)
                return -errno;
        file->folder_fd = folder_fd;
        file->fd = TAKE_FD(fd);
        file->name = name;
        return 0;
}

int folder_file_finish(FolderFile *file) {
        if (fdatasync(file->fd) < 0 ||
            renameat(file->folder_fd, file->part, file->folder_fd, file->name) < 0)
                return -errno;
        file->fd = fd_close(file->fd);
        /* its name, too, must outlive a crash of the host */
        (void) fsync(file->folder_fd);
        return 0;
}

void folder_file_deinit(FolderFile *file) {
        if (file->fd < 0)
                return;
        (void) unlinkat(file->folder_fd, file->part, 0);
        file->fd = fd_close(file->fd);
}
