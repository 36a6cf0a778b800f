/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tocsinctl: the command line of tocsind, and a client of control.sock like any other.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/verbs.h"
#include "policy/util/nearest.h"
#include "tocsin-version.h"

#define MAIN_SOCKET "/run/tocsin/control.sock"

static const CtlVerb main_verbs[] = {
        { "status", "", "how tocsind is, and what it wants you to know", NULL, verb_status },
        { "machines", "[NAME|GLOB]", "the host and its guests; one of them in full", NULL, verb_machines },
        { "monitor",
          "[--machine GLOB] [--event NAME,...] [--after SEQ]",
          "events as they happen",
          "--json prints one event a line, exactly as tocsind sent it. --after replays what came\n"
          "after that number first. When tocsind is restarted, monitor waits for it and goes on\n"
          "without a gap or a repeat.\n",
          verb_monitor },
        { "top",
          "[--once]",
          "machines and incidents in a terminal, live; q ends it",
          "--once, or output that is no terminal, prints the view once.\n",
          verb_top },
        { "incidents",
          "[list [FILTER...] | show N... | ack N... | export N [FILE]]",
          "what happened, what was decided and done",
          "Filters of list: --machine GLOB, --kind KIND, --status STATUS, --since TIME, --until TIME (a\n"
          "span as \"2h\", or a UTC date as \"2026-11-21\" or \"2026-11-21 03:12\"), --signature WORD,\n"
          "--stop-code N, --reason WORD, --before N, --limit N. --group counts equal crashes.\n"
          "export packs the record, the report and the evidence in a tar file, incident-N.tar if not said\n"
          "otherwise (- is standard output); --without-evidence leaves the latter out.\n",
          verb_incidents },
        { "explain",
          "INCIDENT | --machine NAME WHAT",
          "why it was decided, or what would be decided now",
          "WHAT is one of\n"
          "  --panic [plain | hyper-v:ARG1[,ARG2...] | s390:REASON,MASK,ADDR[,CORE]]\n"
          "  --s390 REASON,MASK,ADDR[,CORE]      the same as --panic s390:...\n"
          "  --memory-failure guest|hypervisor   with --action-required, --recursive\n"
          "  --watchdog\n"
          "  --kind KIND                         any other kind of incident\n"
          "and --state STATE says which run state the machine would be in. Nothing is done.\n",
          verb_explain },
        { "policy",
          "MACHINE",
          "the action set in force for a machine, and where it comes from",
          NULL,
          verb_policy },
        { "hold",
          "MACHINE DURATION|off",
          "decide nothing for a machine during maintenance",
          NULL,
          verb_hold },
        { "reset-action",
          "MACHINE [KEY]",
          "drop what was set by set-action for this run",
          NULL,
          verb_reset_action },
        { "attach",
          "NAME --print",
          "lines that make a guest call tocsind, to paste",
          "For a QEMU command line, for libvirt's XML and for Proxmox.\n",
          verb_attach },
        { "record",
          "[--machine GLOB] [--seconds N] [--config FILE] [FILE]",
          "write what happens as a scenario, for a test of the policy",
          "Until so many seconds are over, or it is interrupted. FILE is standard output by default;\n"
          "--config is what tocsind was started with.\n",
          verb_record },
        { "decode",
          "[--system-map FILE] [TEXT...]",
          "say what crash registers, a PSW or a log line mean; needs no tocsind",
          "TEXT, or standard input, is what was pasted: the five Hyper-V crash registers, a Windows\n"
          "stop code, an s390 PSW (two numbers), log lines of QEMU or libvirt, a Hyper-V host's event,\n"
          "or JSON of an event or an incident. --system-map is that of the guest's kernel.\n",
          verb_decode },
        { "report",
          "MACHINE WHAT [--action ACTION] [--wait]",
          "report as a VMM does, and hear what is decided",
          "WHAT is one of\n"
          "  --panic [plain | hyper-v:ARG1[,ARG2...] | s390:REASON,MASK,ADDR[,CORE]]\n"
          "          with --message TEXT\n"
          "  --memory-failure guest|hypervisor\n"
          "  --watchdog, --crashloaded, --notify-vmexit\n"
          "--action is what the VMM does when nobody decides. --wait waits for a decision that comes\n"
          "later. MACHINE is there as long as this command runs; vmm.sock lies beside control.sock.\n",
          verb_report },
        { "plugins",
          "[NAME]",
          "the policy plugins and how they do; one of them in full",
          NULL,
          verb_plugins },
        { "plugin",
          "restart NAME | new NAME [--c|--python|--sh]",
          "start a plugin's process anew, or write a new plugin",
          "new makes a folder NAME with a plugin that works, its Makefile and its check; in C, if not\n"
          "said otherwise.\n",
          verb_plugin },
        { "sources", "", "what of the host's kernel is listened to, or why not", NULL, verb_sources },
        { "watchdogs", "", "the host's watchdog devices and who keeps them alive", NULL, verb_watchdogs },
        { "config",
          "check|show [--config FILE]",
          "errors of the configuration, or its effective values",
          "Runs tocsind --check or tocsind --show-config.\n",
          verb_config },
};

static int main_help(void) {
        Text text = TEXT_NULL;
        Table table = TABLE_INIT(2);

        text_add(&text,
                 "tocsinctl [--socket PATH] [--json] VERB ...\n\n"
                 "Asks tocsind what happened to the machines of this host, and tells it what to do.\n\n");
        for (size_t i = 0; i < ELEMENTSOF(main_verbs); i++) {
                table_printf(&table, "%s %s", main_verbs[i].name, main_verbs[i].arguments);
                table_note(&table, "%s", main_verbs[i].summary);
        }
        table_write(&table, &text, 2);
        table_deinit(&table);
        text_add(&text,
                 "\n"
                 "  --socket PATH  of tocsind, default " MAIN_SOCKET "\n"
                 "  --json         print tocsind's own answer\n"
                 "  -h, --help     this, or the help of a verb\n"
                 "  --version\n\n"
                 "Exit status: 0 done, 1 failed, 2 wrong command line, 3 tocsind can't be reached,\n"
                 "4 no such machine or incident. See tocsinctl(1).\n");
        return ctl_print(&text);
}

static int main_help_verb(const CtlVerb *verb) {
        Text text = TEXT_NULL;

        text_printf(&text, "tocsinctl %s %s\n\n%s\n", verb->name, verb->arguments, verb->summary);
        if (verb->help)
                text_printf(&text, "\n%s", verb->help);
        return ctl_print(&text);
}

static const CtlVerb *main_find_verb(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(main_verbs); i++)
                if (strcmp(main_verbs[i].name, name) == 0)
                        return main_verbs + i;
        return NULL;
}

static int main_fail_verb(const Ctl *ctl, const char *name) {
        Nearest nearest;

        nearest_init(&nearest, name);
        for (size_t i = 0; i < ELEMENTSOF(main_verbs); i++)
                nearest_offer(&nearest, main_verbs[i].name);
        if (nearest_get(&nearest))
                return ctl_fail_usage(ctl,
                                      "unknown verb %s; did you mean %s?",
                                      name,
                                      nearest_get(&nearest));
        return ctl_fail_usage(ctl, "unknown verb %s", name);
}

int main(int argc, char **argv) {
        Ctl ctl = { .socket = MAIN_SOCKET };
        bool help = false, version = false;
        const Option options[] = { { "socket", 0, &ctl.socket, NULL },
                                   { "json", 0, NULL, &ctl.json },
                                   { "help", 'h', NULL, &help },
                                   { "version", 0, NULL, &version },
                                   {} };
        const char *bad = NULL;
        int r;

        (void) setlocale(LC_CTYPE, "");
        argc--;
        argv++;
        if (options_parse(options, true, &argc, argv, &bad) != 0)
                return ctl_fail_usage(&ctl, "option %s: wrong value", bad);
        if (version) {
                (void) puts("tocsin " TOCSIN_VERSION);
                return CTL_EXIT_OK;
        }
        if (argc == 0)
                return help ? main_help() : ctl_fail_usage(&ctl, "no verb given");

        ctl.verb = main_find_verb(argv[0]);
        if (!ctl.verb)
                return main_fail_verb(&ctl, argv[0]);
        if (help)
                return main_help_verb(ctl.verb);
        r = ctl.verb->run(&ctl, argc - 1, argv + 1);
        connection_close(ctl.connection);
        return r;
}
