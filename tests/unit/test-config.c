/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts and what is said of them, section by section; in one file, since each is a line of a table. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/config-load.h"
#include "policy/util/buffer.h"
#include "tests/unit/harness.h"
#include "tocsin-version.h"

/* A configuration out of memory, named "f", and what was said about it: a line each, warnings with
 * "warning: " before them. */
typedef struct Loaded {
        ConfigTree tree;
        ConfigErrors errors;
        Config *config;
        char *said;
        int r;
} Loaded;

static void loaded_deinit(Loaded *loaded) {
        config_tree_deinit(&loaded->tree);
        config_errors_deinit(&loaded->errors);
        config_free(loaded->config);
        free(loaded->said);
}

static char *say(const ConfigErrors *errors) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;

        for (size_t i = 0; i < errors->n_items; i++)
                CU_ASSERT_EQUAL(buffer_printf(&text,
                                              "%s%s%s",
                                              i > 0 ? "\n" : "",
                                              errors->items[i].warning ? "warning: " : "",
                                              errors->items[i].text),
                                0);
        return buffer_take_string(&text);
}

static void load_bytes(Loaded *loaded, const char *text, size_t n, bool lenient) {
        *loaded = (Loaded){};
        CU_ASSERT_EQUAL(config_tree_add_text(&loaded->tree, "f", text, n, &loaded->errors), 0);
        CU_ASSERT_EQUAL(config_tree_merge(&loaded->tree), 0);
        loaded->r = config_build(&loaded->tree, lenient, &loaded->config, &loaded->errors);
        loaded->said = say(&loaded->errors);
}

static void load(Loaded *loaded, const char *text, bool lenient) {
        load_bytes(loaded, text, strlen(text), lenient);
}

static void check_said(const char *text, const char *said) {
        _cleanup_(loaded_deinit) Loaded loaded;

        load(&loaded, text, false);
        if (strcmp(loaded.said, said) != 0)
                printf("        of: %s\n        expected: %s\n        said: %s\n",
                       text,
                       said,
                       loaded.said);
        CU_ASSERT_STRING_EQUAL(loaded.said, said);
        CU_ASSERT_EQUAL(loaded.r, config_errors_are_fatal(&loaded.errors) ? CONFIG_E_INVALID : 0);
        CU_ASSERT_EQUAL(loaded.r == 0, loaded.config != NULL);
}

#define WATCHDOG_ACTIONS "none, pause, reset, shutdown, poweroff, debug, inject-nmi"

static void test_broken_values(void) {
        static const struct {
                const char *text, *said;
        } table[] = {
                { "[guest *]\nmode=enforced\n",
                  "f:2: [guest *] mode: expected one of observe, enforce, found 'enforced'; "
                  "did you mean 'enforce'?" },
                { "[guest *]\nwatchdog=exit-failure\n",
                  "f:2: [guest *] watchdog: expected one of " WATCHDOG_ACTIONS
                  ", found 'exit-failure'" },
                { "[guest *]\nreboot=poweroff\n",
                  "f:2: [guest *] reboot: expected one of reset, shutdown, found 'poweroff'" },
                { "[guest *]\npanic=\n",
                  "f:2: [guest *] panic: expected one of none, pause, reset, shutdown, "
                  "exit-failure, found ''" },
                { "[guest *]\nadopt=maybe\n",
                  "f:2: [guest *] adopt: expected yes or no, found 'maybe'" },
                { "[daemon]\n\nheartbeat=10ms\n",
                  "f:3: [daemon] heartbeat: expected a time from 1s to infinity, found '10ms'" },
                { "[daemon]\nsilent-after=5 parsecs\n",
                  "f:2: [daemon] silent-after: expected a time from 5s to 1d, found '5 parsecs'" },
                { "[daemon]\nclient-queue=1\n",
                  "f:2: [daemon] client-queue: expected a size from 64K to 256M (K, M, G, T), "
                  "found '1'" },
                { "[daemon]\nclients-per-uid=4294967297\n",
                  "f:2: [daemon] clients-per-uid: expected a number from 1 to 100000, found "
                  "'4294967297'" },
                { "[daemon]\nreset-guard=5 in 10min\n",
                  "f:2: [daemon] reset-guard: expected N/TIME such as 3/10min, N from 1 to "
                  "1000000, found '5 in 10min'" },
                { "[daemon]\nruntime-dir=run\n",
                  "f:2: [daemon] runtime-dir: expected an absolute path without .. of at most 90 "
                  "bytes, found 'run'" },
                { "[daemon]\nstate-dir=/var/../etc\n",
                  "f:2: [daemon] state-dir: expected an absolute path without .. of at most 4095 "
                  "bytes, found '/var/../etc'" },
                { "[daemon]\ndry-run=yes # for now\n",
                  "f:2: [daemon] dry-run: expected yes or no, found 'yes # for now'; a comment "
                  "stands on a line of its own" },
                { "[daemon]\nlog-level=warn\n",
                  "f:2: [daemon] log-level: expected one of emerg, alert, crit, err, warning, "
                  "notice, info, debug, found 'warn'; did you mean 'warning'?" },
                { "[daemon]\nstrict=x\nstrict-not=1\n[store]\nsize=2T\n",
                  "f:2: [daemon] strict: expected yes or no, found 'x'\n"
                  "warning: f:3: [daemon] strict-not: unknown key\n"
                  "f:5: [store] size: expected a size from 4M to 1T (K, M, G, T), found '2T'" },
                { "[discover]\nqmp-glob=/a/*.sock b\n",
                  "f:2: [discover] qmp-glob: expected a list of absolute paths without .. of at "
                  "most 4095 bytes, found '/a/*.sock b'" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                check_said(table[i].text, table[i].said);
}

static void test_unknown_words(void) {
        static const struct {
                const char *text, *said;
        } table[] = {
                { "[guest *]\nwatchdgo=reset\n",
                  "warning: f:2: [guest *] watchdgo: unknown key; did you mean 'watchdog'?" },
                { "[guest *]\nMode=enforce\n",
                  "warning: f:2: [guest *] Mode: unknown key; did you mean 'mode'?" },
                { "[guests web]\nmode=enforce\n",
                  "warning: f:1: [guests web]: unknown section; did you mean [guest]?" },
                { "[colour]\nred=1\n", "warning: f:1: [colour]: unknown section" },
                { "[guest]\nmode=enforce\n", "f:1: expected [guest GLOB], found [guest]" },
                { "[daemon x]\ndry-run=yes\n", "f:1: expected [daemon], found [daemon x]" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                check_said(table[i].text, table[i].said);
}

static void test_notify(void) {
        static const struct {
                const char *text, *said;
        } table[] = {
                { "[notify mail]\nprogram=/bin/true\n", "" },
                { "[notify mail]\n", "f:1: [notify mail] program: expected a program, found none" },
                { "[notify mail]\nprogram=tell\n",
                  "f:2: [notify mail] program: expected an absolute path without .. of at most 4095 "
                  "bytes, found 'tell'" },
                { "[notify a b]\nprogram=/bin/true\n",
                  "f:1: [notify a b]: expected a name of at most 80 letters, digits, '_', '.', ':' "
                  "and '-'" },
        };
        _cleanup_(loaded_deinit) Loaded loaded;
        const NotifyConfig *n;

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                check_said(table[i].text, table[i].said);

        load(&loaded,
             "[notify one]\nprogram=/bin/one\n"
             "[notify two]\nprogram=/bin/two\nkinds=panic, stopped\non=opened closed\n"
             "machine=web-*\nuser=nobody\ndeadline=2min\n"
             "[notify broken]\nprogram=/bin/three\ndeadline=0\n"
             "[notify one]\nuser=daemon\n",
             true);
        CU_ASSERT_PTR_NOT_NULL_FATAL(loaded.config);
        CU_ASSERT_EQUAL_FATAL(loaded.config->n_notifies, 2);
        n = &loaded.config->notifies[0];
        CU_ASSERT_STRING_EQUAL(n->name, "one");
        CU_ASSERT_STRING_EQUAL(n->program, "/bin/one");
        CU_ASSERT_STRING_EQUAL(n->user, "daemon");
        CU_ASSERT_EQUAL(n->kinds, 0);
        CU_ASSERT_EQUAL(n->on, 1U << NOTIFY_OPENED);
        CU_ASSERT_PTR_NULL(n->machine);
        CU_ASSERT_EQUAL(n->deadline_us, 30 * USEC_PER_SEC);
        n = &loaded.config->notifies[1];
        CU_ASSERT_STRING_EQUAL(n->user, "nobody");
        CU_ASSERT_EQUAL(n->kinds, 1U << INCIDENT_KIND_PANIC | 1U << INCIDENT_KIND_STOPPED);
        CU_ASSERT_EQUAL(n->on, 1U << NOTIFY_OPENED | 1U << NOTIFY_CLOSED);
        CU_ASSERT_STRING_EQUAL(n->machine, "web-*");
        CU_ASSERT_EQUAL(n->deadline_us, 120 * USEC_PER_SEC);
}

static void test_broken_guests(void) {
        static const struct {
                const char *text, *said;
        } table[] = {
                { "[guest web[0-9]\nmode=enforce\n",
                  "f:1: [guest web[0-9]: expected a name or a pattern of *, ? and [a-z]" },
                { "[guest host]\nmode=enforce\n",
                  "f:1: [guest host]: expected a name of at most 80 characters, not 'host' and "
                  "without a dot in front" },
                { "[guest .x]\n",
                  "f:1: [guest .x]: expected a name of at most 80 characters, not 'host' and "
                  "without a dot in front" },
                { "[guest web-*]\nqmp=/run/q\n",
                  "f:2: [guest web-*] qmp: expected in the section of one guest, found in that of "
                  "a pattern; [discover] has patterns of sockets" },
                { "[guest a]\nqmp=/var/lib/libvirt/qemu/domain-1-a/monitor.sock\n",
                  "f:2: [guest a] qmp: expected a monitor of our own or exclusive=yes, found "
                  "'/var/lib/libvirt/qemu/domain-1-a/monitor.sock', where libvirt keeps its own" },
                { "[guest a]\nqmp=/var/run/qemu-server/100.qmp\nexclusive=no\n",
                  "f:2: [guest a] qmp: expected a monitor of our own or exclusive=yes, found "
                  "'/var/run/qemu-server/100.qmp', where Proxmox keeps its own" },
                { "[guest a]\nqmp=/var/run/qemu-server/100.qmp\nexclusive=yes\n", "" },
                { "[discover]\nqmp-glob=/run/vm/* /run/libvirt/qemu/*/monitor.sock\n",
                  "f:2: [discover] qmp-glob: expected a monitor of our own, found "
                  "'/run/libvirt/qemu/*/monitor.sock', where libvirt keeps its own" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                check_said(table[i].text, table[i].said);
}

static void test_broken_rules(void) {
        static const struct {
                const char *text, *said;
        } table[] = {
                { "[rule a]\nkind=panic\naction=inject\n",
                  "f:3: [rule a] action: expected one of none, pause, reset, shutdown, "
                  "exit-failure (kind=panic), found 'inject'" },
                { "[rule a]\nkind=watchdog\naction=reset\nlimit=3/10min\nthen=fatal\n",
                  "f:5: [rule a] then: expected one of " WATCHDOG_ACTIONS
                  " (kind=watchdog), found 'fatal'" },
                { "[rule a]\naction=inject\nlimit=1/1h\nthen=debug\n",
                  "f:4: [rule a] then: expected an action that some kind of incident allows "
                  "together with action=inject, found 'debug'" },
                { "[rule a]\naction=reset\nthen=pause\n",
                  "f:3: [rule a] then: expected together with limit=, found alone" },
                /* what the action set says, but not for ever */
                { "[rule a]\nkind=panic\nlimit=3/10min\nthen=pause\n", "" },
                { "[rule a]\naction=reset\ncancel-on=RESET\n",
                  "f:3: [rule a] cancel-on: expected together with delay=, found alone" },
                { "[rule a]\ndelay=5min\n",
                  "f:2: [rule a] delay: expected together with action=, found alone" },
                { "[rule a]\naction=reset\ndelay=5min\ncancel-on=RESET,REBOOT\n",
                  "f:4: [rule a] cancel-on: expected a list of at most 8 QMP events such as "
                  "RESET, found 'RESET,REBOOT'" },
                { "[rule a]\nhyperv-arg1=0x5-0x1\n",
                  "f:2: [rule a] hyperv-arg1: expected a number or a range such as 0x9f or "
                  "0x1-0x5, found '0x5-0x1'" },
                { "[rule a]\nmachine=web[\n",
                  "f:2: [rule a] machine: expected a name or a pattern of *, ? and [a-z], found "
                  "'web['" },
                { "[rule a]\nmachine=\n",
                  "f:2: [rule a] machine: expected a name or a pattern of *, ? and [a-z], found ''" },
                { "[rule a]\nevidence=registers,dump\n",
                  "f:2: [rule a] evidence: expected a list of registers, log, memory, "
                  "found 'registers,dump'" },
                { "[rule a]\nevidence=message\n",
                  "f:2: [rule a] evidence: expected a list of registers, log, memory, found 'message'" },
                /* one mistake, one message */
                { "[rule a]\naction=rest\nlimit=3/10min\nthen=pause\n",
                  "f:2: [rule a] action: expected one of none, run, pause, reset, shutdown, "
                  "poweroff, exit-failure, debug, inject-nmi, ignore, inject, fatal, "
                  "soft-offline, hard-offline, internal-error, disable, found 'rest'; did you "
                  "mean 'reset'?" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                check_said(table[i].text, table[i].said);
}

static void test_broken_lines(void) {
        static const struct {
                const char *text, *said;
        } table[] = {
                /* everything in one go, each with its line */
                { "# x\n[guest *]\n mode=enforce\n\tadopt=yes\nnonsense\n=5\npanic=reset\n"
                  "panic=pause\npanic=none\n",
                  "f:3: [guest *]: expected a key at the beginning of the line, found "
                  "' mode=enforce'\n"
                  "f:4: [guest *]: expected a key at the beginning of the line, found "
                  "'\tadopt=yes'\n"
                  "f:5: [guest *]: expected key=value, found 'nonsense'\n"
                  "f:6: [guest *]: expected a key before the equals sign, found '=5'\n"
                  "f:8: [guest *]: expected a key only once in a section, found 'panic=pause'\n"
                  "f:9: [guest *]: expected a key only once in a section, found 'panic=none'" },
                { "dry-run=yes\nstrict=yes\n[daemon]\n",
                  "f:1: expected [section], found 'dry-run=yes'; what follows, up to the next "
                  "section, is left out" },
                { "[daemon]\n[rule x\naction=[x]\n[]\n[ ]\n [daemon]\n",
                  "f:2: expected [section], found '[rule x'; what follows, up to the next "
                  "section, is left out\n"
                  "f:4: expected [section], found '[]'; what follows, up to the next section, is "
                  "left out\n"
                  "f:5: expected [section], found '[ ]'; what follows, up to the next section, is "
                  "left out\n"
                  "f:6: expected [section], found ' [daemon]'; what follows, up to the next "
                  "section, is left out" },
                { "[daemon]\nlog-level=\x1b[31m\n", "f:2: expected text, found a control character" },
                { "[daemon]\n# caf\xe9\n", "f:2: expected UTF-8, found other bytes" },
                { "[guest caf\xe9]\nmode=enforce\n", "f:1: expected UTF-8, found other bytes" },
                /* bytes on which libini_config gives up a whole file */
                { "[daemon]\nm\xc3\xb6"
                  "de=1\nwhat!=2\n",
                  "f:2: expected a key of ASCII letters, digits and -\n"
                  "f:3: expected a key of ASCII letters, digits and -" },
                /* C comments are none, and a line is not continued */
                { "[daemon]\n/* dry-run=no\n",
                  "warning: f:2: [daemon] /* dry-run: unknown key; did you mean 'dry-run'?" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                check_said(table[i].text, table[i].said);
}

static void test_limits(void) {
        _cleanup_(loaded_deinit) Loaded nul = {}, longest = {}, many = {}, full = {};
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;

        load_bytes(&nul, "[daemon]\ndry-run=yes\0\n", 22, false);
        CU_ASSERT_STRING_EQUAL(nul.said, "f:2: expected text, found a control character");

        CU_ASSERT_EQUAL(buffer_append_string(&text, "[guest *]\nmode="), 0);
        for (unsigned i = 0; i < 4096; i++)
                CU_ASSERT_EQUAL(buffer_append_char(&text, 'x'), 0);
        load_bytes(&longest, buffer_content(&text), buffer_length(&text), false);
        CU_ASSERT_STRING_EQUAL(longest.said,
                               "f:2: expected a line of at most 4096 bytes, found a longer one");
        buffer_deinit(&text);

        for (unsigned i = 0; i < 300; i++)
                CU_ASSERT_EQUAL(buffer_printf(&text, "[rule %u]\nthen\n", i), 0);
        load_bytes(&many, buffer_content(&text), buffer_length(&text), false);
        CU_ASSERT_EQUAL(many.errors.n_items, CONFIG_ERRORS_MAX + 1);
        CU_ASSERT_STRING_EQUAL(many.errors.items[CONFIG_ERRORS_MAX].text,
                               "f: too many errors, the others are not shown");
        buffer_deinit(&text);

        CU_ASSERT_EQUAL(buffer_append_string(&text, "[colour]\n"), 0);
        for (unsigned i = 0; i < 600; i++)
                CU_ASSERT_EQUAL(buffer_printf(&text, "# a comment does not count\nk%u=\n", i), 0);
        load_bytes(&full, buffer_content(&text), buffer_length(&text), false);
        CU_ASSERT_STRING_EQUAL(full.said,
                               "f:1003: expected at most 500 keys in a section; what follows, up "
                               "to the next section, is left out\n"
                               "warning: f:1: [colour]: unknown section");
}

static void test_defaults(void) {
        _cleanup_(loaded_deinit) Loaded loaded;
        Config *c;

        load(&loaded, "", false);
        CU_ASSERT_STRING_EQUAL(loaded.said, "");
        CU_ASSERT_PTR_NOT_NULL_FATAL(loaded.config);
        c = loaded.config;
        CU_ASSERT_STRING_EQUAL(c->runtime_dir, "/run/tocsin");
        CU_ASSERT_STRING_EQUAL(c->state_dir, "/var/lib/tocsin");
        CU_ASSERT_EQUAL(c->log_level, 6);
        CU_ASSERT_STRING_EQUAL(c->command_group, "tocsin");
        CU_ASSERT_STRING_EQUAL(c->monitor_group, "tocsin-monitor");
        CU_ASSERT_EQUAL(c->heartbeat_us, 30 * USEC_PER_SEC);
        CU_ASSERT_EQUAL(c->silent_us, 60 * USEC_PER_SEC);
        CU_ASSERT(!c->strict && !c->policy->dry_run);
        CU_ASSERT(c->policy->guard_count == 5 && c->policy->guard_time_us == 600 * USEC_PER_SEC);
        CU_ASSERT(c->policy->cap_machines == 50 && c->policy->cap_time_us == 60 * USEC_PER_SEC);
        CU_ASSERT_EQUAL(c->policy->incident_rate, 10);
        CU_ASSERT(c->globs && !c->globs[0]);
        CU_ASSERT_STRING_EQUAL(c->attach_users[0], "root");
        CU_ASSERT_STRING_EQUAL(c->attach_users[1], "libvirt-qemu");
        CU_ASSERT_PTR_NULL(c->attach_users[2]);
        CU_ASSERT(c->n_paths == 0 && c->policy->n_guests == 0 && c->policy->n_rules == 0);
        CU_ASSERT(c->store.incidents == 100000 && c->store.bytes == UINT64_C(512) << 20);
}

static void test_guests(void) {
        _cleanup_(loaded_deinit) Loaded loaded;
        const GuestPolicy *guest;
        const Config *c;

        load(&loaded,
             "\xef\xbb\xbf[daemon]\r\nheartbeat = infinity\r\n\r\n"
             "[discover]\nqmp-glob = /run/vm/*/q.sock, /srv/*.sock\n"
             "[attach]\nusers=\n"
             "[guest web-[!0-9] ?]\nmode=enforce\nwatchdog=reset\n"
             "[ guest   my vm ]\nqmp=/run/my vm.sock\nexclusive=yes\npanic=reset\n"
             "[guest Web]\nmode=observe\n"
             "[guest web]\nmode=enforce\n"
             "[guest my\tvm]\nadopt=yes\n",
             false);
        CU_ASSERT_STRING_EQUAL(loaded.said, "");
        CU_ASSERT_PTR_NOT_NULL_FATAL(loaded.config);
        c = loaded.config;
        CU_ASSERT_EQUAL(c->heartbeat_us, 0);
        CU_ASSERT_STRING_EQUAL(c->globs[0], "/run/vm/*/q.sock");
        CU_ASSERT_STRING_EQUAL(c->globs[1], "/srv/*.sock");
        CU_ASSERT_PTR_NULL(c->attach_users[0]);

        CU_ASSERT_EQUAL_FATAL(c->n_paths, 1);
        CU_ASSERT_STRING_EQUAL(c->paths[0].name, "my\\x20vm");
        CU_ASSERT_STRING_EQUAL(c->paths[0].path, "/run/my vm.sock");
        CU_ASSERT(c->paths[0].exclusive);

        CU_ASSERT_EQUAL_FATAL(c->policy->n_guests, 4);
        guest = &c->policy->guests[0];
        CU_ASSERT_STRING_EQUAL(guest->glob, "web-[!0-9]\\x20?");
        CU_ASSERT_STRING_EQUAL(guest->origin, "f:8");
        CU_ASSERT(guest->mode_set && guest->mode == MACHINE_MODE_ENFORCE && !guest->adopt_set);
        CU_ASSERT(guest->actions.keys[POLICY_KEY_WATCHDOG].set);
        CU_ASSERT_EQUAL(guest->actions.keys[POLICY_KEY_WATCHDOG].action, ACTION_RESET);
        CU_ASSERT_STRING_EQUAL(guest->actions.keys[POLICY_KEY_WATCHDOG].origin, "f:10");
        CU_ASSERT(!guest->actions.keys[POLICY_KEY_PANIC].set);

        /* sections of one name are one, where the first stood; case tells names apart */
        guest = &c->policy->guests[1];
        CU_ASSERT_STRING_EQUAL(guest->glob, "my\\x20vm");
        CU_ASSERT(guest->adopt_set && guest->adopt);
        CU_ASSERT_EQUAL(guest->actions.keys[POLICY_KEY_PANIC].action, ACTION_RESET);
        CU_ASSERT_STRING_EQUAL(c->policy->guests[2].glob, "Web");
        CU_ASSERT_EQUAL(c->policy->guests[2].mode, MACHINE_MODE_OBSERVE);
        CU_ASSERT_STRING_EQUAL(c->policy->guests[3].glob, "web");
        CU_ASSERT_EQUAL(c->policy->guests[3].mode, MACHINE_MODE_ENFORCE);
}

static void test_rules(void) {
        _cleanup_(loaded_deinit) Loaded loaded;
        const Rule *rule;

        load(&loaded,
             "[rule z]\nkind=panic\nmachine=web-*\npanic-type=hyper-v\nhyperv-arg5=7\n"
             "stop-code=0x9f-0xa0\nstate=guest-panicked\naction=reset\nlimit=3/10min\nthen=pause\n"
             "delay=5min\ncancel-on=RESET, GUEST_CRASHLOADED\nevidence=registers,memory\n"
             "[rule a]\nkind=memory-failure\nrecipient=guest\naction-required=no\n"
             "[rule b]\ns390-reason=disabled-wait\npsw-addr=2-99\n",
             false);
        CU_ASSERT_STRING_EQUAL(loaded.said, "");
        CU_ASSERT_PTR_NOT_NULL_FATAL(loaded.config);
        CU_ASSERT_EQUAL_FATAL(loaded.config->policy->n_rules, 3);
        rule = &loaded.config->policy->rules[0];
        CU_ASSERT_STRING_EQUAL(rule->name, "z");
        CU_ASSERT_STRING_EQUAL(rule->origin, "f:1");
        CU_ASSERT(rule->kind_set && rule->kind == INCIDENT_KIND_PANIC);
        CU_ASSERT_STRING_EQUAL(rule->machine, "web-*");
        CU_ASSERT(rule->panic_type_set && rule->panic_type == GUEST_PANIC_INFORMATION_TYPE_HYPER_V);
        CU_ASSERT(rule->hyperv_arg[4].set && rule->hyperv_arg[4].first == 7 &&
                  rule->hyperv_arg[4].last == 7 && !rule->hyperv_arg[0].set);
        CU_ASSERT(rule->stop_code.set && rule->stop_code.first == 0x9f &&
                  rule->stop_code.last == 0xa0);
        CU_ASSERT(rule->state_set && rule->state == RUN_STATE_GUEST_PANICKED);
        CU_ASSERT(rule->action_set && rule->action == ACTION_RESET);
        CU_ASSERT(rule->then_set && rule->then == ACTION_PAUSE);
        CU_ASSERT(rule->limit_count == 3 && rule->limit_time_us == 600 * USEC_PER_SEC);
        CU_ASSERT_EQUAL(rule->delay_us, 300 * USEC_PER_SEC);
        CU_ASSERT_STRING_EQUAL(rule->cancel_on[0], "RESET");
        CU_ASSERT_STRING_EQUAL(rule->cancel_on[1], "GUEST_CRASHLOADED");
        CU_ASSERT_PTR_NULL(rule->cancel_on[2]);
        CU_ASSERT_EQUAL(rule->evidence, EVIDENCE_REGISTERS | EVIDENCE_MEMORY);
        CU_ASSERT(rule->action_required == -1 && rule->recursive == -1);

        rule = &loaded.config->policy->rules[1];
        CU_ASSERT_STRING_EQUAL(rule->name, "a");
        CU_ASSERT(rule->recipient_set && rule->action_required == 0 && rule->recursive == -1);
        CU_ASSERT(!rule->action_set && rule->limit_count == 0 && rule->delay_us == 0);
        rule = &loaded.config->policy->rules[2];
        CU_ASSERT(rule->psw_addr.set && rule->psw_addr.last == 99);
}

/* A start with a good remainder: what is broken is not half there. */
static void test_lenient(void) {
        _cleanup_(loaded_deinit) Loaded loaded;
        const Policy *policy;

        load(&loaded,
             "[daemon]\nnonsense\nstate-dir=/s\nheartbeat=1us\nsilent-after=7s\n"
             "[guest a]\nqmp=/a\nmode=enforce\npanic=explode\n"
             "[guest b]\nqmp=/b\nmode=enforce\nbroken line\n"
             "[guest c]\nqmp=/c\nunknown=1\n"
             "[guest d]\nmode=enforce\n[guest d]\nbroken line\n"
             "[rule r]\naction=reset\nthen=pause\n"
             "[rule s\naction=fatal\n"
             "[rule t]\naction=reset\n"
             "[discover]\nqmp-glob=/g/* /run/libvirt/qemu/*\n",
             true);
        CU_ASSERT_EQUAL(loaded.r, 0);
        CU_ASSERT(config_errors_are_fatal(&loaded.errors));
        CU_ASSERT_PTR_NOT_NULL_FATAL(loaded.config);
        policy = loaded.config->policy;
        CU_ASSERT_STRING_EQUAL(loaded.config->state_dir, "/s");
        CU_ASSERT_EQUAL(loaded.config->heartbeat_us, 30 * USEC_PER_SEC);
        CU_ASSERT_EQUAL(loaded.config->silent_us, 7 * USEC_PER_SEC);
        CU_ASSERT_EQUAL_FATAL(loaded.config->n_paths, 1);
        CU_ASSERT_STRING_EQUAL(loaded.config->paths[0].path, "/c");
        CU_ASSERT_EQUAL_FATAL(policy->n_guests, 1);
        CU_ASSERT_STRING_EQUAL(policy->guests[0].glob, "c");
        CU_ASSERT_EQUAL_FATAL(policy->n_rules, 1);
        CU_ASSERT_STRING_EQUAL(policy->rules[0].name, "t");
        CU_ASSERT_STRING_EQUAL(loaded.config->globs[0], "/g/*");
        CU_ASSERT_PTR_NULL(loaded.config->globs[1]);
}

static void put(const char *root, const char *path, const char *text) {
        char whole[256];
        FILE *file;

        (void) snprintf(whole, sizeof(whole), "%s%s", root, path);
        for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                (void) mkdir(whole, 0755);
                *slash = '/';
        }
        file = fopen(whole, "we");
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        CU_ASSERT(fputs(text, file) >= 0);
        CU_ASSERT_EQUAL(fclose(file), 0);
        CU_ASSERT_EQUAL(chmod(whole, 0644), 0);
}

static void remove_root(const char *root) {
        char command[128];

        (void) snprintf(command, sizeof(command), "rm -rf '%s'", root);
        CU_ASSERT_EQUAL(system(command), 0);
}

static void test_search_path(void) {
        char root[] = "/tmp/tocsin-test-config-XXXXXX", path[256];
        _cleanup_(config_tree_deinit) ConfigTree tree = CONFIG_TREE_NULL, alone = CONFIG_TREE_NULL;
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_free_ char *said = NULL;
        const Policy *policy;

        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
        put(root, TOCSIN_DATADIR "/tocsin.conf", "[daemon]\nstate-dir=/vendor\nstrict=yes\n");
        put(root, TOCSIN_DATADIR "/tocsin.conf.d/20-x.conf", "[daemon]\nlog-level=err\n");
        put(root, TOCSIN_DATADIR "/tocsin.conf.d/50-hidden.conf", "[rule hidden]\naction=reset\n");
        put(root, TOCSIN_DATADIR "/tocsin.conf.d/60-off.conf", "[rule off]\naction=reset\n");
        put(root,
            TOCSIN_SYSCONFDIR "/tocsin.conf",
            "[daemon]\nstate-dir=/admin\n[guest b]\nmode=enforce\nadopt=yes\n");
        put(root,
            TOCSIN_SYSCONFDIR "/tocsin.conf.d/10-x.conf",
            "[daemon]\nlog-level=debug\n[guest b]\nmode=observe\n[guest a]\nmode=enforce\n");
        put(root, TOCSIN_SYSCONFDIR "/tocsin.conf.d/50-hidden.conf", "[rule shown]\naction=reset\n");
        put(root, TOCSIN_SYSCONFDIR "/tocsin.conf.d/.70.conf", "[daemon]\nstate-dir=/dot\n");
        put(root, TOCSIN_SYSCONFDIR "/tocsin.conf.d/70.conf~", "[daemon]\nstate-dir=/backup\n");
        (void) snprintf(path, sizeof(path), "%s" TOCSIN_SYSCONFDIR "/tocsin.conf.d/60-off.conf", root);
        CU_ASSERT_EQUAL(symlink("/dev/null", path), 0);

        CU_ASSERT_EQUAL(config_path_load(&tree, root, NULL, &errors), 0);
        CU_ASSERT_EQUAL(config_build(&tree, false, &config, &errors), 0);
        CU_ASSERT_EQUAL(errors.n_items, 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(config);
        policy = config->policy;
        CU_ASSERT_STRING_EQUAL(config->state_dir, "/admin");
        CU_ASSERT(config->strict);
        CU_ASSERT_EQUAL(config->log_level, 3);
        CU_ASSERT_EQUAL_FATAL(policy->n_guests, 2);
        CU_ASSERT_STRING_EQUAL(policy->guests[0].glob, "b");
        CU_ASSERT_EQUAL(policy->guests[0].mode, MACHINE_MODE_OBSERVE);
        CU_ASSERT(policy->guests[0].adopt);
        CU_ASSERT_EQUAL_FATAL(policy->n_rules, 1);
        CU_ASSERT_STRING_EQUAL(policy->rules[0].name, "shown");

        /* somebody else may write it, or it is not there */
        (void) snprintf(path, sizeof(path), "%s" TOCSIN_SYSCONFDIR "/tocsin.conf", root);
        CU_ASSERT_EQUAL(chmod(path, 0646), 0);
        CU_ASSERT_EQUAL(config_path_load(&alone, "", path, &errors), CONFIG_E_INVALID);
        CU_ASSERT_EQUAL(chmod(path, 0644), 0);
        CU_ASSERT_EQUAL(config_path_load(&alone, "", root, &errors), CONFIG_E_INVALID);
        CU_ASSERT_EQUAL(config_path_load(&alone, "", "/nowhere/x.conf", &errors), CONFIG_E_INVALID);
        CU_ASSERT_EQUAL(config_path_load(&alone, "", "/dev/null", &errors), 0);
        said = say(&errors);
        CU_ASSERT_PTR_NOT_NULL(strstr(said,
                                      "/tocsin.conf: expected a file that only its owner may "
                                      "write, found one that everybody may\n"));
        CU_ASSERT_PTR_NOT_NULL(strstr(said, ": expected a regular file\n"));
        CU_ASSERT_PTR_NOT_NULL(
                strstr(said, "/nowhere/x.conf: can't be read: No such file or directory"));
        remove_root(root);
}

/* What is shown can be read again and means the same. */
static void test_show(void) {
        char root[] = "/tmp/tocsin-test-config-XXXXXX", path[256], shown_path[256];
        _cleanup_free_ char *shown = NULL, *again = NULL, *line = NULL;
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        _cleanup_(config_freep) Config *config = NULL;
        size_t n = 0;
        FILE *out;

        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
        put(root,
            "/t.conf",
            "[store]\nsize=1G\n[guest a*]\nmode=enforce\nwrong=1\n[rule x]\naction=nonsense\n"
            "[guest b]\npanic=reset\n[daemon]\nstate-dir=/s\nheartbeat=1us\n");
        (void) snprintf(path, sizeof(path), "%s/t.conf", root);
        out = open_memstream(&shown, &n);
        CU_ASSERT_EQUAL(config_show(path, out), 0);
        (void) fclose(out);
        CU_ASSERT_PTR_NOT_NULL(strstr(shown, "# default\nruntime-dir=/run/tocsin\n"));
        CU_ASSERT(asprintf(&line, "# %s:11\nstate-dir=/s\n", path) > 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(shown, line));
        CU_ASSERT_PTR_NOT_NULL(strstr(shown, "# default\nheartbeat=30s\n"));
        CU_ASSERT_PTR_NOT_NULL(strstr(shown, "size=1G\n"));
        CU_ASSERT_PTR_NOT_NULL(strstr(shown, "# not in effect: "));
        CU_ASSERT_PTR_NULL(strstr(shown, "\naction="));
        CU_ASSERT_PTR_NULL(strstr(shown, "\nwrong="));

        put(root, "/shown.conf", shown);
        (void) snprintf(shown_path, sizeof(shown_path), "%s/shown.conf", root);
        CU_ASSERT_EQUAL(config_load(shown_path, false, &config, &errors), 0);
        CU_ASSERT_EQUAL(errors.n_items, 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(config);
        CU_ASSERT_STRING_EQUAL(config->state_dir, "/s");
        CU_ASSERT_EQUAL(config->policy->n_guests, 2);
        CU_ASSERT_EQUAL(config->policy->n_rules, 0);
        remove_root(root);
}

static void test_tables(void) {
        for (size_t i = 0; i < _CONFIG_SECTION_MAX; i++)
                for (size_t k = 0; k < config_sections[i].n_keys; k++) {
                        const ConfigKey *key = &config_sections[i].keys[k];

                        CU_ASSERT_PTR_EQUAL(config_section_find(&config_sections[i], key->name), key);
                        CU_ASSERT(key->doc[0] != '\0' && key->doc[strlen(key->doc) - 1] == '.');
                        CU_ASSERT_EQUAL(strspn(key->name, "abcdefghijklmnopqrstuvwxyz0123456789-"),
                                        strlen(key->name));
                }
}

TEST_MAIN("config",
          { "broken values", test_broken_values },
          { "unknown words", test_unknown_words },
          { "notify", test_notify },
          { "broken guests", test_broken_guests },
          { "broken rules", test_broken_rules },
          { "broken lines", test_broken_lines },
          { "limits", test_limits },
          { "defaults", test_defaults },
          { "guests", test_guests },
          { "rules", test_rules },
          { "good remainder", test_lenient },
          { "search path", test_search_path },
          { "show", test_show },
          { "tables", test_tables })
