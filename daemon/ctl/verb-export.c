/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An incident as a tar file. Evidence never comes over a socket, so it is read from its folder, which
 * only root and tocsind's own user can. The one difficulty: root reads what an unprivileged daemon
 * names, so nothing is followed, and only files that belong to that daemon are taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ctl/tar.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"
#include "policy/escape.h"
#include "policy/qapi/json.h"

#define VERB_OUTPUT_SIZE 64

typedef struct VerbExport {
        Ctl *ctl;
        json_object *incident; /* as it came */
        uint64_t id;
        uint64_t now_s;
        int fd;
} VerbExport;

static int verb_fail(const char *what, int r) {
        _cleanup_free_ char *s = escape_string(what, strlen(what));

        (void) fprintf(stderr, "tocsinctl: %s: %s\n", s ? s : "export", strerror(-r));
        return CTL_EXIT_FAILURE;
}

static const char *verb_name_member(const VerbExport *export,
                                    const char *name,
                                    char ret[static TAR_NAME_MAX + 1]) {
        (void) snprintf(ret, TAR_NAME_MAX + 1, "incident-%" PRIu64 "/%s", export->id, name);
        return ret;
}

static int verb_add_text(VerbExport *export, const char *name, Text *take_text) {
        char member_name[TAR_NAME_MAX + 1];
        TarMember member = { .name = verb_name_member(export, name, member_name),
                             .size = buffer_length(&take_text->buffer),
                             .time_s = export->now_s };
        int r = take_text->error;

        if (r == 0)
                r = tar_add(export->fd, &member, buffer_content(&take_text->buffer));
        text_deinit(take_text);
        return r < 0 ? verb_fail("writing", r) : CTL_EXIT_OK;
}

static int verb_add_record(VerbExport *export) {
        Text text = TEXT_NULL;

        text.error = json_write(&text.buffer, export->incident, JSON_STYLE_PRETTY);
        text_add(&text, "\n");
        return verb_add_text(export, "record.json", &text);
}

static int verb_add_report(VerbExport *export) {
        json_object *escaped = NULL;
        Text text = TEXT_NULL;
        int r;

        if (escape_json(export->incident, &escaped) < 0)
                return ctl_fail_memory();
        r = verb_write_report(export->ctl, escaped, &text);
        json_object_put(escaped);
        if (r == CTL_EXIT_OK)
                return verb_add_text(export, "report.txt", &text);
        text_deinit(&text);
        return r;
}

/* The folder of the incident's evidence. */
static int verb_open_folder(VerbExport *export, int *ret) {
        json_object *status = NULL;
        Text path = TEXT_NULL;
        _cleanup_free_ char *name = NULL;
        int r = ctl_call_raw(export->ctl, "query-tocsin", NULL, &status);

        if (r != CTL_EXIT_OK)
                return r;
        text_printf(&path, "%s/%" PRIu64, value_get_word(status, "evidence"), export->id);
        json_object_put(status);
        name = text_take(&path);
        if (!name)
                return ctl_fail_memory();
        *ret = open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (*ret >= 0)
                return CTL_EXIT_OK;
        r = verb_fail(name, -errno);
        (void) fputs("Evidence can be read by root and tocsind's own user alone; --without-evidence packs the "
                     "rest.\n",
                     stderr);
        return r;
}

static int verb_open_evidence(VerbExport *export, int folder_fd, const char *name, struct stat *ret_st) {
        uid_t owner;
        int fd, r;

        if (*name == '.' || strchr(name, '/'))
                return -EINVAL;
        r = connection_get_peer(export->ctl->connection, &owner);
        if (r < 0)
                return r;
        fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode) && ret_st->st_uid == owner)
                return fd;
        (void) close(fd);
        return -EPERM;
}

static int verb_add_evidence(VerbExport *export, int folder_fd, const char *name) {
        char member_name[TAR_NAME_MAX + 1];
        TarMember member = { .name = verb_name_member(export, name, member_name) };
        struct stat st = {};
        int fd = verb_open_evidence(export, folder_fd, name, &st), r = fd;

        if (r >= 0) {
                member.size = (uint64_t) st.st_size;
                member.time_s = st.st_mtime > 0 ? (uint64_t) st.st_mtime : 0;
                r = tar_add_file(export->fd, &member, fd);
                (void) close(fd);
        }
        return r < 0 ? verb_fail(name, r) : CTL_EXIT_OK;
}

static int verb_add_all_evidence(VerbExport *export) {
        json_object *files = value_get_array(export->incident, "evidence");
        int folder_fd = -1, r;

        if (value_get_length(files) == 0)
                return CTL_EXIT_OK;
        r = verb_open_folder(export, &folder_fd);
        if (r != CTL_EXIT_OK)
                return r;
        for (size_t i = 0; i < value_get_length(files) && r == CTL_EXIT_OK; i++)
                r = verb_add_evidence(export,
                                      folder_fd,
                                      value_get_word(value_get_item(files, i), "name"));
        (void) close(folder_fd);
        return r;
}

static int verb_write_tar(VerbExport *export, bool evidence) {
        int r = verb_add_record(export);

        if (r == CTL_EXIT_OK)
                r = verb_add_report(export);
        if (r == CTL_EXIT_OK && evidence)
                r = verb_add_all_evidence(export);
        if (r == CTL_EXIT_OK) {
                int error = tar_end(export->fd);

                r = error < 0 ? verb_fail("writing", error) : CTL_EXIT_OK;
        }
        return r;
}

/* A file that stays only when it is whole. A dump holds the guest's secrets, so it is its maker's alone. */
static int verb_write_file(VerbExport *export, const char *path, bool evidence) {
        int r;

        export->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
        if (export->fd < 0)
                return verb_fail(path, -errno);
        r = verb_write_tar(export, evidence);
        if (close(export->fd) < 0 && r == CTL_EXIT_OK)
                r = verb_fail(path, -errno);
        if (r != CTL_EXIT_OK)
                (void) unlink(path);
        else
                (void) printf("%s\n", path);
        return r;
}

int verb_export_incident(Ctl *ctl, int argc, char **argv) {
        bool without = false;
        const Option options[] = { { "without-evidence", 0, NULL, &without }, {} };
        VerbExport export = { .ctl = ctl, .fd = STDOUT_FILENO, .now_s = (uint64_t) time(NULL) };
        char name[VERB_OUTPUT_SIZE];
        const char *path = name;
        int r = ctl_parse_options(ctl, options, &argc, argv, 2, 3);

        if (r == CTL_EXIT_OK)
                r = verb_query_incident_raw(ctl, argv[1], &export.incident);
        if (r != CTL_EXIT_OK)
                return r;
        export.id = value_get_uint(export.incident, "id");
        (void) snprintf(name, sizeof(name), "incident-%" PRIu64 ".tar", export.id);
        if (argc > 2)
                path = argv[2];
        if (strcmp(path, "-") != 0)
                r = verb_write_file(&export, path, !without);
        else if (isatty(STDOUT_FILENO))
                r = ctl_fail_usage(ctl, "a tar file is not for a terminal");
        else
                r = verb_write_tar(&export, !without);
        json_object_put(export.incident);
        return r;
}
