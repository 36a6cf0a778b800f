/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * One entry for each incident, with a field for each thing a filter may ask for: in the journal,
 * where stderr goes there, or as a line on stderr with the same fields.
 *
 * Written as the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), since
 * sd_journal_send() waits for a journal that is slow, and our loop must not.
 */
#include "qapi-types.h"

typedef struct Journal {
        int fd; /* -1: stderr is no journal's */
} Journal;

#define JOURNAL_NULL                                                                               \
        { .fd = -1 }

/* "An incident": in packaging/tocsin.catalog, too. */
#define JOURNAL_MESSAGE_ID "7cda766be4174ab59ada1fbb8687cddc"

void journal_init(Journal *journal);
void journal_deinit(Journal *journal);
/* `text` is one line for people, about an incident whose decision stands. */
void journal_tell(Journal *journal, const IncidentInfo *info, const char *text);
