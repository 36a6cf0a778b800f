/* SPDX-License-Identifier: MIT */
/*
 * tocsin-plugin: the process a policy plugin runs in. Started by tocsind, which speaks the line
 * protocol (tocsin-qmp-reference(7), Plugins) with it over stdin and stdout. It confines itself, then
 * becomes the program, or loads the shared object and speaks the protocol for it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugins/sdk/descriptor.h"
#include "plugins/sdk/host/confine.h"
#include "plugins/sdk/host/module.h"
#include "policy/qapi/json.h"
#include "policy/util/size.h"

/* A question with 64 steps, 64 past ones and a trail takes some 30 KiB. */
#define HOST_LINE_MAX (UINT64_C(1) << 20)
/* Paths of each kind that may be granted. */
#define HOST_PATHS_MAX 64

typedef struct Host {
        Confinement confinement;
        const char *module, *program, *describe;
        const char *reads[HOST_PATHS_MAX], *writes[HOST_PATHS_MAX];
        Buffer in;
} Host;

static const char host_usage[] =
        "tocsin-plugin [--memory=BYTES] [--read=PATH]... [--write=PATH]... --module=FILE.so | "
        "--program=FILE\n"
        "tocsin-plugin --describe=FILE.so\n";

/* Reads one line into *ret, without its end. 1; 0 at the end of input; or negative. */
static int host_read_line(Host *host, char **ret) {
        for (;;) {
                size_t n = buffer_length(&host->in);
                char *end = n > 0 ? memchr(buffer_content(&host->in), '\n', n) : NULL;
                ssize_t got;
                int r;

                if (end) {
                        n = (size_t) (end - buffer_content(&host->in));
                        *ret = strndup(buffer_content(&host->in), n);
                        buffer_consume(&host->in, n + 1);
                        return *ret ? 1 : -ENOMEM;
                }
                r = buffer_reserve(&host->in, 4096);
                if (r < 0)
                        return r;
                got = read(STDIN_FILENO, host->in.data + host->in.end, host->in.size - host->in.end);
                if (got <= 0)
                        return got == 0 ? 0 : -errno;
                buffer_advance(&host->in, (size_t) got);
        }
}

static int host_write(json_object *json) {
        _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;
        int r;

        r = json_write(&line, json, JSON_STYLE_QMP);
        if (r == 0)
                r = buffer_append_char(&line, '\n');
        while (r == 0 && buffer_length(&line) > 0) {
                ssize_t n = write(STDOUT_FILENO, buffer_content(&line), buffer_length(&line));

                if (n < 0)
                        r = -errno;
                else
                        buffer_consume(&line, (size_t) n);
        }
        return r;
}

/* 1, 0 at the end of input, or negative. */
static int host_read_json(Host *host, json_object **ret) {
        _cleanup_free_ char *line = NULL, *error = NULL;
        int r;

        r = host_read_line(host, &line);
        if (r <= 0)
                return r;
        r = json_parse(line, strlen(line), ret, &error);
        if (r < 0)
                (void) fprintf(stderr, "%s\n", error ? error : strerror(-r));
        return r < 0 ? r : 1;
}

static int host_greet(Host *host, Module **ret) {
        _cleanup_(json_object_putp) json_object *json = NULL, *answer = NULL;
        _cleanup_(plugin_hello_freep) PluginHello *hello = NULL;
        _cleanup_(plugin_ready_freep) PluginReady *ready = NULL;
        _cleanup_free_ char *error = NULL;
        int r, failed;

        r = host_read_json(host, &json);
        if (r <= 0)
                return r;
        r = plugin_hello_from_json(json, &hello, NULL);
        if (r != 0)
                return r < 0 ? r : -EPROTO;
        failed = module_load(ret, host->module, &error);
        if (failed == 0)
                failed = module_start(*ret, hello->options, &error);
        if (failed == 0) {
                r = module_describe(*ret, &ready);
        } else {
                ready = calloc(1, sizeof(*ready));
                r = ready ? 0 : -ENOMEM;
                if (ready)
                        ready->error = error ? TAKE_PTR(error) : strdup(strerror(-failed));
        }
        if (r == 0)
                r = plugin_ready_to_json(ready, &answer);
        if (r == 0)
                r = host_write(answer);
        return r < 0 ? r : failed == 0;
}

/* One question and its answer. 1, 0 at the end of input, or negative. */
static int host_serve(Host *host, Module *module) {
        _cleanup_(json_object_putp) json_object *json = NULL, *out = NULL;
        _cleanup_(plugin_question_freep) PluginQuestion *question = NULL;
        _cleanup_(plugin_answer_freep) PluginAnswer *answer = NULL;
        json_object *incident;
        int r;

        r = host_read_json(host, &json);
        if (r <= 0)
                return r;
        r = plugin_question_from_json(json, &question, NULL);
        if (r != 0 || !json_object_object_get_ex(json, "incident", &incident))
                return r < 0 ? r : -EPROTO;
        r = module_ask(module, question, incident, &answer);
        if (r == 0)
                r = plugin_answer_to_json(answer, &out);
        if (r == 0)
                r = host_write(out);
        return r < 0 ? r : 1;
}

static int host_run_module(Host *host) {
        Module *module = NULL;
        int r;

        r = host_greet(host, &module);
        while (r > 0)
                r = host_serve(host, module);
        if (r < 0 && r != -EPIPE)
                (void) fprintf(stderr, "tocsin-plugin: %s\n", strerror(-r));
        module_free(module);
        buffer_deinit(&host->in);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int host_describe(const char *file) {
        _cleanup_(plugin_description_freep) PluginDescription *description = NULL;
        _cleanup_(json_object_putp) json_object *json = NULL;
        _cleanup_free_ char *error = NULL;
        int r;

        r = descriptor_read_file(file, &description, &error);
        if (r == 0)
                r = plugin_description_to_json(description, &json);
        if (r == 0)
                r = host_write(json);
        if (r != 0)
                (void) fprintf(stderr, "%s: %s\n", file, error ? error : strerror(-r));
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool host_add_path(const char **paths, size_t *n, const char *path) {
        if (*n == HOST_PATHS_MAX)
                return false;
        paths[(*n)++] = path;
        return true;
}

static bool host_parse(Host *host, int argc, char *argv[]) {
        static const struct option options[] = {
                { "describe", required_argument, NULL, 'd' },
                { "memory", required_argument, NULL, 'M' },
                { "module", required_argument, NULL, 'm' },
                { "program", required_argument, NULL, 'p' },
                { "read", required_argument, NULL, 'r' },
                { "write", required_argument, NULL, 'w' },
                {},
        };
        Confinement *c = &host->confinement;
        bool good = true;
        int option;

        while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (option) {
                case 'd':
                        host->describe = optarg;
                        break;
                case 'M':
                        good = size_parse(optarg, &c->memory) == 0;
                        break;
                case 'm':
                        host->module = c->file = optarg;
                        break;
                case 'p':
                        host->program = c->file = optarg;
                        break;
                case 'r':
                        good = host_add_path(host->reads, &c->n_reads, optarg);
                        break;
                case 'w':
                        good = host_add_path(host->writes, &c->n_writes, optarg);
                        break;
                default:
                        good = false;
                }
        return good && optind == argc && !!host->describe + !!host->module + !!host->program == 1;
}

int main(int argc, char *argv[]) {
        Host host = { .confinement.memory = UINT64_MAX, .in.limit = HOST_LINE_MAX };

        host.confinement.reads = host.reads;
        host.confinement.writes = host.writes;
        if (!host_parse(&host, argc, argv)) {
                (void) fputs(host_usage, stderr);
                return 2;
        }
        if (host.describe)
                return host_describe(host.describe);
        host.confinement.is_program = host.program;
        if (confine(&host.confinement) < 0)
                return EXIT_FAILURE;
        if (host.module)
                /* no handlers of the plugin's exit: it may hang there */
                _exit(host_run_module(&host));
        (void) execl(host.program, host.program, NULL);
        (void) fprintf(stderr, "%s: %s\n", host.program, strerror(errno));
        return EXIT_FAILURE;
}
