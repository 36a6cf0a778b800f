/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Records as reports for people. Everything given here has been escaped.
 */
#include <json-c/json.h>
#include <stdbool.h>

#include "daemon/ctl/text.h"

/* An IncidentInfo: what happened, what was decided and why, what was done, what is kept. `here` and
 * `all`: see headline_add_signature(). */
void report_add_incident(Text *text, json_object *incident, json_object *here, json_object *all);
/* A DecisionInfo: "Decided ..." and the trail. `held`: it waits for its delay. */
void report_add_decision(Text *text, json_object *decision, bool held);
/* CrashGroups as a table, one a line. */
void report_add_groups(Text *text, json_object *groups);
/* IncidentInfos as a table, one a line. */
void report_add_incidents(Text *text, json_object *incidents);
