/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Tokens that are a value by themselves. */
#include <json-c/json.h>

#include "policy/qapi/json-lexer.h"

#define JSON_SCALAR_E_INVALID 1

/* Of a string, number or keyword. 0, -ENOMEM, or JSON_SCALAR_E_INVALID and *ret_error in QEMU's
 * words, to be freed. */
int json_scalar_parse(JsonToken token, const JsonText *text, json_object **ret, char **ret_error);
