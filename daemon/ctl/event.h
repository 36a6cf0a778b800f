/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include <json-c/json.h>
#include <stdint.h>

#include "daemon/ctl/text.h"

/* An event of control.sock, escaped, as one line: time of day, machine, name, what it says. */
void event_add_line(Text *text, json_object *event);
/* Its timestamp in microseconds. */
uint64_t event_get_time(json_object *event);
