/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/qapi/qmp-message.h"

/* See qmp-message.h. Nothing is copied and nothing is kept: a message costs a few look-ups. */
#include <errno.h>
#include <string.h>

#include "policy/util/cleanup.h"
#include "policy/util/moment.h"

/* Seconds that an event may carry, so that its microseconds fit 63 bits: the year 36812. */
#define SECONDS_MAX (INT64_C(1) << 40)

static int qmp_message_refuse(QmpMessage *message, const char *problem) {
        message->problem = problem;
        return -EINVAL;
}

/* False if `object` is none, or has no such member of that type. */
static bool qmp_message_find(json_object *object, const char *name, json_type type, json_object **ret) {
        json_object *value;

        if (!json_object_is_type(object, json_type_object) ||
            !json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, type))
                return false;

        *ret = value;
        return true;
}

static const char *qmp_message_find_string(json_object *object, const char *name) {
        json_object *value;

        return qmp_message_find(object, name, json_type_string, &value)
                       ? json_object_get_string(value)
                       : NULL;
}

/* json-c gives what lies outside int64 as its smallest or largest value. */
static bool qmp_message_find_integer(json_object *object,
                                     const char *name,
                                     int64_t min,
                                     int64_t max,
                                     int64_t *ret) {
        json_object *value;
        int64_t number;

        if (!qmp_message_find(object, name, json_type_int, &value))
                return false;

        number = json_object_get_int64(value);
        if (number < min || number > max)
                return false;

        *ret = number;
        return true;
}

static int qmp_message_parse_greeting(json_object *value, QmpMessage *message) {
        json_object *version, *qemu, *capabilities, *greeting = json_object_object_get(value, "QMP");
        int64_t major, minor, micro;

        if (!qmp_message_find(greeting, "version", json_type_object, &version) ||
            !qmp_message_find(version, "qemu", json_type_object, &qemu) ||
            !qmp_message_find_integer(qemu, "major", 0, QMP_MESSAGE_VERSION_MAX, &major) ||
            !qmp_message_find_integer(qemu, "minor", 0, QMP_MESSAGE_VERSION_MAX, &minor) ||
            !qmp_message_find_integer(qemu, "micro", 0, QMP_MESSAGE_VERSION_MAX, &micro))
                return qmp_message_refuse(message, "a greeting without a version");
        if (!qmp_message_find(greeting, "capabilities", json_type_array, &capabilities))
                return qmp_message_refuse(message, "a greeting without capabilities");

        message->version = QMP_MESSAGE_VERSION((unsigned) major, (unsigned) minor, (unsigned) micro);
        message->package = qmp_message_find_string(version, "package");
        if (!message->package)
                message->package = "";
        for (size_t i = 0; i < json_object_array_length(capabilities); i++) {
                json_object *capability = json_object_array_get_idx(capabilities, i);

                if (json_object_is_type(capability, json_type_string) &&
                    strcmp(json_object_get_string(capability), "oob") == 0)
                        message->has_oob = true;
        }

        return 0;
}

static int qmp_message_parse_id(json_object *value, QmpMessage *message) {
        json_object *id;

        if (!json_object_object_get_ex(value, "id", &id))
                return 0;
        /* Ours are numbers from 0 up. */
        if (!json_object_is_type(id, json_type_int) || json_object_get_int64(id) < 0)
                return qmp_message_refuse(message, "a reply to what was never asked");

        message->has_id = true;
        message->id = json_object_get_uint64(id);
        return 0;
}

static int qmp_message_parse_return(json_object *value, QmpMessage *message) {
        message->data = json_object_object_get(value, "return");
        return qmp_message_parse_id(value, message);
}

static int qmp_message_parse_error(json_object *value, QmpMessage *message) {
        json_object *error = json_object_object_get(value, "error");

        message->class = qmp_message_find_string(error, "class");
        message->desc = qmp_message_find_string(error, "desc");
        if (!message->class || !message->desc)
                return qmp_message_refuse(message, "an error without a class or description");

        return qmp_message_parse_id(value, message);
}

static int qmp_message_parse_event(json_object *value, QmpMessage *message) {
        json_object *timestamp;
        int64_t seconds, microseconds;

        message->event = qmp_message_find_string(value, "event");
        if (!message->event)
                return qmp_message_refuse(message, "an event whose name is no string");
        if (!qmp_message_find(value, "timestamp", json_type_object, &timestamp) ||
            !qmp_message_find_integer(timestamp, "seconds", -1, SECONDS_MAX, &seconds) ||
            !qmp_message_find_integer(timestamp, "microseconds", -1, USEC_PER_SEC - 1, &microseconds))
                return qmp_message_refuse(message, "an event without a timestamp");
        if (json_object_object_get_ex(value, "data", NULL) &&
            !qmp_message_find(value, "data", json_type_object, &message->data))
                return qmp_message_refuse(message, "an event whose data is no object");

        /* Both are -1 when the server could not read its clock. */
        if (seconds >= 0 && microseconds >= 0)
                message->time_us = (uint64_t) seconds * USEC_PER_SEC + (uint64_t) microseconds;
        return 0;
}

int qmp_message_parse(json_object *value, QmpMessage *ret) {
        static const struct {
                const char *member; /* that tells the type */
                int (*parse)(json_object *value, QmpMessage *message);
        } types[] = {
                [QMP_MESSAGE_GREETING] = { "QMP", qmp_message_parse_greeting },
                [QMP_MESSAGE_RETURN] = { "return", qmp_message_parse_return },
                [QMP_MESSAGE_ERROR] = { "error", qmp_message_parse_error },
                [QMP_MESSAGE_EVENT] = { "event", qmp_message_parse_event },
        };
        QmpMessage message = {};
        unsigned n_found = 0;
        int r;

        if (!json_object_is_type(value, json_type_object))
                return qmp_message_refuse(ret, "no object");

        for (unsigned i = 0; i < ELEMENTSOF(types); i++)
                if (json_object_object_get_ex(value, types[i].member, NULL)) {
                        message.type = (QmpMessageType) i;
                        n_found++;
                }
        if (n_found != 1)
                return qmp_message_refuse(ret,
                                          n_found == 0 ? "neither a reply nor an event"
                                                       : "several messages in one");

        r = types[message.type].parse(value, &message);
        if (r < 0)
                return qmp_message_refuse(ret, message.problem);

        *ret = message;
        return 0;
}
