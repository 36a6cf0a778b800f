/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What the five Hyper-V crash registers hold: they carry a Windows stop code and its parameters, or
 * Linux's own use of them, or where a message lies. Nothing says which: it is told by the values.
 */
#include <stdbool.h>
#include <stdint.h>

#include "policy/decode/decoded.h"
#include "policy/decode/system-map.h"
#include "qapi-types.h"

typedef enum HypervReport {
        HYPERV_REPORT_WINDOWS, /* P0 a stop code, P1 to P4 its parameters */
        HYPERV_REPORT_LINUX,   /* P0 the notifier's value, P1 the guest id, then registers */
        HYPERV_REPORT_MESSAGE, /* P3 the physical address of a text, P4 its length */
} HypervReport;

/* The kernel version of a Linux guest id. */
typedef struct HypervVersion {
        unsigned major, minor, patch;
} HypervVersion;

HypervReport hyperv_get_report(const GuestPanicInformationHyperV *info);
/* The Windows stop code; false when the registers carry none. */
bool hyperv_get_stop_code(const GuestPanicInformationHyperV *info, uint64_t *ret);
HypervVersion hyperv_get_version(uint64_t guest_id);
/* True when a Linux report has the arm64 form: the program counter and the stack pointer only. */
bool hyperv_is_arm64(const GuestPanicInformationHyperV *info);

/* `map`, of a Linux that does not move itself at boot, may be NULL. */
void hyperv_decode(const GuestPanicInformationHyperV *info, const SystemMap *map, Decoded *decoded);
/* A stop code of which only the first n parameters are known. */
void hyperv_decode_stop_code(const GuestPanicInformationHyperV *info, size_t n, Decoded *decoded);
/* "9f-3", "7e-c0000005", "linux-6.1.90-oops-67e", "message" */
void hyperv_write_signature(const GuestPanicInformationHyperV *info, char *ret, size_t size);
