/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Panic information of any type into words, and into a signature by which equal crashes are found.
 */
#include <stddef.h>

#include "policy/decode/decoded.h"
#include "policy/decode/system-map.h"
#include "policy/util/buffer.h"
#include "qapi-types.h"

/* Room for every signature, NUL included: the longest has a symbol, or a panic's headline, cut. */
#define DECODE_SIGNATURE_SIZE 96

/* `map` is that of the guest's kernel, or NULL. *ret is filled whatever the information is. */
void decode_panic(const GuestPanicInformation *info, const SystemMap *map, Decoded *ret);
/* The headline alone, without the addresses that differ from crash to crash. 0 or -ENOMEM. */
int decode_add_headline(Buffer *out, const GuestPanicInformation *info);

/* Room for every cause, NUL included: the longest is an s390 reason. */
#define DECODE_CAUSE_SIZE 24

/* The stop code of Windows in hexadecimal ("9f"), the reason of an s390 guest ("disabled-wait"), or
 * NULL: it left neither. In `ret`, or a literal. */
const char *decode_get_cause(const IncidentInfo *incident, char ret[static DECODE_CAUSE_SIZE]);

/*
 * What an incident has in common with others of the same cause: "9f-3", "7e-c0000005",
 * "s390-disabled-wait-4511", "panic-sysrq-triggered-crash", "watchdog". `headline` is the line a
 * kernel printed as it panicked ("Kernel panic - not syncing: ..."), or NULL. Returns `ret`.
 */
const char *decode_get_signature(const IncidentInfo *incident,
                                 const char *headline,
                                 const SystemMap *map,
                                 char ret[static DECODE_SIGNATURE_SIZE]);
const char *decode_get_panic_signature(const GuestPanicInformation *info,
                                       const char *headline,
                                       const SystemMap *map,
                                       char ret[static DECODE_SIGNATURE_SIZE]);
