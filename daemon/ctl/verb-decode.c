/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decoding without a daemon: what people paste from elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/input.h"
#include "daemon/ctl/panic.h"
#include "daemon/ctl/verbs.h"
#include "policy/decode/bugcheck.h"
#include "policy/decode/hyperv.h"
#include "policy/decode/paste.h"

static int verb_fail_reading(const char *what, int r) {
        (void) fprintf(stderr, "tocsinctl: %s: %s\n", what, input_say(r));
        return CTL_EXIT_FAILURE;
}

static int verb_read_map(const char *path, Buffer *ret) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

        if (fd < 0)
                return verb_fail_reading(path, -errno);
        r = input_read(fd, INPUT_MAP_MAX, ret);
        (void) close(fd);
        return r < 0 ? verb_fail_reading(path, r) : CTL_EXIT_OK;
}

/* The arguments as one text, or standard input where there is none. */
static int verb_read_text(const Ctl *ctl, int argc, char **argv, Buffer *ret) {
        int r = 0;

        if (argc == 0 || (argc == 1 && strcmp(argv[0], "-") == 0)) {
                if (argc == 0 && isatty(STDIN_FILENO))
                        return ctl_fail_usage(
                                ctl, "nothing to decode: give it as TEXT or on standard input");
                r = input_read(STDIN_FILENO, PASTE_TEXT_MAX, ret);
                return r < 0 ? verb_fail_reading("standard input", r) : CTL_EXIT_OK;
        }
        for (int i = 0; i < argc && r == 0; i++) {
                r = buffer_append_string(ret, argv[i]);
                if (r == 0)
                        r = buffer_append_char(ret, ' ');
        }
        return r < 0 ? ctl_fail_memory() : CTL_EXIT_OK;
}

static int verb_fail_paste(int r) {
        if (r < 0)
                return ctl_fail_memory();
        (void) fputs(
                "tocsinctl: nothing in this text is known as panic information.\n"
                "Known are:\n"
                "  five numbers (the Hyper-V crash registers), or a Windows stop code and its parameters\n"
                "  two numbers (an s390 PSW: mask and address)\n"
                "  log lines of QEMU:     HV crash parameters: (0x9f 0x3 ...)\n"
                "                         Guest crashed on cpu 0: disabled-wait, and the line PSW: ...\n"
                "  log lines of libvirt:  panic hyper-v: arg1='0x9f', ...\n"
                "                         panic s390: core='0' psw-mask='0x...' psw-addr='0x...' ...\n"
                "  a Hyper-V host's event (ErrorCode0: 0x9F ...), a blue screen (STOP: 0x9f (...))\n"
                "  a GUEST_PANICKED event, its info, or an incident, as JSON\n",
                stderr);
        return CTL_EXIT_FAILURE;
}

/* Of a stop code alone it is not known which crashes are equal. */
static bool verb_has_signature(const PasteItem *item) {
        return item->info->type != GUEST_PANIC_INFORMATION_TYPE_HYPER_V ||
               item->n_parameters == BUGCHECK_PARAMETERS;
}

static void verb_decode_item(const PasteItem *item, const SystemMap *map, Decoded *ret) {
        if (!verb_has_signature(item)) {
                memset(ret, 0, sizeof(*ret));
                hyperv_decode_stop_code(&item->info->u.hyper_v, item->n_parameters, ret);
        } else
                decode_panic(item->info, map, ret);
}

static int verb_add(json_object *object, const char *key, json_object *take_value) {
        if (take_value && json_object_object_add(object, key, take_value) == 0)
                return 0;
        json_object_put(take_value);
        return -ENOMEM;
}

static int verb_append(json_object *array, json_object *take_value) {
        if (take_value && json_object_array_add(array, take_value) == 0)
                return 0;
        json_object_put(take_value);
        return -ENOMEM;
}

static int verb_add_row(json_object *rows, const DecodedRow *row) {
        json_object *object = json_object_new_object();
        int r;

        if (!object)
                return -ENOMEM;
        r = verb_add(object, "name", json_object_new_string(row->name));
        if (r == 0)
                r = verb_add(object, "value", json_object_new_uint64(row->value));
        if (r == 0 && *row->text)
                r = verb_add(object, "text", json_object_new_string(row->text));
        if (r == 0)
                return verb_append(rows, object);
        json_object_put(object);
        return r;
}

static int verb_fill(json_object *object,
                     const PasteItem *item,
                     const Decoded *decoded,
                     const char *signature) {
        json_object *info = NULL, *lines = json_object_new_array(), *rows = json_object_new_array();
        int r = guest_panic_information_to_json(item->info, &info);

        r = verb_add(object, "info", r < 0 ? NULL : info);
        if (r == 0)
                r = verb_add(object, "headline", json_object_new_string(decoded->headline));
        for (size_t i = 0; lines && i < decoded->n_lines && r == 0; i++)
                r = verb_append(lines, json_object_new_string(decoded->lines[i]));
        for (size_t i = 0; rows && i < decoded->n_rows && r == 0; i++)
                r = verb_add_row(rows, &decoded->rows[i]);
        if (r < 0) {
                json_object_put(lines);
                json_object_put(rows);
                return r;
        }
        r = verb_add(object, "lines", lines);
        if (r < 0) {
                json_object_put(rows);
                return r;
        }
        r = verb_add(object, "values", rows);
        if (r < 0 || !verb_has_signature(item))
                return r;
        return verb_add(object, "signature", json_object_new_string(signature));
}

static int verb_add_item_json(json_object *array, const PasteItem *item, const SystemMap *map) {
        char signature[DECODE_SIGNATURE_SIZE];
        json_object *object = json_object_new_object();
        Decoded decoded;
        int r;

        if (!object)
                return -ENOMEM;
        verb_decode_item(item, map, &decoded);
        (void) decode_get_panic_signature(item->info, NULL, map, signature);
        r = verb_fill(object, item, &decoded, signature);
        if (r == 0)
                return verb_append(array, object);
        json_object_put(object);
        return r;
}

static int verb_print_paste_json(const Paste *paste, const SystemMap *map) {
        json_object *array = json_object_new_array();
        int r = array ? 0 : -ENOMEM;

        for (size_t i = 0; i < paste->n_items && r == 0; i++)
                r = verb_add_item_json(array, &paste->items[i], map);
        r = r < 0 ? ctl_fail_memory() : ctl_print_json(array);
        json_object_put(array);
        return r;
}

static int verb_print_paste(const Paste *paste, const SystemMap *map) {
        char signature[DECODE_SIGNATURE_SIZE];
        Text text = TEXT_NULL;

        for (size_t i = 0; i < paste->n_items; i++) {
                Decoded decoded;

                verb_decode_item(&paste->items[i], map, &decoded);
                text_printf(&text, "%s%s\n", i > 0 ? "\n" : "", decoded.headline);
                panic_add_details(&text, &decoded);
                if (verb_has_signature(&paste->items[i]))
                        text_printf(&text,
                                    "    signature %s\n",
                                    decode_get_panic_signature(
                                            paste->items[i].info, NULL, map, signature));
        }
        if (paste->is_cut)
                text_printf(&text, "\nThere is more; the first %zu are shown.\n", paste->n_items);
        return ctl_print(&text);
}

int verb_decode(Ctl *ctl, int argc, char **argv) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL, map_text = BUFFER_NULL;
        _cleanup_(paste_deinit) Paste paste = PASTE_NULL;
        const char *map_path = NULL;
        const Option options[] = { { "system-map", 0, &map_path, NULL }, {} };
        SystemMap map = {};
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, INT_MAX);

        if (r == CTL_EXIT_OK && map_path)
                r = verb_read_map(map_path, &map_text);
        if (r == CTL_EXIT_OK)
                r = verb_read_text(ctl, argc, argv, &text);
        if (r != CTL_EXIT_OK)
                return r;
        if (buffer_length(&map_text) > 0)
                map = (SystemMap){ buffer_content(&map_text), buffer_length(&map_text) };
        r = paste_parse(&paste,
                        buffer_length(&text) > 0 ? buffer_content(&text) : "",
                        buffer_length(&text));
        if (r != 0)
                return verb_fail_paste(r);
        return ctl->json ? verb_print_paste_json(&paste, &map) : verb_print_paste(&paste, &map);
}
