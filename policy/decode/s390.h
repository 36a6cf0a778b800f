/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * An s390 CPU that went down, in words.
 */
#include <stddef.h>

#include "policy/decode/decoded.h"
#include "policy/decode/system-map.h"
#include "qapi-types.h"

void s390_decode(const GuestPanicInformationS390 *info, const SystemMap *map, Decoded *decoded);
/* "s390-disabled-wait-4511", "s390-disabled-wait-panic", "s390-pgmint-loop" */
void s390_write_signature(const GuestPanicInformationS390 *info,
                          const SystemMap *map,
                          char *ret,
                          size_t size);
