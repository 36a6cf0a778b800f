/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/evidence/dump.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/evidence/flattened.h"
#include "policy/util/cleanup.h"
#include "policy/util/size.h"

#define DUMP_READ_SIZE ((size_t) 1 << 20)
/* The file system is asked once for so many bytes: asking for each page would cost more than the
 * page. */
#define DUMP_STEP (UINT64_C(16) << 20)
#define DUMP_PROGRESS_SECONDS 1

/* Numbers above those of errno, for problems that have their own words. */
#define DUMP_E_WORDS 4096

typedef struct Dump {
        int root_fd;
        FolderFile *file;
        Room *room;
        const DumpOps *ops;
        char *problem;
        uint64_t end;     /* of the file so far */
        uint64_t cleared; /* it may grow up to here */
        struct timespec told;
} Dump;

static int dump_fail(Dump *dump, const char *format, ...) _printf_(2, 3);

static int dump_fail(Dump *dump, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(dump->problem, DUMP_PROBLEM_SIZE, format, ap);
        va_end(ap);
        return -DUMP_E_WORDS;
}

static int dump_get_free(const Dump *dump, uint64_t *ret) {
        struct statfs st;

        if (fstatfs(dump->file->fd, &st) < 0)
                return -errno;
        *ret = (uint64_t) st.f_bavail * (uint64_t) st.f_bsize;
        return 0;
}

static int dump_refuse(Dump *dump, int error) {
        const RoomLimits *limits = &dump->room->limits;
        char size[SIZE_TEXT_SIZE];

        if (error == ROOM_E_MACHINE)
                return dump_fail(dump,
                                 "it is larger than size-per-machine=%s",
                                 size_format(limits->machine_bytes, size));
        if (error == ROOM_E_TOTAL)
                return dump_fail(dump,
                                 "the dumps of all machines would be larger than size=%s",
                                 size_format(limits->total_bytes, size));
        return dump_fail(dump,
                         "less than keep-free=%s would stay free on the file system",
                         size_format(limits->free_bytes, size));
}

static int dump_remove_oldest(Dump *dump) {
        RoomDump oldest;
        int r;

        if (!room_take_oldest(dump->room, &oldest))
                return 0;
        r = folder_remove_dump(dump->root_fd, oldest.incident);
        if (r < 0 && r != -ENOENT)
                return r;
        dump->ops->removed(&oldest);
        return 1;
}

/* May the file grow to `end`? Older dumps of the machine go only when it may not otherwise. */
static int dump_clear(Dump *dump, uint64_t end) {
        uint64_t free_bytes = 0;
        int r;

        if (end <= dump->cleared)
                return 0;
        r = dump_get_free(dump, &free_bytes);
        if (r < 0)
                return r;
        if (room_ask(dump->room, dump->end, end + DUMP_STEP, free_bytes) == 0) {
                dump->cleared = end + DUMP_STEP;
                return 0;
        }
        for (;;) {
                int error = room_ask(dump->room, dump->end, end, free_bytes);

                if (error == 0)
                        break;
                if (error == ROOM_E_MACHINE)
                        return dump_refuse(dump, error);
                r = dump_remove_oldest(dump);
                if (r == 0)
                        return dump_refuse(dump, error);
                if (r > 0)
                        r = dump_get_free(dump, &free_bytes);
                if (r < 0)
                        return r;
        }
        dump->cleared = end;
        return 0;
}

static int dump_write(uint64_t offset, const void *data, size_t n, void *userdata) {
        Dump *dump = userdata;
        const char *from = data;
        int r;

        r = dump_clear(dump, offset + n);
        if (r < 0)
                return r;
        if (offset + n > dump->end)
                dump->end = offset + n;
        while (n > 0) {
                ssize_t written = pwrite(dump->file->fd, from, n, (off_t) offset);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return -errno;
                from += written;
                offset += (size_t) written;
                n -= (size_t) written;
        }
        return 0;
}

static void dump_tell(Dump *dump) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - dump->told.tv_sec < DUMP_PROGRESS_SECONDS)
                return;
        dump->told = now;
        dump->ops->progress(dump->end);
}

static int dump_read(Dump *dump, int from_fd, Flattened *flattened) {
        static char data[DUMP_READ_SIZE];

        for (;;) {
                ssize_t n;
                int r;

                if (dump->ops->is_stopped())
                        return dump_fail(dump, "it was stopped before it was complete");
                n = read(from_fd, data, sizeof(data));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return flattened->ended
                                       ? 0
                                       : dump_fail(dump, "QEMU ended it before it was complete");
                r = flattened_feed(flattened, data, (size_t) n);
                if (r == FLATTENED_E_INVALID)
                        return dump_fail(dump, "QEMU sent what is no dump: %s", flattened->problem);
                if (r < 0)
                        return r;
                dump_tell(dump);
        }
}

int dump_take(int from_fd,
              int root_fd,
              FolderFile *file,
              Room *room,
              const DumpOps *ops,
              uint64_t *ret_bytes,
              char problem[static DUMP_PROBLEM_SIZE]) {
        static Flattened flattened;
        Dump dump = { .root_fd = root_fd, .file = file, .room = room, .ops = ops, .problem = problem };
        int r;

        flattened_init(&flattened, dump_write, &dump);
        r = dump_read(&dump, from_fd, &flattened);
        if (r == 0)
                r = folder_file_finish(file);
        while (r >= 0 && room_is_over(room, dump.end))
                if ((r = dump_remove_oldest(&dump)) == 0)
                        break;
        if (r < 0) {
                if (r != -DUMP_E_WORDS)
                        (void) snprintf(problem, DUMP_PROBLEM_SIZE, "%s", strerror(-r));
                return r;
        }
        *ret_bytes = dump.end;
        return 0;
}
