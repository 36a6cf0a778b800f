/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line of the log, as whoever has our stderr reads it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/report.h"
#include "tests/unit/harness.h"

/* With our stderr in a file; `journal`: which is said to be the journal's. */
static void test_read(char line[static 2 * REPORT_LINE_MAX], bool journal, const char *text) {
        int fd = memfd_create("stderr", MFD_CLOEXEC), old = dup(STDERR_FILENO);
        char stream[64];
        struct stat st;
        ssize_t n;

        CU_ASSERT_FATAL(fd >= 0 && old >= 0 && fstat(fd, &st) == 0);
        (void) snprintf(stream,
                        sizeof(stream),
                        "%llu:%llu",
                        (unsigned long long) st.st_dev,
                        (unsigned long long) st.st_ino + !journal);
        CU_ASSERT_EQUAL_FATAL(setenv("JOURNAL_STREAM", stream, 1), 0);
        CU_ASSERT_FATAL(dup2(fd, STDERR_FILENO) >= 0);
        report(LOG_WARNING, "web", "%s", text);
        CU_ASSERT_FATAL(dup2(old, STDERR_FILENO) >= 0);
        close(old);
        n = pread(fd, line, 2 * REPORT_LINE_MAX - 1, 0);
        close(fd);
        line[n > 0 ? n : 0] = '\0';
}

static void test_prefix(void) {
        char line[2 * REPORT_LINE_MAX];

        test_read(line, true, "text");
        CU_ASSERT_STRING_EQUAL(line, "<4>test-report: web: text\n");
        /* started by a service, say, with a file or a terminal for stderr */
        test_read(line, false, "text");
        CU_ASSERT_STRING_EQUAL(line, "test-report: web: text\n");
}

static void test_escaped(void) {
        char line[2 * REPORT_LINE_MAX];

        test_read(line, false, "a\n<0>b\x1b[2J\xe2\x80\xae \xc3\xa9 \xff");
        CU_ASSERT_STRING_EQUAL(line,
                               "test-report: web: a\\x0A<0>b\\x1B[2J\\u{202E} \xc3\xa9 \\xFF\n");
}

static void test_cut(void) {
        char text[2 * REPORT_LINE_MAX + 1], line[REPORT_LINE_MAX];

        for (unsigned shift = 0; shift < 2; shift++) {
                for (size_t i = 0; i < REPORT_LINE_MAX; i++)
                        memcpy(text + shift + 2 * i, "\xc3\xa9", 2);
                text[2 * REPORT_LINE_MAX] = '\0';
                if (shift > 0)
                        text[0] = 'a';
                (void) report_escape(text, line);
                CU_ASSERT(strlen(line) >= REPORT_LINE_MAX - 8);
                CU_ASSERT_PTR_NULL(strstr(line, "\xc3\xc3"));
                CU_ASSERT_NOT_EQUAL((unsigned char) line[strlen(line) - 1], 0xc3);
        }
}

TEST_MAIN("report",
          { "the journal's prefix", test_prefix },
          { "nothing moves a cursor", test_escaped },
          { "cut between characters", test_cut })
