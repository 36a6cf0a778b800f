/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A key of the configuration as data: what it is called, what it may hold, its default, where the
 * value goes and one sentence about it. Loader, --check, `config show`, tocsin.conf(5) and
 * conf/tocsin.conf all come from such lines.
 *
 * Values are stored in a struct: the offsets say where. A key that is set twice replaces its value,
 * so the struct must own its strings and start out zeroed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/util/buffer.h"

/* Most words of one list. */
#define CONFIG_WORDS_MAX 256

typedef struct ConfigKey ConfigKey;

typedef struct ConfigType {
        const char *shown; /* the value as documentation shows it: "TIME", "yes|no" */
        /* Stores the value of `text` in `base`. 0, -EINVAL, -ERANGE (right in itself, but not between
         * min and max) or -ENOMEM; nothing is stored then. */
        int (*parse)(const ConfigKey *key, const char *text, void *base);
        /* Appends what is expected: "a time from 1s to 1h". 0 or as buffer_append(). */
        int (*expect)(const ConfigKey *key, Buffer *text);
        bool empty_allowed; /* `key=` is a value: an empty list */
        bool documented;    /* what is expected tells a reader more than `shown` does */
} ConfigType;

struct ConfigKey {
        const char *name;
        const ConfigType *type;
        const char *doc;
        const char *initial; /* the default, as text; NULL: not set */
        size_t offset;       /* of the value */
        size_t second;       /* of the time of a limit, of the end of a range */
        size_t set;          /* of a bool that says that there is a value; 0: none */
        size_t origin;       /* of a `char *` for where it was set; 0: none */
        unsigned base;       /* which of several structs a section is stored in */
        int argument;        /* the type's own */
        uint64_t min, max;   /* of a count, number, size or time, inclusive */
        /* The words of an enumeration: NULL behind the last, "" for one that may not be used. */
        const char *(*word)(const ConfigKey *key, unsigned value);
};

/* One section of the configuration: its name, what follows the name ("NAME" or "GLOB", else NULL), and
 * its keys. */
typedef struct ConfigSectionKeys {
        const char *name;
        const char *argument;
        const char *doc;
        const ConfigKey *keys;
        size_t n_keys;
} ConfigSectionKeys;

extern const ConfigType config_type_bool;     /* bool */
extern const ConfigType config_type_tristate; /* int: 0 or 1, and -1 when nobody set it */
extern const ConfigType config_type_count;    /* unsigned */
extern const ConfigType config_type_number;   /* uint64_t */
extern const ConfigType config_type_size;     /* uint64_t, bytes */
extern const ConfigType config_type_time;     /* uint64_t, microseconds */
extern const ConfigType config_type_limit;    /* unsigned, and uint64_t microseconds */
extern const ConfigType config_type_range;    /* uint64_t first, and uint64_t last */
extern const ConfigType config_type_word;     /* an enumeration, or int: by `word` */
extern const ConfigType config_type_words;    /* unsigned: bit N for word N; a list */
extern const ConfigType config_type_name;     /* char *: one word without space */
extern const ConfigType config_type_path;     /* char *: absolute, at most `max` bytes */
extern const ConfigType config_type_list;     /* char **: words, NULL-terminated */
extern const ConfigType config_type_paths;    /* char **: as above, each absolute */

/* Stores, marks `set`, and notes where that was. As ConfigType.parse. */
int config_key_set(const ConfigKey *key, const char *text, const char *origin, void *base);
int config_key_expect(const ConfigKey *key, Buffer *text);
/* The value that `word` stands for among the key's words. 0 or -EINVAL. */
int config_key_find_word(const ConfigKey *key, const char *word, unsigned *ret);
const ConfigKey *config_section_find(const ConfigSectionKeys *section, const char *name);

/* The words of a list, separated by white space or commas. 0, -ERANGE for more than
 * CONFIG_WORDS_MAX, -ENOMEM. */
int config_words_split(const char *text, char ***ret);
char **config_words_free(char **words);
DEFINE_CLEANUP(char **, config_words_free);
