/* Texts that are written piece by piece into room of a fixed size, and cut; the whole length is
   counted all the same, so that without room it is measured. */
#pragma once
#include "platform.h"

typedef struct rr__text {
    char *start;
    size_t size, used; /* room in bytes; length so far, also of what did not fit */
} rr__text;

RR__PRINTF(2, 3)
static void rr__text_add(rr__text *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    bool has_room = text->used < text->size;
    int n = vsnprintf(has_room ? text->start + text->used : NULL,
                      has_room ? text->size - text->used : 0, format, args);
    va_end(args);
    if (n > 0) text->used += (size_t)n;
}
