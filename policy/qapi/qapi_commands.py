# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands: qapi-commands.h declares their handlers, qapi-commands.c has the tables of them and
what stands between bytes and handler.
"""

from qapi_c import c_name, head, snake_name
from qapi_profiles import PROFILES
from qapi_schema import Command


def declare_handler(command):
    arg = f', const {command.arg.name} *arg' if command.arg else ''
    return f'void qmp_{c_name(command.name)}(QmpCall *call{arg})'


def commands_header(schema):
    text = head('The handlers of the commands.') + '''#pragma once
/*
 * A handler takes the call and answers it once, now or later. `arg` is its caller's and gone when
 * the handler returns.
 */
#include "policy/qapi/qmp-session.h"
#include "qapi-types.h"

'''
    return text + ''.join(f'{declare_handler(command)};\n' for command in schema.commands.values())


def marshaller(command):
    name = c_name(command.name)
    text = f'static void marshal_{name}(QmpCall *call, json_object *arguments) {{\n'
    if not command.arg:
        return text + f'''        if (check_no_arguments(call, arguments))
                qmp_{name}(call);
}}

'''
    snake = snake_name(command.arg.name)
    return text + f'''        _cleanup_({snake}_freep) {command.arg.name} *arg = NULL;
        QapiError error = QAPI_ERROR_NULL;
        int r = {snake}_from_json(arguments, &arg, &error);

        if (r != 0)
                fail_arguments(call, r, &error);
        else
                qmp_{name}(call, arg);
}}

'''


def commands_source(schema):
    text = head('The tables of the commands, and the checks of their arguments.')
    text += '''#include <string.h>

#include "policy/qapi/qapi-visit.h"
#include "qapi-commands.h"

static void fail_arguments(QmpCall *call, int r, QapiError *error) {
        qmp_call_fail(call, error->class, "%s", r < 0 ? "Out of memory" : error->desc);
        qapi_error_deinit(error);
}

static bool check_no_arguments(QmpCall *call, json_object *arguments) {
        QapiError error = QAPI_ERROR_NULL;
        int r = qapi_check_empty(arguments, &error);

        if (r != 0)
                fail_arguments(call, r, &error);
        return r == 0;
}

'''
    text += ''.join(marshaller(command) for command in schema.commands.values())
    tables = ''
    for profile in PROFILES:
        table = f'{profile.name.lower()}_commands'
        text += f'static const QmpCommand {table}[] = {{\n'
        for command in profile.select(schema):
            if isinstance(command, Command):
                allow = str(command.allow_preconfig).lower()
                text += f'        {{ "{command.name}", {allow}, ' \
                        f'marshal_{c_name(command.name)} }},\n'
        text += '};\n\n'
        tables += f'        [QAPI_PROFILE_{profile.name}] = {{ {table}, ELEMENTSOF({table}) }},\n'
    return text + f'''static const struct {{
        const QmpCommand *commands;
        size_t n;
}} profiles[_QAPI_PROFILE_MAX] = {{
{tables}}};

const QmpCommand *qmp_command_find(QapiProfile profile, const char *name) {{
        for (size_t i = 0; i < profiles[profile].n; i++)
                if (strcmp(profiles[profile].commands[i].name, name) == 0)
                        return &profiles[profile].commands[i];
        return NULL;
}}

void qmp_command_foreach(QapiProfile profile,
                         void (*func)(const QmpCommand *command, void *userdata),
                         void *userdata) {{
        for (size_t i = 0; i < profiles[profile].n; i++)
                func(&profiles[profile].commands[i], userdata);
}}
'''
