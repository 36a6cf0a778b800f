/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A scenario (tests/scenario/README.md) out of what control.sock tells: the machines at the start,
 * their events, and the records of the incidents that came of them. Everything is collected first and
 * written in the order it happened: a cause may be told behind its effect.
 */
#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/ctl/text.h"

typedef struct Record Record;

/* Times before `start_us` (CLOCK_REALTIME) count as the start. `machine`: only these, a glob (borrowed),
 * or NULL. NULL: out of memory. */
Record *record_new(uint64_t start_us, const char *machine);
Record *record_free(Record *record);
DEFINE_CLEANUP(Record *, record_free);

/* A machine as it is at the start (an answer of query-machines). RECORD_E_LEFT_OUT: it stands still for
 * an incident, or has open ones, which a scenario can't begin with; nothing of it is recorded.
 * Negative: out of memory, as all below. */
#define RECORD_E_LEFT_OUT 1
int record_add_machine(Record *record, json_object *machine);
/* An event of control.sock that came at `now_us`. RECORD_E_FULL: nothing more is taken. RECORD_E_LOST: events are missing,
 * so what was recorded proves nothing. */
#define RECORD_E_FULL 2
#define RECORD_E_LOST 3
int record_add_event(Record *record, json_object *event, uint64_t now_us);

/* At the end: the same machines once more, and the record of each incident that was told of. */
int record_end_machine(Record *record, json_object *machine);
const uint64_t *record_get_incidents(const Record *record, size_t *ret_n);
int record_add_incident(Record *record, json_object *incident);

/* `config` is what tocsind --show-config says: of it, what differs from the defaults and speaks of
 * policy. */
void record_write(Record *record, const char *config, Text *text);
