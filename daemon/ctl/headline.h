/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What happened, in words: of an IncidentInfo as control.sock sends it, escaped. What the guest
 * said is decoded where it is known, and else shown as it came; nothing is guessed about it.
 */
#include <json-c/json.h>

#include "daemon/ctl/text.h"
#include "policy/decode/system-map.h"

/* One line without its end: "Windows stopped: MANUALLY_INITIATED_CRASH (0xe2)". `map` is that of the
 * guest's kernel, or NULL. */
void headline_add(Text *text, json_object *incident, const SystemMap *map);
/* More lines, indented by four: registers, flags, circumstances. */
void headline_add_details(Text *text, json_object *incident, const SystemMap *map);
/* Which crash it is. `here` and `all` are the CrashGroups of its signature, on its machine and on the
 * host, or NULL. */
void headline_add_signature(Text *text, json_object *incident, json_object *here, json_object *all);
/* Panic information in one line, for what events carry. */
void headline_add_info(Text *text, json_object *info);
