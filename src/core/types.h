/* Types of values: which are the same, and a hash of a signature that every process which runs the
   same program agrees on.
   Locks: none. */
#pragma once
#include "../base/map.h"

/* "struct point" and "point" are one name; so are types with and without qualifiers. */
static const char *rr__bare_name(const char *name) {
    static const char *const words[] = {"const ", "volatile ", "struct ", "union ", "enum "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(name, words[i], strlen(words[i])) == 0)
            name += strlen(words[i]), i = (size_t)-1;
    return name;
}

static bool rr__type_equal(rr_type a, rr_type b) {
    if (a.kind != b.kind) return false;
    if (a.kind != RR__KIND_OTHER) return true;
    return a.size == b.size &&
           (a.name == b.name || strcmp(rr__bare_name(a.name), rr__bare_name(b.name)) == 0);
}

static uint64_t rr__hash_type(uint64_t hash, rr_type type) {
    hash = (hash ^ type.kind) * 1099511628211u;
    hash = (hash ^ type.size) * 1099511628211u;
    return type.kind == RR__KIND_OTHER ? rr__hash_text(hash, rr__bare_name(type.name)) : hash;
}

/* The same in every process that runs the same program, whatever it was loaded with. */
static uint64_t rr__signature(const rr_function *fn) {
    uint64_t hash = rr__hash_type(rr__hash_text(RR__HASH_START, fn->name), fn->result);
    hash = rr__hash_type(rr__hash_type(hash, fn->self), fn->item);
    for (int i = 0; i < fn->arity; i++) hash = rr__hash_type(hash, fn->params[i]);
    return hash;
}
