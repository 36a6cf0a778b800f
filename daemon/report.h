/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The log of tocsind and tocsin-kernel: stderr, with the levels the journal reads where that is who
 * listens. */
#include <stdbool.h>
#include <syslog.h>

#include "policy/util/cleanup.h"

/* Lines above this level (syslog's: larger is less) are left out. */
void report_set_level(int level);
/* Room for the longest line, NUL included; a longer one is cut. The journal's own limit is 48 KiB. */
#define REPORT_LINE_MAX 2048
/* See escape_string(). Returns `ret`. */
const char *report_escape(const char *text, char ret[static REPORT_LINE_MAX]);
/* Whether stderr is the journal's, still: JOURNAL_STREAM names the file that systemd gave us, and somebody
 * may have put another in its place. */
bool report_is_journal(void);
/* `subject` names whom it is about, or NULL. Control and invalid bytes of the text are escaped. */
void report(int level, const char *subject, const char *format, ...) _printf_(3, 4);
