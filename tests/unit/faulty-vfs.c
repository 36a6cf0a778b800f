/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/faulty-vfs.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNCED ".synced"

typedef struct FaultyFile {
        sqlite3_file file;
        const char *name;   /* SQLite's, lives as long as the file is open */
        sqlite3_file *real; /* behind this struct */
} FaultyFile;

static struct {
        pthread_mutex_t lock;
        pthread_cond_t go_on;
        int write_code, read_code;
        bool hang, stuck, remember;
        unsigned syncs_db, syncs_wal;
} faulty = { .lock = PTHREAD_MUTEX_INITIALIZER, .go_on = PTHREAD_COND_INITIALIZER };

static bool faulty_ends_with(const char *s, const char *suffix) {
        size_t n = s ? strlen(s) : 0, m = strlen(suffix);

        return n >= m && strcmp(s + n - m, suffix) == 0;
}

/* For anything that changes the disk. */
static int faulty_enter(void) {
        int code;

        (void) pthread_mutex_lock(&faulty.lock);
        while (faulty.hang) {
                faulty.stuck = true;
                (void) pthread_cond_wait(&faulty.go_on, &faulty.lock);
        }
        faulty.stuck = false;
        code = faulty.write_code;
        (void) pthread_mutex_unlock(&faulty.lock);
        return code;
}

static void faulty_copy(const char *from, const char *to) {
        char temporary[PATH_MAX];
        int in, out;
        struct stat st;

        (void) snprintf(temporary, sizeof(temporary), "%s.tmp", to);
        in = open(from, O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return;
        out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (out < 0 || fstat(in, &st) < 0)
                abort();
        for (off_t left = st.st_size; left > 0;) {
                ssize_t n = sendfile(out, in, NULL, (size_t) left);

                if (n <= 0)
                        break;
                left -= n;
        }
        (void) close(in);
        (void) close(out);
        if (rename(temporary, to) < 0)
                abort();
}

#define REAL(f) (((FaultyFile *) (void *) (f))->real)

static int faulty_close(sqlite3_file *f) {
        return REAL(f)->pMethods->xClose(REAL(f));
}

static int faulty_read(sqlite3_file *f, void *data, int n, sqlite3_int64 at) {
        int code;

        (void) pthread_mutex_lock(&faulty.lock);
        code = faulty.read_code;
        faulty.read_code = 0;
        (void) pthread_mutex_unlock(&faulty.lock);
        return code ? code : REAL(f)->pMethods->xRead(REAL(f), data, n, at);
}

static int faulty_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at) {
        int code = faulty_enter();

        return code ? code : REAL(f)->pMethods->xWrite(REAL(f), data, n, at);
}

static int faulty_truncate(sqlite3_file *f, sqlite3_int64 size) {
        int code = faulty_enter();

        return code ? code : REAL(f)->pMethods->xTruncate(REAL(f), size);
}

static int faulty_sync(sqlite3_file *f, int flags) {
        const char *name = ((FaultyFile *) (void *) f)->name;
        char synced[PATH_MAX];
        int code = faulty_enter();

        if (code)
                return code;
        (void) pthread_mutex_lock(&faulty.lock);
        if (faulty_ends_with(name, "-wal"))
                faulty.syncs_wal++;
        else if (faulty_ends_with(name, ".db"))
                faulty.syncs_db++;
        (void) pthread_mutex_unlock(&faulty.lock);
        if (!faulty.remember || !name)
                return REAL(f)->pMethods->xSync(REAL(f), flags);
        (void) snprintf(synced, sizeof(synced), "%s" SYNCED, name);
        faulty_copy(name, synced);
        return SQLITE_OK;
}

static int faulty_file_size(sqlite3_file *f, sqlite3_int64 *size) {
        return REAL(f)->pMethods->xFileSize(REAL(f), size);
}

static int faulty_lock(sqlite3_file *f, int lock) {
        return REAL(f)->pMethods->xLock(REAL(f), lock);
}

static int faulty_unlock(sqlite3_file *f, int lock) {
        return REAL(f)->pMethods->xUnlock(REAL(f), lock);
}

static int faulty_check_lock(sqlite3_file *f, int *ret) {
        return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}

static int faulty_control(sqlite3_file *f, int op, void *arg) {
        return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int faulty_sector_size(sqlite3_file *f) {
        return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int faulty_characteristics(sqlite3_file *f) {
        return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int faulty_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret) {
        return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, ret);
}

static int faulty_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
        return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}

static void faulty_shm_barrier(sqlite3_file *f) {
        REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int faulty_shm_unmap(sqlite3_file *f, int delete) {
        return REAL(f)->pMethods->xShmUnmap(REAL(f), delete);
}

static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = faulty_close,
        .xRead = faulty_read,
        .xWrite = faulty_write,
        .xTruncate = faulty_truncate,
        .xSync = faulty_sync,
        .xFileSize = faulty_file_size,
        .xLock = faulty_lock,
        .xUnlock = faulty_unlock,
        .xCheckReservedLock = faulty_check_lock,
        .xFileControl = faulty_control,
        .xSectorSize = faulty_sector_size,
        .xDeviceCharacteristics = faulty_characteristics,
        .xShmMap = faulty_shm_map,
        .xShmLock = faulty_shm_lock,
        .xShmBarrier = faulty_shm_barrier,
        .xShmUnmap = faulty_shm_unmap,
};

static int faulty_open(sqlite3_vfs *vfs,
                       sqlite3_filename name,
                       sqlite3_file *f,
                       int flags,
                       int *ret_flags) {
        sqlite3_vfs *usual = vfs->pAppData;
        FaultyFile *file = (FaultyFile *) (void *) f;
        int rc;

        *file = (FaultyFile){ .name = name, .real = (sqlite3_file *) (void *) (file + 1) };
        rc = usual->xOpen(usual, name, file->real, flags, ret_flags);
        if (file->real->pMethods)
                file->file.pMethods = &methods;
        return rc;
}

void faulty_vfs_register(void) {
        static sqlite3_vfs vfs;
        sqlite3_vfs *usual = sqlite3_vfs_find(NULL);

        vfs = *usual;
        vfs.zName = "faulty";
        vfs.szOsFile = (int) sizeof(FaultyFile) + usual->szOsFile;
        vfs.pAppData = usual;
        vfs.xOpen = faulty_open;
        (void) sqlite3_vfs_register(&vfs, 1);
}

void faulty_vfs_fail_writes(int code) {
        (void) pthread_mutex_lock(&faulty.lock);
        faulty.write_code = code;
        (void) pthread_mutex_unlock(&faulty.lock);
}

void faulty_vfs_fail_read(int code) {
        (void) pthread_mutex_lock(&faulty.lock);
        faulty.read_code = code;
        (void) pthread_mutex_unlock(&faulty.lock);
}

void faulty_vfs_hang(bool hang) {
        (void) pthread_mutex_lock(&faulty.lock);
        faulty.hang = hang;
        (void) pthread_cond_broadcast(&faulty.go_on);
        (void) pthread_mutex_unlock(&faulty.lock);
}

bool faulty_vfs_is_stuck(void) {
        bool stuck;

        (void) pthread_mutex_lock(&faulty.lock);
        stuck = faulty.stuck;
        (void) pthread_mutex_unlock(&faulty.lock);
        return stuck;
}

unsigned faulty_vfs_count_syncs(const char *suffix) {
        unsigned n;

        (void) pthread_mutex_lock(&faulty.lock);
        n = strcmp(suffix, "-wal") == 0 ? faulty.syncs_wal : faulty.syncs_db;
        (void) pthread_mutex_unlock(&faulty.lock);
        return n;
}

void faulty_vfs_remember(void) {
        faulty.remember = true;
}

void faulty_vfs_cut_power(const char *path) {
        static const char *const suffixes[] = { "", "-wal" };
        char now[PATH_MAX], synced[PATH_MAX + sizeof(SYNCED)];

        for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
                (void) snprintf(now, sizeof(now), "%s%s", path, suffixes[i]);
                (void) snprintf(synced, sizeof(synced), "%s" SYNCED, now);
                (void) unlink(now);
                if (access(synced, F_OK) == 0)
                        faulty_copy(synced, now);
        }
        (void) snprintf(now, sizeof(now), "%s-shm", path);
        (void) unlink(now);
}
