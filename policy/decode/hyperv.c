/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/hyperv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/decode/bugcheck.h"

/* Hypervisor Top Level Functional Specification, guest OS identity: bit 63 set marks an open source
 * system, bits 62 to 56 its type (1: Linux), bits 47 to 16 its version. */
#define HYPERV_GUEST_ID_VENDOR(id) ((id) >> 56)
#define HYPERV_GUEST_ID_LINUX 0x81

/* The message form hands over one page at most (Linux, drivers/hv/hv_common.c). */
#define HYPERV_PAGE_SIZE 4096

/* Linux, drivers/hv/hv_common.c: the notifier's value is 0 from the panic chain and DIE_OOPS from
 * the die chain (arch/x86/include/asm/kdebug.h, arch/arm64/include/asm/kdebug.h: 1). */
#define HYPERV_LINUX_PANIC 0
#define HYPERV_LINUX_OOPS 1

/* Linux, Documentation/arch/x86/x86_64/mm.rst: kernel text. It is moved at boot by a multiple of
 * 2 MiB (CONFIG_PHYSICAL_ALIGN), so that the bits below tell where in a kernel it was. */
#define HYPERV_X86_TEXT UINT64_C(0xffffffff80000000)
#define HYPERV_X86_MODULES UINT64_C(0xffffffffc0000000)
#define HYPERV_X86_TEXT_OFFSET UINT64_C(0x1fffff)

HypervReport hyperv_get_report(const GuestPanicInformationHyperV *info) {
        if (info->arg1 == 0 && info->arg2 == 0 && info->arg3 == 0 && info->arg4 != 0 &&
            info->arg4 % HYPERV_PAGE_SIZE == 0 && info->arg5 > 0 && info->arg5 <= HYPERV_PAGE_SIZE)
                return HYPERV_REPORT_MESSAGE;
        if (HYPERV_GUEST_ID_VENDOR(info->arg2) == HYPERV_GUEST_ID_LINUX)
                return HYPERV_REPORT_LINUX;
        return HYPERV_REPORT_WINDOWS;
}

bool hyperv_get_stop_code(const GuestPanicInformationHyperV *info, uint64_t *ret) {
        if (hyperv_get_report(info) != HYPERV_REPORT_WINDOWS)
                return false;
        *ret = info->arg1;
        return true;
}

HypervVersion hyperv_get_version(uint64_t guest_id) {
        return (HypervVersion){
                .major = (guest_id >> 32) & 0xffff,
                .minor = (guest_id >> 24) & 0xff,
                .patch = (guest_id >> 16) & 0xff,
        };
}

/* x86 puts RSP last, which is never 0; arm64 has nothing for that place. */
bool hyperv_is_arm64(const GuestPanicInformationHyperV *info) {
        return hyperv_get_report(info) == HYPERV_REPORT_LINUX && info->arg5 == 0;
}

static void hyperv_decode_message(const GuestPanicInformationHyperV *info, Decoded *decoded) {
        decoded_set_headline(decoded, "The guest left a message of %" PRIu64 " bytes", info->arg5);
        decoded_add_line(decoded, "its words lie in guest memory: the end of its kernel log");
        decoded_add_row(decoded, "P3", info->arg4, "guest physical address of the page");
        decoded_add_row(decoded, "P4", info->arg5, "bytes of text in it");
}

static void hyperv_decode_linux(const GuestPanicInformationHyperV *info,
                                const SystemMap *map,
                                Decoded *decoded) {
        SystemMapSymbol symbol;
        HypervVersion version = hyperv_get_version(info->arg2);
        bool arm64 = hyperv_is_arm64(info);

        decoded_set_headline(decoded,
                             "Linux stopped: kernel %u.%u.%u %s",
                             version.major,
                             version.minor,
                             version.patch,
                             info->arg1 == HYPERV_LINUX_PANIC  ? "panicked"
                             : info->arg1 == HYPERV_LINUX_OOPS ? "died of an oops"
                                                               : "died");
        decoded_add_row(decoded,
                        "err",
                        info->arg1,
                        "%s",
                        info->arg1 == HYPERV_LINUX_PANIC  ? "the panic notifier"
                        : info->arg1 == HYPERV_LINUX_OOPS ? "the die notifier: DIE_OOPS"
                                                          : "the die notifier");
        decoded_add_row(decoded,
                        "id",
                        info->arg2,
                        "guest id: Linux %u.%u.%u",
                        version.major,
                        version.minor,
                        version.patch);
        if (system_map_find(map, info->arg3, &symbol))
                decoded_add_row(decoded,
                                arm64 ? "PC" : "RIP",
                                info->arg3,
                                "instruction: %.80s+0x%" PRIx64,
                                symbol.name,
                                symbol.offset);
        else
                decoded_add_row(decoded, arm64 ? "PC" : "RIP", info->arg3, "instruction");
        decoded_add_row(decoded, arm64 ? "SP" : "RAX", info->arg4, arm64 ? "stack" : "register");
        if (!arm64)
                decoded_add_row(decoded, "RSP", info->arg5, "stack");
}

static void hyperv_decode_code(uint64_t code, Decoded *decoded) {
        const char *name = bugcheck_find_name(code);
        const Bugcheck *bugcheck = bugcheck_find(code);

        if (name)
                decoded_set_headline(decoded, "Windows stopped: %s (0x%" PRIx64 ")", name, code);
        else
                decoded_set_headline(decoded, "Windows stopped: unknown stop code 0x%" PRIx64, code);
        if (bugcheck && bugcheck->cause)
                decoded_add_line(decoded, "%s", bugcheck->cause);
}

static void hyperv_get_parameters(const GuestPanicInformationHyperV *info,
                                  uint64_t ret[static BUGCHECK_PARAMETERS]) {
        ret[0] = info->arg2;
        ret[1] = info->arg3;
        ret[2] = info->arg4;
        ret[3] = info->arg5;
}

/* What parameter i is: as the type has it, where that has words of its own, else as the code has it. */
static BugcheckParameter hyperv_find_parameter(const Bugcheck *bugcheck,
                                               const BugcheckType *type,
                                               size_t i) {
        bool has_own = type && (type->parameter[0] || type->parameter[1] || type->parameter[2]);
        BugcheckParameter own = {};

        if (!has_own || i + 1 == bugcheck->type)
                return bugcheck->parameter[i];
        own.text = type->parameter[i + 1 < bugcheck->type ? i : i - 1];
        if (own.text && strcmp(own.text, "status") == 0)
                own.words = ntstatus_words;
        return own;
}

static void hyperv_add_parameter(Decoded *decoded,
                                 const Bugcheck *bugcheck,
                                 const BugcheckType *type,
                                 size_t i,
                                 uint64_t value) {
        static const char *const names[BUGCHECK_PARAMETERS] = { "1", "2", "3", "4" };
        BugcheckParameter parameter;
        const char *word;

        if (!bugcheck) {
                decoded_add_row(decoded, names[i], value, "%s", "");
                return;
        }
        parameter = hyperv_find_parameter(bugcheck, type, i);
        word = bugcheck_find_word(parameter.words, value);
        decoded_add_row(decoded,
                        names[i],
                        value,
                        "%s%s%s",
                        parameter.text ? parameter.text : "reserved",
                        word ? ": " : "",
                        word ? word : "");
}

void hyperv_decode_stop_code(const GuestPanicInformationHyperV *info, size_t n, Decoded *decoded) {
        const Bugcheck *bugcheck = bugcheck_find(info->arg1);
        const BugcheckType *type = NULL;
        uint64_t parameters[BUGCHECK_PARAMETERS];

        hyperv_get_parameters(info, parameters);
        hyperv_decode_code(info->arg1, decoded);
        if (bugcheck && bugcheck->type > 0 && bugcheck->type <= n)
                type = bugcheck_find_type(info->arg1, parameters[bugcheck->type - 1]);
        if (type)
                decoded_add_line(decoded,
                                 "%s (parameter %u = 0x%" PRIx64 ")",
                                 type->cause,
                                 bugcheck->type,
                                 parameters[bugcheck->type - 1]);
        for (size_t i = 0; i < n && i < BUGCHECK_PARAMETERS; i++)
                hyperv_add_parameter(decoded, bugcheck, type, i, parameters[i]);
}

void hyperv_decode(const GuestPanicInformationHyperV *info, const SystemMap *map, Decoded *decoded) {
        switch (hyperv_get_report(info)) {
        case HYPERV_REPORT_WINDOWS:
                hyperv_decode_stop_code(info, BUGCHECK_PARAMETERS, decoded);
                return;
        case HYPERV_REPORT_LINUX:
                hyperv_decode_linux(info, map, decoded);
                return;
        case HYPERV_REPORT_MESSAGE:
                hyperv_decode_message(info, decoded);
                return;
        }
}

/* The part of RIP that is the same in every run of a kernel, moved or not; 0: there is none. */
static uint64_t hyperv_get_text_offset(const GuestPanicInformationHyperV *info) {
        if (hyperv_is_arm64(info) || info->arg3 < HYPERV_X86_TEXT || info->arg3 >= HYPERV_X86_MODULES)
                return 0;
        return info->arg3 & HYPERV_X86_TEXT_OFFSET;
}

static void hyperv_write_linux_signature(const GuestPanicInformationHyperV *info,
                                         char *ret,
                                         size_t size) {
        HypervVersion version = hyperv_get_version(info->arg2);
        uint64_t offset = hyperv_get_text_offset(info);
        char where[16] = "";

        if (offset > 0)
                (void) snprintf(where, sizeof(where), "-%" PRIx64, offset);
        (void) snprintf(ret,
                        size,
                        "linux-%u.%u.%u-%s%s",
                        version.major,
                        version.minor,
                        version.patch,
                        info->arg1 == HYPERV_LINUX_PANIC ? "panic" : "oops",
                        where);
}

void hyperv_write_signature(const GuestPanicInformationHyperV *info, char *ret, size_t size) {
        const Bugcheck *bugcheck = bugcheck_find(info->arg1);
        uint64_t parameters[BUGCHECK_PARAMETERS], class;

        switch (hyperv_get_report(info)) {
        case HYPERV_REPORT_MESSAGE:
                (void) snprintf(ret, size, "message");
                return;
        case HYPERV_REPORT_LINUX:
                hyperv_write_linux_signature(info, ret, size);
                return;
        case HYPERV_REPORT_WINDOWS:
                break;
        }
        hyperv_get_parameters(info, parameters);
        class = bugcheck && bugcheck->type > 0 ? parameters[bugcheck->type - 1] : UINT64_MAX;
        /* a sign-extended NTSTATUS; whatever else is longer than 32 bits is an address */
        if (bugcheck && bugcheck->type > 0 && class >> 32 == UINT32_MAX &&
            class & UINT64_C(0x80000000))
                class &= UINT32_MAX;
        if (class <= UINT32_MAX)
                (void) snprintf(ret, size, "%" PRIx64 "-%" PRIx64, info->arg1, class);
        else
                (void) snprintf(ret, size, "%" PRIx64, info->arg1);
}
