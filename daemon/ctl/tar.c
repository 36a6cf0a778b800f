/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TAR_BLOCK 512
/* Eleven octal digits; from here on GNU tar writes the number as it is, after a byte 0x80. */
#define TAR_SIZE_MAX (UINT64_C(1) << 33)

/* POSIX.1-1988, as in pax(1). */
typedef struct TarHeader {
        char name[100];
        char mode[8];
        char uid[8], gid[8];
        char size[12];
        char mtime[12];
        char checksum[8];
        char type;
        char link[100];
        char magic[6], version[2];
        char user[32], group[32];
        char device[16];
        char prefix[155];
        char rest[12];
} TarHeader;
_Static_assert(sizeof(TarHeader) == TAR_BLOCK, "a header is a block");

static int tar_write(int fd, const void *data, size_t n) {
        const char *from = data;

        while (n > 0) {
                ssize_t written = write(fd, from, n);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return -errno;
                from += written;
                n -= (size_t) written;
        }
        return 0;
}

static int tar_pad(int fd, uint64_t size) {
        static const char zeros[TAR_BLOCK];
        size_t rest = (size_t) (size % TAR_BLOCK);

        return rest > 0 ? tar_write(fd, zeros, TAR_BLOCK - rest) : 0;
}

static void tar_set_size(TarHeader *header, uint64_t size) {
        if (size < TAR_SIZE_MAX) {
                (void) snprintf(header->size, sizeof(header->size), "%011" PRIo64, size);
                return;
        }
        header->size[0] = (char) 0x80;
        for (size_t i = 0; i < sizeof(size); i++)
                header->size[sizeof(header->size) - 1 - i] = (char) (size >> 8 * i);
}

static int tar_add_header(int fd, const TarMember *member) {
        TarHeader header = { .type = '0', .magic = "ustar", .version = { '0', '0' } };
        const unsigned char *bytes = (const unsigned char *) &header;
        unsigned sum = 0;

        if (strlen(member->name) > TAR_NAME_MAX)
                return -ENAMETOOLONG;
        (void) strcpy(header.name, member->name);
        (void) strcpy(header.mode, "0000600");
        (void) strcpy(header.uid, "0000000");
        (void) strcpy(header.gid, "0000000");
        (void) strcpy(header.user, "root");
        (void) strcpy(header.group, "root");
        tar_set_size(&header, member->size);
        (void) snprintf(header.mtime,
                        sizeof(header.mtime),
                        "%011" PRIo64,
                        member->time_s < TAR_SIZE_MAX ? member->time_s : 0);
        /* counted as if it were spaces itself */
        memset(header.checksum, ' ', sizeof(header.checksum));
        for (size_t i = 0; i < sizeof(header); i++)
                sum += bytes[i];
        (void) snprintf(header.checksum, sizeof(header.checksum), "%06o", sum);
        return tar_write(fd, &header, sizeof(header));
}

int tar_add(int fd, const TarMember *member, const void *content) {
        int r = tar_add_header(fd, member);

        if (r == 0)
                r = tar_write(fd, content, member->size);
        return r < 0 ? r : tar_pad(fd, member->size);
}

int tar_add_file(int fd, const TarMember *member, int file_fd) {
        static char data[1 << 16];
        uint64_t left = member->size;
        int r = tar_add_header(fd, member);

        while (r == 0 && left > 0) {
                ssize_t n = read(file_fd, data, left < sizeof(data) ? (size_t) left : sizeof(data));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ENODATA;
                left -= (uint64_t) n;
                r = tar_write(fd, data, (size_t) n);
        }
        return r < 0 ? r : tar_pad(fd, member->size);
}

int tar_end(int fd) {
        static const char zeros[2 * TAR_BLOCK];

        return tar_write(fd, zeros, sizeof(zeros));
}
