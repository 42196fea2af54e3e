/* The end of the implementation: stb_ds goes as it came, so that a program may include its own. */
#pragma once
#include "tables.h"

/* ---- stb_ds goes as it came ---- */
#ifdef RR__OWN_STB_DS
#undef RR__OWN_STB_DS
#undef INCLUDE_STB_DS_H
#undef stbds_rand_seed
#undef stbds_hash_bytes
#undef stbds_hash_string
#undef stbds_stralloc
#undef stbds_strreset
#undef stbds_arrgrowf
#undef stbds_arrfreef
#undef stbds_hmfree_func
#undef stbds_hmget_key
#undef stbds_hmget_key_ts
#undef stbds_hmput_default
#undef stbds_hmput_key
#undef stbds_hmdel_key
#undef stbds_shmode_func
#undef stbds_array_header
#undef stbds_string_block
#undef stbds_string_arena
#undef stbds_hash_bucket
#undef stbds_hash_index
#undef stbds_strdup
#undef stbds_hm_find_slot
#undef stbds_is_key_equal
#undef stbds_siphash_bytes
#undef stbds_make_hash_index
#undef stbds_log2
#undef stbds_probe_position
#undef STBDS_SH_NONE
#undef STBDS_SH_DEFAULT
#undef STBDS_SH_STRDUP
#undef STBDS_SH_ARENA
#undef stbds_hash_seed
#endif
#ifdef RR__OWN_SHORT_NAMES
#undef RR__OWN_SHORT_NAMES
#undef STBDS_NO_SHORT_NAMES
#endif
