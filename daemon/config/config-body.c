/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libini_config reads keys, values and their lines here, one section at a time and never a whole
 * file, because (tried with 0.6.2) it
 *
 * - keeps nothing at all of what it was given when one line is wrong,
 * - refuses a `!` or a letter beyond ASCII in a section's name, as in `[guest web-[!0-9]]`,
 * - takes `[guest Web]` and `[guest web]` for one section,
 * - stops at the first key that is there twice.
 *
 * So the section's name never gets there, and after an error the line is blanked and the section
 * read again: each reading finds new errors only, and the last one is clean.
 */
#include "daemon/config/config-body.h"

#include <errno.h>
#include <ini_configobj.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static inline void config_ini_file_destroyp(struct ini_cfgfile **file) {
        ini_config_file_destroy(*file);
}

static inline void config_ini_destroyp(struct ini_cfgobj **ini) {
        ini_config_destroy(*ini);
}

static inline void config_ini_errors_freep(char ***list) {
        if (*list)
                ini_config_free_errors(*list);
}

static inline void config_ini_keys_freep(char ***list) {
        if (*list)
                ini_free_attribute_list(*list);
}

/* The library speaks positive errno; what isn't memory is a bug of ours or its. */
static int config_body_code(int error) {
        return error == ENOMEM ? -ENOMEM : error;
}

/* The text of line `n` (from 1), without its end. */
static char *config_body_line(Buffer *body, unsigned n, size_t *ret_length) {
        char *line = body->data + body->start, *end = body->data + body->end, *newline;

        while (--n > 0 && (newline = memchr(line, '\n', (size_t) (end - line))))
                line = newline + 1;
        newline = memchr(line, '\n', (size_t) (end - line));
        *ret_length = (size_t) ((newline ?: end) - line);
        return line;
}

static const char *config_body_expected(int code) {
        switch (code) {
        case ERR_SPACE:
        case ERR_TAB:
                return "a key at the beginning of the line";
        case ERR_DUPKEY:
                return "a key only once in a section";
        case ERR_LONGKEY:
                return "a key of less than 1024 bytes";
        case ERR_NOKEY:
                return "a key before the equals sign";
        default:
                return "key=value";
        }
}

/* One of the library's errors, which are to be had as text only: "Error (5) on line 4: ...". */
static int config_body_report(ConfigSection *section,
                              Buffer *body,
                              const char *text,
                              ConfigErrors *errors) {
        unsigned number;
        size_t length;
        char *line;
        int code, r;

        if (sscanf(text, "%*[^(](%d) on line %u", &code, &number) != 2 || number == 0)
                return EINVAL;
        line = config_body_line(body, number, &length);
        r = config_errors_add(errors,
                              (ConfigPlace){ section->file, section->line + number - 1, false },
                              "[%s]: expected %s, found '%.*s'",
                              section->name,
                              config_body_expected(code),
                              length < 100 ? (int) length : 100,
                              line);
        if (r < 0)
                return r;
        memset(line, '#', length);
        return 0;
}

/* One reading. 0 and *ret, 1 when there were errors, which are blanked now, or -ENOMEM. */
static int config_body_parse(ConfigSection *section,
                             Buffer *body,
                             struct ini_cfgobj **ret,
                             ConfigErrors *errors) {
        _cleanup_(config_ini_file_destroyp) struct ini_cfgfile *file = NULL;
        _cleanup_(config_ini_destroyp) struct ini_cfgobj *ini = NULL;
        _cleanup_(config_ini_errors_freep) char **texts = NULL;
        int r;

        r = ini_config_file_from_mem(body->data + body->start, (uint32_t) buffer_length(body), &file);
        if (r == 0)
                r = ini_config_create(&ini);
        if (r != 0)
                return config_body_code(r);
        r = ini_config_parse(file,
                             INI_STOP_ON_NONE,
                             INI_MV1S_ERROR | INI_MV2S_ERROR | INI_MS_ERROR,
                             INI_PARSE_NOWRAP | INI_PARSE_NOSPACE | INI_PARSE_NOTAB |
                                     INI_PARSE_NO_C_COMMENTS,
                             ini);
        if (r == 0) {
                *ret = TAKE_PTR(ini);
                return 0;
        }
        if (ini_config_error_count(ini) == 0)
                return config_body_code(r);
        r = ini_config_get_errors(ini, &texts);
        if (r != 0)
                return config_body_code(r);
        for (char **text = texts; *text; text++) {
                r = config_body_report(section, body, *text, errors);
                if (r != 0)
                        return r;
        }
        return EAGAIN;
}

static int config_body_take(ConfigSection *section, struct ini_cfgobj *ini, const char *key) {
        ConfigValue *value = &section->values[section->n_values];
        struct value_obj *object = NULL;
        const char *text = NULL;
        uint32_t line = 0;
        int r;

        r = ini_get_config_valueobj("section", key, ini, INI_GET_FIRST_VALUE, &object);
        if (r == 0 && object)
                r = value_get_concatenated(object, &text);
        if (r == 0 && object)
                r = value_get_line(object, &line);
        if (r != 0 || !text)
                return config_body_code(r != 0 ? r : EINVAL);

        *value = (ConfigValue){ .key = strdup(key), .text = strdup(text), .file = section->file };
        value->line = section->line + line - 1;
        section->n_values++;
        return value->key && value->text ? 0 : -ENOMEM;
}

static int config_body_take_all(ConfigSection *section, struct ini_cfgobj *ini) {
        _cleanup_(config_ini_keys_freep) char **keys = NULL;
        int n = 0, error = 0, r = 0;

        keys = ini_get_attribute_list(ini, "section", &n, &error);
        if (!keys)
                return config_body_code(error);
        section->values = calloc((size_t) n + 1, sizeof(*section->values));
        if (!section->values)
                return -ENOMEM;
        for (char **key = keys; r == 0 && *key; key++)
                r = config_body_take(section, ini, *key);
        return r;
}

int config_body_read(ConfigSection *section, Buffer *body, ConfigErrors *errors) {
        _cleanup_(config_ini_destroyp) struct ini_cfgobj *ini = NULL;
        int r;

        for (unsigned i = 0; i < CONFIG_BODY_ERRORS_MAX; i++) {
                r = config_body_parse(section, body, &ini, errors);
                if (r != EAGAIN)
                        break;
                section->broken = true;
        }
        if (r == 0)
                r = config_body_take_all(section, ini);
        if (r <= 0)
                return r;
        section->broken = true;
        return config_errors_add(errors,
                                 (ConfigPlace){ section->file, section->line, false },
                                 "[%s]: expected a section that can be read: %s",
                                 section->name,
                                 r == EAGAIN ? "too many errors" : strerror(r));
}
