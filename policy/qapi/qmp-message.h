/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What a QMP server sends, sorted. Members may come in any order, and unknown ones are overlooked: a
 * newer QEMU must not be lost for them. What is known must be what it should be: the peer may be
 * hostile, and everything behind this relies on it.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* Versions as numbers that can be compared */
#define QMP_MESSAGE_VERSION(major, minor, micro) ((major) *1000000U + (minor) *1000U + (micro))
#define QMP_MESSAGE_VERSION_MAX 999

typedef enum QmpMessageType {
        QMP_MESSAGE_GREETING,
        QMP_MESSAGE_RETURN,
        QMP_MESSAGE_ERROR,
        QMP_MESSAGE_EVENT,
} QmpMessageType;

/* Everything is borrowed from the message. */
typedef struct QmpMessage {
        QmpMessageType type;

        /* RETURN, ERROR. Where there is none, what it answers could not be parsed. */
        bool has_id;
        uint64_t id;

        const char *event; /* EVENT: its name */
        uint64_t time_us;  /* EVENT: since the Epoch by the server's clock; 0: it does not know */
        json_object *data; /* EVENT: an object, or NULL. RETURN: the value */

        const char *class; /* ERROR: not always one of QapiErrorClass */
        const char *desc;  /* ERROR */

        unsigned version;    /* GREETING: QMP_MESSAGE_VERSION() */
        const char *package; /* GREETING: who built it; "" if it doesn't say */
        bool has_oob;        /* GREETING: it offers exec-oob */

        const char *problem; /* when it is no message */
} QmpMessage;

/* 0, or -EINVAL: then `problem` alone is set and says what is wrong with it. `value` is a whole
 * message, as a JsonStream tells it. */
int qmp_message_parse(json_object *value, QmpMessage *ret);
