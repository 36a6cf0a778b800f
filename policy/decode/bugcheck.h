/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What is known of Windows stop codes (bug checks), as tables: names, what the four parameters
 * mean, and what single values of them mean. A value that stands in no table is not known.
 */
#include <stddef.h>
#include <stdint.h>

#include "policy/util/cleanup.h"

#define BUGCHECK_PARAMETERS 4

typedef struct BugcheckName BugcheckName;
typedef struct BugcheckWord BugcheckWord;
typedef struct BugcheckParameter BugcheckParameter;
typedef struct Bugcheck Bugcheck;
typedef struct BugcheckType BugcheckType;

struct BugcheckName {
        uint32_t code;
        const char *name;
};

/* A value and what it stands for; a NULL word ends a list. */
struct BugcheckWord {
        uint32_t value;
        const char *word;
};

struct BugcheckParameter {
        const char *text;          /* NULL: documented as unused or reserved */
        const BugcheckWord *words; /* of single values, or NULL */
};

struct Bugcheck {
        uint32_t code;
        unsigned type;     /* the parameter (1 to 4) that tells one cause from another; 0: none */
        const char *cause; /* what the code says by itself, where that adds to its name */
        BugcheckParameter parameter[BUGCHECK_PARAMETERS];
};

/* One value of the parameter Bugcheck.type names. */
struct BugcheckType {
        uint32_t code;
        uint32_t value;
        const char *cause;
        /* of the other parameters, in their order; all NULL: as Bugcheck has them */
        const char *parameter[BUGCHECK_PARAMETERS - 1];
};

/* All may return NULL: not known. */
const char *bugcheck_find_name(uint64_t code);
const Bugcheck *bugcheck_find(uint64_t code);
const BugcheckType *bugcheck_find_type(uint64_t code, uint64_t value);
/* The word of a value; a 32-bit value that was sign-extended to 64 bits is found too. */
const char *bugcheck_find_word(const BugcheckWord *words, uint64_t value);

/* NTSTATUS values: what exceptions and failed calls are told by. */
extern const BugcheckWord ntstatus_words[];
