/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Records as reports for people. Everything given here has been escaped.
 */
#include <json-c/json.h>
#include <stdbool.h>

#include "daemon/ctl/text.h"
#include "policy/decode/system-map.h"

/* What a reader should know of an incident besides its record; NULL what there is not. */
typedef struct ReportMore {
        json_object *here, *all; /* the CrashGroups of its signature, on its machine and on the host */
        const SystemMap *map;    /* of the guest's kernel */
} ReportMore;

/* An IncidentInfo: what happened, what was decided and why, what was done, what is kept. */
void report_add_incident(Text *text, json_object *incident, const ReportMore *more);
/* A DecisionInfo: "Decided ..." and the trail. `held`: it waits for its delay. */
void report_add_decision(Text *text, json_object *decision, bool held);
/* CrashGroups as a table, one a line. */
void report_add_groups(Text *text, json_object *groups);
/* IncidentInfos as a table, one a line. */
void report_add_incidents(Text *text, json_object *incidents);
