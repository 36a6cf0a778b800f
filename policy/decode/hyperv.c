/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/hyperv.h"

/* Hypervisor Top Level Functional Specification, guest OS identity: bit 63 set marks an open source
 * system, bits 62 to 56 its type (1: Linux). */
#define HYPERV_GUEST_ID_VENDOR(id) ((id) >> 56)
#define HYPERV_GUEST_ID_LINUX 0x81

/* The message form hands over one page at most (Linux, drivers/hv/hv_common.c). */
#define HYPERV_PAGE_SIZE 4096

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
