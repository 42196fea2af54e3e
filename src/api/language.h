/* The language that the declarations need, and the few words of it that compilers spell
   differently. */
#pragma once
#if defined(__MINGW32__) && !defined(__USE_MINGW_ANSI_STDIO)
#define __USE_MINGW_ANSI_STDIO 1 /* for stdio.h: the formats of C99 */
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if !defined(__cplusplus) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L)
#error "rustyray.h needs C11 (_Generic): compile with -std=c11 or later"
#endif

#if defined(__MINGW32__) && !defined(_UCRT) && !(__USE_MINGW_ANSI_STDIO + 0)
#error "rustyray.h: <stdio.h> came before: compile with -D__USE_MINGW_ANSI_STDIO=1"
#endif

#if defined(__MINGW32__)
#define RR__PRINTF(text, first) __attribute__((format(__MINGW_PRINTF_FORMAT, text, first)))
#elif defined(__GNUC__) || defined(__clang__)
#define RR__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define RR__PRINTF(text, first)
#endif
#if defined(__GNUC__) || defined(__clang__)
#define RR__UNUSED __attribute__((unused))
#define RR__AT_START __attribute__((constructor, used))
#else
#define RR__UNUSED
/* tcc: glibc's headers define __attribute__ away */
#define RR__AT_START __attribute((constructor))
#endif
