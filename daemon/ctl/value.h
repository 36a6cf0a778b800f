/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Members of an answer, read leniently: tocsinctl may be older or newer than the tocsind it talks
 * to, so a member that is absent or of another type than expected is just not there. All results
 * are borrowed from the tree.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

const char *value_get_string(json_object *object, const char *key); /* NULL: not there */
const char *value_get_word(json_object *object, const char *key);   /* "-": not there */
uint64_t value_get_uint(json_object *object, const char *key);      /* 0: not there */
bool value_get_bool(json_object *object, const char *key);
uint64_t value_get_time(json_object *object, const char *key); /* a Timestamp in us; 0: not there */
json_object *value_get_object(json_object *object, const char *key);
json_object *value_get_array(json_object *object, const char *key);
/* 0 for what is no array */
size_t value_get_length(json_object *array);
json_object *value_get_item(json_object *array, size_t i);
