/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A ladder: the first incident of a machine gets the first action, the next one the second, and so on;
 * from then on the last. After a quiet time it begins at the bottom again. It keeps nothing: how far up a
 * machine is follows from its history, so restarts of tocsind change nothing.
 */
#include <stdlib.h>
#include <tocsin/plugin.h>

#define ESCALATE_RUNGS_MAX 16
#define ESCALATE_WORD_MAX 32

enum { OPTION_LADDER, OPTION_WINDOW, OPTION_QUIET, OPTION_COOL_DOWN };

static const struct tocsin_option options[] = {
        { "ladder",
          TOCSIN_OPTION_TEXT,
          "reset reset dump+reset pause",
          "Actions from the bottom to the top; dump+ACTION keeps a memory dump first." },
        { "window", TOCSIN_OPTION_TIME, "1h", "What was done longer ago counts no more." },
        { "quiet", TOCSIN_OPTION_TIME, "30min", "After so long without an incident it begins again." },
        { "cool-down",
          TOCSIN_OPTION_TIME,
          "0s",
          "An incident so soon after the last one gets the same action again." },
};

struct rung {
        enum tocsin_action action;
        unsigned evidence;
        char word[ESCALATE_WORD_MAX];
};

struct ladder {
        struct rung rungs[ESCALATE_RUNGS_MAX];
        size_t n;
        uint64_t window_us, quiet_us, cool_down_us;
};

/* Those that make sense for a watchdog or a panic; tocsind refuses what a kind does not allow. */
static const struct {
        const char *word;
        enum tocsin_action action;
} actions[] = {
        { "none", TOCSIN_ACTION_NONE },         { "pause", TOCSIN_ACTION_PAUSE },
        { "reset", TOCSIN_ACTION_RESET },       { "shutdown", TOCSIN_ACTION_SHUTDOWN },
        { "poweroff", TOCSIN_ACTION_POWEROFF }, { "inject-nmi", TOCSIN_ACTION_INJECT_NMI },
};

static int escalate_parse_rung(const char *word, size_t n, struct rung *rung) {
        static const char dump[] = "dump+";
        size_t i;

        if (n >= ESCALATE_WORD_MAX)
                return -1;
        memcpy(rung->word, word, n);
        rung->word[n] = '\0';
        word = rung->word;
        if (strncmp(word, dump, sizeof(dump) - 1) == 0) {
                rung->evidence = TOCSIN_EVIDENCE_MEMORY;
                word += sizeof(dump) - 1;
        }
        for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
                if (strcmp(actions[i].word, word) == 0) {
                        rung->action = actions[i].action;
                        return 0;
                }
        return -1;
}

static int escalate_parse(const char *text, struct ladder *ladder) {
        while (*(text += strspn(text, " ,\t"))) {
                size_t n = strcspn(text, " ,\t");

                if (ladder->n == ESCALATE_RUNGS_MAX) {
                        fprintf(stderr, "ladder: more than %d rungs\n", ESCALATE_RUNGS_MAX);
                        return -1;
                }
                if (escalate_parse_rung(text, n, &ladder->rungs[ladder->n++]) < 0) {
                        fprintf(stderr, "ladder: '%.*s' is no action\n", (int) n, text);
                        return -1;
                }
                text += n;
        }
        if (ladder->n == 0)
                fprintf(stderr, "ladder: it has no rung\n");
        return ladder->n == 0 ? -1 : 0;
}

static int escalate_init(const struct tocsin_value *values, void **ret_state) {
        struct ladder *ladder = calloc(1, sizeof(*ladder));

        if (!ladder)
                return -1;
        ladder->window_us = values[OPTION_WINDOW].number;
        ladder->quiet_us = values[OPTION_QUIET].number;
        ladder->cool_down_us = values[OPTION_COOL_DOWN].number;
        if (escalate_parse(values[OPTION_LADDER].text, ladder) < 0) {
                free(ladder);
                return -1;
        }
        *ret_state = ladder;
        return 0;
}

/* How many rungs it has climbed: from the newest back until a quiet time or the window's end. */
static size_t escalate_count(const struct ladder *ladder, const struct tocsin_question *question) {
        uint64_t later_us = 0;
        size_t level = 0, i;

        for (i = question->n_history; i > 0; i--) {
                const struct tocsin_past *past = &question->history[i - 1];

                if (past->kind != question->incident->kind)
                        continue;
                if (past->ago_us >= ladder->window_us || past->ago_us - later_us >= ladder->quiet_us)
                        break;
                if (past->ago_us - later_us >= ladder->cool_down_us)
                        level++;
                later_us = past->ago_us;
        }
        return level;
}

static void escalate(void *state,
                     const struct tocsin_question *question,
                     struct tocsin_answer *answer) {
        enum tocsin_incident_kind kind = question->incident->kind;
        const struct ladder *ladder = state;
        const struct rung *rung;
        size_t level;

        /* other kinds come with the abilities, and allow other actions */
        if (kind != TOCSIN_INCIDENT_KIND_WATCHDOG && kind != TOCSIN_INCIDENT_KIND_PANIC)
                return;
        level = escalate_count(ladder, question);
        if (level >= ladder->n)
                level = ladder->n - 1;
        rung = &ladder->rungs[level];
        answer->evidence = rung->evidence;
        tocsin_decide(answer, rung->action, "rung %zu of %zu: %s", level + 1, ladder->n, rung->word);
}

const struct tocsin_plugin tocsin_plugin = {
        TOCSIN_PLUGIN_HEAD,
        .name = "escalate",
        .version = "1",
        .doc = "Does more each time: a ladder of actions for a machine that keeps failing.",
        .options = TOCSIN_PLUGIN_OPTIONS(options),
        .init = escalate_init,
        .free = free,
        .watchdog = escalate,
        .panic = escalate,
};
