/* The language that the declarations need, and the few words of it that compilers spell
   differently. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if !defined(__cplusplus) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 201112L)
#error "rustyray.h needs C11 (_Generic): compile with -std=c11 or later"
#endif

#if defined(__GNUC__) || defined(__clang__)
#define RR__PRINTF(text, first) __attribute__((format(printf, text, first)))
#define RR__UNUSED __attribute__((unused))
#define RR__AT_START __attribute__((constructor, used))
#else
#define RR__PRINTF(text, first)
#define RR__UNUSED
/* tcc: glibc's headers define __attribute__ away */
#define RR__AT_START __attribute((constructor))
#endif
