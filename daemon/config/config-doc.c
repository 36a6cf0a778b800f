/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints what the key tables say, for people: `config-doc conf` the commented default
 * configuration, `config-doc man` tocsin.conf(5). Run at build time only; what it prints is kept in
 * conf/ and docs/, and a test compares.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config/config-keys.h"

#define DOC_WIDTH 78

static const char doc_conf_head[] =
        "# SPDX-License-Identifier: LGPL-2.1-or-later\n"
        "#\n"
        "# The configuration of tocsind. Every key is here with its default, commented out, so this\n"
        "# file as it stands changes nothing. Rather than editing it, put what you change into a\n"
        "# file of its own in /etc/tocsin/tocsin.conf.d/, and see `tocsinctl config show`.\n"
        "# tocsin.conf(5) has the rules.\n";

static const char doc_man_head[] =
        ".\\\" SPDX-License-Identifier: LGPL-2.1-or-later\n"
        ".\\\" Made from the key tables: `ninja update-config-docs`.\n"
        ".TH TOCSIN.CONF 5 \"\" tocsin\n"
        ".SH NAME\n"
        "tocsin.conf \\- configuration of tocsind\n"
        ".SH SYNOPSIS\n"
        ".I /usr/share/tocsin/tocsin.conf\n"
        ".br\n"
        ".I /usr/share/tocsin/tocsin.conf.d/*.conf\n"
        ".br\n"
        ".I /etc/tocsin/tocsin.conf\n"
        ".br\n"
        ".I /etc/tocsin/tocsin.conf.d/*.conf\n"
        ".SH FILES\n"
        "First the two files are read, the distribution\\(aqs and the administrator\\(aqs, then what\n"
        "is in the two folders, in the order of the names. A file in\n"
        ".I /etc/tocsin/tocsin.conf.d\n"
        "hides the one of the same name in\n"
        ".IR /usr/share/tocsin/tocsin.conf.d ;\n"
        "an empty one, or a link to\n"
        ".IR /dev/null ,\n"
        "just switches that off. Sections of one name become one, where the first of them stood, and\n"
        "of a key that is set twice the later one wins. A file that others than its owner and group\n"
        "root may write is refused.\n"
        ".PP\n"
        "With\n"
        ".B tocsind \\-\\-config\n"
        ".I FILE\n"
        "that file alone is read.\n"
        ".SH SYNTAX\n"
        "A file is UTF-8: lines of\n"
        ".IR key = value\n"
        "below lines of\n"
        ".RI [ section ].\n"
        "A line that begins with # or ; is a comment; nothing else is one, and a value goes on to the\n"
        "end of its line. A line does not begin with a space, and a key is there only once in a\n"
        "section of a file.\n"
        ".TP\n"
        ".I TIME\n"
        "as in\n"
        ".BR systemd.time (7):\n"
        "5min, 1h 30min, 200ms, 90 (seconds), infinity.\n"
        ".TP\n"
        ".I N/TIME\n"
        "so many within so long: 3/10min.\n"
        ".TP\n"
        ".I SIZE\n"
        "bytes, or with K, M, G, T of base 1024: 64M.\n"
        ".TP\n"
        ".I GLOB\n"
        "a machine\\(aqs name, or a pattern of *, ? and [a-z], [!a-z]. A space in it is one of the\n"
        "name, which\n"
        ".B tocsinctl machines\n"
        "shows as \\ex20.\n"
        ".TP\n"
        ".I NAME,...\n"
        "a list, with commas or spaces between. An empty one takes everything away.\n"
        ".PP\n"
        ".B tocsind \\-\\-check\n"
        "prints every error with its file and line.\n"
        ".B tocsinctl config show\n"
        "prints the value of every key and where it is from. SIGHUP loads a changed configuration,\n"
        "as a whole or not at all.\n";

static const char doc_man_tail[] = ".SH EXAMPLE\n"
                                   ".EX\n"
                                   "[guest web-*]\n"
                                   "mode=enforce\n"
                                   "watchdog=reset\n"
                                   "panic=pause\n"
                                   ".sp\n"
                                   "[guest web-1]\n"
                                   "qmp=/run/vm/web-1/tocsin.sock\n"
                                   ".sp\n"
                                   "[rule crash-loop]\n"
                                   "kind=panic\n"
                                   "machine=web-*\n"
                                   "action=reset\n"
                                   "limit=3/10min\n"
                                   "then=pause\n"
                                   ".EE\n"
                                   ".SH SEE ALSO\n"
                                   ".BR tocsind (8),\n"
                                   ".BR tocsinctl (1)\n";

/* Paragraphs as comment lines. */
static void doc_print_comment(const char *text) {
        size_t column = 0;

        while (*text) {
                size_t n = strcspn(text, " ");

                if (column > 0 && column + 1 + n > DOC_WIDTH) {
                        (void) putchar('\n');
                        column = 0;
                }
                column += (size_t) printf("%s%.*s", column > 0 ? " " : "# ", (int) n, text);
                text += n;
                text += strspn(text, " ");
        }
        (void) putchar('\n');
}

/* Text that roff must take as it is. */
static void doc_print_roff(const char *text) {
        for (; *text; text++)
                switch (*text) {
                case '\\':
                        (void) fputs("\\e", stdout);
                        break;
                case '-':
                        (void) fputs("\\-", stdout);
                        break;
                case '\'':
                        (void) fputs("\\(aq", stdout);
                        break;
                default:
                        (void) putchar(*text);
                }
}

/* The sentences about a key, or NULL when out of memory. */
static char *doc_get_text(const ConfigKey *key) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;
        size_t start;

        if (buffer_append_string(&text, key->doc) < 0)
                return NULL;
        if (!key->type->documented)
                return buffer_take_string(&text);
        if (buffer_append_char(&text, ' ') < 0)
                return NULL;
        start = buffer_length(&text);
        if (config_key_expect(key, &text) < 0 || buffer_append_char(&text, '.') < 0)
                return NULL;
        text.data[text.start + start] = (char) toupper(text.data[text.start + start]);
        return buffer_take_string(&text);
}

static void doc_print_conf_key(const ConfigKey *key) {
        _cleanup_free_ char *text = doc_get_text(key);

        doc_print_comment(text ?: key->doc);
        (void) printf("#%s=%s\n", key->name, key->initial ?: key->type->shown);
}

static void doc_print_conf(void) {
        (void) fputs(doc_conf_head, stdout);
        for (size_t i = 0; i < _CONFIG_SECTION_MAX; i++) {
                const ConfigSectionKeys *section = &config_sections[i];

                (void) putchar('\n');
                doc_print_comment(section->doc);
                if (section->argument)
                        (void) printf("#[%s %s]\n", section->name, section->argument);
                else
                        (void) printf("[%s]\n", section->name);
                for (size_t k = 0; k < section->n_keys; k++) {
                        (void) putchar('\n');
                        doc_print_conf_key(&section->keys[k]);
                }
        }
}

static void doc_print_man_key(const ConfigKey *key) {
        _cleanup_free_ char *text = doc_get_text(key);

        (void) fputs(".TP\n\\fB", stdout);
        doc_print_roff(key->name);
        (void) fputs("=\\fR\\fI", stdout);
        doc_print_roff(key->type->shown);
        (void) fputs("\\fR\n", stdout);
        doc_print_roff(text ?: key->doc);
        if (key->initial && key->initial[0] != '\0') {
                (void) fputs("\nDefault: ", stdout);
                doc_print_roff(key->initial);
                (void) putchar('.');
        }
        (void) putchar('\n');
}

static void doc_print_man(void) {
        (void) fputs(doc_man_head, stdout);
        for (size_t i = 0; i < _CONFIG_SECTION_MAX; i++) {
                const ConfigSectionKeys *section = &config_sections[i];

                (void) printf(".SH \"[%s%s%s] SECTION%s\"\n",
                              section->name,
                              section->argument ? " " : "",
                              section->argument ? section->argument : "",
                              section->argument ? "S" : "");
                doc_print_roff(section->doc);
                (void) putchar('\n');
                for (size_t k = 0; k < section->n_keys; k++)
                        doc_print_man_key(&section->keys[k]);
        }
        (void) fputs(doc_man_tail, stdout);
}

int main(int argc, char *argv[]) {
        if (argc == 2 && strcmp(argv[1], "conf") == 0)
                doc_print_conf();
        else if (argc == 2 && strcmp(argv[1], "man") == 0)
                doc_print_man();
        else {
                (void) fprintf(stderr, "usage: %s conf|man\n", argv[0]);
                return 2;
        }
        return fflush(stdout) == 0 ? 0 : 1;
}
