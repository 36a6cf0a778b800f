/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See stand-in.h. */
#include "tests/bench/stand-in.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/bench/common.h"

#define REPLY_MAX 2048

static const char stand_in_commands[] =
        "[{\"name\": \"qmp_capabilities\"}, {\"name\": \"query-version\"}, {\"name\": \"query-commands\"}, "
        "{\"name\": \"query-status\"}, {\"name\": \"query-name\"}, {\"name\": \"query-uuid\"}, "
        "{\"name\": \"query-cpus-fast\"}, {\"name\": \"set-action\"}, {\"name\": \"watchdog-set-action\"}, "
        "{\"name\": \"qom-get\"}, {\"name\": \"system_reset\"}, {\"name\": \"cont\"}, {\"name\": \"stop\"}, "
        "{\"name\": \"quit\"}, {\"name\": \"system_powerdown\"}, {\"name\": \"inject-nmi\"}]";

/* tocsin may have hung up: that is seen by the next read. */
static void stand_in_write(StandIn *stand_in, const char *data, size_t n) {
        while (n > 0) {
                ssize_t written = send(stand_in->fd, data, n, MSG_NOSIGNAL);

                if (written < 0 && errno != EINTR)
                        return;
                if (written > 0) {
                        data += written;
                        n -= (size_t) written;
                }
        }
}

void stand_in_greet(StandIn *stand_in) {
        static const char greeting[] =
                "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
                "\"package\": \"stand-in\"}, \"capabilities\": [\"oob\"]}}\r\n";

        stand_in_write(stand_in, greeting, sizeof(greeting) - 1);
}

static void stand_in_format_answer(StandIn *stand_in, const char *name, char *answer, size_t size) {
        if (strcmp(name, "query-status") == 0) {
                stand_in->attached = true;
                snprintf(answer,
                         size,
                         "{\"status\": \"%s\", \"singlestep\": false, \"running\": %s}",
                         stand_in->state ? stand_in->state : "running",
                         stand_in->state ? "false" : "true");
        } else if (strcmp(name, "query-name") == 0)
                snprintf(answer, size, "{\"name\": \"g%u\"}", stand_in->number);
        else if (strcmp(name, "query-uuid") == 0)
                snprintf(answer,
                         size,
                         "{\"UUID\": \"00000000-0000-0000-0000-%012u\"}",
                         stand_in->number);
        else if (strcmp(name, "query-commands") == 0)
                snprintf(answer, size, "%s", stand_in_commands);
        else if (strcmp(name, "query-version") == 0)
                snprintf(answer,
                         size,
                         "{\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"\"}");
        else if (strcmp(name, "query-cpus-fast") == 0)
                snprintf(answer,
                         size,
                         "[{\"thread-id\": %d, \"cpu-index\": 0, \"target\": \"x86_64\", "
                         "\"qom-path\": \"/machine/unattached/device[0]\"}]",
                         stand_in->pid);
        else
                snprintf(answer, size, "{}");
}

/* The string or number after `"key": `; empty when it is not there. */
static void stand_in_get_member(const char *command, const char *key, char *value, size_t size) {
        const char *start = strstr(command, key);
        size_t n;

        value[0] = '\0';
        if (!start)
                return;
        start += strlen(key);
        n = strcspn(start, ",}");
        if (n < size) {
                memcpy(value, start, n);
                value[n] = '\0';
        }
}

/* What a command does, told after its answer. */
static void stand_in_act(StandIn *stand_in, const char *name) {
        if (strcmp(name, "system_reset") == 0) {
                stand_in->n_resets++;
                stand_in->state = "prelaunch";
                stand_in_send_event(stand_in,
                                    "RESET",
                                    "{\"guest\": false, \"reason\": \"host-qmp-system-reset\"}");
        } else if (strcmp(name, "cont") == 0) {
                stand_in->state = NULL;
                stand_in_send_event(stand_in, "RESUME", NULL);
        }
}

static void stand_in_answer(StandIn *stand_in, const char *command) {
        char quoted[64], id[64], answer[REPLY_MAX - 128], reply[REPLY_MAX];
        char *name = quoted + 1;
        int n;

        stand_in_get_member(command, "\"execute\": ", quoted, sizeof(quoted));
        stand_in_get_member(command, "\"id\": ", id, sizeof(id));
        if (quoted[0] != '"')
                bench_die("no command: %s", command);
        name[strcspn(name, "\"")] = '\0';

        stand_in_format_answer(stand_in, name, answer, sizeof(answer));
        if (strcmp(name, "qom-get") == 0)
                n = snprintf(reply,
                             sizeof(reply),
                             "{\"error\": {\"class\": \"GenericError\", \"desc\": \"No crash occurred\"}%s%s}\r\n",
                             id[0] ? ", \"id\": " : "",
                             id);
        else
                n = snprintf(reply,
                             sizeof(reply),
                             "{\"return\": %s%s%s}\r\n",
                             answer,
                             id[0] ? ", \"id\": " : "",
                             id);
        stand_in_write(stand_in, reply, (size_t) n);
        stand_in_act(stand_in, name);
}

bool stand_in_serve(StandIn *stand_in) {
        ssize_t got = recv(stand_in->fd,
                           stand_in->command + stand_in->n,
                           sizeof(stand_in->command) - 1 - stand_in->n,
                           MSG_DONTWAIT);
        char *end;

        if (got < 0 && errno == EAGAIN)
                return true;
        if (got <= 0)
                return false;
        stand_in->n += (size_t) got;
        stand_in->command[stand_in->n] = '\0';

        while ((end = strchr(stand_in->command, '\n'))) {
                size_t used = (size_t) (end + 1 - stand_in->command);

                *end = '\0';
                stand_in_answer(stand_in, stand_in->command);
                stand_in->n -= used;
                memmove(stand_in->command, stand_in->command + used, stand_in->n + 1);
        }
        return true;
}

void stand_in_send_event(StandIn *stand_in, const char *event, const char *data) {
        char message[REPLY_MAX];
        struct timespec t;
        int n;

        clock_gettime(CLOCK_REALTIME, &t);
        n = snprintf(message,
                     sizeof(message),
                     "{\"timestamp\": {\"seconds\": %lld, \"microseconds\": %ld}, \"event\": \"%s\"%s%s}\r\n",
                     (long long) t.tv_sec,
                     t.tv_nsec / 1000,
                     event,
                     data ? ", \"data\": " : "",
                     data ? data : "");
        stand_in_write(stand_in, message, (size_t) n);
}

void stand_in_panic(StandIn *stand_in) {
        stand_in->state = "guest-panicked";
        stand_in_send_event(stand_in, "GUEST_PANICKED", "{\"action\": \"pause\"}");
        stand_in_send_event(stand_in, "STOP", NULL);
}
