/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/util/config-key.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "policy/util/duration.h"
#include "policy/util/size.h"

static const char config_separators[] = " \t,";

static void *config_at(void *base, size_t offset) {
        return (char *) base + offset;
}

char **config_words_free(char **words) {
        for (char **word = words; word && *word; word++)
                free(*word);
        free(words);
        return NULL;
}

int config_words_split(const char *text, char ***ret) {
        _cleanup_(config_words_freep) char **words = NULL;
        size_t n_words = 0, n;

        words = calloc(CONFIG_WORDS_MAX + 1, sizeof(*words));
        if (!words)
                return -ENOMEM;
        for (;; text += n) {
                text += strspn(text, config_separators);
                n = strcspn(text, config_separators);
                if (n == 0)
                        break;
                if (n_words == CONFIG_WORDS_MAX)
                        return -ERANGE;
                words[n_words] = strndup(text, n);
                if (!words[n_words++])
                        return -ENOMEM;
        }
        /* mostly a word or two; shrinking can't fail in a way that matters */
        *ret = realloc(words, (n_words + 1) * sizeof(*words)) ?: words;
        words = NULL;
        return 0;
}

int config_key_find_word(const ConfigKey *key, const char *word, unsigned *ret) {
        const char *known;

        if (word[0] == '\0')
                return -EINVAL;
        for (unsigned i = 0; (known = key->word(key, i)); i++)
                if (strcmp(known, word) == 0) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}

static int config_append_words(const ConfigKey *key, Buffer *text) {
        const char *word, *between = "";
        int r;

        for (unsigned i = 0; (word = key->word(key, i)); i++) {
                if (word[0] == '\0')
                        continue;
                r = buffer_printf(text, "%s%s", between, word);
                if (r < 0)
                        return r;
                between = ", ";
        }
        return 0;
}

static int config_check_range(const ConfigKey *key, uint64_t value) {
        return value < key->min || value > key->max ? -ERANGE : 0;
}

static int config_store_string(char **field, const char *text) {
        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static int config_parse_yes_no(const char *text, bool *ret) {
        if (strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "on") == 0 ||
            strcmp(text, "1") == 0)
                *ret = true;
        else if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0 ||
                 strcmp(text, "off") == 0 || strcmp(text, "0") == 0)
                *ret = false;
        else
                return -EINVAL;
        return 0;
}

static int config_expect_yes_no(const ConfigKey *key, Buffer *text) {
        return buffer_append_string(text, "yes or no");
}

static int config_parse_bool(const ConfigKey *key, const char *text, void *base) {
        return config_parse_yes_no(text, config_at(base, key->offset));
}

const ConfigType config_type_bool = {
        .shown = "yes|no",
        .parse = config_parse_bool,
        .expect = config_expect_yes_no,
};

static int config_parse_tristate(const ConfigKey *key, const char *text, void *base) {
        bool yes;
        int r;

        r = config_parse_yes_no(text, &yes);
        if (r < 0)
                return r;
        *(int *) config_at(base, key->offset) = yes;
        return 0;
}

const ConfigType config_type_tristate = {
        .shown = "yes|no",
        .parse = config_parse_tristate,
        .expect = config_expect_yes_no,
};

static int config_parse_count(const ConfigKey *key, const char *text, void *base) {
        uint64_t value;
        int r;

        r = size_parse_number(text, &value);
        if (r < 0)
                return r;
        if (value > UINT_MAX || config_check_range(key, value) < 0)
                return -ERANGE;
        *(unsigned *) config_at(base, key->offset) = (unsigned) value;
        return 0;
}

static int config_expect_number(const ConfigKey *key, Buffer *text) {
        return buffer_printf(text, "a number from %" PRIu64 " to %" PRIu64, key->min, key->max);
}

const ConfigType config_type_count = {
        .shown = "NUMBER",
        .parse = config_parse_count,
        .expect = config_expect_number,
        .documented = true,
};

static int config_parse_number(const ConfigKey *key, const char *text, void *base) {
        uint64_t value;
        int r;

        r = size_parse_number(text, &value);
        if (r == 0)
                r = config_check_range(key, value);
        if (r < 0)
                return r;
        *(uint64_t *) config_at(base, key->offset) = value;
        return 0;
}

const ConfigType config_type_number = {
        .shown = "NUMBER",
        .parse = config_parse_number,
        .expect = config_expect_number,
        .documented = true,
};

static int config_parse_size(const ConfigKey *key, const char *text, void *base) {
        uint64_t value;
        int r;

        r = size_parse(text, &value);
        if (r == 0)
                r = config_check_range(key, value);
        if (r < 0)
                return r;
        *(uint64_t *) config_at(base, key->offset) = value;
        return 0;
}

static int config_expect_size(const ConfigKey *key, Buffer *text) {
        char min[SIZE_TEXT_SIZE], max[SIZE_TEXT_SIZE];

        return buffer_printf(text,
                             "a size from %s to %s (K, M, G, T)",
                             size_format(key->min, min),
                             size_format(key->max, max));
}

const ConfigType config_type_size = {
        .shown = "SIZE",
        .parse = config_parse_size,
        .expect = config_expect_size,
        .documented = true,
};

static int config_parse_time(const ConfigKey *key, const char *text, void *base) {
        uint64_t value;
        int r;

        r = duration_parse(text, &value);
        if (r == 0)
                r = config_check_range(key, value);
        if (r < 0)
                return r;
        *(uint64_t *) config_at(base, key->offset) = value;
        return 0;
}

static int config_expect_time(const ConfigKey *key, Buffer *text) {
        char min[DURATION_TEXT_SIZE], max[DURATION_TEXT_SIZE];

        return buffer_printf(text,
                             "a time from %s to %s",
                             duration_format(key->min, min),
                             duration_format(key->max, max));
}

const ConfigType config_type_time = {
        .shown = "TIME",
        .parse = config_parse_time,
        .expect = config_expect_time,
        .documented = true,
};

static int config_parse_limit(const ConfigKey *key, const char *text, void *base) {
        unsigned count;
        uint64_t us;
        int r;

        r = duration_parse_limit(text, &count, &us);
        if (r < 0)
                return r;
        if (count > key->max)
                return -ERANGE;
        *(unsigned *) config_at(base, key->offset) = count;
        *(uint64_t *) config_at(base, key->second) = us;
        return 0;
}

static int config_expect_limit(const ConfigKey *key, Buffer *text) {
        return buffer_printf(text, "N/TIME such as 3/10min, N from 1 to %" PRIu64, key->max);
}

const ConfigType config_type_limit = {
        .shown = "N/TIME",
        .parse = config_parse_limit,
        .expect = config_expect_limit,
};

static int config_parse_range(const ConfigKey *key, const char *text, void *base) {
        uint64_t first, last;
        int r;

        r = size_parse_range(text, &first, &last);
        if (r < 0)
                return r;
        *(uint64_t *) config_at(base, key->offset) = first;
        *(uint64_t *) config_at(base, key->second) = last;
        return 0;
}

static int config_expect_range(const ConfigKey *key, Buffer *text) {
        return buffer_append_string(text, "a number or a range such as 0x9f or 0x1-0x5");
}

const ConfigType config_type_range = {
        .shown = "NUMBER|FIRST-LAST",
        .parse = config_parse_range,
        .expect = config_expect_range,
};

static int config_parse_word(const ConfigKey *key, const char *text, void *base) {
        unsigned value;
        int r;

        r = config_key_find_word(key, text, &value);
        if (r < 0)
                return r;
        *(unsigned *) config_at(base, key->offset) = value;
        return 0;
}

static int config_expect_word(const ConfigKey *key, Buffer *text) {
        int r;

        r = buffer_append_string(text, "one of ");
        return r < 0 ? r : config_append_words(key, text);
}

const ConfigType config_type_word = {
        .shown = "WORD",
        .parse = config_parse_word,
        .expect = config_expect_word,
        .documented = true,
};

static int config_parse_words(const ConfigKey *key, const char *text, void *base) {
        _cleanup_(config_words_freep) char **words = NULL;
        unsigned set = 0, bit;
        int r;

        r = config_words_split(text, &words);
        if (r < 0)
                return r;
        for (char **word = words; *word; word++) {
                r = config_key_find_word(key, *word, &bit);
                if (r < 0)
                        return r;
                set |= 1U << bit;
        }
        *(unsigned *) config_at(base, key->offset) = set;
        return 0;
}

static int config_expect_words(const ConfigKey *key, Buffer *text) {
        int r;

        r = buffer_append_string(text, "a list of ");
        return r < 0 ? r : config_append_words(key, text);
}

const ConfigType config_type_words = {
        .shown = "WORD,...",
        .parse = config_parse_words,
        .expect = config_expect_words,
        .documented = true,
        .empty_allowed = true,
};

static int config_parse_name(const ConfigKey *key, const char *text, void *base) {
        if (text[0] == '\0' || strpbrk(text, config_separators))
                return -EINVAL;
        return config_store_string(config_at(base, key->offset), text);
}

static int config_expect_name(const ConfigKey *key, Buffer *text) {
        return buffer_append_string(text, "one word");
}

const ConfigType config_type_name = {
        .shown = "NAME",
        .parse = config_parse_name,
        .expect = config_expect_name,
};

/* Absolute, and plain: what is configured is what is opened, however it is joined. */
static int config_check_path(const ConfigKey *key, const char *path) {
        if (path[0] != '/' || strstr(path, "/../") || strstr(path, "//"))
                return -EINVAL;
        if (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0)
                return -EINVAL;
        return strlen(path) > key->max ? -ERANGE : 0;
}

static int config_parse_path(const ConfigKey *key, const char *text, void *base) {
        int r;

        r = config_check_path(key, text);
        return r < 0 ? r : config_store_string(config_at(base, key->offset), text);
}

static int config_expect_path(const ConfigKey *key, Buffer *text) {
        return buffer_printf(text,
                             "an absolute path without .. of at most %" PRIu64 " bytes",
                             key->max);
}

const ConfigType config_type_path = {
        .shown = "PATH",
        .parse = config_parse_path,
        .expect = config_expect_path,
};

static int config_parse_list(const ConfigKey *key, const char *text, void *base) {
        char ***field = config_at(base, key->offset), **words;
        int r;

        r = config_words_split(text, &words);
        if (r < 0)
                return r;
        config_words_free(*field);
        *field = words;
        return 0;
}

static int config_expect_list(const ConfigKey *key, Buffer *text) {
        return buffer_printf(text, "a list of at most %u words", CONFIG_WORDS_MAX);
}

const ConfigType config_type_list = {
        .shown = "NAME,...",
        .parse = config_parse_list,
        .expect = config_expect_list,
        .empty_allowed = true,
};

static int config_parse_paths(const ConfigKey *key, const char *text, void *base) {
        _cleanup_(config_words_freep) char **words = NULL;
        char ***field = config_at(base, key->offset);
        int r;

        r = config_words_split(text, &words);
        for (char **word = words; r == 0 && *word; word++)
                r = config_check_path(key, *word);
        if (r < 0)
                return r;
        config_words_free(*field);
        *field = TAKE_PTR(words);
        return 0;
}

static int config_expect_paths(const ConfigKey *key, Buffer *text) {
        return buffer_printf(text,
                             "a list of absolute paths without .. of at most %" PRIu64 " bytes",
                             key->max);
}

const ConfigType config_type_paths = {
        .shown = "PATH,...",
        .parse = config_parse_paths,
        .expect = config_expect_paths,
        .empty_allowed = true,
};

int config_key_set(const ConfigKey *key, const char *text, const char *origin, void *base) {
        int r;

        if (text[0] == '\0' && !key->type->empty_allowed)
                return -EINVAL;
        r = key->type->parse(key, text, base);
        if (r < 0)
                return r;
        if (key->set > 0)
                *(bool *) config_at(base, key->set) = true;
        if (key->origin > 0)
                return config_store_string(config_at(base, key->origin), origin);
        return 0;
}

int config_key_expect(const ConfigKey *key, Buffer *text) {
        return key->type->expect(key, text);
}

const ConfigKey *config_section_find(const ConfigSectionKeys *section, const char *name) {
        for (size_t i = 0; i < section->n_keys; i++)
                if (strcmp(section->keys[i].name, name) == 0)
                        return &section->keys[i];
        return NULL;
}
