/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Known crashes: a table, one crash a line, says what to do about it and what people should know:
 *
 *         stop-code=0x9f arg2=3 action=reset note=a driver lost its power IRP, fixed in 4.2
 *         machine=db-* s390-reason=disabled-wait wait-code=0xfff action=none
 *
 * Words are KEY=VALUE, note= takes the rest of its line, # begins a comment. All keys of a line have to
 * match, and the first line that does decides. The file is read again when it has changed; a table
 * with an error in it is not taken, and the last good one stays.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <tocsin/plugin.h>

#define TABLE_ROWS_MAX 4096
#define TABLE_LINE_MAX 1024
#define TABLE_ARGS 5

static const struct tocsin_option options[] = {
        { "table", TOCSIN_OPTION_TEXT, NULL, "The file of known crashes." },
};

struct number {
        bool set;
        uint64_t value;
};

struct row {
        char *machine, *note;
        struct number args[TABLE_ARGS], wait_code, psw_addr, reason;
        bool has_action;
        enum tocsin_action action;
        unsigned evidence;
        unsigned line;
};

struct table {
        const char *path;
        struct row *rows;
        size_t n;
        struct stat seen;
};

static const struct {
        const char *word;
        enum tocsin_action action;
} table_actions[] = {
        { "none", TOCSIN_ACTION_NONE },
        { "pause", TOCSIN_ACTION_PAUSE },
        { "reset", TOCSIN_ACTION_RESET },
        { "shutdown", TOCSIN_ACTION_SHUTDOWN },
        { "exit-failure", TOCSIN_ACTION_EXIT_FAILURE },
};

static const struct {
        const char *word;
        enum tocsin_s390_crash_reason reason;
} table_reasons[] = {
        { "disabled-wait", TOCSIN_S390_CRASH_REASON_DISABLED_WAIT },
        { "extint-loop", TOCSIN_S390_CRASH_REASON_EXTINT_LOOP },
        { "pgmint-loop", TOCSIN_S390_CRASH_REASON_PGMINT_LOOP },
        { "opint-loop", TOCSIN_S390_CRASH_REASON_OPINT_LOOP },
};

static void table_clear(struct row *rows, size_t n) {
        size_t i;

        for (i = 0; i < n; i++) {
                free(rows[i].machine);
                free(rows[i].note);
        }
        free(rows);
}

static int table_parse_number(const char *value, struct number *ret) {
        char *end;

        errno = 0;
        ret->value = strtoull(value, &end, 0);
        ret->set = true;
        return errno != 0 || end == value || *end != '\0' || *value == '-' ? -1 : 0;
}

static int table_parse_action(const char *value, struct row *row) {
        size_t i;

        for (i = 0; i < sizeof(table_actions) / sizeof(table_actions[0]); i++)
                if (strcmp(table_actions[i].word, value) == 0) {
                        row->has_action = true;
                        row->action = table_actions[i].action;
                        return 0;
                }
        return -1;
}

static int table_parse_reason(const char *value, struct number *ret) {
        size_t i;

        for (i = 0; i < sizeof(table_reasons) / sizeof(table_reasons[0]); i++)
                if (strcmp(table_reasons[i].word, value) == 0) {
                        ret->set = true;
                        ret->value = table_reasons[i].reason;
                        return 0;
                }
        return -1;
}

static int table_parse_text(const char *value, char **ret) {
        free(*ret);
        *ret = strdup(value);
        return *ret ? 0 : -1;
}

static int table_parse_word(const char *key, const char *value, struct row *row) {
        if (strcmp(key, "stop-code") == 0)
                return table_parse_number(value, &row->args[0]);
        if (strlen(key) == 4 && strncmp(key, "arg", 3) == 0 && key[3] >= '1' && key[3] <= '5')
                return table_parse_number(value, &row->args[key[3] - '1']);
        if (strcmp(key, "wait-code") == 0)
                return table_parse_number(value, &row->wait_code);
        if (strcmp(key, "psw-addr") == 0)
                return table_parse_number(value, &row->psw_addr);
        if (strcmp(key, "s390-reason") == 0)
                return table_parse_reason(value, &row->reason);
        if (strcmp(key, "machine") == 0)
                return table_parse_text(value, &row->machine);
        if (strcmp(key, "note") == 0)
                return table_parse_text(value, &row->note);
        if (strcmp(key, "action") == 0)
                return table_parse_action(value, row);
        if (strcmp(key, "evidence") != 0 || strcmp(value, "memory") != 0)
                return -1;
        row->evidence = TOCSIN_EVIDENCE_MEMORY;
        return 0;
}

/* Changes `line`. What is wrong with it has been said when it fails. */
static int table_parse_line(const char *path, char *line, struct row *row) {
        char *word = line + strspn(line, " \t");

        while (*word) {
                char *equals = strchr(word, '=');
                size_t n = strcspn(word, " \t");
                char *next = word + n;

                if (!equals || equals > next) {
                        fprintf(stderr,
                                "%s:%u: expected KEY=VALUE, found '%.*s'\n",
                                path,
                                row->line,
                                (int) n,
                                word);
                        return -1;
                }
                *equals = '\0';
                if (strcmp(word, "note") == 0)
                        next = equals + 1 + strlen(equals + 1);
                if (*next)
                        *next++ = '\0';
                if (table_parse_word(word, equals + 1, row) < 0) {
                        fprintf(stderr,
                                "%s:%u: %s: '%s' is not known\n",
                                path,
                                row->line,
                                word,
                                equals + 1);
                        return -1;
                }
                word = next + strspn(next, " \t");
        }
        return 0;
}

static int table_read(const char *path, FILE *file, struct row *rows, size_t *ret_n) {
        char line[TABLE_LINE_MAX];
        unsigned number = 0;

        while (fgets(line, sizeof(line), file)) {
                size_t n = strcspn(line, "\n");

                number++;
                if (line[n] != '\n' && !feof(file)) {
                        fprintf(stderr, "%s:%u: the line is too long\n", path, number);
                        return -1;
                }
                line[n] = '\0';
                n = strspn(line, " \t");
                if (line[n] == '#' || line[n] == '\0')
                        continue;
                if (*ret_n == TABLE_ROWS_MAX) {
                        fprintf(stderr, "%s: more than %d crashes\n", path, TABLE_ROWS_MAX);
                        return -1;
                }
                rows[*ret_n].line = number;
                if (table_parse_line(path, line, &rows[(*ret_n)++]) < 0)
                        return -1;
        }
        return ferror(file) ? -1 : 0;
}

/* Takes the file as it is now; on an error the table stays as it is. */
static int table_load(struct table *table) {
        struct row *rows = calloc(TABLE_ROWS_MAX, sizeof(*rows));
        FILE *file = fopen(table->path, "re");
        size_t n = 0;
        int r = -1;

        if (!file)
                fprintf(stderr, "%s: %s\n", table->path, strerror(errno));
        if (file && rows && fstat(fileno(file), &table->seen) == 0)
                r = table_read(table->path, file, rows, &n);
        if (file)
                fclose(file);
        if (r < 0) {
                table_clear(rows, n);
                return r;
        }
        table_clear(table->rows, table->n);
        table->rows = rows;
        table->n = n;
        fprintf(stderr, "%s: %zu known crashes\n", table->path, n);
        return 0;
}

static void table_refresh(struct table *table) {
        struct stat st;

        if (stat(table->path, &st) == 0 &&
            (st.st_ino != table->seen.st_ino || st.st_size != table->seen.st_size ||
             memcmp(&st.st_mtim, &table->seen.st_mtim, sizeof(st.st_mtim)) != 0))
                (void) table_load(table);
}

static int table_init(const struct tocsin_value *values, void **ret_state) {
        struct table *table = calloc(1, sizeof(*table));

        if (!table || !values[0].text) {
                fprintf(stderr, "table: it has to be configured\n");
                free(table);
                return -1;
        }
        table->path = values[0].text;
        if (table_load(table) < 0) {
                free(table);
                return -1;
        }
        *ret_state = table;
        return 0;
}

static void table_free(void *state) {
        struct table *table = state;

        table_clear(table->rows, table->n);
        free(table);
}

static bool table_is(const struct number *number, uint64_t value) {
        return !number->set || number->value == value;
}

static bool table_matches_hyper_v(const struct row *row,
                                  const struct tocsin_guest_panic_information_hyper_v *regs) {
        const uint64_t args[TABLE_ARGS] = { regs->arg1, regs->arg2, regs->arg3, regs->arg4, regs->arg5 };
        int i;

        for (i = 0; i < TABLE_ARGS; i++)
                if (!table_is(&row->args[i], args[i]))
                        return false;
        return !row->reason.set && !row->wait_code.set && !row->psw_addr.set;
}

static bool table_matches_s390(const struct row *row,
                               const struct tocsin_guest_panic_information_s390 *s390) {
        int i;

        for (i = 0; i < TABLE_ARGS; i++)
                if (row->args[i].set)
                        return false;
        /* the code is the last three digits of the address, what is before them is a reason */
        return table_is(&row->reason, s390->reason) && table_is(&row->psw_addr, s390->psw_addr) &&
               table_is(&row->wait_code, s390->psw_addr & 0xfff);
}

static bool table_matches(const struct row *row, const struct tocsin_incident *incident) {
        const struct tocsin_guest_panic_information *info = incident->info;

        if (!info || (row->machine && fnmatch(row->machine, incident->machine, 0) != 0))
                return false;
        if (info->type == TOCSIN_GUEST_PANIC_INFORMATION_TYPE_HYPER_V)
                return table_matches_hyper_v(row, info->u.hyper_v);
        return info->type == TOCSIN_GUEST_PANIC_INFORMATION_TYPE_S390 &&
               table_matches_s390(row, info->u.s390);
}

static void table_panic(void *state,
                        const struct tocsin_question *question,
                        struct tocsin_answer *answer) {
        struct table *table = state;
        size_t i;

        table_refresh(table);
        for (i = 0; i < table->n; i++) {
                const struct row *row = &table->rows[i];
                const char *note = row->note ? row->note : "a known crash";

                if (!table_matches(row, question->incident))
                        continue;
                answer->evidence = row->evidence;
                if (row->has_action)
                        tocsin_decide(answer, row->action, "%s (line %u of the table)", note, row->line);
                else
                        tocsin_leave(answer, "%s (line %u of the table)", note, row->line);
                return;
        }
        tocsin_leave(answer, "no known crash");
}

const struct tocsin_plugin tocsin_plugin = {
        TOCSIN_PLUGIN_HEAD,
        .name = "crash-table",
        .version = "1",
        .doc = "Knows crashes by a table: what to do about each, and what people should know of it.",
        .options = TOCSIN_PLUGIN_OPTIONS(options),
        .init = table_init,
        .free = table_free,
        .panic = table_panic,
};
