/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See qapi-error.h. The words may quote what a client sent, so their length is the client's. */
#include "policy/qapi/qapi-error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const qapi_error_classes[_QAPI_ERROR_CLASS_MAX] = {
        [QAPI_ERROR_CLASS_GENERIC_ERROR] = "GenericError",
        [QAPI_ERROR_CLASS_COMMAND_NOT_FOUND] = "CommandNotFound",
        [QAPI_ERROR_CLASS_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [QAPI_ERROR_CLASS_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [QAPI_ERROR_CLASS_KVM_MISSING_CAP] = "KVMMissingCap",
};

int qapi_error_set(QapiError *error, QapiErrorClass class, const char *format, ...) {
        char *desc;
        va_list args;
        int r;

        if (!error || error->desc)
                return QAPI_E_INVALID;
        va_start(args, format);
        r = vasprintf(&desc, format, args);
        va_end(args);
        if (r < 0)
                return -ENOMEM;
        error->class = class;
        error->desc = desc;
        return QAPI_E_INVALID;
}

void qapi_error_deinit(QapiError *error) {
        free(error->desc);
        *error = (QapiError) QAPI_ERROR_NULL;
}

const char *qapi_error_class_to_string(QapiErrorClass class) {
        return qapi_error_classes[class];
}
