/* SPDX-License-Identifier: MIT */
/*
 * dlopen() runs constructors, so the descriptor of a plugin is looked up in its ELF file by hand. A
 * pointer in it is whatever the relocation for its place says (RELA), else what stands there (RELR).
 * Every offset and count is the file's word, and is checked against its size. What is learnt is what
 * the file says: tocsin-plugin looks again at what was really loaded.
 */
#include "plugins/sdk/descriptor.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tocsin/plugin.h>
#include <unistd.h>

#include "policy/util/buffer.h"

/* Enough for what linkers make; libLLVM has some 40. */
#define DESCRIPTOR_SECTIONS_MAX 4096
#define DESCRIPTOR_SEGMENTS_MAX 64
/* The descriptor of ABI 0.1, the first there was. Nothing behind it is looked at here. */
#define DESCRIPTOR_SIZE_MIN (offsetof(struct tocsin_plugin, memory_failure) + sizeof(void *))

static const char descriptor_symbol[] = "tocsin_plugin";

typedef struct DescriptorFile {
        const uint8_t *data;
        size_t n;
        Elf64_Ehdr header;
        Elf64_Shdr symbols;
        bool has_symbols;
        char **error;
} DescriptorFile;

/* A pointer in the file: 0, an address within it, or one that belongs to another object. */
typedef struct DescriptorPointer {
        uint64_t address;
        bool foreign;
} DescriptorPointer;

static int descriptor_fail(DescriptorFile *file, const char *format, ...) _printf_(2, 3);

static int descriptor_fail(DescriptorFile *file, const char *format, ...) {
        char *text;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                return -ENOMEM;
        free(*file->error);
        *file->error = text;
        return DESCRIPTOR_E_INVALID;
}

static bool descriptor_copy(const DescriptorFile *file, uint64_t offset, void *ret, size_t n) {
        if (offset > file->n || n > file->n - offset)
                return false;
        memcpy(ret, file->data + offset, n);
        return true;
}

/* Element `i` of a table in the file. */
static bool descriptor_copy_element(const DescriptorFile *file,
                                    uint64_t offset,
                                    uint64_t i,
                                    void *ret,
                                    size_t n) {
        uint64_t at;

        return !__builtin_mul_overflow(i, n, &at) && !__builtin_add_overflow(at, offset, &at) &&
               descriptor_copy(file, at, ret, n);
}

static bool descriptor_get_section(const DescriptorFile *file, unsigned i, Elf64_Shdr *ret) {
        return i < file->header.e_shnum &&
               descriptor_copy_element(file, file->header.e_shoff, i, ret, sizeof(*ret));
}

/* The bytes from an address on that the file has; NULL: it has none. */
static const uint8_t *descriptor_at(const DescriptorFile *file, uint64_t address, size_t *ret_n) {
        for (unsigned i = 0; i < file->header.e_phnum; i++) {
                Elf64_Phdr segment;
                uint64_t start;

                if (!descriptor_copy_element(file, file->header.e_phoff, i, &segment, sizeof(segment)))
                        return NULL;
                if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
                    address - segment.p_vaddr >= segment.p_filesz)
                        continue;
                start = address - segment.p_vaddr;
                if (segment.p_offset > file->n || segment.p_filesz > file->n - segment.p_offset)
                        return NULL;
                *ret_n = segment.p_filesz - start;
                return file->data + segment.p_offset + start;
        }
        return NULL;
}

static int descriptor_open(DescriptorFile *file) {
        static const uint16_t one = 1;
        const Elf64_Ehdr *h = &file->header;
        bool little = *(const uint8_t *) &one == 1;

        if (!descriptor_copy(file, 0, &file->header, sizeof(file->header)) ||
            memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
                return descriptor_fail(file, "it is no shared object");
        if (h->e_ident[EI_CLASS] != ELFCLASS64 ||
            h->e_ident[EI_DATA] != (little ? ELFDATA2LSB : ELFDATA2MSB) || h->e_type != ET_DYN)
                return descriptor_fail(file, "it is no shared object for this machine");
        if (h->e_shnum > DESCRIPTOR_SECTIONS_MAX || h->e_shentsize != sizeof(Elf64_Shdr) ||
            h->e_phnum > DESCRIPTOR_SEGMENTS_MAX || h->e_phentsize != sizeof(Elf64_Phdr))
                return descriptor_fail(file, "its headers can't be read");
        for (unsigned i = 0; !file->has_symbols && descriptor_get_section(file, i, &file->symbols);
             i++)
                file->has_symbols = file->symbols.sh_type == SHT_DYNSYM;
        return 0;
}

/* Whether the string at `offset` of a string table is this one. */
static bool descriptor_is_string(const DescriptorFile *file, uint64_t offset, const char *s) {
        size_t n = strlen(s) + 1;

        return offset <= file->n && n <= file->n - offset && memcmp(file->data + offset, s, n) == 0;
}

static bool descriptor_find_symbol(const DescriptorFile *file, const char *name, uint64_t *ret) {
        Elf64_Shdr strings;
        Elf64_Sym symbol;

        if (!file->has_symbols || !descriptor_get_section(file, file->symbols.sh_link, &strings))
                return false;
        for (uint64_t i = 0; i < file->symbols.sh_size / sizeof(symbol); i++) {
                uint64_t at;

                if (!descriptor_copy_element(file, file->symbols.sh_offset, i, &symbol, sizeof(symbol)))
                        return false;
                if (symbol.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT ||
                    __builtin_add_overflow(strings.sh_offset, symbol.st_name, &at) ||
                    !descriptor_is_string(file, at, name))
                        continue;
                *ret = symbol.st_value;
                return true;
        }
        return false;
}

/* What a relocation makes of its place. */
static bool descriptor_relocate(const DescriptorFile *file,
                                const Elf64_Rela *rela,
                                DescriptorPointer *ret) {
        uint64_t i = ELF64_R_SYM(rela->r_info);
        Elf64_Sym symbol;

        *ret = (DescriptorPointer){ .address = (uint64_t) rela->r_addend };
        if (i == 0)
                return true;
        if (!file->has_symbols ||
            !descriptor_copy_element(file, file->symbols.sh_offset, i, &symbol, sizeof(symbol)))
                return false;
        if (symbol.st_shndx == SHN_UNDEF)
                ret->foreign = true;
        else
                ret->address += symbol.st_value;
        return true;
}

static bool descriptor_get_pointer(const DescriptorFile *file,
                                   uint64_t address,
                                   DescriptorPointer *ret) {
        const uint8_t *place;
        Elf64_Shdr section;
        Elf64_Rela rela;
        size_t n;

        for (unsigned i = 0; descriptor_get_section(file, i, &section); i++) {
                if (section.sh_type != SHT_RELA || !(section.sh_flags & SHF_ALLOC))
                        continue;
                for (uint64_t k = 0; k < section.sh_size / sizeof(rela); k++) {
                        if (!descriptor_copy_element(file, section.sh_offset, k, &rela, sizeof(rela)))
                                return false;
                        if (rela.r_offset == address)
                                return descriptor_relocate(file, &rela, ret);
                }
        }
        place = descriptor_at(file, address, &n);
        if (!place || n < sizeof(ret->address))
                return false;
        *ret = (DescriptorPointer){};
        memcpy(&ret->address, place, sizeof(ret->address));
        return true;
}

/* *ret stays NULL for a NULL pointer. 0, DESCRIPTOR_E_INVALID or -ENOMEM. */
static int descriptor_get_text(DescriptorFile *file, uint64_t address, const char *what, char **ret) {
        DescriptorPointer pointer;
        const uint8_t *text;
        size_t n;

        if (!descriptor_get_pointer(file, address, &pointer))
                return descriptor_fail(file, "its %s can't be read", what);
        if (pointer.address == 0 && !pointer.foreign)
                return 0;
        text = pointer.foreign ? NULL : descriptor_at(file, pointer.address, &n);
        if (!text || !memchr(text, '\0', n < DESCRIPTOR_TEXT_MAX ? n : DESCRIPTOR_TEXT_MAX))
                return descriptor_fail(file, "its %s is no constant text", what);
        *ret = strdup((const char *) text);
        return *ret ? 0 : -ENOMEM;
}

static int descriptor_need_text(DescriptorFile *file, uint64_t address, const char *what, char **ret) {
        int r = descriptor_get_text(file, address, what, ret);

        return r == 0 && !*ret ? descriptor_fail(file, "it has no %s", what) : r;
}

static int descriptor_read_option(DescriptorFile *file, uint64_t address, PluginOption **ret) {
        _cleanup_(plugin_option_freep) PluginOption *option = calloc(1, sizeof(*option));
        const uint8_t *place;
        uint64_t number, within_us;
        uint32_t type;
        size_t n;
        int r;

        if (!option)
                return -ENOMEM;
        place = descriptor_at(file, address + offsetof(struct tocsin_option, type), &n);
        if (!place || n < sizeof(type))
                return descriptor_fail(file, "its options can't be read");
        memcpy(&type, place, sizeof(type));
        r = descriptor_need_text(file,
                                 address + offsetof(struct tocsin_option, name),
                                 "name of an option",
                                 &option->name);
        if (r == 0)
                r = descriptor_need_text(file,
                                         address + offsetof(struct tocsin_option, doc),
                                         "doc of an option",
                                         &option->doc);
        if (r == 0)
                r = descriptor_get_text(file,
                                        address + offsetof(struct tocsin_option, initial),
                                        "default of an option",
                                        &option->default_);
        if (r != 0)
                return r;
        if (type >= _PLUGIN_OPTION_TYPE_MAX)
                return descriptor_fail(file,
                                       "its option '%s' is of a type this tocsin does not know",
                                       option->name);
        option->type = (PluginOptionType) type;
        if (option->default_ && option_parse(option->type, option->default_, &number, &within_us) < 0)
                return descriptor_fail(file,
                                       "the default of its option '%s' should be %s",
                                       option->name,
                                       option_expect(option->type));
        *ret = TAKE_PTR(option);
        return 0;
}

static int descriptor_read_options(DescriptorFile *file,
                                   uint64_t address,
                                   const struct tocsin_plugin *raw,
                                   PluginDescription *d) {
        DescriptorPointer table;
        int r;

        if (raw->n_options == 0)
                return 0;
        if (raw->n_options > DESCRIPTOR_OPTIONS_MAX ||
            raw->option_size < sizeof(struct tocsin_option) || raw->option_size > 4096)
                return descriptor_fail(file,
                                       "it has %zu options of %zu bytes; at most %d are allowed",
                                       raw->n_options,
                                       raw->option_size,
                                       DESCRIPTOR_OPTIONS_MAX);
        if (!descriptor_get_pointer(file, address + offsetof(struct tocsin_plugin, options), &table) ||
            table.foreign)
                return descriptor_fail(file, "its options can't be read");
        d->options = calloc(raw->n_options, sizeof(*d->options));
        if (!d->options)
                return -ENOMEM;
        for (size_t i = 0; i < raw->n_options; i++) {
                r = descriptor_read_option(file,
                                           table.address + i * raw->option_size,
                                           &d->options[d->n_options]);
                if (r != 0)
                        return r;
                d->n_options++;
        }
        return 0;
}

static int descriptor_read_abilities(DescriptorFile *file, uint64_t address, PluginDescription *d) {
        static const size_t offsets[_PLUGIN_ABILITY_MAX] = {
                [PLUGIN_ABILITY_WATCHDOG] = offsetof(struct tocsin_plugin, watchdog),
                [PLUGIN_ABILITY_PANIC] = offsetof(struct tocsin_plugin, panic),
                [PLUGIN_ABILITY_MEMORY_FAILURE] = offsetof(struct tocsin_plugin, memory_failure),
        };
        DescriptorPointer pointer;

        d->abilities = calloc(_PLUGIN_ABILITY_MAX, sizeof(*d->abilities));
        if (!d->abilities)
                return -ENOMEM;
        for (PluginAbility i = 0; i < _PLUGIN_ABILITY_MAX; i++) {
                if (!descriptor_get_pointer(file, address + offsets[i], &pointer))
                        return descriptor_fail(file, "its functions can't be read");
                if (pointer.address != 0 || pointer.foreign)
                        d->abilities[d->n_abilities++] = i;
        }
        if (d->n_abilities == 0)
                return descriptor_fail(file, "it has no ability: watchdog, panic or memory_failure");
        return 0;
}

/* Size and version first: nothing else means anything before they are known. */
static int descriptor_check_head(DescriptorFile *file, uint64_t address, struct tocsin_plugin *ret) {
        const uint8_t *place;
        size_t n;

        place = descriptor_at(file, address, &n);
        if (!place || n < offsetof(struct tocsin_plugin, name))
                return descriptor_fail(file, "its descriptor can't be read");
        memcpy(ret, place, offsetof(struct tocsin_plugin, name));
        if (ret->abi_major != TOCSIN_PLUGIN_ABI_MAJOR)
                return descriptor_fail(file,
                                       "it was made for ABI %u.%u of tocsin; this one has %u.%u, so "
                                       "it has to be compiled again",
                                       ret->abi_major,
                                       ret->abi_minor,
                                       TOCSIN_PLUGIN_ABI_MAJOR,
                                       TOCSIN_PLUGIN_ABI_MINOR);
        if (ret->size < DESCRIPTOR_SIZE_MIN || n < DESCRIPTOR_SIZE_MIN)
                return descriptor_fail(file,
                                       "its descriptor is %zu bytes long; %zu are the least",
                                       ret->size,
                                       DESCRIPTOR_SIZE_MIN);
        memcpy(ret, place, DESCRIPTOR_SIZE_MIN);
        return 0;
}

int descriptor_read(const void *elf, size_t n, PluginDescription **ret, char **ret_error) {
        DescriptorFile file = { .data = elf, .n = n, .error = ret_error };
        _cleanup_(plugin_description_freep) PluginDescription *d = NULL;
        struct tocsin_plugin raw = {};
        uint64_t address = 0;
        int r;

        r = descriptor_open(&file);
        if (r == 0 && !descriptor_find_symbol(&file, descriptor_symbol, &address))
                r = descriptor_fail(&file, "it exports no constant '%s'", descriptor_symbol);
        if (r == 0)
                r = descriptor_check_head(&file, address, &raw);
        if (r != 0)
                return r;
        d = calloc(1, sizeof(*d));
        if (!d || asprintf(&d->abi, "%u.%u", raw.abi_major, raw.abi_minor) < 0)
                return -ENOMEM;
        r = descriptor_need_text(&file,
                                 address + offsetof(struct tocsin_plugin, name),
                                 "name",
                                 &d->name);
        if (r == 0)
                r = descriptor_need_text(&file,
                                         address + offsetof(struct tocsin_plugin, version),
                                         "version",
                                         &d->version);
        if (r == 0)
                r = descriptor_need_text(&file,
                                         address + offsetof(struct tocsin_plugin, doc),
                                         "doc",
                                         &d->doc);
        if (r == 0)
                r = descriptor_read_options(&file, address, &raw, d);
        if (r == 0)
                r = descriptor_read_abilities(&file, address, d);
        if (r == 0)
                *ret = TAKE_PTR(d);
        return r;
}

static int descriptor_read_fd(int fd, DescriptorFile *file, Buffer *content) {
        struct stat st;
        ssize_t n;
        int r;

        if (fstat(fd, &st) < 0)
                return descriptor_fail(file, "%s", strerror(errno));
        if (!S_ISREG(st.st_mode))
                return descriptor_fail(file, "it is no file");
        if ((uint64_t) st.st_size > DESCRIPTOR_FILE_MAX)
                return descriptor_fail(file, "it is larger than 64 MiB");
        r = buffer_reserve(content, (size_t) st.st_size + 1);
        if (r < 0)
                return r;
        while ((n = read(fd, content->data + content->end, (size_t) st.st_size - content->end)) > 0)
                buffer_advance(content, (size_t) n);
        return n < 0 ? descriptor_fail(file, "%s", strerror(errno)) : 0;
}

int descriptor_read_file(const char *path, PluginDescription **ret, char **ret_error) {
        _cleanup_(buffer_deinit) Buffer content = BUFFER_NULL;
        DescriptorFile file = { .error = ret_error };
        int fd, r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return descriptor_fail(&file, "%s", strerror(errno));
        r = descriptor_read_fd(fd, &file, &content);
        (void) close(fd);
        return r != 0 ? r : descriptor_read(content.data, buffer_length(&content), ret, ret_error);
}
