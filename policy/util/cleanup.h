/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Ownership in scope: a local declared _cleanup_(f) is destroyed when it goes out of scope, and
 * TAKE_PTR() gives it away. Destructors accept NULL and return NULL, so that `p = foo_free(p)`
 * leaves no dangling pointer.
 */
#include <stddef.h>
#include <stdlib.h>

#define _cleanup_(f) __attribute__((__cleanup__(f)))
#define _printf_(a, b) __attribute__((__format__(__printf__, a, b)))
#define _public_ __attribute__((__visibility__("default")))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *) (void *) ((char *) (ptr) -offsetof(type, member)))

#define TAKE_PTR(ptr)                                                                              \
        ({                                                                                         \
                __typeof__(ptr) *_take_ptr_at_ = &(ptr);                                           \
                __typeof__(ptr) _take_ptr_value_ = *_take_ptr_at_;                                 \
                *_take_ptr_at_ = NULL;                                                             \
                _take_ptr_value_;                                                                  \
        })

/* DEFINE_CLEANUP(Foo *, foo_free) makes foo_freep() for _cleanup_(foo_freep) Foo *foo = NULL; */
#define DEFINE_CLEANUP(type, func)                                                                 \
        static inline void func##p(type *p) {                                                      \
                if (*p)                                                                            \
                        func(*p);                                                                  \
        }                                                                                          \
        struct _cleanup_semicolon_

static inline void freep(void *p) {
        free(*(void **) p);
}

#define _cleanup_free_ _cleanup_(freep)
