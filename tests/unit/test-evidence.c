/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What needs no disk and no guest: the flattened form, and the bounds. */
#include <string.h>

#include "daemon/evidence/flattened.h"
#include "daemon/evidence/room.h"
#include "tests/unit/harness.h"

#define MIB(n) (UINT64_C(n) << 20)

/* A file as the pieces make it. */
typedef struct Restored {
        char data[64];
        size_t end;
} Restored;

static int restored_write(uint64_t offset, const void *data, size_t n, void *userdata) {
        Restored *restored = userdata;

        if (offset + n > sizeof(restored->data))
                return -1;
        memcpy(restored->data + offset, data, n);
        if (offset + n > restored->end)
                restored->end = offset + n;
        return 0;
}

typedef struct Stream {
        unsigned char data[FLATTENED_HEADER_SIZE + 256];
        size_t n;
} Stream;

static void stream_add_number(Stream *stream, uint64_t number) {
        for (unsigned i = 0; i < 8; i++)
                stream->data[stream->n++] = (unsigned char) (number >> (56 - 8 * i));
}

static void stream_add_piece(Stream *stream, uint64_t offset, uint64_t size, const char *text) {
        stream_add_number(stream, offset);
        stream_add_number(stream, size);
        memcpy(stream->data + stream->n, text, strlen(text));
        stream->n += strlen(text);
}

static void stream_begin(Stream *stream) {
        *stream = (Stream){};
        memcpy(stream->data, "makedumpfile", 12);
        stream->n = 16;
        stream_add_number(stream, 1);
        stream_add_number(stream, 1);
        stream->n = FLATTENED_HEADER_SIZE;
}

/* Feeds it `at_once` bytes at a time. */
static int stream_feed(const Stream *stream, size_t at_once, Flattened *f, Restored *restored) {
        int r = 0;

        *restored = (Restored){};
        flattened_init(f, restored_write, restored);
        for (size_t i = 0; r == 0 && i < stream->n; i += at_once)
                r = flattened_feed(f,
                                   stream->data + i,
                                   stream->n - i < at_once ? stream->n - i : at_once);
        return r;
}

static void test_pieces(void) {
        static Stream stream;
        static Flattened f;
        Restored restored;

        /* out of order, and one over another: as a header is filled in at the end */
        stream_begin(&stream);
        stream_add_piece(&stream, 8, 5, "world");
        stream_add_piece(&stream, 0, 6, "hELLO ");
        stream_add_piece(&stream, 1, 4, "ello");
        stream_add_piece(&stream, UINT64_MAX, UINT64_MAX, "");
        for (size_t at_once = 1; at_once < stream.n; at_once = at_once * 3 + 1) {
                CU_ASSERT_EQUAL(stream_feed(&stream, at_once, &f, &restored), 0);
                CU_ASSERT_TRUE(f.ended);
                CU_ASSERT_EQUAL(restored.end, 13);
                CU_ASSERT_EQUAL(memcmp(restored.data, "hello \0\0world", 13), 0);
        }
}

static void test_no_dump(void) {
        static Stream stream;
        static Flattened f;
        Restored restored;

        stream_begin(&stream);
        stream.data[3] = 'X';
        CU_ASSERT_EQUAL(stream_feed(&stream, 100, &f, &restored), FLATTENED_E_INVALID);
        CU_ASSERT_PTR_NOT_NULL(f.problem);

        stream_begin(&stream);
        stream.data[31] = 2;
        CU_ASSERT_EQUAL(stream_feed(&stream, 100, &f, &restored), FLATTENED_E_INVALID);

        stream_begin(&stream);
        stream_add_piece(&stream, INT64_MAX, 2, "xx");
        CU_ASSERT_EQUAL(stream_feed(&stream, 100, &f, &restored), FLATTENED_E_INVALID);

        stream_begin(&stream);
        stream_add_piece(&stream, UINT64_MAX, 2, "xx");
        CU_ASSERT_EQUAL(stream_feed(&stream, 100, &f, &restored), FLATTENED_E_INVALID);

        stream_begin(&stream);
        stream_add_piece(&stream, 5, 0, "");
        CU_ASSERT_EQUAL(stream_feed(&stream, 100, &f, &restored), FLATTENED_E_INVALID);

        stream_begin(&stream);
        stream_add_piece(&stream, UINT64_MAX, UINT64_MAX, "x");
        CU_ASSERT_EQUAL(stream_feed(&stream, 100, &f, &restored), FLATTENED_E_INVALID);

        /* cut short: no error, but no end either */
        stream_begin(&stream);
        stream_add_piece(&stream, 0, 9, "half");
        CU_ASSERT_EQUAL(stream_feed(&stream, 100, &f, &restored), 0);
        CU_ASSERT_FALSE(f.ended);

        /* whoever writes may refuse */
        stream_begin(&stream);
        stream_add_piece(&stream, 1000, 1, "x");
        CU_ASSERT_EQUAL(stream_feed(&stream, 100, &f, &restored), -1);
}

static Room room_with(uint64_t dumps, uint64_t machine, uint64_t total, uint64_t stays_free) {
        return (Room){ .limits = { dumps, machine, total, stays_free } };
}

static void test_room_grows(void) {
        _cleanup_(room_deinit) Room room = room_with(3, MIB(100), MIB(150), MIB(10));

        CU_ASSERT_EQUAL(room_add(&room, 7, MIB(80), false), 0);
        CU_ASSERT_EQUAL(room_ask(&room, 0, MIB(70), MIB(1000)), 0);
        CU_ASSERT_EQUAL(room_ask(&room, 0, MIB(70) + 1, MIB(1000)), ROOM_E_TOTAL);
        CU_ASSERT_EQUAL(room_ask(&room, 0, MIB(100) + 1, MIB(1000)), ROOM_E_MACHINE);
        /* what is written already is no longer free */
        CU_ASSERT_EQUAL(room_ask(&room, MIB(60), MIB(70), MIB(20)), 0);
        CU_ASSERT_EQUAL(room_ask(&room, MIB(60), MIB(70), MIB(20) - 1), ROOM_E_FREE);
        CU_ASSERT_EQUAL(room_ask(&room, MIB(60), MIB(60), MIB(10) - 1), ROOM_E_FREE);
        CU_ASSERT_EQUAL(room_ask(&room, MIB(60), MIB(50), MIB(10)), 0);
        /* limits that were lowered below what is there */
        room.limits.total_bytes = MIB(50);
        CU_ASSERT_EQUAL(room_ask(&room, 0, 1, MIB(1000)), ROOM_E_TOTAL);
}

static void test_room_makes_place(void) {
        _cleanup_(room_deinit) Room room = room_with(3, MIB(100), MIB(1000), 0);
        RoomDump dump;

        CU_ASSERT_EQUAL(room_add(&room, 30, MIB(30), true), 0);
        CU_ASSERT_EQUAL(room_add(&room, 10, MIB(10), true), 0);
        CU_ASSERT_EQUAL(room_add(&room, 5, MIB(500), false), 0);
        CU_ASSERT_FALSE(room_is_over(&room, MIB(60)));
        CU_ASSERT_TRUE(room_is_over(&room, MIB(60) + 1));
        CU_ASSERT_EQUAL(room_add(&room, 20, MIB(20), true), 0);
        CU_ASSERT_TRUE(room_is_over(&room, 1)); /* a fourth */

        /* its own, the oldest first, whatever the order they were found in */
        CU_ASSERT_TRUE(room_take_oldest(&room, &dump));
        CU_ASSERT_EQUAL(dump.incident, 10);
        CU_ASSERT_FALSE(room_is_over(&room, MIB(50)));
        CU_ASSERT_TRUE(room_take_oldest(&room, &dump));
        CU_ASSERT_EQUAL(dump.incident, 20);
        CU_ASSERT_TRUE(room_take_oldest(&room, &dump));
        CU_ASSERT_EQUAL(dump.incident, 30);
        CU_ASSERT_FALSE(room_take_oldest(&room, &dump));
        CU_ASSERT_EQUAL(room.bytes, MIB(500));
        CU_ASSERT_EQUAL(room.own_bytes, 0);
}

TEST_MAIN("evidence",
          { "pieces of a dump", test_pieces },
          { "what is no dump", test_no_dump },
          { "a dump that grows", test_room_grows },
          { "a dump that makes place", test_room_makes_place })
