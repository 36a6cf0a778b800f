/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest whose memory keeps failing: a leaky bucket for each machine. Memory failures are mostly decided
 * by the VMM and so are in no history of actions; their times are kept here, and forgotten when the
 * process ends. Incidents name no page and no DIMM yet, so it counts machines only.
 */
#include <stdlib.h>
#include <tocsin/plugin.h>

/* Beyond it the machine that was quiet for longest is forgotten. */
#define HEALTH_MACHINES_MAX 1024
/* No bucket is larger. */
#define HEALTH_TIMES_MAX 64
#define HEALTH_NAME_SIZE 96

enum { OPTION_UNCORRECTED, OPTION_THEN, OPTION_URGENT };

static const struct tocsin_option options[] = {
        { "uncorrected",
          TOCSIN_OPTION_LIMIT,
          "3/24h",
          "So many failures of one machine's memory within the time are too many." },
        { "then", TOCSIN_OPTION_TEXT, "pause", "What is done then: pause or reset." },
        { "urgent",
          TOCSIN_OPTION_BOOL,
          "no",
          "Count only failures of memory in use, not those a scrubber found." },
};

struct bucket {
        char machine[HEALTH_NAME_SIZE];
        uint64_t times_us[HEALTH_TIMES_MAX]; /* a ring */
        unsigned next;
        uint64_t last_us;
};

struct health {
        uint64_t limit, within_us;
        enum tocsin_action then;
        bool urgent;
        struct bucket *buckets;
        size_t n;
};

static int health_init(const struct tocsin_value *values, void **ret_state) {
        struct health *health = calloc(1, sizeof(*health));
        const char *then = values[OPTION_THEN].text;

        if (!health)
                return -1;
        health->limit = values[OPTION_UNCORRECTED].number;
        health->within_us = values[OPTION_UNCORRECTED].within_us;
        health->urgent = values[OPTION_URGENT].number;
        health->then = strcmp(then, "reset") == 0 ? TOCSIN_ACTION_RESET : TOCSIN_ACTION_PAUSE;
        if (health->limit > HEALTH_TIMES_MAX ||
            (strcmp(then, "pause") != 0 && strcmp(then, "reset") != 0)) {
                fprintf(stderr,
                        "expected then= pause or reset, and at most %d failures\n",
                        HEALTH_TIMES_MAX);
                free(health);
                return -1;
        }
        health->buckets = calloc(HEALTH_MACHINES_MAX, sizeof(*health->buckets));
        if (!health->buckets) {
                free(health);
                return -1;
        }
        *ret_state = health;
        return 0;
}

static void health_free(void *state) {
        struct health *health = state;

        free(health->buckets);
        free(health);
}

static struct bucket *health_get_bucket(struct health *health, const char *machine) {
        struct bucket *oldest = health->buckets;
        size_t i;

        for (i = 0; i < health->n; i++) {
                struct bucket *bucket = &health->buckets[i];

                if (strncmp(bucket->machine, machine, HEALTH_NAME_SIZE - 1) == 0)
                        return bucket;
                if (bucket->last_us < oldest->last_us)
                        oldest = bucket;
        }
        if (health->n < HEALTH_MACHINES_MAX)
                oldest = &health->buckets[health->n++];
        memset(oldest, 0, sizeof(*oldest));
        strncpy(oldest->machine, machine, HEALTH_NAME_SIZE - 1);
        return oldest;
}

/* Puts one in; returns how many lie within the time. */
static unsigned health_add(const struct health *health, struct bucket *bucket, uint64_t now_us) {
        unsigned count = 0, i;

        bucket->times_us[bucket->next] = bucket->last_us = now_us;
        bucket->next = (bucket->next + 1) % HEALTH_TIMES_MAX;
        for (i = 0; i < HEALTH_TIMES_MAX; i++)
                count += bucket->times_us[i] != 0 && now_us - bucket->times_us[i] < health->within_us;
        return count;
}

static void health_failure(void *state,
                           const struct tocsin_question *question,
                           struct tocsin_answer *answer) {
        const struct tocsin_incident *incident = question->incident;
        struct health *health = state;
        unsigned count;

        if (incident->kind != TOCSIN_INCIDENT_KIND_MEMORY_FAILURE)
                return;
        if (health->urgent && !(incident->flags && incident->flags->action_required)) {
                tocsin_leave(answer, "the memory was not in use");
                return;
        }
        count = health_add(health, health_get_bucket(health, incident->machine), incident->time_us);
        if (count >= health->limit)
                tocsin_decide(answer,
                              health->then,
                              "its memory has failed %u times: its host or its DIMMs want looking at",
                              count);
        else
                tocsin_leave(answer,
                             "failure %u of its memory; %u are too many",
                             count,
                             (unsigned) health->limit);
}

const struct tocsin_plugin tocsin_plugin = {
        TOCSIN_PLUGIN_HEAD,
        .name = "memory-health",
        .version = "1",
        .doc = "Takes a machine whose memory keeps failing out of service.",
        .options = TOCSIN_PLUGIN_OPTIONS(options),
        .init = health_init,
        .free = health_free,
        .memory_failure = health_failure,
};
