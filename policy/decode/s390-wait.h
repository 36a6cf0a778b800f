/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What the address half of a disabled wait tells: boot loaders and z/OS put a code there, Linux the
 * place where it stopped. Who is speaking is not said; the addressing mode and the number tell.
 */
#include <stddef.h>

#include "policy/decode/s390-psw.h"

typedef enum S390WaitKind {
        S390_WAIT_CODE,    /* a code with a meaning we know */
        S390_WAIT_ADDRESS, /* an address in the code of a 64-bit system */
        S390_WAIT_UNKNOWN, /* too small for one, and not known as a code */
        S390_WAIT_ZOS,     /* the form of z/OS: a wait state code in the last 12 bits */
} S390WaitKind;

typedef struct S390Wait {
        S390WaitKind kind;
        const char *who, *text; /* of a code we know; text alone may be NULL for z/OS */
        unsigned code, reason;  /* z/OS */
} S390Wait;

/* Only for a PSW that is a disabled wait and no quiesce. */
S390Wait s390_wait_get(S390Psw psw);
