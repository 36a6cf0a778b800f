/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/decode.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "policy/decode/confidential.h"
#include "policy/decode/hyperv.h"
#include "policy/decode/s390.h"

void decode_panic(const GuestPanicInformation *info, const SystemMap *map, Decoded *ret) {
        memset(ret, 0, sizeof(*ret));
        switch (info->type) {
        case GUEST_PANIC_INFORMATION_TYPE_HYPER_V:
                hyperv_decode(&info->u.hyper_v, map, ret);
                return;
        case GUEST_PANIC_INFORMATION_TYPE_S390:
                s390_decode(&info->u.s390, map, ret);
                return;
        case GUEST_PANIC_INFORMATION_TYPE_TDX:
                confidential_decode_tdx(&info->u.tdx, ret);
                return;
        case GUEST_PANIC_INFORMATION_TYPE_SEV:
                confidential_decode_sev(&info->u.sev, ret);
                return;
        case _GUEST_PANIC_INFORMATION_TYPE_MAX:
                return;
        }
}

int decode_add_headline(Buffer *out, const GuestPanicInformation *info) {
        Decoded decoded;

        decode_panic(info, NULL, &decoded);
        return buffer_append_string(out, decoded.headline);
}

const char *decode_get_cause(const IncidentInfo *incident, char ret[static DECODE_CAUSE_SIZE]) {
        const GuestPanicInformation *info = incident->info;
        uint64_t code;

        if (!info)
                return NULL;
        if (info->type == GUEST_PANIC_INFORMATION_TYPE_S390)
                return s390_crash_reason_to_string(info->u.s390.reason);
        if (info->type != GUEST_PANIC_INFORMATION_TYPE_HYPER_V ||
            !hyperv_get_stop_code(&info->u.hyper_v, &code))
                return NULL;
        (void) snprintf(ret, DECODE_CAUSE_SIZE, "%" PRIx64, code);
        return ret;
}

/* What differs from crash to crash: numbers as they are printed, with or without 0x, and with the
 * 0x-less hexadecimal of eight digits and more. Returns how many characters p begins with. */
static size_t decode_get_number_length(const char *p) {
        size_t n = 0;
        bool digits = true;

        if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
                return 2 + strspn(p + 2, "0123456789abcdefABCDEF");
        for (; isxdigit((unsigned char) p[n]); n++)
                digits = digits && isdigit((unsigned char) p[n]);
        if (isalnum((unsigned char) p[n]) || p[n] == '_')
                return 0;
        return digits || n >= 8 ? n : 0;
}

/* A headline as one word: small letters, '-' for all between, no numbers. */
static void decode_write_slug(const char *headline, char *ret, size_t size) {
        static const char prefix[] = "Kernel panic - not syncing: ";
        const char *p = strstr(headline, prefix);
        size_t n = 0;
        bool gap = false, inside = false;

        for (p = p ? p + strlen(prefix) : headline; *p && n + 2 < size;) {
                size_t number = inside ? 0 : decode_get_number_length(p);
                bool is_word = isalnum((unsigned char) *p) || *p == '_';

                if (number > 0 || !is_word) {
                        gap = n > 0;
                        inside = false;
                        p += number > 0 ? number : 1;
                        continue;
                }
                if (gap)
                        ret[n++] = '-';
                gap = false;
                inside = true;
                ret[n++] = (char) tolower((unsigned char) *p++);
        }
        ret[n] = '\0';
}

const char *decode_get_panic_signature(const GuestPanicInformation *info,
                                       const char *headline,
                                       const SystemMap *map,
                                       char ret[static DECODE_SIGNATURE_SIZE]) {
        char slug[DECODE_SIGNATURE_SIZE - sizeof("panic-")] = "";
        uint64_t code;

        if (headline)
                decode_write_slug(headline, slug, sizeof(slug));
        /* A stop code says more than any text; of Linux the words say more than the registers. */
        if (*slug && !(info && info->type == GUEST_PANIC_INFORMATION_TYPE_HYPER_V &&
                       hyperv_get_stop_code(&info->u.hyper_v, &code))) {
                (void) snprintf(ret, DECODE_SIGNATURE_SIZE, "panic-%s", slug);
                return ret;
        }
        if (!info) {
                (void) snprintf(ret, DECODE_SIGNATURE_SIZE, "panic");
                return ret;
        }
        switch (info->type) {
        case GUEST_PANIC_INFORMATION_TYPE_HYPER_V:
                hyperv_write_signature(&info->u.hyper_v, ret, DECODE_SIGNATURE_SIZE);
                return ret;
        case GUEST_PANIC_INFORMATION_TYPE_S390:
                s390_write_signature(&info->u.s390, map, ret, DECODE_SIGNATURE_SIZE);
                return ret;
        case GUEST_PANIC_INFORMATION_TYPE_TDX:
                (void) snprintf(ret, DECODE_SIGNATURE_SIZE, "tdx-%" PRIx32, info->u.tdx.error_code);
                return ret;
        case GUEST_PANIC_INFORMATION_TYPE_SEV:
                (void) snprintf(ret,
                                DECODE_SIGNATURE_SIZE,
                                "sev-%" PRIx32 "-%" PRIx32,
                                info->u.sev.set,
                                info->u.sev.code);
                return ret;
        case _GUEST_PANIC_INFORMATION_TYPE_MAX:
                break;
        }
        ret[0] = '\0';
        return ret;
}

const char *decode_get_signature(const IncidentInfo *incident,
                                 const char *headline,
                                 const SystemMap *map,
                                 char ret[static DECODE_SIGNATURE_SIZE]) {
        const char *kind = incident_kind_to_string(incident->kind), *class = NULL;

        switch (incident->kind) {
        case INCIDENT_KIND_PANIC:
        case INCIDENT_KIND_CRASHLOADED:
                return decode_get_panic_signature(incident->info, headline, map, ret);
        case INCIDENT_KIND_MEMORY_FAILURE:
                if (incident->has_recipient)
                        class = memory_failure_recipient_to_string(incident->recipient);
                break;
        case INCIDENT_KIND_STOPPED:
                if (incident->has_state)
                        class = run_state_to_string(incident->state);
                break;
        case INCIDENT_KIND_WATCHDOG:
        case INCIDENT_KIND_CORRECTED:
        case INCIDENT_KIND_UNRESPONSIVE:
        case INCIDENT_KIND_NOTIFY_VMEXIT:
        case _INCIDENT_KIND_MAX:
                break;
        }
        (void) snprintf(
                ret, DECODE_SIGNATURE_SIZE, "%s%s%s", kind, class ? "-" : "", class ? class : "");
        return ret;
}
