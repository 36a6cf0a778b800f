/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/s390-psw.h"

#include <stdio.h>
#include <string.h>

/* Quiesce: Linux (drivers/s390/char/sclp_quiesce.c) and others leave 0xfff; only these bits count. */
#define S390_PSW_QUIESCE 0xfff

/* Bits that must be zero (Principles of Operation, "Early Exception Recognition"). */
#define S390_PSW_UNASSIGNED UINT64_C(0xb808007e7fffffff)

#define S390_PSW_ADDR_24 UINT64_C(0xffffff)
#define S390_PSW_ADDR_31 UINT64_C(0x7fffffff)

/* An illegal instruction has at most six bytes; this far behind the new PSW's address the old one
 * may lie for the handler itself to be the illegal code. */
#define S390_PSW_HANDLER_LENGTH 6

bool s390_psw_is_disabled_wait(S390Psw psw) {
        return (psw.mask & S390_PSW_WAIT) &&
               !(psw.mask & (S390_PSW_IO | S390_PSW_EXT | S390_PSW_MCHECK));
}

bool s390_psw_is_quiesce(S390Psw psw) {
        return s390_psw_is_disabled_wait(psw) && (psw.addr & S390_PSW_QUIESCE) == S390_PSW_QUIESCE;
}

bool s390_psw_is_valid(S390Psw psw) {
        uint64_t mode = psw.mask & (S390_PSW_EA | S390_PSW_BA);

        if (psw.mask & S390_PSW_UNASSIGNED || mode == S390_PSW_EA || psw.addr & 1)
                return false;
        if (mode == 0)
                return psw.addr <= S390_PSW_ADDR_24;
        return mode != S390_PSW_BA || psw.addr <= S390_PSW_ADDR_31;
}

const char *s390_psw_get_mode(S390Psw psw) {
        if (psw.mask & S390_PSW_EA)
                return psw.mask & S390_PSW_BA ? "64-bit" : "invalid";
        return psw.mask & S390_PSW_BA ? "31-bit" : "24-bit";
}

/* The handler of illegal instructions is itself an illegal instruction (KVM, handle_operexc()). */
static bool s390_psw_is_opint_loop(S390Psw old, S390Psw new) {
        return old.addr >= new.addr &&old.addr - new.addr <= S390_PSW_HANDLER_LENGTH &&
               !(new.mask &S390_PSW_WAIT) && !(old.mask & S390_PSW_PROBLEM) &&
               (old.mask & S390_PSW_AS) == (new.mask &S390_PSW_AS) &&
               (old.mask & S390_PSW_DAT) == (new.mask &S390_PSW_DAT);
}

S390CrashReason s390_psw_get_reason(S390Psw psw, const S390NewPsws *new_psws) {
        if (s390_psw_is_quiesce(psw))
                return S390_CRASH_REASON_UNKNOWN;
        if (s390_psw_is_disabled_wait(psw))
                return S390_CRASH_REASON_DISABLED_WAIT;
        if (!new_psws)
                return S390_CRASH_REASON_UNKNOWN;
        /* a program interrupt that can't be taken comes first: it is what the CPU is doing now */
        if (!s390_psw_is_valid(new_psws->program))
                return S390_CRASH_REASON_PGMINT_LOOP;
        if (s390_psw_is_opint_loop(psw, new_psws->program))
                return S390_CRASH_REASON_OPINT_LOOP;
        if (new_psws->external.mask & S390_PSW_EXT)
                return S390_CRASH_REASON_EXTINT_LOOP;
        return S390_CRASH_REASON_UNKNOWN;
}

/* A list of words that is cut where the room ends. */
static void s390_psw_add(char *ret, size_t size, const char *word) {
        size_t n = strlen(ret);

        (void) snprintf(ret + n, size - n, "%s%s", n > 0 ? ", " : "", word);
}

static void s390_psw_add_interrupts(S390Psw psw, char *ret, size_t size) {
        static const struct {
                uint64_t bit;
                const char *name;
        } classes[] = {
                { S390_PSW_IO, "I/O" },
                { S390_PSW_EXT, "external" },
                { S390_PSW_MCHECK, "machine-check" },
        };

        for (int on = 1; on >= 0; on--) {
                size_t n_all = 0, n = 0;
                char words[64] = "";

                for (size_t i = 0; i < 3; i++)
                        n_all += !!(psw.mask & classes[i].bit) == on;
                for (size_t i = 0; i < 3; i++) {
                        size_t length = strlen(words);

                        if (!!(psw.mask & classes[i].bit) != on)
                                continue;
                        (void) snprintf(words + length,
                                        sizeof(words) - length,
                                        "%s%s",
                                        n == 0           ? ""
                                        : n == n_all - 1 ? " and "
                                                         : ", ",
                                        classes[i].name);
                        n++;
                }
                if (n == 0)
                        continue;
                (void) snprintf(words + strlen(words),
                                sizeof(words) - strlen(words),
                                " interrupts %s",
                                on ? "on" : "off");
                s390_psw_add(ret, size, words);
        }
}

void s390_psw_write_interrupts(S390Psw psw, char *ret, size_t size) {
        ret[0] = '\0';
        if (psw.mask & S390_PSW_WAIT)
                s390_psw_add(ret, size, "wait");
        s390_psw_add_interrupts(psw, ret, size);
}

void s390_psw_write_rest(S390Psw psw, char *ret, size_t size) {
        static const char *const spaces[] = { "primary", "access-register", "secondary", "home" };
        unsigned key = (psw.mask & S390_PSW_KEY) >> S390_PSW_KEY_SHIFT;
        unsigned space = (psw.mask & S390_PSW_AS) >> S390_PSW_AS_SHIFT;
        unsigned cc = (psw.mask & S390_PSW_CC) >> S390_PSW_CC_SHIFT;
        unsigned pm = (psw.mask & S390_PSW_PM) >> S390_PSW_PM_SHIFT;
        char words[48];

        ret[0] = '\0';
        if (psw.mask & S390_PSW_DAT)
                (void) snprintf(words, sizeof(words), "DAT on (%s space)", spaces[space]);
        else
                (void) snprintf(words, sizeof(words), "DAT off");
        s390_psw_add(ret, size, words);
        (void) snprintf(words, sizeof(words), "key %u, CC %u, program mask 0x%x", key, cc, pm);
        s390_psw_add(ret, size, words);
        if (psw.mask & S390_PSW_PER)
                s390_psw_add(ret, size, "PER on");
        if (psw.mask & S390_PSW_RI)
                s390_psw_add(ret, size, "runtime instrumentation on");
        if (psw.mask & S390_PSW_SHORT)
                s390_psw_add(ret, size, "short-PSW bit on");
}
