/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tocsin-evidence: the one who waits on the disk, and reads a guest's memory, so that tocsind need do
 * neither. tocsind starts one for each piece of evidence:
 *
 *     tocsin-evidence memory STATE_DIR STORE INCIDENT MACHINE LIMITS...    a flattened dump on stdin
 *     tocsin-evidence registers STATE_DIR STORE INCIDENT MACHINE           text on stdin
 *     tocsin-evidence log STATE_DIR STORE INCIDENT MACHINE keep|drop       the dump, that is
 *     tocsin-evidence list STATE_DIR STORE AFTER                           which incidents have some
 *     tocsin-evidence remove STATE_DIR STORE INCIDENT...
 *
 * It says on stdout, a line each, what came of it: "ready" (to read a dump), "bytes N", "removed
 * INCIDENT", "headline WORDS" and "trace FUNCTIONS" (of a log), "kept NAME BYTES", "failed WHY", "folder
 * INCIDENT".
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/evidence/confine.h"
#include "daemon/evidence/dmesg.h"
#include "daemon/evidence/dump.h"
#include "daemon/evidence/program.h"
#include "daemon/kernel/fd.h"
#include "policy/decode/klog.h"
#include "policy/util/size.h"

/* Set by SIGTERM: what is being written is removed, and we end. */
static volatile sig_atomic_t main_stopped;

static void main_on_signal(int signal) {
        main_stopped = 1;
}

static bool main_is_stopped(void) {
        return main_stopped;
}

/* Nobody listens any more: then nobody will know of what we keep. */
static void main_say(const char *format, ...) _printf_(1, 2);

static void main_say(const char *format, ...) {
        char line[PROGRAM_LINE_MAX];
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(line, sizeof(line) - 1, format, ap);
        va_end(ap);
        if (n < 0)
                return;
        if ((size_t) n >= sizeof(line) - 1)
                n = sizeof(line) - 2;
        line[n] = '\n';
        if (write(STDOUT_FILENO, line, (size_t) n + 1) < 0)
                main_stopped = 1;
}

static int main_fail(int r) {
        main_say("failed %s", strerror(-r));
        return EXIT_FAILURE;
}

static void main_tell_progress(uint64_t bytes) {
        main_say("bytes %" PRIu64, bytes);
}

static void main_tell_removed(const RoomDump *dump) {
        main_say("removed %" PRIu64, dump->incident);
}

typedef struct MainOrder {
        int root_fd;
        const char *state_dir, *store;
        uint64_t number; /* an incident */
        char **rest;
        size_t n_rest;
} MainOrder;

/* 0; 1 when a whole file was kept already, which has been said. */
static int main_open(const MainOrder *order, const char *name, int *ret_folder, FolderFile *ret_file) {
        FolderOwner owner = { .machine = order->rest[0], .store = order->store };
        _cleanup_fd_ int folder = -1;
        uint64_t bytes;
        int r;

        r = folder_open(order->root_fd, order->number, &owner, &folder);
        if (r < 0)
                return r;
        if (folder_file_size(folder, name, &bytes) == 0) {
                main_say("kept %s %" PRIu64, name, bytes);
                return 1;
        }
        r = folder_file_open(ret_file, folder, name);
        if (r < 0)
                return r;
        *ret_folder = TAKE_FD(folder);
        return 0;
}

static int main_memory(const MainOrder *order) {
        static const DumpOps ops = { main_tell_progress, main_tell_removed, main_is_stopped };
        _cleanup_(room_deinit) Room room = ROOM_NULL;
        _cleanup_fd_ int folder = -1;
        _cleanup_(folder_file_deinit) FolderFile file = FOLDER_FILE_NULL;
        char problem[DUMP_PROBLEM_SIZE] = "";
        uint64_t bytes = 0;
        int r;

        if (order->n_rest != 5 || size_parse_number(order->rest[1], &room.limits.dumps) < 0 ||
            size_parse_number(order->rest[2], &room.limits.machine_bytes) < 0 ||
            size_parse_number(order->rest[3], &room.limits.total_bytes) < 0 ||
            size_parse_number(order->rest[4], &room.limits.free_bytes) < 0)
                return main_fail(-EINVAL);
        r = main_open(order, FOLDER_MEMORY, &folder, &file);
        if (r > 0)
                return EXIT_SUCCESS;
        if (r == 0)
                r = folder_survey(order->root_fd, order->rest[0], &room);
        if (r == 0)
                r = confine_process(room.limits.machine_bytes);
        if (r == 0)
                r = confine_syscalls();
        if (r < 0)
                return main_fail(r);
        main_say("ready");
        r = dump_take(STDIN_FILENO, order->root_fd, &file, &room, &ops, &bytes, problem);
        if (r < 0) {
                main_say("failed %s", problem);
                return EXIT_FAILURE;
        }
        main_say("kept %s %" PRIu64, FOLDER_MEMORY, bytes);
        return EXIT_SUCCESS;
}

static int main_copy(int fd, uint64_t *ret) {
        static char data[64 << 10];

        for (*ret = 0; *ret < PROGRAM_TEXT_MAX;) {
                ssize_t n = read(STDIN_FILENO, data, sizeof(data));

                if (n <= 0)
                        return n < 0 ? -errno : 0;
                if (write(fd, data, (size_t) n) != n)
                        return errno > 0 ? -errno : -EIO;
                *ret += (uint64_t) n;
        }
        return 0;
}

static int main_registers(const MainOrder *order) {
        _cleanup_fd_ int folder = -1;
        _cleanup_(folder_file_deinit) FolderFile file = FOLDER_FILE_NULL;
        uint64_t bytes = 0;
        int r;

        if (order->n_rest != 1)
                return main_fail(-EINVAL);
        r = main_open(order, FOLDER_REGISTERS, &folder, &file);
        if (r > 0)
                return EXIT_SUCCESS;
        if (r == 0)
                r = confine_process(2 * PROGRAM_TEXT_MAX);
        if (r == 0)
                r = confine_syscalls();
        if (r == 0)
                r = main_copy(file.fd, &bytes);
        if (r == 0)
                r = folder_file_finish(&file);
        if (r < 0)
                return main_fail(r);
        main_say("kept %s %" PRIu64, FOLDER_REGISTERS, bytes);
        return EXIT_SUCCESS;
}

/* The whole of a log. */
static int main_read_log(int fd, char **ret, size_t *ret_n) {
        _cleanup_free_ char *text = malloc(DMESG_BYTES_MAX);
        size_t size = 0;

        if (!text)
                return -ENOMEM;
        while (size < DMESG_BYTES_MAX) {
                ssize_t n = read(fd, text + size, DMESG_BYTES_MAX - size);

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
        }
        *ret = TAKE_PTR(text);
        *ret_n = size;
        return 0;
}

static void main_tell_panic(const char *text, size_t n) {
        KlogPanic panic;

        if (!klog_find_panic(text, n, &panic))
                return;
        main_say("headline %s", panic.line);
        if (*panic.trace)
                main_say("trace %s", panic.trace);
}

static int main_keep_log(const MainOrder *order, int log_fd) {
        _cleanup_fd_ int folder = -1;
        _cleanup_(folder_file_deinit) FolderFile file = FOLDER_FILE_NULL;
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        bool is_new;
        int r;

        r = main_open(order, FOLDER_LOG, &folder, &file);
        is_new = r == 0;
        if (r >= 0)
                r = confine_process(DMESG_BYTES_MAX);
        if (r == 0)
                r = confine_syscalls();
        if (r == 0)
                r = main_read_log(log_fd, &text, &n);
        if (r == 0 && is_new && write(file.fd, text, n) != (ssize_t) n)
                r = errno > 0 ? -errno : -EIO;
        if (r == 0 && is_new)
                r = folder_file_finish(&file);
        if (r < 0)
                return main_fail(r);
        main_tell_panic(text, n);
        if (is_new)
                main_say("kept %s %zu", FOLDER_LOG, n);
        return EXIT_SUCCESS;
}

static int main_log(const MainOrder *order) {
        _cleanup_fd_ int log_fd = -1;
        _cleanup_free_ char *dump_path = NULL;
        char problem[DMESG_PROBLEM_SIZE] = "";
        bool drop;
        int r;

        if (order->n_rest != 2)
                return main_fail(-EINVAL);
        drop = strcmp(order->rest[1], "drop") == 0;
        if (asprintf(&dump_path,
                     "%s/" FOLDER_ROOT "/%" PRIu64 "/" FOLDER_MEMORY,
                     order->state_dir,
                     order->number) < 0)
                return main_fail(-ENOMEM);
        r = dmesg_extract(dump_path, main_is_stopped, &log_fd, problem);
        if (drop)
                (void) folder_remove_dump(order->root_fd, order->number);
        if (r == 0)
                return main_keep_log(order, log_fd);
        main_say("failed %s", problem);
        return EXIT_FAILURE;
}

static int main_list(const MainOrder *order) {
        uint64_t ids[PROGRAM_LIST_MAX];
        size_t n = ELEMENTSOF(ids);
        int r;

        r = folder_list(order->root_fd, order->store, order->number, ids, &n);
        if (r < 0)
                return main_fail(r);
        for (size_t i = 0; i < n; i++)
                main_say("folder %" PRIu64, ids[i]);
        return EXIT_SUCCESS;
}

static int main_remove(const MainOrder *order) {
        uint64_t id = order->number;
        int r;

        for (size_t i = 0;; i++) {
                r = folder_remove(order->root_fd, id, order->store);
                if (r < 0 && r != -ENOENT)
                        return main_fail(r);
                if (i == order->n_rest)
                        return EXIT_SUCCESS;
                if (size_parse_number(order->rest[i], &id) < 0)
                        return main_fail(-EINVAL);
        }
}

static const struct {
        const char *name;
        int (*func)(const MainOrder *order);
} main_verbs[] = {
        { "memory", main_memory }, { "registers", main_registers }, { "log", main_log },
        { "list", main_list },     { "remove", main_remove },
};

int main(int argc, char *argv[]) {
        struct sigaction stop = { .sa_handler = main_on_signal };
        MainOrder order = { .root_fd = -1 };
        int r;

        if (argc < 5 || size_parse_number(argv[4], &order.number) < 0) {
                (void) fprintf(stderr, "tocsin-evidence is started by tocsind\n");
                return EXIT_FAILURE;
        }
        (void) signal(SIGPIPE, SIG_IGN);
        /* without SA_RESTART: a read ends for it */
        (void) sigaction(SIGTERM, &stop, NULL);
        order.state_dir = argv[2];
        order.store = argv[3];
        order.rest = argv + 5;
        order.n_rest = (size_t) argc - 5;
        r = folder_open_root(argv[2], &order.root_fd);
        if (r < 0)
                return main_fail(r);
        for (size_t i = 0; i < ELEMENTSOF(main_verbs); i++)
                if (strcmp(main_verbs[i].name, argv[1]) == 0)
                        return main_verbs[i].func(&order);
        return main_fail(-EINVAL);
}
