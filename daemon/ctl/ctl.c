/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "daemon/ctl/table.h"
#include "daemon/ctl/value.h"
#include "policy/escape.h"
#include "policy/qapi/json.h"

int ctl_fail_usage(const Ctl *ctl, const char *format, ...) {
        va_list ap;

        (void) fputs("tocsinctl: ", stderr);
        va_start(ap, format);
        (void) vfprintf(stderr, format, ap);
        va_end(ap);
        (void) fputc('\n', stderr);
        if (ctl->verb)
                (void) fprintf(stderr,
                               "Usage: tocsinctl %s %s\n",
                               ctl->verb->name,
                               ctl->verb->arguments);
        else
                (void) fputs("Try 'tocsinctl --help'.\n", stderr);
        return CTL_EXIT_USAGE;
}

int ctl_fail_memory(void) {
        (void) fputs("tocsinctl: out of memory\n", stderr);
        return CTL_EXIT_FAILURE;
}

/* Somebody else's words are escaped: they may quote a guest. */
static void ctl_say(const char *before, const char *words) {
        _cleanup_free_ char *s = escape_string(words, strlen(words));

        (void) fprintf(stderr, "tocsinctl: %s: %s\n", before, s ? s : "out of memory");
}

int ctl_fail_connection(const Ctl *ctl, const Connection *connection) {
        ctl_say("no answer from tocsind", connection_get_error(connection));
        if (!connection)
                return CTL_EXIT_FAILURE;
        (void) fprintf(stderr,
                       "Is tocsind running, and are you root or in the group tocsin or "
                       "tocsin-monitor? (socket %s)\n",
                       ctl->socket);
        return CTL_EXIT_UNREACHABLE;
}

int ctl_fail_refused(const char *command, const QapiError *error) {
        ctl_say(command, error->desc ? error->desc : "refused");
        return error->class == QAPI_ERROR_CLASS_DEVICE_NOT_FOUND ? CTL_EXIT_NOT_FOUND
                                                                 : CTL_EXIT_FAILURE;
}

int ctl_parse_options(const Ctl *ctl, const Option *options, int *argc, char **argv, int least, int most) {
        const char *bad = NULL;

        switch (options_parse(options, false, argc, argv, &bad)) {
        case OPTIONS_E_UNKNOWN:
                return ctl_fail_usage(ctl, "unknown option %s", bad);
        case OPTIONS_E_NO_VALUE:
                return ctl_fail_usage(ctl, "option %s needs a value", bad);
        case OPTIONS_E_SPARE_VALUE:
                return ctl_fail_usage(ctl, "option %s takes no value", bad);
        }
        if (*argc < least)
                return ctl_fail_usage(ctl, "something is missing");
        if (*argc > most)
                return ctl_fail_usage(ctl, "too many arguments: %s", argv[most]);
        return CTL_EXIT_OK;
}

int ctl_call_raw(Ctl *ctl, const char *command, json_object *arguments, json_object **ret) {
        QapiError error = QAPI_ERROR_NULL;
        int r = 0;

        if (!ctl->connection) {
                r = connection_open(&ctl->connection, ctl->socket);
                if (r < 0)
                        json_object_put(arguments);
        }
        if (r == 0)
                r = connection_call(ctl->connection, command, arguments, ret, &error);
        if (r < 0)
                return ctl_fail_connection(ctl, ctl->connection);
        if (r == CONNECTION_E_REFUSED) {
                r = ctl_fail_refused(command, &error);
                qapi_error_deinit(&error);
                return r;
        }
        return CTL_EXIT_OK;
}

int ctl_call(Ctl *ctl, const char *command, json_object *arguments, json_object **ret) {
        json_object *answer = NULL;
        int r = ctl_call_raw(ctl, command, arguments, &answer);

        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json) {
                *ret = answer;
                return CTL_EXIT_OK;
        }
        r = escape_json(answer, ret);
        json_object_put(answer);
        return r < 0 ? ctl_fail_memory() : CTL_EXIT_OK;
}

int ctl_command(Ctl *ctl, const char *command, json_object *arguments) {
        json_object *answer = NULL;
        int r = ctl_call(ctl, command, arguments, &answer);

        if (r == CTL_EXIT_OK && ctl->json)
                r = ctl_print_json(answer);
        json_object_put(answer);
        return r;
}

int ctl_print(Text *text) {
        int r = text_print(text, stdout);

        text_deinit(text);
        if (r == -EIO) {
                perror("tocsinctl: writing");
                return CTL_EXIT_FAILURE;
        }
        return r < 0 ? ctl_fail_memory() : CTL_EXIT_OK;
}

int ctl_print_json(json_object *value) {
        Text text = TEXT_NULL;

        text.error = json_write(&text.buffer, value, JSON_STYLE_PRETTY);
        text_add(&text, "\n");
        return ctl_print(&text);
}

static int ctl_add(json_object *arguments, const char *key, json_object *value) {
        if (arguments && value && json_object_object_add(arguments, key, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

int ctl_add_string(json_object *arguments, const char *key, const char *value) {
        return value ? ctl_add(arguments, key, json_object_new_string(value)) : 0;
}

int ctl_add_uint(json_object *arguments, const char *key, uint64_t value) {
        return ctl_add(arguments, key, json_object_new_uint64(value));
}
