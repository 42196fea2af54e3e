#include "manual.h"
#if defined(RUSTYRAY_IMPLEMENTATION) && defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE) &&   \
    !defined(_GNU_SOURCE) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1 /* clocks, fork handlers and madvise under -std=c11 */
#endif

#ifndef RUSTYRAY_H
#define RUSTYRAY_H

#ifdef __cplusplus
extern "C" {
#endif

#include "api/language.h"
#include "api/types.h"
#include "api/status.h"
#include "api/config.h"
#include "api/runtime.h"
#include "api/objects.h"
#include "api/tasks.h"
#include "api/actors.h"
#include "api/insight.h"

/* ---- everything below is implementation detail ---- */

#include "api/macros.h"

#ifdef __cplusplus
}
#endif
#endif /* RUSTYRAY_H */
#if defined(RUSTYRAY_IMPLEMENTATION) && !defined(RUSTYRAY_IMPLEMENTED)
#define RUSTYRAY_IMPLEMENTED

#include "public/runtime.h"
#include "public/errors.h"
#include "public/handles.h"
#include "public/reading.h"
#include "public/objects.h"
#include "public/tasks.h"
#include "public/actors.h"
#include "public/insight.h"
#include "base/tables_end.h"

#endif /* RUSTYRAY_IMPLEMENTATION */

#include "license.h"
