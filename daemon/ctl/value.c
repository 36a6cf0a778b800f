/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/value.h"

#include <stddef.h>

#include "policy/util/moment.h"

static json_object *value_get(json_object *object, const char *key, json_type type) {
        json_object *member = NULL;

        if (!json_object_is_type(object, json_type_object) ||
            !json_object_object_get_ex(object, key, &member) || !json_object_is_type(member, type))
                return NULL;
        return member;
}

const char *value_get_string(json_object *object, const char *key) {
        json_object *member = value_get(object, key, json_type_string);

        return member ? json_object_get_string(member) : NULL;
}

const char *value_get_word(json_object *object, const char *key) {
        const char *s = value_get_string(object, key);

        return s ? s : "-";
}

uint64_t value_get_uint(json_object *object, const char *key) {
        json_object *member = value_get(object, key, json_type_int);

        return member ? json_object_get_uint64(member) : 0;
}

bool value_get_bool(json_object *object, const char *key) {
        json_object *member = value_get(object, key, json_type_boolean);

        return member && json_object_get_boolean(member);
}

uint64_t value_get_time(json_object *object, const char *key) {
        json_object *time = value_get_object(object, key);
        uint64_t seconds = value_get_uint(time, "seconds");

        if (seconds > UINT64_MAX / USEC_PER_SEC - 1)
                return 0;
        return seconds * USEC_PER_SEC + value_get_uint(time, "microseconds") % USEC_PER_SEC;
}

json_object *value_get_object(json_object *object, const char *key) {
        return value_get(object, key, json_type_object);
}

json_object *value_get_array(json_object *object, const char *key) {
        return value_get(object, key, json_type_array);
}

size_t value_get_length(json_object *array) {
        return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

json_object *value_get_item(json_object *array, size_t i) {
        return i < value_get_length(array) ? json_object_array_get_idx(array, i) : NULL;
}
