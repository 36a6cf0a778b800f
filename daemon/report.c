/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A line may carry what a guest or a peer said, so it is escaped whole: nobody shall write two
 * lines, or move a terminal's cursor, through our log. Writing to stderr may block on a reader that
 * does not read; under systemd that is the journal, which does.
 */
#include "daemon/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int report_level = LOG_INFO;

void report_set_level(int level) {
        report_level = level;
}

const char *report_escape(const char *text, char ret[static REPORT_LINE_MAX]) {
        size_t n = 0;

        for (const unsigned char *p = (const unsigned char *) text; *p && n + 5 < REPORT_LINE_MAX;
             p++) {
                if (*p >= 0x20 && *p < 0x7f)
                        ret[n++] = (char) *p;
                else
                        n += (size_t) snprintf(ret + n, REPORT_LINE_MAX - n, "\\x%02x", *p);
        }
        ret[n] = '\0';
        return ret;
}

void report(int level, const char *subject, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        char line[REPORT_LINE_MAX], prefix[8] = "";
        va_list ap;
        int r;

        if (level > report_level)
                return;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return;
        }
        /* systemd sets it for services whose stderr is the journal's socket */
        if (getenv("JOURNAL_STREAM"))
                (void) snprintf(prefix, sizeof(prefix), "<%d>", level);
        (void) report_escape(text, line);
        if (subject)
                (void) fprintf(stderr, "%stocsind: %s: %s\n", prefix, subject, line);
        else
                (void) fprintf(stderr, "%stocsind: %s\n", prefix, line);
}
