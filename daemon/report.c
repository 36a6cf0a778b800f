/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A line may carry what a guest or a peer said, so it is escaped whole: nobody shall write two
 * lines, or move a terminal's cursor, through our log. Writing to stderr may block on a reader that
 * does not read; under systemd that is the journal, which does.
 */
#include "daemon/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/escape.h"

static int report_level = LOG_INFO;

void report_set_level(int level) {
        report_level = level;
}

const char *report_escape(const char *text, char ret[static REPORT_LINE_MAX]) {
        _cleanup_free_ char *escaped = escape_string(text, strnlen(text, REPORT_LINE_MAX));
        size_t n;

        (void) snprintf(ret, REPORT_LINE_MAX, "%s", escaped ? escaped : "(out of memory)");
        n = strlen(ret);
        if (n == REPORT_LINE_MAX - 1) {
                /* not within a character */
                while (n > 0 && ((unsigned char) ret[n - 1] & 0xc0) == 0x80)
                        n--;
                ret[n > 0 ? n - 1 : 0] = '\0';
        }
        return ret;
}

bool report_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        uint64_t device, inode;
        struct stat st;

        return stream && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
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
        if (report_is_journal())
                (void) snprintf(prefix, sizeof(prefix), "<%d>", level);
        (void) report_escape(text, line);
        (void) fprintf(stderr,
                       "%s%s: %s%s%s\n",
                       prefix,
                       program_invocation_short_name,
                       subject ? subject : "",
                       subject ? ": " : "",
                       line);
}
