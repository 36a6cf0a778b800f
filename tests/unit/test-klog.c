/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of a kernel that panicked, out of logs as kernels write them. */
#include <string.h>

#include "policy/decode/klog.h"
#include "tests/unit/harness.h"

static void check(const char *log, const char *line, const char *trace) {
        KlogPanic panic;
        bool found = klog_find_panic(log, strlen(log), &panic);

        CU_ASSERT_EQUAL(found, line != NULL);
        if (!found || !line)
                return;
        CU_ASSERT_STRING_EQUAL(panic.line, line);
        CU_ASSERT_STRING_EQUAL(panic.trace, trace);
}

static void test_x86(void) {
        check("[    4.822891] sysrq: Trigger a crash\n"
              "[    4.823617] Kernel panic - not syncing: sysrq triggered crash\n"
              "[    4.823923] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.117+deb12-amd64 #1\n"
              "[    4.824463] Call Trace:\n"
              "[    4.824934]  <TASK>\n"
              "[    4.825188]  panic+0x344/0x3a0\n"
              "[    4.825422]  ? _printk+0x64/0x80\n"
              "[    4.825485]  sysrq_handle_crash+0x1a/0x20\n"
              "[    4.826435]  arch_exit_to_user_mode_prepare.constprop.0+0x16/0xa0\n"
              "[    4.826818] RIP: 0033:0x47b7a0\n"
              "[    4.826819] RIP: 0010:not_of_it+0x1/0x2\n"
              "[    4.828119]  </TASK>\n"
              "[    4.9] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\n",
              "Kernel panic - not syncing: sysrq triggered crash",
              "panic, sysrq_handle_crash, arch_exit_to_user_mode_prepare.constprop.0");
}

/* With CONFIG_PRINTK_CALLER and levels, and s390's addresses. */
static void test_s390(void) {
        check("<0>[    0.952110][    T1] Kernel panic - not syncing: Attempted to kill init! "
              "exitcode=0x00000009\n"
              "<4>[    0.952121][    T1] Call Trace:\n"
              "<4>[    0.952123][    T1]  [<0000000000b0b2e6>] dump_stack_lvl+0x62/0x80\n"
              "<4>[    0.952140][    T1] ([<0000000000afa8e2>] panic+0x11a/0x2f0)\n",
              "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009",
              "dump_stack_lvl, panic");
}

/* The oops stands before the panic that follows from it; the last panic counts. */
static void test_order(void) {
        check("[1.0] Kernel panic - not syncing: said by somebody else\n"
              "[2.0] BUG: kernel NULL pointer dereference, address: 0000000000000000\n"
              "[2.0] Call Trace:\n"
              "[2.0]  boom+0x1/0x2 [boom]\n"
              "[2.0]  vfs_write+0xf8/0x450\n"
              "[2.1] Kernel panic - not syncing: Fatal exception",
              "Kernel panic - not syncing: Fatal exception",
              "boom, vfs_write");
        check("[2.0] Call Trace:\n[2.0]  boom+0x1/0x2\n", NULL, NULL);
        check("he said: Kernel panic - not syncing: no\n", NULL, NULL);
        check("", NULL, NULL);
}

static void test_bounds(void) {
        char log[4096] = "Kernel panic - not syncing: \x1b[2J";
        KlogPanic panic;

        memset(log + strlen(log), 'x', 1000);
        (void) strcat(log, "\nCall Trace:\n");
        for (unsigned i = 0; i < 20; i++)
                (void) snprintf(log + strlen(log),
                                100,
                                " a_function_with_a_long_name_%03u+0x1/0x2\n",
                                i);
        CU_ASSERT_TRUE_FATAL(klog_find_panic(log, strlen(log), &panic));
        CU_ASSERT_EQUAL(strncmp(panic.line, "Kernel panic - not syncing: \\x1b[2Jxxx", 37), 0);
        CU_ASSERT(strlen(panic.line) < KLOG_LINE_SIZE);
        /* whole names only */
        CU_ASSERT_STRING_EQUAL(panic.trace + strlen(panic.trace) - 4, "_006");
}

TEST_MAIN("klog",
          { "x86", test_x86 },
          { "s390, with callers", test_s390 },
          { "an oops that becomes a panic", test_order },
          { "bounds", test_bounds })
