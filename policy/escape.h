/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The gate between what guests, VMMs and their owners may have written and somebody's terminal:
 * control characters move cursors and set titles, bidirectional and invisible ones make text read
 * as something else, invalid bytes do whatever the terminal likes.
 */
#include <json-c/json.h>
#include <stddef.h>

/* To be freed. Control characters and invalid bytes become \xNN, deceiving ones \u{NNNN}. NULL when
 * out of memory. */
char *escape_string(const char *s, size_t n);
/* A copy of the tree with every string and every key escaped; 0 or -ENOMEM. */
int escape_json(json_object *value, json_object **ret);
