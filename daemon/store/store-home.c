/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The difficulty is what is known of used numbers when a file is given up. Its mark is
 * read before anything else is looked at, so it is often there even if the rest is not. If tocsind
 * dies between setting a file aside and marking the next, what is set aside remains to tell that this
 * is not the first start. Only someone who removes all of it begins at 1 again.
 */
#include "daemon/store/store-home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_HOME_MODE 0750

#define LABEL_DAMAGED "damaged"
#define LABEL_FOREIGN "foreign"

void store_home_init(StoreHome *home, const char *dir, const char *path) {
        *home = (StoreHome){ .dir = dir, .path = path, .lock_fd = -1 };
}

void store_home_deinit(StoreHome *home) {
        if (home->lock_fd >= 0)
                (void) close(home->lock_fd);
        home->lock_fd = -1;
}

static void store_home_set_problem(StoreHome *home, const char *words) {
        (void) snprintf(home->problem, sizeof(home->problem), "cannot use %s: %s", home->path, words);
}

/* Two daemons with different runtime folders and one state folder would give numbers twice. */
static int store_home_lock(StoreHome *home) {
        int fd, r;

        if (home->lock_fd >= 0)
                return 0;
        if (mkdir(home->dir, STORE_HOME_MODE) < 0 && errno != EEXIST) {
                r = -errno;
                store_home_set_problem(home, strerror(-r));
                return r;
        }
        fd = open(home->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
                r = -errno;
                store_home_set_problem(home, strerror(-r));
                return r;
        }
        /* Some network file systems have no such locks: that is not our problem. */
        if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
                (void) close(fd);
                store_home_set_problem(home, "another tocsind uses it");
                return -EBUSY;
        }
        home->lock_fd = fd;
        return 0;
}

static int store_home_set_aside(StoreHome *home, const char *label, const char *why) {
        int r;

        r = store_db_set_aside(home->path, label);
        if (r < 0) {
                (void) snprintf(home->problem,
                                sizeof(home->problem),
                                "cannot use %s (%s), nor rename it: %s",
                                home->path,
                                why,
                                strerror(-r));
                return r;
        }
        home->lost = true;
        (void) snprintf(home->notice,
                        sizeof(home->notice),
                        "a new database was begun: the old one is in %s.%s-1, since %s",
                        home->path,
                        label,
                        why);
        return 0;
}

/* Was there ever a database here? */
static bool store_home_has_past(const StoreHome *home) {
        static const char *const labels[] = { LABEL_DAMAGED, LABEL_FOREIGN };
        char name[64];

        for (size_t i = 0; i < ELEMENTSOF(labels); i++) {
                (void) snprintf(name, sizeof(name), "tocsin.db.%s-1", labels[i]);
                if (faccessat(home->lock_fd, name, F_OK, 0) == 0)
                        return true;
        }
        return false;
}

int store_home_open(StoreHome *home, StoreDb **ret, StoreMark *mark) {
        char error[STORE_ERROR_SIZE] = "";
        int r;

        r = store_home_lock(home);
        if (r < 0)
                return r;
        r = store_db_open(ret, home->path, mark, error, sizeof(error));
        if (r == -EUCLEAN || r == STORE_DB_E_FOREIGN) {
                StoreMark unused = {};

                r = store_home_set_aside(home, r < 0 ? LABEL_DAMAGED : LABEL_FOREIGN, error);
                if (r < 0)
                        return r;
                r = store_db_open(ret, home->path, &unused, error, sizeof(error));
        }
        if (r != 0) {
                store_home_set_problem(home, error[0] != '\0' ? error : strerror(-r));
                return r < 0 ? r : -EIO;
        }
        /* It was set aside in an earlier life that did not get as far as a new one. */
        if (!mark->known && store_home_has_past(home))
                home->lost = true;
        return 0;
}

int store_home_replace(StoreHome *home, StoreDb **db) {
        StoreMark mark = {};
        bool moved = store_db_has_moved(*db);
        char why[STORE_ERROR_SIZE];

        (void) snprintf(why, sizeof(why), "%s", store_db_get_error(*db));
        *db = store_db_free(*db);
        if (moved) {
                /* Whatever is there now, our write-ahead log is not its. */
                store_db_remove_log(home->path);
                home->lost = true;
                (void) snprintf(home->notice,
                                sizeof(home->notice),
                                "a new database was begun: %s was removed or replaced",
                                home->path);
        } else {
                int r = store_home_set_aside(home, LABEL_DAMAGED, why);

                if (r < 0)
                        return r;
        }
        return store_home_open(home, db, &mark);
}

int store_home_open_memory(StoreDb **ret) {
        char error[STORE_ERROR_SIZE];
        StoreMark mark = {};

        return store_db_open(ret, NULL, &mark, error, sizeof(error));
}

int store_home_join(StoreHome *home, StoreDb *memory, StoreDb **ret, StoreMark *mark) {
        /* The totals are made again from what is there: rows of one number are one row. */
        static const char copy[] = "BEGIN IMMEDIATE;"
                                   "INSERT OR REPLACE INTO disk.events SELECT * FROM main.events;"
                                   "INSERT OR REPLACE INTO disk.incidents SELECT * FROM main.incidents;"
                                   "INSERT OR REPLACE INTO disk.machines SELECT * FROM main.machines;"
                                   "INSERT OR REPLACE INTO disk.meta VALUES"
                                   " ('events', (SELECT count(*) FROM disk.events)),"
                                   " ('incidents', (SELECT count(*) FROM disk.incidents));"
                                   "COMMIT;";
        _cleanup_(store_db_freep) StoreDb *db = NULL;
        char *attach;
        int r, rc;

        r = store_home_open(home, &db, mark);
        if (r < 0)
                return r;
        db = store_db_free(db);

        attach = sqlite3_mprintf("ATTACH %Q AS disk", home->path);
        if (!attach)
                return -ENOMEM;
        rc = sqlite3_exec(memory->handle, attach, NULL, NULL, NULL);
        sqlite3_free(attach);
        if (rc == SQLITE_OK)
                rc = sqlite3_exec(memory->handle, copy, NULL, NULL, NULL);
        if (rc != SQLITE_OK) {
                store_home_set_problem(home, sqlite3_errmsg(memory->handle));
                (void) sqlite3_exec(memory->handle, "ROLLBACK", NULL, NULL, NULL);
        }
        (void) sqlite3_exec(memory->handle, "DETACH disk", NULL, NULL, NULL);
        if (rc != SQLITE_OK)
                return -EIO;
        return store_home_open(home, ret, mark);
}
