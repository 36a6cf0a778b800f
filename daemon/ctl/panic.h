/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Panic information as a reader wants it: decoded here, so that a record, an event and what somebody
 * pasted read the same.
 */
#include <json-c/json.h>
#include <stdbool.h>

#include "daemon/ctl/text.h"
#include "policy/decode/decode.h"

/* False: there is none, or it is of a form this tocsinctl does not know. `map` may be NULL. */
bool panic_decode_json(json_object *info, const SystemMap *map, Decoded *ret);
/* What stands below the headline: lines indented by four, the table of values by six. */
void panic_add_details(Text *text, const Decoded *decoded);
