/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "policy/util/moment.h"

#define TEXT_MINUTE 60u
#define TEXT_HOUR (60u * TEXT_MINUTE)
#define TEXT_DAY (24u * TEXT_HOUR)

void text_deinit(Text *text) {
        buffer_deinit(&text->buffer);
        text->error = 0;
}

void text_add(Text *text, const char *s) {
        if (text->error == 0)
                text->error = buffer_append_string(&text->buffer, s);
}

void text_printf(Text *text, const char *format, ...) {
        _cleanup_free_ char *s = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&s, format, ap);
        va_end(ap);
        if (r < 0) {
                s = NULL;
                if (text->error == 0)
                        text->error = -ENOMEM;
                return;
        }
        text_add(text, s);
}

int text_print(Text *text, FILE *file) {
        size_t n = buffer_length(&text->buffer);

        if (text->error < 0)
                return text->error;
        if (n > 0 && fwrite(buffer_content(&text->buffer), 1, n, file) != n)
                return -EIO;
        buffer_consume(&text->buffer, n);
        return fflush(file) == 0 ? 0 : -EIO;
}

char *text_take(Text *text) {
        char *s = text->error < 0 ? NULL : buffer_take_string(&text->buffer);

        text_deinit(text);
        return s;
}

/* Times of a year no calendar has are those of a broken record: the Epoch then. */
static struct tm text_break_down(uint64_t real_us) {
        time_t seconds = (time_t) (real_us / USEC_PER_SEC);
        struct tm tm = { .tm_year = 70, .tm_mday = 1 };

        (void) gmtime_r(&seconds, &tm);
        return tm;
}

void text_add_day(Text *text, uint64_t real_us) {
        struct tm tm = text_break_down(real_us);

        text_printf(text, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

void text_add_clock(Text *text, uint64_t real_us) {
        struct tm tm = text_break_down(real_us);

        text_printf(text,
                    "%02d:%02d:%02d.%03" PRIu64,
                    tm.tm_hour,
                    tm.tm_min,
                    tm.tm_sec,
                    real_us % USEC_PER_SEC / USEC_PER_MSEC);
}

void text_add_time(Text *text, uint64_t real_us) {
        text_add_day(text, real_us);
        text_add(text, " ");
        text_add_clock(text, real_us);
        text_add(text, " UTC");
}

static void text_add_units(Text *text,
                           uint64_t big,
                           const char *unit,
                           uint64_t small,
                           const char *small_unit) {
        text_printf(text, "%" PRIu64 " %s", big, unit);
        if (small > 0)
                text_printf(text, " %" PRIu64 " %s", small, small_unit);
}

void text_add_span(Text *text, uint64_t us) {
        uint64_t s = us / USEC_PER_SEC;

        if (us < USEC_PER_MSEC)
                text_printf(text, "%" PRIu64 " us", us);
        else if (us < USEC_PER_SEC)
                text_printf(text, "%" PRIu64 " ms", us / USEC_PER_MSEC);
        else if (s < TEXT_MINUTE)
                text_printf(text, "%" PRIu64 ".%02" PRIu64 " s", s, us % USEC_PER_SEC / 10000);
        else if (s < TEXT_HOUR)
                text_add_units(text, s / TEXT_MINUTE, "min", s % TEXT_MINUTE, "s");
        else if (s < TEXT_DAY)
                text_add_units(text, s / TEXT_HOUR, "h", s % TEXT_HOUR / TEXT_MINUTE, "min");
        else
                text_add_units(text, s / TEXT_DAY, "d", s % TEXT_DAY / TEXT_HOUR, "h");
}

void text_add_size(Text *text, uint64_t bytes) {
        static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        uint64_t scaled = bytes, rest = 0;
        size_t i = 0;

        if (bytes < 1024) {
                text_printf(text, "%" PRIu64 " B", bytes);
                return;
        }
        for (rest = scaled % 1024, scaled /= 1024; scaled >= 1024; i++) {
                rest = scaled % 1024;
                scaled /= 1024;
        }
        if (scaled < 10)
                text_printf(text, "%" PRIu64 ".%" PRIu64 " %s", scaled, rest * 10 / 1024, units[i]);
        else
                text_printf(text, "%" PRIu64 " %s", scaled, units[i]);
}
