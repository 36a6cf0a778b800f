/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See qapi-visit.h. The difficulty is the reader: what it says about a wrong value must be what
 * QEMU says. QEMU names a value by its whole path where it is missing, unexpected or of the wrong
 * type ("server.port", "enable[0]"), and by its last name alone ("null" for an element of a list)
 * where an enum or a range refuses it (7.2.22, tried).
 *
 * Depth is bounded by the schema (the compiler refuses types that contain themselves), length by
 * the limits of the JSON reader.
 */
#include "policy/qapi/qapi-visit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/util/cleanup.h"

/* Room for the path of a parameter; a longer one is cut, it is for people. */
#define VISIT_PATH_SIZE 128

static const size_t visit_size[_QAPI_KIND_MAX] = {
        [QAPI_KIND_BOOL] = sizeof(bool),       [QAPI_KIND_INT] = sizeof(int64_t),
        [QAPI_KIND_UINT32] = sizeof(uint32_t), [QAPI_KIND_UINT64] = sizeof(uint64_t),
        [QAPI_KIND_ENUM] = sizeof(int),        [QAPI_KIND_STR] = sizeof(void *),
        [QAPI_KIND_STRUCT] = sizeof(void *),   [QAPI_KIND_ANY] = sizeof(void *),
};

/* Where the reader is: a member, or with name == NULL an element of a list. The whole value has
 * no path. */
typedef struct VisitPath VisitPath;

struct VisitPath {
        const VisitPath *parent;
        const char *name;
        size_t index;
};

static const void *visit_at(const void *base, size_t offset) {
        return (const char *) base + offset;
}

/* memcpy(), because a pointer may not be read as another type of pointer. */
static void *visit_get_pointer(const void *slot) {
        void *p;

        memcpy(&p, slot, sizeof(p));
        return p;
}

static size_t visit_get_count(const QapiMember *member, const void *value) {
        return *(const size_t *) visit_at(value, member->presence);
}

/* NULL where the tag's value has no members of its own, or is out of range. */
static const QapiType *visit_branch(const QapiType *type, const void *value) {
        const QapiEnum *names;
        unsigned tag;

        if (!type->tag)
                return NULL;
        names = type->tag->of;
        tag = *(const unsigned *) visit_at(value, type->tag->offset);
        return tag < names->n ? type->branches[tag] : NULL;
}

const char *qapi_enum_to_string(const QapiEnum *names, unsigned value) {
        return value < names->n ? names->names[value] : NULL;
}

int qapi_enum_from_string(const QapiEnum *names, const char *s) {
        for (unsigned i = 0; i < names->n; i++)
                if (strcmp(names->names[i], s) == 0)
                        return (int) i;
        return -EINVAL;
}

/* Freeing */

static void visit_free_value(const QapiMember *member, const void *slot) {
        if (member->kind == QAPI_KIND_STR)
                free(visit_get_pointer(slot));
        else if (member->kind == QAPI_KIND_STRUCT)
                qapi_free(member->of, visit_get_pointer(slot));
        else if (member->kind == QAPI_KIND_ANY)
                json_object_put(visit_get_pointer(slot));
}

static void visit_free_members(const QapiType *type, const void *value) {
        const QapiType *branch = visit_branch(type, value);

        if (branch)
                visit_free_members(branch, visit_at(value, type->branch_offset));
        for (size_t i = 0; i < type->n_members; i++) {
                const QapiMember *member = &type->members[i];
                const void *slot = visit_at(value, member->offset);
                char *items;

                if (!member->array) {
                        visit_free_value(member, slot);
                        continue;
                }
                items = visit_get_pointer(slot);
                for (size_t k = 0; k < visit_get_count(member, value); k++)
                        visit_free_value(member, items + k * visit_size[member->kind]);
                free(items);
        }
}

void *qapi_free(const QapiType *type, void *value) {
        if (value) {
                visit_free_members(type, value);
                free(value);
        }
        return NULL;
}

/* Writing */

static int visit_own(json_object *json, json_object **ret) {
        if (!json)
                return -ENOMEM;
        *ret = json;
        return 0;
}

static int visit_write_string(const char *s, json_object **ret) {
        return visit_own(json_object_new_string(s ? s : ""), ret);
}

static int visit_write_value(const QapiMember *member, const void *slot, json_object **ret) {
        const char *name;
        void *p;

        switch (member->kind) {
        case QAPI_KIND_BOOL:
                return visit_own(json_object_new_boolean(*(const bool *) slot), ret);
        case QAPI_KIND_INT:
                return visit_own(json_object_new_int64(*(const int64_t *) slot), ret);
        case QAPI_KIND_UINT32:
                return visit_own(json_object_new_int64(*(const uint32_t *) slot), ret);
        case QAPI_KIND_UINT64:
                return visit_own(json_object_new_uint64(*(const uint64_t *) slot), ret);
        case QAPI_KIND_ENUM:
                name = qapi_enum_to_string(member->of, *(const unsigned *) slot);
                return name ? visit_write_string(name, ret) : -EINVAL;
        case QAPI_KIND_STR:
                return visit_write_string(visit_get_pointer(slot), ret);
        case QAPI_KIND_STRUCT:
                p = visit_get_pointer(slot);
                return p ? qapi_to_json(member->of, p, ret) : -EINVAL;
        case QAPI_KIND_ANY:
                *ret = json_object_get(visit_get_pointer(slot));
                return 0;
        case _QAPI_KIND_MAX:
                break;
        }
        return -EINVAL;
}

static int visit_write_array(const QapiMember *member, const void *value, json_object **ret) {
        const char *items = visit_get_pointer(visit_at(value, member->offset));
        json_object *array = json_object_new_array();
        int r = array ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < visit_get_count(member, value); i++) {
                json_object *item = NULL;

                r = visit_write_value(member, items + i * visit_size[member->kind], &item);
                if (r == 0 && json_object_array_add(array, item) < 0) {
                        json_object_put(item);
                        r = -ENOMEM;
                }
        }
        if (r < 0) {
                json_object_put(array);
                return r;
        }
        *ret = array;
        return 0;
}

static bool visit_is_absent(const QapiMember *member, const void *value) {
        if (!member->optional)
                return false;
        if (member->array)
                return visit_get_count(member, value) == 0;
        if (member->kind >= QAPI_KIND_STR)
                return !visit_get_pointer(visit_at(value, member->offset));
        return !*(const bool *) visit_at(value, member->presence);
}

static int visit_write_members(const QapiType *type, const void *value, json_object *json) {
        const QapiType *branch = visit_branch(type, value);

        for (size_t i = 0; i < type->n_members; i++) {
                const QapiMember *member = &type->members[i];
                json_object *item = NULL;
                int r;

                if (visit_is_absent(member, value))
                        continue;
                if (member->array)
                        r = visit_write_array(member, value, &item);
                else
                        r = visit_write_value(member, visit_at(value, member->offset), &item);
                if (r < 0)
                        return r;
                if (json_object_object_add(json, member->name, item) < 0) {
                        json_object_put(item);
                        return -ENOMEM;
                }
        }
        if (!branch)
                return 0;
        return visit_write_members(branch, visit_at(value, type->branch_offset), json);
}

int qapi_to_json(const QapiType *type, const void *value, json_object **ret) {
        json_object *json = json_object_new_object();
        int r = json ? visit_write_members(type, value, json) : -ENOMEM;

        if (r < 0) {
                json_object_put(json);
                return r;
        }
        *ret = json;
        return 0;
}

/* Reading */

/* Returns what has been written, which is less than `size`. */
static size_t visit_print_path(const VisitPath *path, char *buffer, size_t size) {
        size_t n = path->parent ? visit_print_path(path->parent, buffer, size) : 0;
        int r;

        if (path->name)
                r = snprintf(buffer + n, size - n, "%s%s", n > 0 ? "." : "", path->name);
        else
                r = snprintf(buffer + n, size - n, "[%zu]", path->index);
        if (r > 0)
                n += (size_t) r;
        return n < size ? n : size - 1;
}

static int visit_fail_path(QapiError *error,
                           const VisitPath *path,
                           const char *before,
                           const char *after) {
        char name[VISIT_PATH_SIZE] = "null";

        if (path)
                visit_print_path(path, name, sizeof(name));
        return qapi_error_set(error, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s '%s'%s", before, name, after);
}

static int visit_fail_kind(QapiError *error, const VisitPath *path, const char *after) {
        return visit_fail_path(error, path, "Invalid parameter type for", after);
}

static int visit_fail_value(QapiError *error, const VisitPath *path, const char *words) {
        return qapi_error_set(error,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Parameter '%s' %s",
                              path->name ? path->name : "null",
                              words);
}

/* Beyond INT64_MAX only json_object_get_uint64() tells the value. Negative numbers for unsigned
 * members, which QEMU takes as two's complement, are refused: nothing we serve wants them. */
static int visit_read_integer(QapiKind kind,
                              json_object *json,
                              void *slot,
                              const VisitPath *path,
                              QapiError *error) {
        bool is_int = json_object_is_type(json, json_type_int);
        int64_t i = is_int ? json_object_get_int64(json) : 0;
        uint64_t u = is_int ? json_object_get_uint64(json) : 0;

        if (kind == QAPI_KIND_INT) {
                if (!is_int || u > INT64_MAX)
                        return visit_fail_kind(error, path, ", expected: integer");
                *(int64_t *) slot = i;
        } else if (!is_int || (kind == QAPI_KIND_UINT64 && i < 0)) {
                return visit_fail_value(error, path, "expects uint64");
        } else if (kind == QAPI_KIND_UINT64) {
                *(uint64_t *) slot = u;
        } else {
                if (i < 0 || u > UINT32_MAX)
                        return visit_fail_value(error, path, "expects uint32_t");
                *(uint32_t *) slot = (uint32_t) u;
        }
        return 0;
}

static int visit_read_string(const QapiMember *member,
                             json_object *json,
                             void *slot,
                             const VisitPath *path,
                             QapiError *error) {
        const char *s = json_object_get_string(json);
        char *copy;
        int value;

        if (!json_object_is_type(json, json_type_string))
                return visit_fail_kind(error, path, ", expected: string");
        if (member->kind == QAPI_KIND_ENUM) {
                value = qapi_enum_from_string(member->of, s);
                if (value < 0)
                        return qapi_error_set(error,
                                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                                              "Parameter '%s' does not accept value '%s'",
                                              path->name ? path->name : "null",
                                              s);
                *(unsigned *) slot = (unsigned) value;
                return 0;
        }
        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        memcpy(slot, &copy, sizeof(copy));
        return 0;
}

static int visit_read(const QapiType *type,
                      json_object *json,
                      void **ret,
                      const VisitPath *path,
                      QapiError *error);

static int visit_read_value(const QapiMember *member,
                            json_object *json,
                            void *slot,
                            const VisitPath *path,
                            QapiError *error) {
        void *p;
        int r;

        switch (member->kind) {
        case QAPI_KIND_BOOL:
                if (!json_object_is_type(json, json_type_boolean))
                        return visit_fail_kind(error, path, ", expected: boolean");
                *(bool *) slot = json_object_get_boolean(json);
                return 0;
        case QAPI_KIND_INT:
        case QAPI_KIND_UINT32:
        case QAPI_KIND_UINT64:
                return visit_read_integer(member->kind, json, slot, path, error);
        case QAPI_KIND_ENUM:
        case QAPI_KIND_STR:
                return visit_read_string(member, json, slot, path, error);
        case QAPI_KIND_STRUCT:
                r = visit_read(member->of, json, &p, path, error);
                if (r == 0)
                        memcpy(slot, &p, sizeof(p));
                return r;
        case QAPI_KIND_ANY:
                p = json_object_get(json);
                memcpy(slot, &p, sizeof(p));
                return 0;
        case _QAPI_KIND_MAX:
                break;
        }
        return -EINVAL;
}

/* The items belong to `value` from the start, so that a failure in between leaks nothing. */
static int visit_read_array(const QapiMember *member,
                            json_object *json,
                            void *value,
                            const VisitPath *path,
                            QapiError *error) {
        VisitPath item_path = { .parent = path };
        size_t n;
        char *items;
        int r;

        if (!json_object_is_type(json, json_type_array))
                return visit_fail_kind(error, path, ", expected: array");
        n = json_object_array_length(json);
        if (n == 0)
                return 0;
        items = calloc(n, visit_size[member->kind]);
        if (!items)
                return -ENOMEM;
        memcpy((char *) value + member->offset, &items, sizeof(items));
        *(size_t *) (void *) ((char *) value + member->presence) = n;
        for (size_t i = 0; i < n; i++) {
                item_path.index = i;
                r = visit_read_value(member,
                                     json_object_array_get_idx(json, i),
                                     items + i * visit_size[member->kind],
                                     &item_path,
                                     error);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int visit_read_members(const QapiType *type,
                              json_object *json,
                              void *value,
                              const VisitPath *path,
                              QapiError *error) {
        const QapiType *branch;

        for (size_t i = 0; i < type->n_members; i++) {
                const QapiMember *member = &type->members[i];
                VisitPath here = { .parent = path, .name = member->name };
                void *slot = (char *) value + member->offset;
                json_object *item;
                int r;

                if (!json_object_object_get_ex(json, member->name, &item)) {
                        if (member->optional)
                                continue;
                        return visit_fail_path(error, &here, "Parameter", " is missing");
                }
                if (member->array)
                        r = visit_read_array(member, item, value, &here, error);
                else
                        r = visit_read_value(member, item, slot, &here, error);
                if (r != 0)
                        return r;
                if (member->optional && !member->array && member->kind < QAPI_KIND_STR)
                        *((bool *) value + member->presence) = true;
        }
        branch = visit_branch(type, value);
        if (!branch)
                return 0;
        return visit_read_members(branch, json, (char *) value + type->branch_offset, path, error);
}

static bool visit_has_member(const QapiType *type, const char *name) {
        for (size_t i = 0; i < type->n_members; i++)
                if (strcmp(type->members[i].name, name) == 0)
                        return true;
        return false;
}

static int visit_read(const QapiType *type,
                      json_object *json,
                      void **ret,
                      const VisitPath *path,
                      QapiError *error) {
        const QapiType *branch;
        void *value;
        int r;

        if (!json_object_is_type(json, json_type_object))
                return visit_fail_kind(error, path, ", expected: object");
        value = calloc(1, type->size);
        if (!value)
                return -ENOMEM;
        r = visit_read_members(type, json, value, path, error);
        if (r == 0) {
                branch = visit_branch(type, value);
                json_object_object_foreach(json, name, item) {
                        VisitPath here = { .parent = path, .name = name };

                        (void) item;
                        if (visit_has_member(type, name) ||
                            (branch && visit_has_member(branch, name)))
                                continue;
                        r = visit_fail_path(error, &here, "Parameter", " is unexpected");
                        break;
                }
        }
        if (r != 0) {
                qapi_free(type, value);
                return r;
        }
        *ret = value;
        return 0;
}

int qapi_from_json(const QapiType *type, json_object *json, void **ret, QapiError *error) {
        json_object *object = json ? json_object_get(json) : json_object_new_object();
        int r = object ? visit_read(type, object, ret, NULL, error) : -ENOMEM;

        json_object_put(object);
        return r;
}

int qapi_check_empty(json_object *json, QapiError *error) {
        static const QapiType nothing = { .size = 1 };
        void *value;
        int r = qapi_from_json(&nothing, json, &value, error);

        if (r == 0)
                qapi_free(&nothing, value);
        return r;
}
