/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is that two guests must not get one name by escaping or cutting: a backslash is
 * escaped itself, and a name that is cut carries a hash of all that was given. (Who finds two texts
 * of one hash has gained nothing: a name taken by a live run refuses the newcomer.)
 */
#include "policy/util/name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/util/cleanup.h"
#include "policy/util/glob.h"

#define NAME_ESCAPE_LENGTH 4 /* \xNN */
#define NAME_HASH_LENGTH 17  /* a colon and 64 bits in hexadecimal */

static const char name_hex[] = "0123456789abcdef";

static bool name_is_plain(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("_.:-", c));
}

static int name_hex_digit(char c) {
        const char *digit = c != '\0' ? strchr(name_hex, c) : NULL;

        return digit ? (int) (digit - name_hex) : -1;
}

/* The byte that `\xNN` stands for, or -1 when there is no such escape at s. */
static int name_escaped_byte(const char *s) {
        if (s[0] != '\\' || s[1] != 'x' || name_hex_digit(s[2]) < 0 || name_hex_digit(s[3]) < 0)
                return -1;
        return name_hex_digit(s[2]) << 4 | name_hex_digit(s[3]);
}

bool name_is_valid(const char *name) {
        size_t n = 0;

        if (name[0] == '\0' || name[0] == '.' || strcmp(name, NAME_HOST) == 0)
                return false;
        while (name[n] != '\0' && n <= NAME_LENGTH_MAX) {
                if (name_is_plain(name[n]))
                        n++;
                else if (name_escaped_byte(name + n) > 0)
                        n += NAME_ESCAPE_LENGTH;
                else
                        return false;
        }
        return n <= NAME_LENGTH_MAX;
}

/* FNV-1a: short, the same on every machine and in every version. */
static uint64_t name_hash(const char *s) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (; *s != '\0'; s++)
                hash = (hash ^ (unsigned char) *s) * UINT64_C(0x100000001b3);
        return hash;
}

static char *name_append_escaped(char *p, char c) {
        *p++ = '\\';
        *p++ = 'x';
        *p++ = name_hex[(unsigned char) c >> 4];
        *p++ = name_hex[(unsigned char) c & 15];
        return p;
}

int name_escape(const char *given, char **ret) {
        char name[NAME_LENGTH_MAX + NAME_ESCAPE_LENGTH + 1], *p = name, *cut = name, *copy;
        bool reserved = given[0] == '.' || strcmp(given, NAME_HOST) == 0;

        if (given[0] == '\0')
                return -EINVAL;
        for (const char *s = given; *s != '\0' && p <= name + NAME_LENGTH_MAX; s++) {
                if (name_is_plain(*s) && !(reserved && s == given))
                        *p++ = *s;
                else
                        p = name_append_escaped(p, *s);
                if (p <= name + NAME_LENGTH_MAX - NAME_HASH_LENGTH)
                        cut = p;
        }
        *p = '\0';
        if (p > name + NAME_LENGTH_MAX)
                (void) snprintf(cut, NAME_HASH_LENGTH + 1, ":%016" PRIx64, name_hash(given));

        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int name_escape_glob(const char *given, char **ret) {
        _cleanup_free_ char *glob = malloc(strlen(given) * NAME_ESCAPE_LENGTH + 1);
        char *p = glob;

        if (!glob)
                return -ENOMEM;
        for (; *given != '\0'; given++) {
                size_t set = *given == '[' ? glob_set_length(given) : 0;

                if (set > 0) {
                        p = mempcpy(p, given, set);
                        given += set - 1;
                } else if (name_is_plain(*given) || strchr("*?[\\", *given))
                        *p++ = *given;
                else
                        p = name_append_escaped(p, *given);
        }
        *p = '\0';
        *ret = TAKE_PTR(glob);
        return 0;
}

int name_unescape(const char *name, char **ret) {
        char *given = malloc(strlen(name) + 1), *p = given;
        int byte;

        if (!given)
                return -ENOMEM;
        while (*name != '\0') {
                byte = name_escaped_byte(name);
                if (byte > 0) {
                        *p++ = (char) byte;
                        name += NAME_ESCAPE_LENGTH;
                } else
                        *p++ = *name++;
        }
        *p = '\0';
        *ret = given;
        return 0;
}
