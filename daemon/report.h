/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* tocsind's log: stderr, with the levels the journal reads where that is who listens. */
#include <syslog.h>

#include "policy/util/cleanup.h"

/* Lines above this level (syslog's: larger is less) are left out. */
void report_set_level(int level);
/* Room for the longest line, NUL included; a longer one is cut. The journal's own limit is 48 KiB. */
#define REPORT_LINE_MAX 2048
/* Printable ASCII; what is none of it as \xNN. Returns `ret`. */
const char *report_escape(const char *text, char ret[static REPORT_LINE_MAX]);
/* `subject` names whom it is about, or NULL. Control and invalid bytes of the text are escaped. */
void report(int level, const char *subject, const char *format, ...) _printf_(3, 4);
