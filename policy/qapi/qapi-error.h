/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What a QMP error reply says: a class out of a closed list, and words. */
#include "policy/util/cleanup.h"

typedef enum QapiErrorClass {
        QAPI_ERROR_CLASS_GENERIC_ERROR,
        QAPI_ERROR_CLASS_COMMAND_NOT_FOUND,
        QAPI_ERROR_CLASS_DEVICE_NOT_ACTIVE,
        QAPI_ERROR_CLASS_DEVICE_NOT_FOUND,
        QAPI_ERROR_CLASS_KVM_MISSING_CAP,
        _QAPI_ERROR_CLASS_MAX,
} QapiErrorClass;

typedef struct QapiError {
        QapiErrorClass class;
        char *desc; /* NULL: no error */
} QapiError;

#define QAPI_ERROR_NULL                                                                            \
        {}

/* Returned by everything that takes a QapiError and has set it. */
#define QAPI_E_INVALID 1

/* The first error stays. Returns QAPI_E_INVALID, or -ENOMEM. `error` may be NULL. */
int qapi_error_set(QapiError *error, QapiErrorClass class, const char *format, ...) _printf_(3, 4);
void qapi_error_deinit(QapiError *error);
const char *qapi_error_class_to_string(QapiErrorClass class);
