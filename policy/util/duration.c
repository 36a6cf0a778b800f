/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Spans of time. The one difficulty is arithmetic: each term, its fraction and the sum may overflow,
 * and an overflow must be refused, never become a short delay.
 */
#include "policy/util/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "policy/util/cleanup.h"

#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
/* systemd.time(7): a month is 30.44 days, a year 365.25 */
#define USEC_PER_MONTH (UINT64_C(2629800) * USEC_PER_SEC)
#define USEC_PER_YEAR (UINT64_C(31557600) * USEC_PER_SEC)

typedef struct DurationUnit {
        const char *name;
        uint64_t us;
} DurationUnit;

static const DurationUnit duration_units[] = {
        { "us", 1 },
        { "usec", 1 },
        { "µs", 1 }, /* U+00B5 */
        { "μs", 1 }, /* U+03BC */
        { "ms", USEC_PER_MSEC },
        { "msec", USEC_PER_MSEC },
        { "s", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "seconds", USEC_PER_SEC },
        { "m", USEC_PER_MINUTE },
        { "min", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE },
        { "minutes", USEC_PER_MINUTE },
        { "h", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },
        { "hour", USEC_PER_HOUR },
        { "hours", USEC_PER_HOUR },
        { "d", USEC_PER_DAY },
        { "day", USEC_PER_DAY },
        { "days", USEC_PER_DAY },
        { "w", 7 * USEC_PER_DAY },
        { "week", 7 * USEC_PER_DAY },
        { "weeks", 7 * USEC_PER_DAY },
        { "M", USEC_PER_MONTH },
        { "month", USEC_PER_MONTH },
        { "months", USEC_PER_MONTH },
        { "y", USEC_PER_YEAR },
        { "year", USEC_PER_YEAR },
        { "years", USEC_PER_YEAR },
};

/* What duration_format() writes, the greatest first. Months and years are left out: they are not
 * what a reader takes them for. */
static const DurationUnit duration_written[] = {
        { "w", 7 * USEC_PER_DAY },
        { "d", USEC_PER_DAY },
        { "h", USEC_PER_HOUR },
        { "min", USEC_PER_MINUTE },
        { "s", USEC_PER_SEC },
        { "ms", USEC_PER_MSEC },
        { "us", 1 },
};

static bool duration_is_digit(char c) {
        return c >= '0' && c <= '9';
}

static const char *duration_skip_space(const char *s) {
        return s + strspn(s, " \t");
}

/* The unit at *s, or seconds when there is none; NULL when there is another word. */
static const DurationUnit *duration_find_unit(const char **s) {
        static const DurationUnit seconds = { "s", USEC_PER_SEC };
        size_t n = strcspn(*s, " \t0123456789.");

        if (n == 0)
                return &seconds;
        for (size_t i = 0; i < ELEMENTSOF(duration_units); i++) {
                if (strlen(duration_units[i].name) != n || strncmp(*s, duration_units[i].name, n) != 0)
                        continue;
                *s += n;
                return &duration_units[i];
        }
        return NULL;
}

/* One number with its unit, at *s. */
static int duration_parse_term(const char **s, uint64_t *ret_us) {
        const char *p = *s, *fraction = NULL;
        const DurationUnit *unit;
        uint64_t whole = 0, us;
        bool overflow = false;

        if (!duration_is_digit(*p))
                return -EINVAL;
        for (; duration_is_digit(*p); p++)
                overflow |= __builtin_mul_overflow(whole, 10, &whole) ||
                            __builtin_add_overflow(whole, (uint64_t) (*p - '0'), &whole);
        if (*p == '.') {
                fraction = ++p;
                if (!duration_is_digit(*p))
                        return -EINVAL;
                p += strspn(p, "0123456789");
        }
        p = duration_skip_space(p);
        unit = duration_find_unit(&p);
        if (!unit)
                return -EINVAL;
        if (overflow || __builtin_mul_overflow(whole, unit->us, &us))
                return -ERANGE;
        if (fraction)
                for (uint64_t step = unit->us / 10; duration_is_digit(*fraction);
                     fraction++, step /= 10)
                        if (__builtin_add_overflow(us, (uint64_t) (*fraction - '0') * step, &us))
                                return -ERANGE;

        *s = p;
        *ret_us = us;
        return 0;
}

int duration_parse(const char *s, uint64_t *ret_us) {
        uint64_t sum = 0, us;
        int r;

        s = duration_skip_space(s);
        if (strncmp(s, "infinity", strlen("infinity")) == 0) {
                if (*duration_skip_space(s + strlen("infinity")) != '\0')
                        return -EINVAL;
                *ret_us = USEC_INFINITY;
                return 0;
        }

        do {
                r = duration_parse_term(&s, &us);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, us, &sum) || sum == USEC_INFINITY)
                        return -ERANGE;
                s = duration_skip_space(s);
        } while (*s != '\0');

        *ret_us = sum;
        return 0;
}

int duration_parse_limit(const char *s, unsigned *ret_count, uint64_t *ret_us) {
        uint64_t count = 0, us;
        int r;

        if (!duration_is_digit(*s))
                return -EINVAL;
        for (; duration_is_digit(*s); s++)
                if (count <= UINT_MAX) /* stays above once it is there, and can't overflow */
                        count = count * 10 + (uint64_t) (*s - '0');
        if (*s != '/')
                return -EINVAL;
        r = duration_parse(s + 1, &us);
        if (r < 0)
                return r;
        if (count == 0 || count > UINT_MAX || us == 0 || us == USEC_INFINITY)
                return -ERANGE;

        *ret_count = (unsigned) count;
        *ret_us = us;
        return 0;
}

const char *duration_format(uint64_t us, char text[static DURATION_TEXT_SIZE]) {
        size_t n = 0;

        if (us == USEC_INFINITY)
                return strcpy(text, "infinity");
        if (us == 0)
                return strcpy(text, "0s");
        for (size_t i = 0; i < ELEMENTSOF(duration_written); i++) {
                uint64_t count = us / duration_written[i].us;

                us %= duration_written[i].us;
                if (count > 0)
                        n += (size_t) snprintf(text + n,
                                               DURATION_TEXT_SIZE - n,
                                               "%s%" PRIu64 "%s",
                                               n > 0 ? " " : "",
                                               count,
                                               duration_written[i].name);
        }
        return text;
}
