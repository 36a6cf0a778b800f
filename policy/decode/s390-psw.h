/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The program status word (PSW) of z/Architecture: what its mask half says bit by bit, and, out of
 * raw PSWs, what a CPU did that it can't come back from.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qapi-types.h"

typedef struct S390Psw S390Psw;
typedef struct S390NewPsws S390NewPsws;

/* z/Architecture Principles of Operation, chapter 4, "Program-Status-Word Format". */
#define S390_PSW_PER UINT64_C(0x4000000000000000)
#define S390_PSW_DAT UINT64_C(0x0400000000000000)
#define S390_PSW_IO UINT64_C(0x0200000000000000)
#define S390_PSW_EXT UINT64_C(0x0100000000000000)
#define S390_PSW_KEY UINT64_C(0x00f0000000000000)
#define S390_PSW_SHORT UINT64_C(0x0008000000000000)
#define S390_PSW_MCHECK UINT64_C(0x0004000000000000)
#define S390_PSW_WAIT UINT64_C(0x0002000000000000)
#define S390_PSW_PROBLEM UINT64_C(0x0001000000000000)
#define S390_PSW_AS UINT64_C(0x0000c00000000000)
#define S390_PSW_CC UINT64_C(0x0000300000000000)
#define S390_PSW_PM UINT64_C(0x00000f0000000000)
#define S390_PSW_RI UINT64_C(0x0000008000000000)
#define S390_PSW_EA UINT64_C(0x0000000100000000)
#define S390_PSW_BA UINT64_C(0x0000000080000000)

#define S390_PSW_KEY_SHIFT 52
#define S390_PSW_AS_SHIFT 46
#define S390_PSW_CC_SHIFT 44
#define S390_PSW_PM_SHIFT 40

struct S390Psw {
        uint64_t mask, addr;
};

/* New PSWs of the lowcore: where interrupts would lead the CPU. */
struct S390NewPsws {
        S390Psw program;  /* at 0x1d0 */
        S390Psw external; /* at 0x1b0 */
};

/* Waits, and no interrupt can end that. */
bool s390_psw_is_disabled_wait(S390Psw psw);
/* A disabled wait that says "I have shut down": the address ends in 0xfff. */
bool s390_psw_is_quiesce(S390Psw psw);
/* False when loading it would raise a specification exception. */
bool s390_psw_is_valid(S390Psw psw);
/* "64-bit", "31-bit", "24-bit", or "invalid" */
const char *s390_psw_get_mode(S390Psw psw);

/*
 * Why a CPU with this PSW is down, as KVM and QEMU tell it; `new_psws` may be NULL. UNKNOWN: it may
 * well be up, or have quiesced (ask s390_psw_is_quiesce()).
 */
S390CrashReason s390_psw_get_reason(S390Psw psw, const S390NewPsws *new_psws);

/* The mask in words, what ends a wait first: "wait, I/O, external and machine-check interrupts off". */
void s390_psw_write_interrupts(S390Psw psw, char *ret, size_t size);
/* The rest of it: "DAT on (home space), key 0, CC 2, program mask 0x0". */
void s390_psw_write_rest(S390Psw psw, char *ret, size_t size);
