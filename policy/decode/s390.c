/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/s390.h"

#include <inttypes.h>
#include <stdio.h>

#include "policy/decode/s390-psw.h"
#include "policy/decode/s390-wait.h"
#include "policy/decode/system-map.h"

/* Linux moves itself at boot by a multiple of this at least (arch/s390/boot/kaslr.c: pages), so
 * that the bits below are the same in every run of a kernel. */
#define S390_TEXT_OFFSET UINT64_C(0xfff)

static const char *const s390_reasons[_S390_CRASH_REASON_MAX] = {
        [S390_CRASH_REASON_UNKNOWN] = "the guest is down; no reason was given",
        [S390_CRASH_REASON_DISABLED_WAIT] = "the guest stopped in a disabled wait",
        [S390_CRASH_REASON_EXTINT_LOOP] = "the guest takes external interrupts without end",
        [S390_CRASH_REASON_PGMINT_LOOP] = "the guest takes program interrupts without end",
        [S390_CRASH_REASON_OPINT_LOOP] = "the guest takes operation exceptions without end",
};

/* "panic+0x118 (0x10fdee)", or the bare address. */
static void s390_write_place(S390Psw psw, const SystemMap *map, char *ret, size_t size) {
        SystemMapSymbol symbol;

        if (system_map_find(map, psw.addr, &symbol))
                (void) snprintf(ret,
                                size,
                                "%.80s+0x%" PRIx64 " (0x%" PRIx64 ")",
                                symbol.name,
                                symbol.offset,
                                psw.addr);
        else
                (void) snprintf(ret, size, "0x%" PRIx64, psw.addr);
}

static void s390_decode_wait(S390Psw psw, const char *place, Decoded *decoded) {
        S390Wait wait = s390_wait_get(psw);

        switch (wait.kind) {
        case S390_WAIT_CODE:
                decoded_set_headline(decoded, "%s stopped: code 0x%" PRIx64, wait.who, psw.addr);
                decoded_add_line(decoded, "%s", wait.text);
                return;
        case S390_WAIT_ADDRESS:
                decoded_set_headline(decoded, "The guest stopped in a disabled wait at %s", place);
                decoded_add_line(decoded, "Linux stops like this, in panic() most often");
                return;
        case S390_WAIT_UNKNOWN:
                decoded_set_headline(decoded,
                                     "The guest stopped in a disabled wait, code 0x%" PRIx64,
                                     psw.addr);
                return;
        case S390_WAIT_ZOS:
                decoded_set_headline(decoded,
                                     "The guest stopped in a disabled wait, code 0x%03x",
                                     wait.code);
                decoded_add_line(decoded,
                                 "if it is z/OS: wait state %03X, reason 0x%x%s%s",
                                 wait.code,
                                 wait.reason,
                                 wait.text ? ": " : "",
                                 wait.text ? wait.text : "");
                return;
        }
}

void s390_decode(const GuestPanicInformationS390 *info, const SystemMap *map, Decoded *decoded) {
        S390Psw psw = { .mask = info->psw_mask, .addr = info->psw_addr };
        char words[DECODED_LINE_SIZE], place[DECODED_TEXT_SIZE];

        s390_write_place(psw, map, place, sizeof(place));
        if (s390_psw_is_quiesce(psw)) {
                decoded_set_headline(decoded, "The guest has shut down (quiesce), it did not crash");
                decoded_add_line(decoded, "a disabled wait with an address that ends in 0xfff");
        } else if (s390_psw_is_disabled_wait(psw))
                s390_decode_wait(psw, place, decoded);
        else
                decoded_set_headline(decoded,
                                     "%c%s at %s",
                                     s390_reasons[info->reason][0] - 'a' + 'A',
                                     s390_reasons[info->reason] + 1,
                                     place);

        decoded_add_line(decoded,
                         "CPU %" PRIu32 " (%s) at %s, %s, %s state",
                         info->core,
                         s390_crash_reason_to_string(info->reason),
                         place,
                         s390_psw_get_mode(psw),
                         psw.mask & S390_PSW_PROBLEM ? "problem" : "supervisor");
        s390_psw_write_interrupts(psw, words, sizeof(words));
        decoded_add_line(
                decoded, "PSW 0x%016" PRIx64 " 0x%016" PRIx64 "    %s", psw.mask, psw.addr, words);
        s390_psw_write_rest(psw, words, sizeof(words));
        decoded_add_line(decoded, "    %s", words);
        /* a CPU that waits takes no instruction: its address may be odd */
        if (!(psw.mask & S390_PSW_WAIT) && !s390_psw_is_valid(psw))
                decoded_add_line(decoded,
                                 "this PSW is not valid: loading it is an exception by itself");
}

void s390_write_signature(const GuestPanicInformationS390 *info,
                          const SystemMap *map,
                          char *ret,
                          size_t size) {
        S390Psw psw = { .mask = info->psw_mask, .addr = info->psw_addr };
        const char *reason = s390_crash_reason_to_string(info->reason);
        SystemMapSymbol symbol;

        if (s390_psw_is_quiesce(psw))
                (void) snprintf(ret, size, "s390-quiesce");
        else if (!s390_psw_is_disabled_wait(psw))
                (void) snprintf(ret, size, "s390-%s", reason);
        else if (system_map_find(map, psw.addr, &symbol))
                (void) snprintf(ret, size, "s390-%s-%.64s", reason, symbol.name);
        else if (s390_wait_get(psw).kind == S390_WAIT_ADDRESS)
                (void) snprintf(ret, size, "s390-%s-at-%03" PRIx64, reason, psw.addr & S390_TEXT_OFFSET);
        else
                (void) snprintf(ret, size, "s390-%s-%" PRIx64, reason, psw.addr);
}
