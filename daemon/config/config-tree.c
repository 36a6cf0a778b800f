/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files into sections. What a line may hold is checked here, byte for byte, since it is printed again
 * in messages and logs; then each section goes to libini_config (config-body.c).
 */
#include "daemon/config/config-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/config/config-body.h"
#include "policy/qapi/json-utf8.h"
#include "policy/util/buffer.h"

/* 10,000 [guest] sections with a dozen keys each. */
#define CONFIG_FILE_MAX (4 * 1024 * 1024)
#define CONFIG_LINE_MAX 4096
/* Keys of one section; libini_config compares each with all before it. */
#define CONFIG_SECTION_LINES_MAX 500
/* libini_config's limit for the name of anything. */
#define CONFIG_NAME_MAX 1023

/* Reading one file. */
typedef struct ConfigReader {
        ConfigTree *tree;
        ConfigErrors *errors;
        ConfigPlace place; /* of the line that is read */
        ConfigSection section;
        bool open; /* there is a section */
        unsigned n_lines;
        bool nameless; /* but its name can't be read, or it is missing: values are dropped */
        Buffer body;
} ConfigReader;

static void config_section_deinit(ConfigSection *section) {
        for (size_t i = 0; i < section->n_values; i++) {
                free(section->values[i].key);
                free(section->values[i].text);
        }
        free(section->values);
        free(section->name);
        *section = (ConfigSection){};
}

void config_tree_deinit(ConfigTree *tree) {
        for (size_t i = 0; i < tree->n_sections; i++)
                config_section_deinit(&tree->sections[i]);
        for (size_t i = 0; i < tree->n_files; i++)
                free(tree->files[i]);
        free(tree->sections);
        free(tree->files);
        *tree = (ConfigTree) CONFIG_TREE_NULL;
}

/* What is wrong with the bytes of a line, whatever it says; NULL: nothing. */
static const char *config_check_bytes(const char *line, size_t n) {
        if (n > CONFIG_LINE_MAX)
                return "a line of at most 4096 bytes, found a longer one";
        for (size_t i = 0, k; i < n; i += k) {
                uint32_t c = json_utf8_decode(line + i, n - i, &k);

                if (c == JSON_UTF8_INVALID)
                        return "UTF-8, found other bytes";
                if ((c < ' ' && c != '\t') || c == 0x7f)
                        return "text, found a control character";
        }
        return NULL;
}

/* libini_config gives up on all it was given when it meets such a key. */
static bool config_is_bad_key(const char *line, size_t n) {
        const char *equals = memchr(line, '=', n);

        if (n == 0 || !equals || strchr("#; \t", line[0]))
                return false;
        for (const char *p = line; p < equals; p++)
                if ((unsigned char) *p >= 0x80 || *p == '!' ||
                    (*p == '\t' && strspn(p, " \t") < (size_t) (equals - p)))
                        return true;
        return false;
}

/* The name between the brackets, with single spaces. 0, CONFIG_E_INVALID or -ENOMEM. */
static int config_section_name(const char *line, size_t n, char **ret) {
        _cleanup_free_ char *name = malloc(n + 1);
        char *p = name;

        if (!name)
                return -ENOMEM;
        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
                n--;
        if (n < 2 || n > CONFIG_NAME_MAX || line[0] != '[' || line[n - 1] != ']')
                return CONFIG_E_INVALID;
        for (size_t i = 1; i < n - 1; i++) {
                bool space = line[i] == ' ' || line[i] == '\t';

                if (space && (p == name || p[-1] == ' '))
                        continue;
                *p++ = space ? ' ' : line[i];
        }
        if (p > name && p[-1] == ' ')
                p--;
        *p = '\0';
        if (p == name)
                return CONFIG_E_INVALID;
        *ret = TAKE_PTR(name);
        return 0;
}

/* The section that was being read is complete. */
static int config_reader_finish(ConfigReader *reader) {
        ConfigTree *tree = reader->tree;
        ConfigSection *sections;
        int r;

        if (!reader->open)
                return 0;
        r = config_body_read(&reader->section, &reader->body, reader->errors);
        buffer_deinit(&reader->body);
        reader->open = false;
        if (r < 0 || reader->nameless) {
                config_section_deinit(&reader->section);
                return r;
        }
        sections = reallocarray(tree->sections, tree->n_sections + 1, sizeof(*sections));
        if (!sections)
                return -ENOMEM;
        tree->sections = sections;
        reader->section.order = tree->n_sections;
        sections[tree->n_sections++] = reader->section;
        reader->section = (ConfigSection){};
        return 0;
}

/* What follows belongs to a section of this name, which is taken; NULL: nobody knows to which. */
static int config_reader_open(ConfigReader *reader, char *name) {
        int r;

        r = config_reader_finish(reader);
        if (r < 0) {
                free(name);
                return r;
        }
        reader->nameless = !name;
        reader->n_lines = 0;
        reader->section = (ConfigSection){
                .name = name ?: strdup("?"),
                .file = reader->place.file,
                .line = reader->place.line,
        };
        if (!reader->section.name)
                return -ENOMEM;
        reader->open = true;
        return buffer_append_string(&reader->body, CONFIG_BODY_HEADER);
}

/* A section's name, or what stands where one should. */
static int config_reader_begin(ConfigReader *reader, const char *line, size_t n) {
        char *name = NULL;
        int r;

        r = config_section_name(line, n, &name);
        if (r == CONFIG_E_INVALID)
                r = config_errors_add(reader->errors,
                                      reader->place,
                                      "expected [section], found '%.*s'; what follows, up to the "
                                      "next section, is left out",
                                      n < 100 ? (int) n : 100,
                                      line);
        return r < 0 ? r : config_reader_open(reader, name);
}

static int config_reader_overflow(ConfigReader *reader) {
        int r;

        r = config_errors_add(reader->errors,
                              reader->place,
                              "expected at most %d keys in a section; what follows, up to the next "
                              "section, is left out",
                              CONFIG_SECTION_LINES_MAX);
        reader->section.broken = true;
        return r < 0 ? r : config_reader_open(reader, NULL);
}

static int config_reader_line(ConfigReader *reader, const char *line, size_t n) {
        const char *expected;
        size_t indent;
        bool heading;
        int r;

        if (n > 0 && line[n - 1] == '\r')
                n--;
        for (indent = 0; indent < n && (line[indent] == ' ' || line[indent] == '\t');)
                indent++;
        heading = indent < n && line[indent] == '[';

        expected = config_check_bytes(line, n);
        if (!expected && !heading && config_is_bad_key(line, n))
                expected = "a key of ASCII letters, digits and -";
        if (expected) {
                r = config_errors_add(reader->errors, reader->place, "expected %s", expected);
                if (r < 0)
                        return r;
                if (heading)
                        return config_reader_open(reader, NULL);
                reader->section.broken = true;
                n = 0;
        }
        if (heading || (!reader->open && n > 0 && line[0] != '#' && line[0] != ';'))
                return config_reader_begin(reader, line, n);
        if (!reader->open || reader->nameless)
                return 0;
        if (n > 0 && (line[0] == '#' || line[0] == ';'))
                n = 0;
        if (n > 0 && reader->n_lines++ == CONFIG_SECTION_LINES_MAX)
                return config_reader_overflow(reader);
        r = buffer_append(&reader->body, line, n);
        return r < 0 ? r : buffer_append_char(&reader->body, '\n');
}

static int config_tree_add_name(ConfigTree *tree, const char *file) {
        char **files;

        files = reallocarray(tree->files, tree->n_files + 1, sizeof(*files));
        if (!files)
                return -ENOMEM;
        tree->files = files;
        files[tree->n_files] = strdup(file);
        if (!files[tree->n_files])
                return -ENOMEM;
        tree->n_files++;
        return 0;
}

int config_tree_add_text(ConfigTree *tree,
                         const char *file,
                         const char *text,
                         size_t n,
                         ConfigErrors *errors) {
        ConfigReader reader = { .tree = tree, .errors = errors };
        const char *end = text + n, *newline;
        int r;

        r = config_tree_add_name(tree, file);
        if (r < 0)
                return r;
        reader.place.file = tree->files[tree->n_files - 1];
        if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                text += 3; /* some editors mark UTF-8 */

        for (; r >= 0 && text < end; text = newline < end ? newline + 1 : end) {
                newline = memchr(text, '\n', (size_t) (end - text)) ?: end;
                reader.place.line++;
                r = config_reader_line(&reader, text, (size_t) (newline - text));
        }
        if (r >= 0)
                r = config_reader_finish(&reader);
        buffer_deinit(&reader.body);
        config_section_deinit(&reader.section);
        return r;
}

/* Whoever may write the file may have every guest on the host reset. */
static const char *config_check_file(const struct stat *st) {
        if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3))
                return NULL; /* /dev/null: an empty configuration */
        if (!S_ISREG(st->st_mode))
                return "a regular file";
        if (st->st_size > CONFIG_FILE_MAX)
                return "a file of at most 4 MiB";
        if (st->st_mode & S_IWOTH)
                return "a file that only its owner may write, found one that everybody may";
        if ((st->st_mode & S_IWGRP) && st->st_gid != 0 && st->st_gid != getegid())
                return "a file that only its owner may write, found one that its group may";
        return NULL;
}

int config_tree_add_file(ConfigTree *tree, const char *path, ConfigErrors *errors) {
        _cleanup_(buffer_deinit) Buffer content = { .limit = CONFIG_FILE_MAX };
        ConfigPlace place = { .file = path };
        const char *expected;
        struct stat st;
        ssize_t n = 0;
        int fd, r = 0;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0) {
                r = config_errors_add(errors, place, "can't be read: %s", strerror(errno));
                if (fd >= 0)
                        (void) close(fd);
                return r < 0 ? r : CONFIG_E_INVALID;
        }
        expected = config_check_file(&st);
        if (!expected)
                do {
                        r = buffer_reserve(&content, 4096);
                        n = r < 0 ? r : read(fd, content.data + content.end, 4096);
                        if (n > 0)
                                buffer_advance(&content, (size_t) n);
                } while (n > 0);
        if (n < 0 && r == 0)
                r = -errno;
        (void) close(fd);
        if (r == -ENOMEM)
                return r;
        if (expected)
                r = config_errors_add(errors, place, "expected %s", expected);
        else if (r < 0)
                r = config_errors_add(errors, place, "can't be read: %s", strerror(-r));
        else
                return config_tree_add_text(tree,
                                            path,
                                            content.data ? buffer_content(&content) : "",
                                            buffer_length(&content),
                                            errors);
        return r < 0 ? r : CONFIG_E_INVALID;
}

static int config_section_compare_name(const void *a, const void *b) {
        const ConfigSection *left = a, *right = b;
        int d = strcmp(left->name, right->name);

        return d != 0 ? d : left->order < right->order ? -1 : 1;
}

static int config_section_compare_order(const void *a, const void *b) {
        const ConfigSection *left = a, *right = b;

        return left->order < right->order ? -1 : 1;
}

/* Moves the values of `from` behind those of `to`. */
static int config_section_append(ConfigSection *to, ConfigSection *from) {
        ConfigValue *values;

        values = reallocarray(to->values, to->n_values + from->n_values + 1, sizeof(*values));
        if (!values)
                return -ENOMEM;
        memcpy(values + to->n_values, from->values, from->n_values * sizeof(*values));
        to->values = values;
        to->n_values += from->n_values;
        to->broken |= from->broken;
        from->n_values = 0;
        config_section_deinit(from);
        return 0;
}

int config_tree_merge(ConfigTree *tree) {
        ConfigSection *sections = tree->sections;
        size_t n = 0;
        int r = 0;

        if (tree->n_sections == 0)
                return 0;
        qsort(sections, tree->n_sections, sizeof(*sections), config_section_compare_name);
        for (size_t i = 1; i < tree->n_sections; i++)
                if (r == 0 && strcmp(sections[n].name, sections[i].name) == 0)
                        r = config_section_append(&sections[n], &sections[i]);
                else
                        sections[++n] = sections[i];
        tree->n_sections = n + 1;
        qsort(sections, tree->n_sections, sizeof(*sections), config_section_compare_order);
        return r;
}
