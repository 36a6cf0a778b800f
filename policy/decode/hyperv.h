/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What the five Hyper-V crash registers hold: they carry a Windows stop code and its parameters, or
 * Linux's own use of them, or where a message lies.
 */
#include <stdbool.h>
#include <stdint.h>

#include "qapi-types.h"

typedef enum HypervReport {
        HYPERV_REPORT_WINDOWS, /* P0 a stop code, P1 to P4 its parameters */
        HYPERV_REPORT_LINUX,   /* P0 the notifier's value, P1 the guest id, then RIP, RAX, RSP */
        HYPERV_REPORT_MESSAGE, /* P3 the physical address of a text, P4 its length */
} HypervReport;

HypervReport hyperv_get_report(const GuestPanicInformationHyperV *info);
/* The Windows stop code; false when the registers carry none. */
bool hyperv_get_stop_code(const GuestPanicInformationHyperV *info, uint64_t *ret);
