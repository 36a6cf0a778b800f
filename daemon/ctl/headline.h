/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What happened, in words: of an IncidentInfo as control.sock sends it, escaped. What the guest
 * said is shown as it came; nothing is guessed about it.
 */
#include <json-c/json.h>

#include "daemon/ctl/text.h"

/* One line without its end: "Guest panicked: Hyper-V crash registers 0x9f, 0x3". */
void headline_add(Text *text, json_object *incident);
/* More lines, indented by four: registers, flags, circumstances. */
void headline_add_details(Text *text, json_object *incident);
/* Panic information in one line, as events carry it: "hyper-v 0x9f 0x3 ...". */
void headline_add_info(Text *text, json_object *info);
