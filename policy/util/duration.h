/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Spans of time as systemd.time(7) spells them: "5min", "1h 30min", "1.5h", "200ms", "infinity"; a
 * number without a unit is seconds. And limits, "3/10min": so many within so long.
 */
#include <stddef.h>
#include <stdint.h>

#include "policy/util/moment.h"

/* Room for the longest text of duration_format(), NUL included. */
#define DURATION_TEXT_SIZE 64

/* In microseconds; USEC_INFINITY for "infinity". 0, -EINVAL when it is no span of time, -ERANGE when
 * it does not fit 64 bits. */
int duration_parse(const char *s, uint64_t *ret_us);
/* "COUNT/TIME", both finite and not zero. 0, -EINVAL or -ERANGE. */
int duration_parse_limit(const char *s, unsigned *ret_count, uint64_t *ret_us);
/* The shortest text that duration_parse() reads back as the same span. Returns `text`. */
const char *duration_format(uint64_t us, char text[static DURATION_TEXT_SIZE]);
