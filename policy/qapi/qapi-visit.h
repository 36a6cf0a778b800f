/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * One walk over any type of the schema, guided by const descriptors that the schema compiler
 * writes: to JSON, from JSON, free. Nobody but generated code needs this; see qapi-types.h.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/qapi/qapi-error.h"

typedef struct QapiEnum QapiEnum;
typedef struct QapiMember QapiMember;
typedef struct QapiType QapiType;

/* How a value lies in memory. More widths of integers come with the schema that needs them. */
typedef enum QapiKind {
        QAPI_KIND_BOOL,   /* bool */
        QAPI_KIND_INT,    /* int64_t */
        QAPI_KIND_UINT32, /* uint32_t */
        QAPI_KIND_UINT64, /* uint64_t */
        QAPI_KIND_ENUM,   /* of: QapiEnum */
        /* From here on pointers, owned; NULL is absent. */
        QAPI_KIND_STR,    /* char * */
        QAPI_KIND_STRUCT, /* of: QapiType */
        QAPI_KIND_ANY,    /* json_object *, a reference; NULL is also JSON's null */
        _QAPI_KIND_MAX,
} QapiKind;

struct QapiEnum {
        const char *const *names;
        unsigned n;
};

struct QapiMember {
        const char *name; /* on the wire */
        QapiKind kind;
        bool optional;
        bool array; /* T *items at `offset`, size_t n_items at `presence` */
        size_t offset;
        size_t presence; /* of has_x, where the value itself can't say that it is absent */
        const void *of;
};

struct QapiType {
        size_t size;
        const QapiMember *members;
        size_t n_members;
        /* Of a union: the member whose value picks the branch (NULL: no members), which lies
         * within the same struct at branch_offset. */
        const QapiMember *tag;
        const QapiType *const *branches;
        size_t branch_offset;
};

const char *qapi_enum_to_string(const QapiEnum *names, unsigned value); /* NULL when out of range */
int qapi_enum_from_string(const QapiEnum *names, const char *s);        /* or -EINVAL */

void *qapi_free(const QapiType *type, void *value);
/* 0, -ENOMEM, or -EINVAL when a mandatory struct is NULL or an enum out of range. A mandatory
 * string that is NULL is written as "", as QEMU does. */
int qapi_to_json(const QapiType *type, const void *value, json_object **ret);
/* 0, QAPI_E_INVALID with QEMU's words in `error`, or -ENOMEM. A NULL `json` is an empty object. */
int qapi_from_json(const QapiType *type, json_object *json, void **ret, QapiError *error);
/* The same for the arguments of a command that has none. */
int qapi_check_empty(json_object *json, QapiError *error);

/* The functions every generated type has, in terms of its descriptor prefix##_shape. */
#define QAPI_DEFINE_TYPE(Type, prefix)                                                             \
        Type *prefix##_free(Type *value) {                                                         \
                return qapi_free(&prefix##_shape, value);                                          \
        }                                                                                          \
        int prefix##_to_json(const Type *value, json_object **ret) {                               \
                return qapi_to_json(&prefix##_shape, value, ret);                                  \
        }                                                                                          \
        int prefix##_from_json(json_object *json, Type **ret, QapiError *error) {                  \
                void *value;                                                                       \
                int r = qapi_from_json(&prefix##_shape, json, &value, error);                      \
                                                                                                   \
                if (r == 0)                                                                        \
                        *ret = value;                                                              \
                return r;                                                                          \
        }                                                                                          \
        struct _qapi_semicolon_

#define QAPI_DEFINE_ENUM(Type, prefix)                                                             \
        const char *prefix##_to_string(Type value) {                                               \
                return qapi_enum_to_string(&prefix##_enum, (unsigned) value);                      \
        }                                                                                          \
        int prefix##_from_string(const char *s, Type *ret) {                                       \
                int r = qapi_enum_from_string(&prefix##_enum, s);                                  \
                                                                                                   \
                if (r < 0)                                                                         \
                        return r;                                                                  \
                *ret = (Type) r;                                                                   \
                return 0;                                                                          \
        }                                                                                          \
        struct _qapi_semicolon_
