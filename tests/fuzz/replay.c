/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target over its corpus without a fuzzing engine, so that every input that ever
 * mattered is tried by the ordinary tests, with the ordinary compiler. Each file of the folder named
 * on the command line is one input; the empty input is always tried.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/util/cleanup.h"

/* As libFuzzer's default for a corpus without longer files. */
#define REPLAY_INPUT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *folder, const char *name) {
        _cleanup_free_ char *path = NULL;
        _cleanup_free_ uint8_t *data = NULL;
        size_t n;
        FILE *f;

        if (asprintf(&path, "%s/%s", folder, name) < 0)
                return -ENOMEM;
        f = fopen(path, "re");
        if (!f)
                return -errno;

        data = malloc(REPLAY_INPUT_MAX);
        n = data ? fread(data, 1, REPLAY_INPUT_MAX, f) : 0;
        fclose(f);
        if (!data)
                return -ENOMEM;

        /* An allocation of exactly that size, so that the sanitizers see a read past its end. */
        uint8_t *exact = realloc(data, n > 0 ? n : 1);
        if (exact)
                data = exact;
        LLVMFuzzerTestOneInput(data, n);
        return 0;
}

int main(int argc, char *argv[]) {
        struct dirent *entry;
        unsigned n = 1;
        int r = 0;
        DIR *folder;

        if (argc != 2) {
                fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
                return 2;
        }

        LLVMFuzzerTestOneInput((const uint8_t *) "", 0);

        folder = opendir(argv[1]);
        if (!folder) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
                return 1;
        }
        while (r >= 0 && (entry = readdir(folder))) {
                if (entry->d_name[0] == '.')
                        continue;
                /* On stderr and before the call: a crash leaves the name of its input behind. */
                fprintf(stderr, "%s\n", entry->d_name);
                r = replay_file(argv[1], entry->d_name);
                n++;
        }
        closedir(folder);

        if (r < 0) {
                fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
                return 1;
        }
        printf("%u inputs\n", n);
        return 0;
}
