/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sources: Intel, "Guest-Host-Communication Interface for Intel TDX", TDG.VP.VMCALL<ReportFatalError>
 * (code 0: panic; the others are reserved). AMD, "SEV-ES Guest-Hypervisor Communication Block
 * Standardization", termination request (set 0), and Linux, arch/x86/include/asm/sev-common.h (set 1).
 */
#include "policy/decode/confidential.h"

#include <inttypes.h>
#include <stdio.h>

#define CONFIDENTIAL_SET_GENERAL 0
#define CONFIDENTIAL_SET_LINUX 1

static const char *const confidential_general[] = {
        "it asked to be terminated",
        "the version of the GHCB protocol is not supported",
        "a feature it needs (SEV-SNP) is not supported",
};

static const char *const confidential_linux[] = {
        "the address of the GHCB could not be registered",
        "a page could not change between private and shared",
        "a page could not be validated (PVALIDATE)",
        "it does not run at VMPL 0",
        "the CPUID page is not valid",
        "CPUID could not be asked of the hypervisor",
        "the page of secrets is not valid",
        "no SVSM is named in the page of secrets",
        "an SVSM is there, and has put it at VMPL 0",
        "the calling area of the SVSM is not aligned",
        "the secure TSC could not be set up",
        "the calling area of the SVSM could not be mapped",
        "the secure AVIC failed",
};

/* The message comes out of registers and may hold any byte. */
static void confidential_write_message(const char *message, char *ret, size_t size) {
        size_t n = 0;

        for (const char *p = message; *p && n + 5 < size; p++)
                if (*p >= 0x20 && *p < 0x7f)
                        ret[n++] = *p;
                else
                        n += (size_t) snprintf(ret + n, size - n, "\\x%02X", (unsigned char) *p);
        ret[n] = '\0';
}

void confidential_decode_tdx(const GuestPanicInformationTdx *info, Decoded *decoded) {
        char message[DECODED_TEXT_SIZE * 3 / 2];

        confidential_write_message(info->message ? info->message : "", message, sizeof(message));
        if (*message)
                decoded_set_headline(decoded, "The TDX guest gave up: %s", message);
        else
                decoded_set_headline(decoded,
                                     "The TDX guest gave up, error 0x%" PRIx32,
                                     info->error_code);
        decoded_add_row(decoded,
                        "error",
                        info->error_code,
                        "%s",
                        info->error_code == 0 ? "the guest panicked" : "");
        if (info->has_gpa)
                decoded_add_row(decoded,
                                "gpa",
                                info->gpa,
                                "guest physical address of a page that says more");
}

void confidential_decode_sev(const GuestPanicInformationSev *info, Decoded *decoded) {
        const char *set = NULL, *code = NULL;

        if (info->set == CONFIDENTIAL_SET_GENERAL) {
                set = "reasons of the GHCB specification";
                if (info->code < ELEMENTSOF(confidential_general))
                        code = confidential_general[info->code];
        } else if (info->set == CONFIDENTIAL_SET_LINUX) {
                set = "Linux's own reasons";
                if (info->code < ELEMENTSOF(confidential_linux))
                        code = confidential_linux[info->code];
        }
        decoded_set_headline(decoded,
                             "The SEV guest gave up: %s",
                             code ? code : "for a reason that is not known");
        decoded_add_row(decoded, "set", info->set, "%s", set ? set : "");
        decoded_add_row(decoded, "code", info->code, "%s", code ? code : "");
}
