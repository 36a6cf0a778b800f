/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/paste.h"
#include "tests/unit/harness.h"

static void check_hyperv(const char *text, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
        Paste paste = PASTE_NULL;
        const GuestPanicInformationHyperV *hv;

        CU_ASSERT_EQUAL(paste_parse(&paste, text, strlen(text)), 0);
        CU_ASSERT_EQUAL(paste.n_items, 1);
        if (paste.n_items != 1 || paste.items[0].info->type != GUEST_PANIC_INFORMATION_TYPE_HYPER_V) {
                printf("        %s\n", text);
                CU_FAIL("no crash registers");
                paste_deinit(&paste);
                return;
        }
        hv = &paste.items[0].info->u.hyper_v;
        CU_ASSERT(hv->arg1 == a && hv->arg2 == b && hv->arg3 == c && hv->arg4 == d && hv->arg5 == e);
        if (hv->arg1 != a || hv->arg2 != b || hv->arg3 != c || hv->arg4 != d || hv->arg5 != e)
                printf("        %s\n", text);
        paste_deinit(&paste);
}

static void check_s390(const char *text,
                       uint32_t core,
                       uint64_t mask,
                       uint64_t addr,
                       S390CrashReason reason) {
        Paste paste = PASTE_NULL;
        const GuestPanicInformationS390 *s390;

        CU_ASSERT_EQUAL(paste_parse(&paste, text, strlen(text)), 0);
        CU_ASSERT_EQUAL(paste.n_items, 1);
        if (paste.n_items != 1 || paste.items[0].info->type != GUEST_PANIC_INFORMATION_TYPE_S390) {
                printf("        %s\n", text);
                CU_FAIL("no PSW");
                paste_deinit(&paste);
                return;
        }
        s390 = &paste.items[0].info->u.s390;
        CU_ASSERT_EQUAL(s390->core, core);
        CU_ASSERT_EQUAL(s390->psw_mask, mask);
        CU_ASSERT_EQUAL(s390->psw_addr, addr);
        CU_ASSERT_EQUAL(s390->reason, reason);
        paste_deinit(&paste);
}

static void check_nothing(const char *text) {
        Paste paste = PASTE_NULL;

        CU_ASSERT_EQUAL(paste_parse(&paste, text, strlen(text)), PASTE_E_NOTHING);
        if (paste.n_items > 0)
                printf("        %s\n", text);
        paste_deinit(&paste);
}

static void test_numbers(void) {
        check_hyperv("0x9f 0x3 0xffffe00012345060 0xfffff80098765d00 0xffffe000abcdef10",
                     0x9f,
                     3,
                     0xffffe00012345060,
                     0xfffff80098765d00,
                     0xffffe000abcdef10);
        check_hyperv("0x9f, 3, 18446638520593322080, 0, 10", 0x9f, 3, 18446638520593322080u, 0, 10);
        /* one that is clearly hexadecimal makes the others so */
        check_hyperv("9f 3 ffffe00012345060 0 10", 0x9f, 3, 0xffffe00012345060, 0, 0x10);
        check_hyperv("0000009F 00000003 00000010 00000000 00000000", 0x9f, 3, 0x10, 0, 0);
        check_hyperv("159 3 10 0 0\n", 159, 3, 10, 0, 0);
        check_hyperv("STOP 0x0000007B (0xFFFFF880009A97E8,0xFFFFFFFFC0000034,0x0,0x0)",
                     0x7b,
                     0xfffff880009a97e8,
                     0xffffffffc0000034,
                     0,
                     0);
        check_hyperv("0xd1 fffff800`12345678 0x2 0x0 fffff800`12345678",
                     0xd1,
                     0xfffff80012345678,
                     2,
                     0,
                     0xfffff80012345678);
}

static void test_some_parameters(void) {
        Paste paste = PASTE_NULL;

        CU_ASSERT_EQUAL(paste_parse(&paste, "0x9f", 4), 0);
        CU_ASSERT_EQUAL_FATAL(paste.n_items, 1);
        CU_ASSERT_EQUAL(paste.items[0].n_parameters, 0);
        paste_deinit(&paste);
        CU_ASSERT_EQUAL(paste_parse(&paste, "0x9f 0x3", 8), 0);
        CU_ASSERT_EQUAL_FATAL(paste.n_items, 1);
        CU_ASSERT_EQUAL(paste.items[0].n_parameters, 1);
        paste_deinit(&paste);
}

static void test_psw(void) {
        const uint64_t mask = 0x0002000180000000, addr = 0x10fdee;

        check_s390("0x0002000180000000 0x000000000010fdee",
                   0,
                   mask,
                   addr,
                   S390_CRASH_REASON_DISABLED_WAIT);
        check_s390("PSW: 0002000180000000 000000000010fdee",
                   0,
                   mask,
                   addr,
                   S390_CRASH_REASON_DISABLED_WAIT);
        check_s390("562956395872256 1113582", 0, mask, addr, S390_CRASH_REASON_DISABLED_WAIT);
        check_s390("00020001 80000000 00000000 0010FDEE", 0, mask, addr, S390_CRASH_REASON_DISABLED_WAIT);
        /* a short PSW, as z/VM shows it: bit 12 is on, the addressing mode stands in the address */
        check_s390("000A0000 80004511", 0, 0x0002000080000000, 0x4511, S390_CRASH_REASON_DISABLED_WAIT);
}

static void test_qemu(void) {
        check_hyperv("Guest crashed\nHV crash parameters: (0x9f 0x3 0xffffe00012345060 0 0x1)\n",
                     0x9f,
                     3,
                     0xffffe00012345060,
                     0,
                     1);
        check_s390("Guest crashed on cpu 1: disabled-wait\nPSW: 0x0002000180000000 0x00000000deadbeef\n",
                   1,
                   0x0002000180000000,
                   0xdeadbeef,
                   S390_CRASH_REASON_DISABLED_WAIT);
        check_s390("Guest crashed on cpu 0: pgmint-loop\nPSW: 0x0404c00180000000 0x0000000000001000\n",
                   0,
                   0x0404c00180000000,
                   0x1000,
                   S390_CRASH_REASON_PGMINT_LOOP);
        check_nothing("Guest crashed\n");
        check_nothing("HV crash parameters: (0x9f 0x3");
}

static void test_libvirt(void) {
        check_hyperv("2025-06-09 13:23:01.506+0000: panic hyper-v: arg1='0x3e', arg2='0x46d359bbdff', "
                     "arg3='0x56d359bbdff', arg4='0x0', arg5='0x0'\n",
                     0x3e,
                     0x46d359bbdff,
                     0x56d359bbdff,
                     0,
                     0);
        check_s390("2024-08-28T06:56:32.210982Z qemu-system-s390x: vhost vring error in virtqueue 0: Invalid "
                   "argument (22)\n"
                   "2024-08-28 06:56:35.430+0000: panic s390: core='0' psw-mask='0x0002000180000000' "
                   "psw-addr='0x00000387b028c67e' reason='disabled-wait'\n",
                   0,
                   0x0002000180000000,
                   0x387b028c67e,
                   S390_CRASH_REASON_DISABLED_WAIT);
}

static void test_windows(void) {
        check_hyperv(
                "'web-7' has encountered a fatal error.  The guest operating system reported that it failed "
                "with the following error codes: ErrorCode0: 0x9F, ErrorCode1: 0x3, ErrorCode2: "
                "0xFFFFE00012345060, ErrorCode3: 0xFFFFF80098765D00, ErrorCode4: 0xFFFFE000ABCDEF10.  If the "
                "problem persists, contact Product Support for the guest operating system.  (Virtual machine "
                "ID 0C25C1B6-1F8B-4A4B-9F3C-5A8B0C1D2E3F)",
                0x9f,
                3,
                0xffffe00012345060,
                0xfffff80098765d00,
                0xffffe000abcdef10);
        check_hyperv("The computer has rebooted from a bugcheck.  The bugcheck was: 0x000000d1 "
                     "(0x0000000000000028, 0x0000000000000002, 0x0000000000000001, 0xfffff88001234567). A dump "
                     "was saved in: C:\\Windows\\MEMORY.DMP.",
                     0xd1,
                     0x28,
                     2,
                     1,
                     0xfffff88001234567);
        check_hyperv("*** STOP: 0x0000007E (0xFFFFFFFFC0000005,0xFFFFF80001020304,0xFFFFF880009A9598,"
                     "0xFFFFF880009A8DF0)",
                     0x7e,
                     0xffffffffc0000005,
                     0xfffff80001020304,
                     0xfffff880009a9598,
                     0xfffff880009a8df0);
        check_hyperv("BugCheck 9F, {3, ffffe00012345060, fffff80098765d00, ffffe000abcdef10}",
                     0x9f,
                     3,
                     0xffffe00012345060,
                     0xfffff80098765d00,
                     0xffffe000abcdef10);
}

static void test_json(void) {
        check_s390("{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"GUEST_PANICKED\", \"data\": "
                   "{\"action\": \"pause\", \"info\": {\"core\": 3, \"psw-addr\": 9223372036854780468, \"reason\": "
                   "\"disabled-wait\", \"psw-mask\": 562956395872256, \"type\": \"s390\"}}}",
                   3,
                   0x0002000180000000,
                   9223372036854780468u,
                   S390_CRASH_REASON_DISABLED_WAIT);
        check_hyperv("{\"return\": {\"type\": \"hyper-v\", \"arg1\": 159, \"arg2\": 3, \"arg3\": 0, \"arg4\": 1, "
                     "\"arg5\": 18446744073709551615}}",
                     159,
                     3,
                     0,
                     1,
                     UINT64_MAX);
        /* a record has the information twice */
        check_hyperv(
                "{\"id\": 7, \"kind\": \"panic\",\n \"data\": {\"action\": \"pause\", \"info\": {\"type\": "
                "\"hyper-v\", \"arg1\": 1, \"arg2\": 2, \"arg3\": 3, \"arg4\": 4, \"arg5\": 5}},\n \"info\": "
                "{\"type\": \"hyper-v\", \"arg1\": 1, \"arg2\": 2, \"arg3\": 3, \"arg4\": 4, \"arg5\": 5}}",
                1,
                2,
                3,
                4,
                5);
        /* within a log line */
        check_hyperv("2026-11-21 03:12:07.412+0000: 1: info : QEMU_MONITOR_RECV_EVENT: mon=0x7f event={\"event\": "
                     "\"GUEST_PANICKED\", \"data\": {\"action\": \"pause\", \"info\": {\"type\": \"hyper-v\", "
                     "\"arg1\": 226, \"arg2\": 0, \"arg3\": 0, \"arg4\": 0, \"arg5\": 0}}}\n",
                     226,
                     0,
                     0,
                     0,
                     0);
        check_nothing("{\"event\": \"STOP\"}");
        check_nothing("{\"type\": \"vax\"}");
        check_nothing("{\"type\": \"s390\", \"core\": ");
}

static void test_many(void) {
        static const char line[] = "HV crash parameters: (0x1 0x2 0x3 0x4 0x5)\n";
        Paste paste = PASTE_NULL;
        char *text = calloc(PASTE_ITEMS_MAX + 5, sizeof(line));

        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        for (size_t i = 0; i < PASTE_ITEMS_MAX + 5; i++)
                strcat(text, line);
        CU_ASSERT_EQUAL(paste_parse(&paste, text, strlen(text)), 0);
        CU_ASSERT_EQUAL(paste.n_items, PASTE_ITEMS_MAX);
        CU_ASSERT(paste.is_cut);
        paste_deinit(&paste);
        free(text);
        CU_ASSERT_EQUAL(paste_parse(&paste, "", PASTE_TEXT_MAX + (size_t) 1), PASTE_E_TOO_LONG);
}

static void test_nothing(void) {
        check_nothing("");
        check_nothing(" \n");
        check_nothing("the guest died at 3:12, twice");
        check_nothing("1 2 3 4 5 6");
        check_nothing("0x9f 0x3 0x99999999999999999 0 0");
        check_nothing("99999999999999999999");
        check_nothing("[");
        check_nothing("arg1");
}

TEST_MAIN("decode-paste",
          { "numbers", test_numbers },
          { "some parameters", test_some_parameters },
          { "PSW", test_psw },
          { "QEMU", test_qemu },
          { "libvirt", test_libvirt },
          { "Windows and its hosts", test_windows },
          { "JSON", test_json },
          { "many", test_many },
          { "nothing", test_nothing })
