/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* How far a memory dump is, as query-machines tells it. */
#include <json-c/json.h>

#include "daemon/ctl/text.h"

/* "[#######             ] 35 %, 1.2 GiB kept for incident 12", or that it waits; without an end. */
void progress_add_dump(Text *text, json_object *dump);
