/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What every verb of tocsinctl is given and may call. A verb returns its exit status.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "daemon/ctl/connection.h"
#include "daemon/ctl/options.h"
#include "daemon/ctl/text.h"

typedef struct Ctl Ctl;
typedef struct CtlVerb CtlVerb;

/* Documented in tocsinctl(1). */
typedef enum CtlExit {
        CTL_EXIT_OK,
        CTL_EXIT_FAILURE,     /* tocsind refused, or something went wrong */
        CTL_EXIT_USAGE,       /* the command line is wrong */
        CTL_EXIT_UNREACHABLE, /* no tocsind answers, or it lets us not in */
        CTL_EXIT_NOT_FOUND,   /* no such machine or incident */
} CtlExit;

struct Ctl {
        const char *socket;
        const CtlVerb *verb;
        bool json;
        Connection *connection; /* made by the first call */
};

struct CtlVerb {
        const char *name;
        const char *arguments;                       /* as in a synopsis */
        const char *summary;                         /* one line */
        const char *help;                            /* more lines, or NULL */
        int (*run)(Ctl *ctl, int argc, char **argv); /* argv: what follows the verb */
};

/* A wrong command line: says what is wrong and how it is meant. CTL_EXIT_USAGE. */
int ctl_fail_usage(const Ctl *ctl, const char *format, ...) _printf_(2, 3);
int ctl_fail_memory(void);
/* The connection is lost, or never was. CTL_EXIT_UNREACHABLE. */
int ctl_fail_connection(const Ctl *ctl, const Connection *connection);
/* tocsind said no; its words. CTL_EXIT_NOT_FOUND or CTL_EXIT_FAILURE. */
int ctl_fail_refused(const char *command, const QapiError *error);

/* Takes the verb's options out of argv, and checks how many arguments are left. */
int ctl_parse_options(const Ctl *ctl, const Option *options, int *argc, char **argv, int least, int most);

/*
 * Asks tocsind; what is wrong is said to the user. `arguments` is taken. *ret is owned by the
 * caller, and is safe for a terminal unless --json was given.
 */
int ctl_call(Ctl *ctl, const char *command, json_object *arguments, json_object **ret);
/* The same as it came, for a file. */
int ctl_call_raw(Ctl *ctl, const char *command, json_object *arguments, json_object **ret);
/* A command whose answer is empty: prints {} with --json, else nothing. */
int ctl_command(Ctl *ctl, const char *command, json_object *arguments);

int ctl_print_json(json_object *value);
/* Prints and frees the text. */
int ctl_print(Text *text);

/* Adds a member to arguments under construction; a NULL value adds nothing. 0, or -ENOMEM, also
 * when there are no arguments to add to. */
int ctl_add_string(json_object *arguments, const char *key, const char *value);
int ctl_add_uint(json_object *arguments, const char *key, uint64_t value);
