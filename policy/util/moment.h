/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A moment on the two clocks tocsin lives by, in microseconds. `real_us` (CLOCK_REALTIME) is what
 * events and records show; it jumps. `boot_us` (CLOCK_BOOTTIME) is what every window, delay and
 * deadline is counted in; it starts again with each boot of the host.
 */
#include <stdint.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_INFINITY UINT64_MAX

typedef struct Moment {
        uint64_t real_us;
        uint64_t boot_us;
} Moment;
