/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* tocsind's log: stderr, with the levels the journal reads where that is who listens. */
#include <syslog.h>

#include "policy/util/cleanup.h"

/* Lines above this level (syslog's: larger is less) are left out. */
void report_set_level(int level);
/* `subject` names whom it is about, or NULL. Control and invalid bytes of the text are escaped. */
void report(int level, const char *subject, const char *format, ...) _printf_(3, 4);
