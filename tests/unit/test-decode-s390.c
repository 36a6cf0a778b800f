/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/decode.h"
#include "policy/decode/s390-psw.h"
#include "policy/decode/s390-wait.h"
#include "policy/decode/system-map.h"
#include "tests/unit/harness.h"

#define LINUX_WAIT UINT64_C(0x0002000180000000)

static GuestPanicInformation make(uint64_t mask, uint64_t addr, S390CrashReason reason) {
        GuestPanicInformation info = { .type = GUEST_PANIC_INFORMATION_TYPE_S390 };

        info.u.s390 = (GuestPanicInformationS390){ 0, mask, addr, reason };
        return info;
}

static const char map_text[] = "0000000000100000 T _stext\n"
                               "000000000010fcd6 T panic\n"
                               "000000000010fcd6 t alias_of_panic\n"
                               "000000000010ff00 t static_function\n"
                               "0000000000110000 D data\n"
                               "0000000000200000 T _etext\n"
                               "not a line\n";
static const SystemMap map = { map_text, sizeof(map_text) - 1 };

static void check(GuestPanicInformation info,
                  const SystemMap *symbols,
                  const char *headline,
                  const char *line,
                  const char *signature) {
        char s[DECODE_SIGNATURE_SIZE];
        Decoded decoded;
        bool found = false;

        decode_panic(&info, symbols, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline, headline);
        if (strcmp(decoded.headline, headline) != 0)
                printf("        %s\n", decoded.headline);
        for (size_t i = 0; i < decoded.n_lines; i++)
                found = found || strstr(decoded.lines[i], line);
        CU_ASSERT(found);
        for (size_t i = 0; !found && i < decoded.n_lines; i++)
                printf("        %s\n", decoded.lines[i]);
        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(&info, NULL, symbols, s), signature);
}

static void test_linux(void) {
        GuestPanicInformation info = make(LINUX_WAIT, 0x10fdee, S390_CRASH_REASON_DISABLED_WAIT);

        check(info,
              &map,
              "The guest stopped in a disabled wait at panic+0x118 (0x10fdee)",
              "CPU 0 (disabled-wait) at panic+0x118 (0x10fdee), 64-bit, supervisor state",
              "s390-disabled-wait-panic");
        check(info,
              NULL,
              "The guest stopped in a disabled wait at 0x10fdee",
              "PSW 0x0002000180000000 0x000000000010fdee    wait, I/O, external and machine-check interrupts off",
              "s390-disabled-wait-at-dee");
        /* from a bug report: a kernel that moved itself */
        check(make(LINUX_WAIT, 0x387b028c67e, S390_CRASH_REASON_DISABLED_WAIT),
              &map,
              "The guest stopped in a disabled wait at 0x387b028c67e",
              "0x0002000180000000 0x00000387b028c67e",
              "s390-disabled-wait-at-67e");
}

static void test_codes(void) {
        check(make(LINUX_WAIT, 0xfff, S390_CRASH_REASON_DISABLED_WAIT),
              NULL,
              "The guest has shut down (quiesce), it did not crash",
              "0xfff",
              "s390-quiesce");
        check(make(LINUX_WAIT, 0, S390_CRASH_REASON_DISABLED_WAIT),
              NULL,
              "The firmware stopped: code 0x0",
              "nothing to boot",
              "s390-disabled-wait-0");
        check(make(0x0002000080000000, 0x4511, S390_CRASH_REASON_DISABLED_WAIT),
              NULL,
              "zipl stopped: code 0x4511",
              "internal error",
              "s390-disabled-wait-4511");
        check(make(0x0002000080000000, 0x4600, S390_CRASH_REASON_DISABLED_WAIT),
              NULL,
              "The stand-alone dump stopped: code 0x4600",
              "too small",
              "s390-disabled-wait-4600");
        check(make(LINUX_WAIT, 0x8badcccc, S390_CRASH_REASON_DISABLED_WAIT),
              NULL,
              "Linux stopped: code 0x8badcccc",
              "newer machine",
              "s390-disabled-wait-8badcccc");
        check(make(LINUX_WAIT, 0x123, S390_CRASH_REASON_DISABLED_WAIT),
              NULL,
              "The guest stopped in a disabled wait, code 0x123",
              "CPU 0",
              "s390-disabled-wait-123");
        /* z/OS: wait state 007 */
        check(make(0x0002000000000000, 0x07, S390_CRASH_REASON_DISABLED_WAIT),
              NULL,
              "The guest stopped in a disabled wait, code 0x007",
              "wait state 007, reason 0x0: console services",
              "s390-disabled-wait-7");
        check(make(0x0002000000000000, 0x0017c0a2, S390_CRASH_REASON_DISABLED_WAIT),
              NULL,
              "The guest stopped in a disabled wait, code 0x0a2",
              "wait state 0A2, reason 0x17c",
              "s390-disabled-wait-17c0a2");
}

static void test_loops(void) {
        check(make(0x0404e00180000000, 0x1000, S390_CRASH_REASON_PGMINT_LOOP),
              NULL,
              "The guest takes program interrupts without end at 0x1000",
              "machine-check interrupts on, I/O and external interrupts off",
              "s390-pgmint-loop");
        check(make(0, 1, S390_CRASH_REASON_UNKNOWN),
              NULL,
              "The guest is down; no reason was given at 0x1",
              "not valid",
              "s390-unknown");
}

static S390CrashReason reason(S390Psw psw, S390Psw program, S390Psw external) {
        return s390_psw_get_reason(psw, &(S390NewPsws){ program, external });
}

static void test_reasons(void) {
        const S390Psw wait = { LINUX_WAIT, 0x10fdee }, quiesce = { LINUX_WAIT, 0x123fff };
        const S390Psw running = { 0x0704c00180000000, 0x10002 },
                      good = { 0x0404c00180000000, 0x20000 };

        CU_ASSERT_EQUAL(s390_psw_get_reason(wait, NULL), S390_CRASH_REASON_DISABLED_WAIT);
        CU_ASSERT_EQUAL(s390_psw_get_reason(quiesce, NULL), S390_CRASH_REASON_UNKNOWN);
        CU_ASSERT(s390_psw_is_quiesce(quiesce) && !s390_psw_is_quiesce(wait));
        CU_ASSERT_EQUAL(s390_psw_get_reason(running, NULL), S390_CRASH_REASON_UNKNOWN);
        CU_ASSERT_EQUAL(s390_psw_get_reason((S390Psw){ LINUX_WAIT | S390_PSW_EXT, 0 }, NULL),
                        S390_CRASH_REASON_UNKNOWN);
        CU_ASSERT_EQUAL(reason(running, good, good), S390_CRASH_REASON_UNKNOWN);
        CU_ASSERT_EQUAL(reason(running, (S390Psw){ 0x0404c00180000000, 0x20001 }, good),
                        S390_CRASH_REASON_PGMINT_LOOP);
        CU_ASSERT_EQUAL(reason(running, (S390Psw){ S390_PSW_EA, 0 }, good),
                        S390_CRASH_REASON_PGMINT_LOOP);
        CU_ASSERT_EQUAL(reason(running, (S390Psw){ S390_PSW_BA, UINT64_C(0x80000000) }, good),
                        S390_CRASH_REASON_PGMINT_LOOP);
        CU_ASSERT_EQUAL(reason(running, good, running), S390_CRASH_REASON_EXTINT_LOOP);
        /* the handler lies where the CPU is: it is itself illegal */
        CU_ASSERT_EQUAL(reason(running, (S390Psw){ 0x0404c00180000000, 0x10000 }, good),
                        S390_CRASH_REASON_OPINT_LOOP);
        CU_ASSERT_EQUAL(reason((S390Psw){ running.mask, 0x10006 },
                               (S390Psw){ 0x0404c00180000000, 0x10000 },
                               good),
                        S390_CRASH_REASON_OPINT_LOOP);
        CU_ASSERT_EQUAL(reason((S390Psw){ running.mask, 0x10008 },
                               (S390Psw){ 0x0404c00180000000, 0x10000 },
                               good),
                        S390_CRASH_REASON_UNKNOWN);
        CU_ASSERT_EQUAL(reason((S390Psw){ running.mask | S390_PSW_PROBLEM, 0x10002 },
                               (S390Psw){ 0x0404c00180000000, 0x10000 },
                               good),
                        S390_CRASH_REASON_UNKNOWN);
}

static void test_words(void) {
        char words[256];

        s390_psw_write_interrupts((S390Psw){ UINT64_C(0x47f5ff8180000000), 0 }, words, sizeof(words));
        CU_ASSERT_STRING_EQUAL(words, "I/O, external and machine-check interrupts on");
        s390_psw_write_rest((S390Psw){ UINT64_C(0x47f5ff8180000000), 0 }, words, sizeof(words));
        CU_ASSERT_STRING_EQUAL(words,
                               "DAT on (home space), key 15, CC 3, program mask 0xf, PER on, runtime "
                               "instrumentation on");
        s390_psw_write_interrupts((S390Psw){ S390_PSW_IO | S390_PSW_WAIT, 0 }, words, sizeof(words));
        CU_ASSERT_STRING_EQUAL(words,
                               "wait, I/O interrupts on, external and machine-check interrupts off");
        s390_psw_write_rest((S390Psw){ S390_PSW_SHORT, 0 }, words, sizeof(words));
        CU_ASSERT_STRING_EQUAL(words, "DAT off, key 0, CC 0, program mask 0x0, short-PSW bit on");
        /* cut, not overrun */
        s390_psw_write_interrupts((S390Psw){ LINUX_WAIT, 0 }, words, 8);
        CU_ASSERT_STRING_EQUAL(words, "wait, I");
        CU_ASSERT_STRING_EQUAL(s390_psw_get_mode((S390Psw){ S390_PSW_BA, 0 }), "31-bit");
        CU_ASSERT_STRING_EQUAL(s390_psw_get_mode((S390Psw){ 0, 0 }), "24-bit");
        CU_ASSERT_STRING_EQUAL(s390_psw_get_mode((S390Psw){ S390_PSW_EA, 0 }), "invalid");
}

static void test_system_map(void) {
        SystemMapSymbol symbol;

        CU_ASSERT(system_map_find(&map, 0x10fcd6, &symbol));
        CU_ASSERT_STRING_EQUAL(symbol.name, "panic");
        CU_ASSERT_EQUAL(symbol.offset, 0);
        CU_ASSERT(system_map_find(&map, 0x110008, &symbol));
        CU_ASSERT_STRING_EQUAL(symbol.name, "static_function"); /* data is no place to stop */
        CU_ASSERT(!system_map_find(&map, 0xfffff, &symbol));
        CU_ASSERT(!system_map_find(&map, 0x200004, &symbol));
        CU_ASSERT(!system_map_find(&map, 0x387b028c67e, &symbol));
        CU_ASSERT(!system_map_find(NULL, 0, &symbol));
        CU_ASSERT(!system_map_find(&(SystemMap){ "", 0 }, 0, &symbol));
        CU_ASSERT(!system_map_find(&(SystemMap){ "0000000000000000\n1 T\n2 T \n", 26 }, 5, &symbol));
        /* unsorted, without an end of line, with a module behind a tab */
        CU_ASSERT(system_map_find(&(SystemMap){ "20 T b\n10 t a\t[module]", 22 }, 0x15, &symbol));
        CU_ASSERT_STRING_EQUAL(symbol.name, "a");
}

static void test_confidential(void) {
        GuestPanicInformation info = { .type = GUEST_PANIC_INFORMATION_TYPE_TDX };
        char message[] = "TDX\x1b[2J panic", s[DECODE_SIGNATURE_SIZE];
        Decoded decoded;

        info.u.tdx = (GuestPanicInformationTdx){
                .error_code = 0, .message = message, .has_gpa = true, .gpa = 0x1000
        };
        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline, "The TDX guest gave up: TDX\\x1B[2J panic");
        CU_ASSERT_EQUAL(decoded.n_rows, 2);
        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(&info, NULL, NULL, s), "tdx-0");

        info = (GuestPanicInformation){ .type = GUEST_PANIC_INFORMATION_TYPE_SEV, .u.sev = { 0, 1 } };
        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(
                decoded.headline,
                "The SEV guest gave up: the version of the GHCB protocol is not supported");
        info.u.sev = (GuestPanicInformationSev){ 1, 3 };
        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.rows[1].text, "it does not run at VMPL 0");
        CU_ASSERT_STRING_EQUAL(decode_get_panic_signature(&info, NULL, NULL, s), "sev-1-3");
        info.u.sev = (GuestPanicInformationSev){ 7, 3 };
        decode_panic(&info, NULL, &decoded);
        CU_ASSERT_STRING_EQUAL(decoded.headline,
                               "The SEV guest gave up: for a reason that is not known");
}

TEST_MAIN("decode-s390",
          { "Linux", test_linux },
          { "codes", test_codes },
          { "loops", test_loops },
          { "reasons out of PSWs", test_reasons },
          { "PSW in words", test_words },
          { "System.map", test_system_map },
          { "TDX and SEV", test_confidential })
