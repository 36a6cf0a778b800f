/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What no test with real incidents reaches: a dump of 8 GiB and more. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/tar.h"
#include "tests/unit/harness.h"

#define TEST_BLOCK 512

/* The header of a member whose content is missing. */
static void test_get_header(uint64_t size, char ret[static TEST_BLOCK]) {
        TarMember member = { .name = "incident-1/memory.kdump", .size = size, .time_s = 1795230727 };
        char path[] = "/tmp/tocsin-tar-XXXXXX";
        int fd = mkstemp(path), empty = open("/dev/null", O_RDONLY | O_CLOEXEC);

        CU_ASSERT_FATAL(fd >= 0 && empty >= 0);
        (void) unlink(path);
        CU_ASSERT_EQUAL(tar_add_file(fd, &member, empty), -ENODATA);
        CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_CUR), TEST_BLOCK);
        CU_ASSERT_EQUAL(pread(fd, ret, TEST_BLOCK, 0), TEST_BLOCK);
        (void) close(fd);
        (void) close(empty);
}

static void test_sizes(void) {
        char header[TEST_BLOCK];

        test_get_header((UINT64_C(1) << 33) - 1, header);
        CU_ASSERT_STRING_EQUAL(header, "incident-1/memory.kdump");
        CU_ASSERT_STRING_EQUAL(header + 124, "77777777777");
        CU_ASSERT_STRING_EQUAL(header + 136, "15300206007");
        test_get_header((UINT64_C(1) << 33) + 5, header);
        CU_ASSERT_EQUAL(memcmp(header + 124, "\x80\0\0\0\0\0\0\2\0\0\0\5", 12), 0);
}

TEST_MAIN("ctl-tar", { "sizes up to 8 GiB, and beyond", test_sizes })
