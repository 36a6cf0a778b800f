/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Names of machines. A name is 1 to 80 of [A-Za-z0-9_.:-], doesn't start with `.`, and isn't `host`.
 * What a VMM calls its guest may be anything; other bytes become \xNN, as systemd-escape writes
 * them, so that a name is safe as a file name, in a log line and on a command line.
 */
#include <stdbool.h>

#define NAME_LENGTH_MAX 80
/* The host is a machine too, the only one of this name. */
#define NAME_HOST "host"

/* Whether it is a guest's name as name_escape() returns them, escapes included. */
bool name_is_valid(const char *name);
/* What was given, as a name; a valid name without a backslash is returned as it is, and two that
 * differ stay different: what would be too long is cut, and ends in a hash of the whole.
 * 0, -EINVAL for the empty text, -ENOMEM. */
int name_escape(const char *given, char **ret);
/* The same for a pattern over names: `*`, `?`, sets and what is escaped already stay.
 * 0 or -ENOMEM. */
int name_escape_glob(const char *given, char **ret);
/* The bytes as they were given: as hostile as any text of a guest, so to be shown with care.
 * 0 or -ENOMEM. */
int name_unescape(const char *name, char **ret);
