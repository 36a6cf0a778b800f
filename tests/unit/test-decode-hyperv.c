/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Crash registers that were published: Microsoft's bug check reference and Hyper-V's events, mails
 * and bug reports. The cases say what a reader must learn, not every word.
 */
#include "policy/decode/bugcheck.h"
#include "policy/decode/decode.h"
#include "policy/decode/hyperv.h"
#include "tests/unit/harness.h"

static GuestPanicInformation make(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
        GuestPanicInformation info = { .type = GUEST_PANIC_INFORMATION_TYPE_HYPER_V };

        info.u.hyper_v = (GuestPanicInformationHyperV){ a, b, c, d, e };
        return info;
}

static HypervReport get_report(GuestPanicInformation info) {
        return hyperv_get_report(&info.u.hyper_v);
}

static void check_signature(GuestPanicInformation info, const char *wanted) {
        char signature[DECODE_SIGNATURE_SIZE];

        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(&info, NULL, NULL, signature), wanted);
        if (strcmp(signature, wanted) != 0)
                printf("        %s, not %s\n", signature, wanted);
}

/* A stop code: its name, a word of the cause, and words of the four parameters. */
static void check_stop(GuestPanicInformation info,
                       const char *headline,
                       const char *cause,
                       const char *const texts[static 4],
                       const char *signature) {
        Decoded decoded;
        bool found = false;

        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline, headline);
        for (size_t i = 0; i < decoded.n_lines; i++)
                found = found || strstr(decoded.lines[i], cause);
        CU_ASSERT(found);
        CU_ASSERT_EQUAL_FATAL(decoded.n_rows, 4);
        for (size_t i = 0; i < 4; i++) {
                CU_ASSERT_STRING_EQUAL(decoded.rows[i].text, texts[i]);
                if (strcmp(decoded.rows[i].text, texts[i]) != 0)
                        printf("        %zu: %s\n", i + 1, decoded.rows[i].text);
        }
        check_signature(info, signature);
}

static void test_power_state(void) {
        check_stop(make(0x9f, 3, 0xffffe00012345060, 0xfffff80098765d00, 0xffffe000abcdef10),
                   "Windows stopped: DRIVER_POWER_STATE_FAILURE (0x9f)",
                   "blocking a power IRP for too long (parameter 1 = 0x3)",
                   (const char *const[]){ "what is wrong",
                                          "physical device object of the stack",
                                          "nt!TRIAGE_9F_POWER",
                                          "the blocked IRP" },
                   "9f-3");
}

static void test_irql(void) {
        static const char *const texts[] = { "address that was accessed",
                                             "IRQL at that time: DISPATCH_LEVEL",
                                             "what was tried: write",
                                             "instruction that tried" };

        check_stop(make(0xd1, 0x28, 2, 1, 0xfffff88001234567),
                   "Windows stopped: DRIVER_IRQL_NOT_LESS_OR_EQUAL (0xd1)",
                   "may not touch at this IRQL",
                   texts,
                   "d1");
        check_stop(make(0xa, 0x28, 2, 1, 0xfffff88001234567),
                   "Windows stopped: IRQL_NOT_LESS_OR_EQUAL (0xa)",
                   "may not touch at this IRQL",
                   texts,
                   "a");
}

static void test_exception(void) {
        check_stop(make(0x7e,
                        0xffffffffc0000005,
                        0xfffff80001020304,
                        0xfffff880009a9598,
                        0xfffff880009a8df0),
                   "Windows stopped: SYSTEM_THREAD_EXCEPTION_NOT_HANDLED (0x7e)",
                   "exception nobody handled",
                   (const char *const[]){ "exception nobody handled: STATUS_ACCESS_VIOLATION",
                                          "where it happened",
                                          "exception record",
                                          "context record" },
                   "7e-c0000005");
        check_signature(make(0x1000007e, 0xc0000005, 1, 2, 3), "1000007e-c0000005");
        check_stop(make(0x3b, 0x80000003, 0xfffff80001020304, 0xfffff880009a9598, 0),
                   "Windows stopped: SYSTEM_SERVICE_EXCEPTION (0x3b)",
                   "system service",
                   (const char *const[]){ "exception: STATUS_BREAKPOINT",
                                          "where it happened",
                                          "context record",
                                          "reserved" },
                   "3b-80000003");
}

static void test_boot_device(void) {
        /* what a virtual machine with the wrong disk controller shows */
        check_stop(make(0x7b, 0xfffff880009a97e8, 0xffffffffc0000034, 0, 0),
                   "Windows stopped: INACCESSIBLE_BOOT_DEVICE (0x7b)",
                   "boot disk",
                   (const char *const[]){ "device object, or name of the boot device (UNICODE_STRING)",
                                          "reserved",
                                          "reserved",
                                          "reserved" },
                   "7b");
        check_stop(make(0x7a, 0xfffff6fc40001e50, 0xffffffffc000000e, 0x1b7c8be0, 0xfffff880003ca000),
                   "Windows stopped: KERNEL_DATA_INPAGE_ERROR (0x7a)",
                   "could not be read",
                   (const char *const[]){ "lock type (1 to 4), or the page table entry",
                                          "error of the I/O: STATUS_NO_SUCH_DEVICE",
                                          "process, InPageSupport structure or contents of the PTE",
                                          "address that could not be paged in" },
                   "7a-c000000e");
}

static void test_types(void) {
        check_stop(make(0x139, 3, 0xfffff8019f2d8110, 0xfffff8019f2d8068, 0),
                   "Windows stopped: KERNEL_SECURITY_CHECK_FAILURE (0x139)",
                   "LIST_ENTRY",
                   (const char *const[]){
                           "what is damaged", "trap frame", "exception record", "reserved" },
                   "139-3");
        check_stop(make(0x124, 0, 0xffffc886bc3c5028, 0xbe000000, 0x800400),
                   "Windows stopped: WHEA_UNCORRECTABLE_ERROR (0x124)",
                   "machine check (parameter 1 = 0x0)",
                   (const char *const[]){ "source of the error",
                                          "WHEA_ERROR_RECORD",
                                          "MCi_STATUS, upper 32 bits",
                                          "MCi_STATUS, lower 32 bits" },
                   "124-0");
        check_stop(make(0x133, 1, 0x1e00, 0xfffff8030e0fa320, 0),
                   "Windows stopped: DPC_WATCHDOG_VIOLATION (0x133)",
                   "DISPATCH_LEVEL or above for too long",
                   (const char *const[]){ "what is wrong",
                                          "watchdog period, in ticks",
                                          "nt!DPC_WATCHDOG_GLOBAL_TRIAGE_BLOCK",
                                          "reserved" },
                   "133-1");
        /* here the fourth parameter tells */
        check_stop(make(0x109, 0xa39fed4b9bb5a5f6, 0xb3b6f9d1ee36ba6d, 0xfffff80002f7c000, 1),
                   "Windows stopped: CRITICAL_STRUCTURE_CORRUPTION (0x109)",
                   "a function (parameter 4 = 0x1)",
                   (const char *const[]){ "reserved", "reserved", "reserved", "what was changed" },
                   "109-1");
        check_stop(make(0xc1, 0xfffffa8001234000, 0xfffffa8001234ff0, 0, 0x24),
                   "Windows stopped: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION (0xc1)",
                   "behind the allocation",
                   (const char *const[]){
                           "address freed", "address of the damage", "reserved", "what is wrong" },
                   "c1-24");
        check_stop(make(0x7f, 8, 0x80050031, 0x6f8, 0xfffff80002ea57b4),
                   "Windows stopped: UNEXPECTED_KERNEL_MODE_TRAP (0x7f)",
                   "double fault",
                   (const char *const[]){ "number of the trap", "reserved", "reserved", "reserved" },
                   "7f-8");
        check_stop(make(0x50, 0xfffff8a000000000, 2, 0xfffff80002ea57b4, 0xf),
                   "Windows stopped: PAGE_FAULT_IN_NONPAGED_AREA (0x50)",
                   "user address",
                   (const char *const[]){ "address that was accessed",
                                          "what was tried: write",
                                          "instruction that tried, if known",
                                          "kind of fault" },
                   "50-f");
}

/* What is not known is shown as it came. */
static void test_unknown(void) {
        GuestPanicInformation info = make(0x12345678, 1, 2, 3, 4);
        Decoded decoded;

        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline, "Windows stopped: unknown stop code 0x12345678");
        CU_ASSERT_EQUAL(decoded.n_lines, 0);
        CU_ASSERT_EQUAL_FATAL(decoded.n_rows, 4);
        CU_ASSERT_STRING_EQUAL(decoded.rows[3].text, "");
        CU_ASSERT_EQUAL(decoded.rows[3].value, 4);
        check_signature(info, "12345678");

        /* a code with a name only; a type that is not documented; a status that is not in the table */
        info = make(0x3e, 0x46d359bbdff, 0x56d359bbdff, 0, 0);
        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline,
                               "Windows stopped: MULTIPROCESSOR_CONFIGURATION_NOT_SUPPORTED (0x3e)");
        check_signature(info, "3e");
        info = make(0x9f, 0x77, 1, 2, 3);
        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_EQUAL(decoded.n_lines, 1);
        CU_ASSERT_STRING_EQUAL(decoded.rows[1].text, "depends on parameter 1");
        info = make(0x7e, 0xdeadbeef, 1, 2, 3);
        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.rows[0].text, "exception nobody handled");
        /* an address is no class */
        check_signature(make(0xc2, 0xfffff80002ea57b4, 1, 2, 3), "c2");
}

static void test_names(void) {
        static const struct {
                uint64_t code;
                const char *name;
        } names[] = {
                { 0x1, "APC_INDEX_MISMATCH" },
                { 0xef, "CRITICAL_PROCESS_DIED" },
                { 0x1ca, "SYNTHETIC_WATCHDOG_TIMEOUT" },
                { 0x20001, "HYPERVISOR_ERROR" },
                { 0xc000021a, "WINLOGON_FATAL_ERROR" },
                { 0xdeaddead, "MANUALLY_INITIATED_CRASH1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                CU_ASSERT_PTR_NOT_NULL_FATAL(bugcheck_find_name(names[i].code));
                CU_ASSERT_STRING_EQUAL(bugcheck_find_name(names[i].code), names[i].name);
        }
        CU_ASSERT_PTR_NULL(bugcheck_find_name(0));
        CU_ASSERT_PTR_NULL(bugcheck_find_name(UINT64_C(0x10000009f)));
        CU_ASSERT_PTR_NULL(bugcheck_find_name(UINT64_MAX));
        /* every code with parameters has a name, and its type is a parameter */
        for (uint64_t code = 0; code < 0x2000; code++) {
                const Bugcheck *bugcheck = bugcheck_find(code);

                if (!bugcheck)
                        continue;
                CU_ASSERT_PTR_NOT_NULL(bugcheck_find_name(code));
                CU_ASSERT(bugcheck->type <= BUGCHECK_PARAMETERS);
                for (uint64_t value = 0; bugcheck->type == 0 && value < 0x200; value++)
                        CU_ASSERT_PTR_NULL(bugcheck_find_type(code, value));
        }
}

static void test_linux(void) {
        /* 6.1.90 (LINUX_VERSION_CODE 0x06015a), an oops */
        GuestPanicInformation info =
                make(1, 0x81000006015a0000, 0xffffffff8b20167e, 0x63, 0xffffb3c5c0a3bdf8);
        Decoded decoded;

        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline, "Linux stopped: kernel 6.1.90 died of an oops");
        CU_ASSERT_EQUAL_FATAL(decoded.n_rows, 5);
        CU_ASSERT_STRING_EQUAL(decoded.rows[2].name, "RIP");
        CU_ASSERT_EQUAL(decoded.rows[2].value, 0xffffffff8b20167e);
        CU_ASSERT_STRING_EQUAL(decoded.rows[3].name, "RAX");
        CU_ASSERT_STRING_EQUAL(decoded.rows[4].name, "RSP");
        check_signature(info, "linux-6.1.90-oops-167e");
        /* the same kernel, moved by 16 MiB: the same crash */
        info.u.hyper_v.arg3 += 0x1000000;
        check_signature(info, "linux-6.1.90-oops-167e");
        /* a module lies anywhere */
        info.u.hyper_v.arg3 = 0xffffffffc0a01234;
        check_signature(info, "linux-6.1.90-oops");

        /* arm64 leaves no register in the fifth place */
        info = make(0,
                    UINT64_C(0x8100) << 48 | UINT64_C(0x050f00) << 16,
                    0xffff800010081234,
                    0xffff80001159bd50,
                    0);
        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline, "Linux stopped: kernel 5.15.0 panicked");
        CU_ASSERT_EQUAL_FATAL(decoded.n_rows, 4);
        CU_ASSERT_STRING_EQUAL(decoded.rows[2].name, "PC");
        CU_ASSERT_STRING_EQUAL(decoded.rows[3].name, "SP");
        check_signature(info, "linux-5.15.0-panic");
}

static void test_message(void) {
        GuestPanicInformation info = make(0, 0, 0, 0x1234000, 4096);
        Decoded decoded;

        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline, "The guest left a message of 4096 bytes");
        CU_ASSERT_EQUAL(decoded.rows[0].value, 0x1234000);
        check_signature(info, "message");
        /* more than a page, and a page that is none: registers */
        CU_ASSERT_EQUAL(get_report(make(0, 0, 0, 0x1234000, 4097)), HYPERV_REPORT_WINDOWS);
        CU_ASSERT_EQUAL(get_report(make(0, 0, 0, 0x1234008, 64)), HYPERV_REPORT_WINDOWS);
}

static void test_headline_signature(void) {
        GuestPanicInformation windows = make(0x9f, 3, 1, 2, 3), message = make(0, 0, 0, 0x1000, 10);
        char s[DECODE_SIGNATURE_SIZE];

        CU_ASSERT_STRING_EQUAL(
                decode_get_panic_signature(
                        NULL, "Kernel panic - not syncing: sysrq triggered crash", NULL, s),
                "panic-sysrq-triggered-crash");
        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(
                                       &message,
                                       "[  12.345678] Kernel panic - not syncing: Attempted to kill "
                                       "init! exitcode=0x0000000b",
                                       NULL,
                                       s),
                               "panic-attempted-to-kill-init-exitcode");
        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(
                                       NULL,
                                       "BUG: unable to handle page fault for address: ffffa1b2c3d4e5f6",
                                       NULL,
                                       s),
                               "panic-bug-unable-to-handle-page-fault-for-address");
        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(&windows, "Kernel panic", NULL, s), "9f-3");
        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(NULL, NULL, NULL, s), "panic");
        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(NULL, "12 0x34", NULL, s), "panic");
}

TEST_MAIN("decode-hyperv",
          { "power state", test_power_state },
          { "IRQL", test_irql },
          { "exceptions", test_exception },
          { "boot device", test_boot_device },
          { "types", test_types },
          { "unknown", test_unknown },
          { "names", test_names },
          { "Linux", test_linux },
          { "message", test_message },
          { "signature of a headline", test_headline_signature })
