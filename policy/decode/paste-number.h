/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Numbers among words. A number is a whole run of letters and digits ("arg1" is none); a backquote
 * within it, as the Windows debugger sets it, does not count.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PASTE_NUMBERS_MAX 5

typedef enum PasteNumberForm {
        PASTE_NUMBER_PREFIXED, /* hexadecimal with 0x, else decimal */
        PASTE_NUMBER_HEX,      /* hexadecimal, with or without 0x */
} PasteNumberForm;

typedef struct PasteNumbers {
        uint64_t value[PASTE_NUMBERS_MAX];
        size_t n;
        bool is_words; /* all are exactly eight hexadecimal digits without 0x: halves of something */
} PasteNumbers;

/* Reads up to n numbers and skips what is none; *p is where it stopped. Returns how many. */
size_t paste_number_find(const char **p, const char *end, PasteNumberForm form, uint64_t *ret, size_t n);
/* True when the text is one to five numbers and nothing else but punctuation and the words people
 * put before them. One form for all: any that is clearly hexadecimal makes those without 0x so. */
bool paste_number_parse_all(const char *text, const char *end, PasteNumbers *ret);
