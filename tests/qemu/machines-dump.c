/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * daemon/machine alone, for tests: prints what it observes as lines of JSON, and takes lines on its
 * standard input: "command MACHINE VERB [ARGUMENTS]" with the number of a BackendVerb, or "configure
 * ARGUMENT...", arguments as on the command line:
 *
 *     machines-dump RUNTIME_DIR [NAME=PATH | exclusive:NAME=PATH | glob:GLOB | user:USER |
 *                   heartbeat:MS | silent:MS | helper:FILE | config:FILE | events:no]...
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/kernel/kernel-client.h"
#include "daemon/machine/machines.h"
#include "policy/qapi/json.h"
#include "policy/util/moment.h"

#define ARGUMENTS_MAX 64

typedef struct Dump {
        sd_event *event;
        Machines *machines;
        KernelClient *kernel;
        const char *runtime_dir, *helper, *config_file;
        bool no_events;
        char line[4096];
} Dump;

static void dump_print(json_object *object) {
        Buffer out = BUFFER_NULL;

        if (json_write(&out, object, JSON_STYLE_QMP) == 0) {
                printf("%.*s\n", (int) buffer_length(&out), buffer_content(&out));
                (void) fflush(stdout);
        }
        buffer_deinit(&out);
        json_object_put(object);
}

static void dump_add(json_object *object, const char *key, const char *text) {
        if (text)
                (void) json_object_object_add(object, key, json_object_new_string(text));
}

static void dump_observe(const Observation *o, void *userdata) {
        static const char *const types[_OBSERVATION_TYPE_MAX] = {
                [OBSERVATION_ATTACHED] = "attached",     [OBSERVATION_DETACHED] = "detached",
                [OBSERVATION_EVENT] = "event",           [OBSERVATION_STATUS] = "status",
                [OBSERVATION_CRASH_INFO] = "crash-info", [OBSERVATION_GONE] = "gone",
                [OBSERVATION_SILENT] = "silent",         [OBSERVATION_ANSWERING] = "answering",
        };
        const Dump *dump = userdata;
        json_object *object;

        if (dump->no_events && o->type == OBSERVATION_EVENT)
                return;
        object = json_object_new_object();
        dump_add(object, "type", types[o->type]);
        dump_add(object, "machine", o->machine);
        dump_add(object, "run", o->run);
        dump_add(object, "event", o->event);
        dump_add(object, "text", o->text);
        (void) json_object_object_add(object, "time", json_object_new_uint64(o->time_us));
        if (o->data)
                (void) json_object_object_add(object, "data", json_object_get(o->data));
        if (o->type == OBSERVATION_ATTACHED || o->type == OBSERVATION_STATUS) {
                dump_add(object, "state", run_state_to_string(o->state));
                (void) json_object_object_add(object, "running", json_object_new_boolean(o->running));
        }
        if (o->type == OBSERVATION_ATTACHED) {
                dump_add(object, "shown", o->shown);
                dump_add(object, "uuid", o->uuid);
                dump_add(object, "version", o->version);
                (void) json_object_object_add(object, "pid", json_object_new_int(o->pid));
                (void) json_object_object_add(object,
                                              "abilities",
                                              json_object_new_int64(o->abilities));
        }
        if (o->type == OBSERVATION_GONE)
                (void) json_object_object_add(object, "signal", json_object_new_int(o->signal));
        if (o->type == OBSERVATION_SILENT)
                (void) json_object_object_add(object, "seconds", json_object_new_uint64(o->seconds));
        dump_print(object);
}

static void dump_problem(const char *key, const char *text, void *userdata) {
        json_object *object = json_object_new_object();

        dump_add(object, "type", text ? "problem" : "mended");
        dump_add(object, "key", key);
        dump_add(object, "text", text);
        dump_print(object);
}

static const MachinesOps dump_ops = { .observe = dump_observe, .problem = dump_problem };

static void dump_done(int r, json_object *ret, const char *error, void *userdata) {
        json_object *object = json_object_new_object();

        dump_add(object, "type", "done");
        (void) json_object_object_add(object, "r", json_object_new_int(r));
        (void) json_object_object_add(object, "return", json_object_get(ret));
        dump_add(object, "error", error);
        dump_print(object);
}

static int dump_configure(Dump *dump, char **arguments) {
        MachinePath paths[ARGUMENTS_MAX];
        char *globs[ARGUMENTS_MAX] = {}, *users[ARGUMENTS_MAX] = {};
        size_t n_globs = 0, n_users = 0;
        MachinesConfig config = { .runtime_dir = dump->runtime_dir,
                                  .paths = paths,
                                  .globs = globs,
                                  .attach_users = users,
                                  .silent_us = 60 * USEC_PER_SEC };

        for (char **a = arguments; *a && config.n_paths + n_globs + n_users < ARGUMENTS_MAX - 1; a++) {
                bool exclusive = strncmp(*a, "exclusive:", 10) == 0;
                char *path = strchr(*a, '=');

                if (strncmp(*a, "glob:", 5) == 0)
                        globs[n_globs++] = *a + 5;
                else if (strncmp(*a, "user:", 5) == 0)
                        users[n_users++] = *a + 5;
                else if (strncmp(*a, "heartbeat:", 10) == 0)
                        config.heartbeat_us = strtoull(*a + 10, NULL, 10) * USEC_PER_MSEC;
                else if (strncmp(*a, "silent:", 7) == 0)
                        config.silent_us = strtoull(*a + 7, NULL, 10) * USEC_PER_MSEC;
                else if (path) {
                        char *name = exclusive ? *a + 10 : *a;

                        *path = '\0';
                        paths[config.n_paths++] = (MachinePath){ .name = *name ? name : NULL,
                                                                 .path = path + 1,
                                                                 .exclusive = exclusive };
                }
        }
        return machines_configure(dump->machines, &config);
}

static void dump_take_line(Dump *dump, char *line) {
        char *words[ARGUMENTS_MAX] = {}, *save = NULL, *arguments_text;
        json_object *arguments = NULL;
        size_t n = 0;
        int r;

        if (strncmp(line, "configure", 9) == 0) {
                for (char *w = strtok_r(line, " ", &save); w && n < ARGUMENTS_MAX - 1;
                     w = strtok_r(NULL, " ", &save))
                        words[n++] = w;
                r = dump_configure(dump, words + 1);
                if (r < 0)
                        fprintf(stderr, "configure: %s\n", strerror(-r));
                return;
        }
        (void) strtok_r(line, " ", &save);
        words[0] = strtok_r(NULL, " ", &save);
        words[1] = strtok_r(NULL, " ", &save);
        arguments_text = strtok_r(NULL, "", &save);
        if (!words[0] || !words[1])
                return;
        if (arguments_text)
                (void) json_parse(arguments_text, strlen(arguments_text), &arguments, NULL);
        r = machines_command(dump->machines,
                             words[0],
                             &(BackendCall){ .verb = (BackendVerb) atoi(words[1]),
                                             .arguments = arguments,
                                             .fd = -1,
                                             .deadline_us = 5 * USEC_PER_SEC,
                                             .done = dump_done });
        json_object_put(arguments);
        if (r < 0)
                dump_done(r, NULL, "not sent", NULL);
}

static int dump_dispatch_input(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Dump *dump = userdata;
        char *save = NULL;
        ssize_t n;

        n = read(fd, dump->line, sizeof(dump->line) - 1);
        if (n <= 0)
                return sd_event_exit(dump->event, 0);
        dump->line[n] = '\0';
        for (char *line = strtok_r(dump->line, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                dump_take_line(dump, line);
        return 0;
}

int main(int argc, char *argv[]) {
        Dump dump = {};
        int r;

        if (argc < 2)
                return 2;
        dump.runtime_dir = argv[1];
        for (int i = 2; i < argc; i++) {
                if (strncmp(argv[i], "helper:", 7) == 0)
                        dump.helper = argv[i] + 7;
                if (strcmp(argv[i], "events:no") == 0)
                        dump.no_events = true;
                if (strncmp(argv[i], "config:", 7) == 0)
                        dump.config_file = argv[i] + 7;
        }
        r = sd_event_new(&dump.event);
        if (r == 0 && dump.helper)
                r = kernel_client_new(&dump.kernel, dump.event, NULL, dump.helper, dump.config_file);
        if (r >= 0)
                r = machines_new(&dump.machines, dump.event, dump.kernel, &dump_ops, &dump);
        if (r >= 0)
                r = dump_configure(&dump, argv + 2);
        if (r >= 0)
                r = sd_event_add_io(dump.event, NULL, STDIN_FILENO, EPOLLIN, dump_dispatch_input, &dump);
        if (r >= 0)
                r = sd_event_loop(dump.event);
        if (r < 0)
                fprintf(stderr, "machines-dump: %s\n", strerror(-r));
        machines_free(dump.machines);
        kernel_client_free(dump.kernel);
        sd_event_unref(dump.event);
        return r < 0;
}
