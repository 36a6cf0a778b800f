/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/spec.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "policy/util/cleanup.h"
#include "policy/util/duration.h"
#include "policy/util/size.h"

#define SPEC_HYPERV "hyper-v:"
#define SPEC_S390 "s390:"
#define SPEC_PARTS_MAX 5 /* arguments of a Hyper-V crash */

/* Cuts `s` at its commas; the parts point into it. Returns their count, or -EINVAL: too many, or an empty one. */
static int spec_split(char *s, char *parts[static SPEC_PARTS_MAX]) {
        int n = 0;

        for (char *part; (part = strsep(&s, ","));) {
                if (n == SPEC_PARTS_MAX || !*part)
                        return -EINVAL;
                parts[n++] = part;
        }
        return n;
}

static int spec_add(json_object *object, const char *key, json_object *value) {
        if (value && json_object_object_add(object, key, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

static int spec_add_number(json_object *object, const char *key, const char *text) {
        uint64_t number = 0;

        if (text && size_parse_number(text, &number) != 0)
                return -EINVAL;
        return spec_add(object, key, json_object_new_uint64(number));
}

static int spec_fill_hyperv(json_object *info, char *parts[static SPEC_PARTS_MAX], int n) {
        static const char *const keys[SPEC_PARTS_MAX] = { "arg1", "arg2", "arg3", "arg4", "arg5" };
        int r = spec_add(info, "type", json_object_new_string("hyper-v"));

        for (int i = 0; i < SPEC_PARTS_MAX && r == 0; i++)
                r = spec_add_number(info, keys[i], i < n ? parts[i] : NULL);
        return r;
}

static int spec_fill_s390(json_object *info, char *parts[static SPEC_PARTS_MAX], int n) {
        int r;

        if (n < 3 || n > 4)
                return -EINVAL;
        r = spec_add(info, "type", json_object_new_string("s390"));
        if (r == 0)
                r = spec_add_number(info, "core", n > 3 ? parts[3] : NULL);
        if (r == 0)
                r = spec_add_number(info, "psw-mask", parts[1]);
        if (r == 0)
                r = spec_add_number(info, "psw-addr", parts[2]);
        if (r == 0)
                r = spec_add(info, "reason", json_object_new_string(parts[0]));
        return r;
}

static int spec_parse_parts(const char *spec,
                            int (*fill)(json_object *info, char *parts[static SPEC_PARTS_MAX], int n),
                            json_object **ret) {
        _cleanup_free_ char *copy = strdup(spec);
        char *parts[SPEC_PARTS_MAX] = {};
        json_object *info;
        int r;

        if (!copy)
                return -ENOMEM;
        r = spec_split(copy, parts);
        if (r < 0)
                return r;
        info = json_object_new_object();
        r = info ? fill(info, parts, r) : -ENOMEM;
        if (r < 0) {
                json_object_put(info);
                return r;
        }
        *ret = info;
        return 0;
}

int spec_parse_s390(const char *spec, json_object **ret) {
        return spec_parse_parts(spec, spec_fill_s390, ret);
}

int spec_parse_panic(const char *spec, json_object **ret) {
        if (strcmp(spec, "plain") == 0) {
                *ret = NULL;
                return 0;
        }
        if (strncmp(spec, SPEC_HYPERV, strlen(SPEC_HYPERV)) == 0)
                return spec_parse_parts(spec + strlen(SPEC_HYPERV), spec_fill_hyperv, ret);
        if (strncmp(spec, SPEC_S390, strlen(SPEC_S390)) == 0)
                return spec_parse_s390(spec + strlen(SPEC_S390), ret);
        return -EINVAL;
}

int spec_parse_since(const char *spec, uint64_t now_s, uint64_t *ret_s) {
        static const char *const formats[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d" };
        uint64_t us;

        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                struct tm tm = {};
                const char *end = strptime(spec, formats[i], &tm);
                time_t t;

                if (!end || *end)
                        continue;
                t = timegm(&tm);
                if (t < 0)
                        return -EINVAL;
                *ret_s = (uint64_t) t;
                return 0;
        }
        if (duration_parse(spec, &us) != 0 || us / USEC_PER_SEC > now_s)
                return -EINVAL;
        *ret_s = now_s - us / USEC_PER_SEC;
        return 0;
}
