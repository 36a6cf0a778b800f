/* SPDX-License-Identifier: MIT */
#ifndef TOCSIN_VMM_JSON_H
#define TOCSIN_VMM_JSON_H
/* As much of JSON as the few messages of vmm.sock need: text in, text out, and no tree. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text being written; what does not fit is counted, and not written. */
struct vmm_json {
        char *data;
        size_t size, length;
};

void vmm_json_add(struct vmm_json *json, const char *text);
void vmm_json_add_number(struct vmm_json *json, uint64_t value);
/* With its quotes. Any bytes: what is no UTF-8, and NUL, becomes U+FFFD. */
void vmm_json_add_string(struct vmm_json *json, const char *s, size_t n);

/* A piece of a message. */
struct vmm_text {
        const char *data;
        size_t length;
};

/* The value of an object's member. False: it has none, or is no object. */
bool vmm_json_get(struct vmm_text object, const char *key, struct vmm_text *ret);
bool vmm_json_get_number(struct vmm_text object, const char *key, uint64_t *ret);
bool vmm_json_get_bool(struct vmm_text object, const char *key);
/* A string, cut to the size; always ends in a NUL. */
bool vmm_json_get_string(struct vmm_text object, const char *key, char *ret, size_t size);
/* Whether it is one object, and nothing else. */
bool vmm_json_is_object(struct vmm_text text);

#endif
