/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What tocsind asks for when a program is to be told of an incident:
 *
 *         SECTION INCIDENT MACHINE KIND STATUS ACTION\n
 *         {the record, one line of JSON}
 *
 * ACTION is "-" while nothing is decided. The words of the first line become the program's environment,
 * so each is a number, a name or one of QAPI's words, and the helper makes sure of that. The second
 * line becomes its standard input, and is not looked at.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/util/buffer.h"
#include "policy/util/name.h"
#include "qapi-types.h"

typedef struct NotifyRequest {
        char section[NAME_LENGTH_MAX + 1], machine[NAME_LENGTH_MAX + 1];
        uint64_t incident;
        IncidentKind kind;
        IncidentStatus status;
        bool has_action;
        Action action;
        const char *record; /* borrowed from the text; ends with a newline */
        size_t n_record;
} NotifyRequest;

/* 0 or -EINVAL. Pure. */
int notify_request_parse(const char *text, NotifyRequest *ret);
/* Appends the first line. As buffer_append(). */
int notify_request_append_head(Buffer *text, const char *section, const IncidentInfo *incident);
