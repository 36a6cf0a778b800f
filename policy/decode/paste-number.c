/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/paste-number.h"

#include <string.h>
#include <strings.h>

#include "policy/util/cleanup.h"

/* 64 bits in hexadecimal, 0x and two backquotes; decimal is shorter than 2^64 has places. */
#define PASTE_NUMBER_LENGTH 20
#define PASTE_WORD_DIGITS 8
#define PASTE_HALF_DIGITS 16

static bool paste_number_is_digit(char c) {
        return c >= '0' && c <= '9';
}

static int paste_number_get_hex(char c) {
        if (paste_number_is_digit(c))
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool paste_number_is_run(char c) {
        return paste_number_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_' || c == '`' || (unsigned char) c >= 0x80;
}

/* The next run of letters and digits, without its backquotes; cut when it is too long for a number.
 * False at the end. */
static bool paste_number_next(const char **p,
                              const char *end,
                              char ret[static PASTE_NUMBER_LENGTH + 2]) {
        size_t n = 0;

        while (*p < end && !paste_number_is_run(**p))
                (*p)++;
        if (*p == end)
                return false;
        for (; *p < end && paste_number_is_run(**p); (*p)++)
                if (**p != '`' && n <= PASTE_NUMBER_LENGTH)
                        ret[n++] = **p;
        ret[n] = '\0';
        return true;
}

static bool paste_number_is_prefixed(const char *run) {
        return run[0] == '0' && (run[1] == 'x' || run[1] == 'X');
}

static bool paste_number_parse_hex(const char *digits, uint64_t *ret) {
        uint64_t value = 0;
        size_t n = strlen(digits);

        if (n == 0 || n > PASTE_HALF_DIGITS)
                return false;
        for (; *digits; digits++) {
                int digit = paste_number_get_hex(*digits);

                if (digit < 0)
                        return false;
                value = value << 4 | (uint64_t) digit;
        }
        *ret = value;
        return true;
}

static bool paste_number_parse_decimal(const char *digits, uint64_t *ret) {
        uint64_t value = 0;

        if (!*digits)
                return false;
        for (; *digits; digits++)
                if (!paste_number_is_digit(*digits) || __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t) (*digits - '0'), &value))
                        return false;
        *ret = value;
        return true;
}

static bool paste_number_parse(const char *run, PasteNumberForm form, uint64_t *ret) {
        if (paste_number_is_prefixed(run))
                return paste_number_parse_hex(run + 2, ret);
        return form == PASTE_NUMBER_HEX ? paste_number_parse_hex(run, ret)
                                        : paste_number_parse_decimal(run, ret);
}

size_t paste_number_find(const char **p, const char *end, PasteNumberForm form, uint64_t *ret, size_t n) {
        char run[PASTE_NUMBER_LENGTH + 2];
        size_t found = 0;

        while (found < n && paste_number_next(p, end, run))
                if (paste_number_parse(run, form, &ret[found]))
                        found++;
        return found;
}

static bool paste_number_is_label(const char *run) {
        static const char *const labels[] = { "psw",  "mask", "addr", "stop", "code", "bugcheck",
                                              "arg1", "arg2", "arg3", "arg4", "arg5" };

        for (size_t i = 0; i < ELEMENTSOF(labels); i++)
                if (strcasecmp(labels[i], run) == 0)
                        return true;
        return false;
}

/* Without 0x: letters, leading zeros and the full length of a register are signs of hexadecimal. */
static bool paste_number_looks_hex(const char *run) {
        uint64_t value;
        size_t n = strlen(run);

        return paste_number_parse_hex(run, &value) &&
               (n == PASTE_HALF_DIGITS || (n > 1 && run[0] == '0') || strpbrk(run, "abcdefABCDEF"));
}

bool paste_number_parse_all(const char *text, const char *end, PasteNumbers *ret) {
        char run[PASTE_NUMBER_LENGTH + 2];
        PasteNumberForm form = PASTE_NUMBER_PREFIXED;
        PasteNumbers numbers = { .is_words = true };

        for (const char *p = text; paste_number_next(&p, end, run);)
                if (!paste_number_is_prefixed(run) && paste_number_looks_hex(run))
                        form = PASTE_NUMBER_HEX;
        for (const char *p = text; paste_number_next(&p, end, run);) {
                if (paste_number_is_label(run))
                        continue;
                if (numbers.n == PASTE_NUMBERS_MAX ||
                    !paste_number_parse(run, form, &numbers.value[numbers.n]))
                        return false;
                numbers.n++;
                if (paste_number_is_prefixed(run) || strlen(run) != PASTE_WORD_DIGITS)
                        numbers.is_words = false;
        }
        if (numbers.n == 0)
                return false;
        *ret = numbers;
        ret->is_words = numbers.is_words && form == PASTE_NUMBER_HEX;
        return true;
}
