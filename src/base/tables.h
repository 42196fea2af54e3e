/* Tables: stb_ds with its functions and types renamed and its short names off, so that a program
   may use its own copy beside ours; undone at the end of the file (base/tables_end.h).

   stb_ds cannot tell that memory ran out, and makes a table also to look into one: so it has what
   is filled in once, the registry, which asks first whether there is memory, and looks through the
   macro at the end. What grows and shrinks lies in maps (base/map.h). Keys are texts of the
   caller's.
   Locks: all tables are under the global lock, because stb_ds has one seed for all of them. */
#pragma once
#include "platform.h"

#ifndef INCLUDE_STB_DS_H
#if defined(__has_include)
#if !__has_include("stb_ds.h")
#error "no stb_ds.h: apt-get install libstb-dev, compile with $(pkg-config --cflags stb)"
#endif
#endif
#define RR__OWN_STB_DS 1
#define stbds_rand_seed rr__stbds_rand_seed
#define stbds_hash_bytes rr__stbds_hash_bytes
#define stbds_hash_string rr__stbds_hash_string
#define stbds_stralloc rr__stbds_stralloc
#define stbds_strreset rr__stbds_strreset
#define stbds_arrgrowf rr__stbds_arrgrowf
#define stbds_arrfreef rr__stbds_arrfreef
#define stbds_hmfree_func rr__stbds_hmfree_func
#define stbds_hmget_key rr__stbds_hmget_key
#define stbds_hmget_key_ts rr__stbds_hmget_key_ts
#define stbds_hmput_default rr__stbds_hmput_default
#define stbds_hmput_key rr__stbds_hmput_key
#define stbds_hmdel_key rr__stbds_hmdel_key
#define stbds_shmode_func rr__stbds_shmode_func
#define stbds_array_header rr__stbds_array_header
#define stbds_string_block rr__stbds_string_block
#define stbds_string_arena rr__stbds_string_arena
#define stbds_hash_bucket rr__stbds_hash_bucket
#define stbds_hash_index rr__stbds_hash_index
#define stbds_strdup rr__stbds_strdup
#define stbds_hm_find_slot rr__stbds_hm_find_slot
#define stbds_is_key_equal rr__stbds_is_key_equal
#define stbds_siphash_bytes rr__stbds_siphash_bytes
#define stbds_make_hash_index rr__stbds_make_hash_index
#define stbds_log2 rr__stbds_log2
#define stbds_probe_position rr__stbds_probe_position
#define STBDS_SH_NONE RR__STBDS_SH_NONE
#define STBDS_SH_DEFAULT RR__STBDS_SH_DEFAULT
#define STBDS_SH_STRDUP RR__STBDS_SH_STRDUP
#define STBDS_SH_ARENA RR__STBDS_SH_ARENA
#define stbds_hash_seed rr__stbds_hash_seed
#ifndef STBDS_NO_SHORT_NAMES
#define STBDS_NO_SHORT_NAMES
#define RR__OWN_SHORT_NAMES 1
#endif
#define STB_DS_IMPLEMENTATION
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#endif
#include "stb_ds.h"
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic pop
#endif
#undef STB_DS_IMPLEMENTATION
#endif

/* Is there memory for so many entries, with what stb_ds takes for itself? */
static bool rr__has_room_for(size_t entries) {
    void *probe = RR_MALLOC(256 * (entries + 16));
    RR_FREE(probe);
    return probe != NULL;
}

/* The entry of a key, or NULL; valid until the table changes. */
#define RR__TABLE_AT(table, k) (stbds_shlen(table) > 0 ? stbds_shgetp_null((table), (k)) : NULL)
