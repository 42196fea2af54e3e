/* Configuration: what the program gave, completed from the environment and the defaults, and
   checked.
   Locks: none; nobody else knows the runtime yet. */
#pragma once
#include "../core/needs.h"
#include "../store/files.h"

/* What the program has to change: told in the log, and to who asks rr_error_message. */
RR__PRINTF(2, 3)
static rr_status rr__bad_config(const rr_config *config, const char *format, ...) {
    char text[640];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rr__log_text(config, RR_LOG_ERROR, text);
    return rr__note(RR__NULL_REF, RR_ERR_INVALID, "%s", text);
}

/* Reads a number from the environment into *out, if the program left it zero. */
static rr_status rr__env_number(const rr_config *config, const char *name, uint64_t max,
                                uint64_t *out) {
    const char *text = *out == 0 ? getenv(name) : NULL;
    if (!text || !*text) return RR_OK;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *out = value;
    if (*end == 0 && errno == 0 && !strchr(text, '-') && value <= max) return RR_OK;
    return rr__bad_config(config,
                          "the environment variable %s is '%.200s': it must be a number from 0 to "
                          "%llu, in digits, or not set",
                          name, text, (unsigned long long)max);
}

static rr_status rr__configure_from_env(rr_config *c) {
    uint64_t workers = c->workers > 0 ? (uint64_t)c->workers : c->workers != 0;
    uint64_t threads = c->max_threads > 0 ? (uint64_t)c->max_threads : c->max_threads != 0;
    uint64_t bytes = c->store_bytes, lineage = c->lineage_bytes, stack = c->stack_bytes;
    uint64_t leaks = c->report_leaks, no_spill = c->no_spill;
    uint64_t pending = c->max_pending > 0 ? (uint64_t)c->max_pending : c->max_pending != 0;
    rr_status status = rr__env_number(c, "RUSTYRAY_WORKERS", 100000, &workers);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_MAX_THREADS", INT_MAX, &threads);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_STORE_BYTES", SIZE_MAX, &bytes);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_STACK_BYTES", RR__STACK_MOST, &stack);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_LINEAGE_BYTES", SIZE_MAX, &lineage);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_NO_SPILL", 1, &no_spill);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_REPORT_LEAKS", 1, &leaks);
    if (status == RR_OK) status = rr__env_number(c, "RUSTYRAY_MAX_PENDING", INT64_MAX, &pending);
    if (c->workers == 0) c->workers = (int)workers;
    if (c->max_threads == 0) c->max_threads = (int)threads;
    if (c->max_pending == 0) c->max_pending = (int64_t)pending;
    c->store_bytes = (size_t)bytes, c->lineage_bytes = (size_t)lineage;
    c->stack_bytes = (size_t)stack;
    c->report_leaks = leaks != 0, c->no_spill = no_spill != 0;
    return status;
}

/* "gpu=2,disk=0.5" into rr_config.resources; the names stay where text is. */
static bool rr__resources_parse(rr_config *c, char *text) {
    for (int i = 0; *text; i++) {
        char *name = text, *end, *equals = strchr(text, '=');
        if (i == RR_RESOURCES || !equals || equals == name) return false;
        *equals = 0;
        c->resources[i] = (rr_resource){name, strtod(equals + 1, &end)};
        if (end == equals + 1 || (*end && *end != ',')) return false;
        text = *end ? end + 1 : end;
    }
    return true;
}

static rr_status rr__resources_from_env(rr_runtime *rt) {
    const char *text = getenv("RUSTYRAY_RESOURCES");
    for (int i = 0; i < RR_RESOURCES; i++)
        if (rt->config.resources[i].name) return RR_OK;
    if (!text || !*text) return RR_OK;
    if (!(rt->resources->names = RR_MALLOC(strlen(text) + 1))) return RR_ERR_NO_MEMORY;
    if (rr__resources_parse(&rt->config, strcpy(rt->resources->names, text))) return RR_OK;
    return rr__bad_config(&rt->config,
                          "the environment variable RUSTYRAY_RESOURCES is '%.200s': it must look "
                          "like gpu=2,disk=0.5, with %d names at most, or not be set",
                          text, RR_RESOURCES);
}

/* The program's own names are copied, all into one block. */
static rr_status rr__stock_names_copy(rr_runtime *rt) {
    size_t size = 0;
    for (int i = 1; i < rt->resources->count; i++)
        size += strlen(rt->resources->stocks[i].name) + 1;
    char *to = rt->resources->names ? NULL : RR_MALLOC(size + 1);
    if (rt->resources->names) return RR_OK; /* from the environment: ours already */
    if (!(rt->resources->names = to)) return RR_ERR_NO_MEMORY;
    for (int i = 1; i < rt->resources->count; i++) {
        size_t n = strlen(rt->resources->stocks[i].name) + 1;
        rt->resources->stocks[i].name = memcpy(to, rt->resources->stocks[i].name, n);
        to += n;
    }
    return RR_OK;
}

static rr_status rr__configure_stocks(rr_runtime *rt) {
    rr_status status = rr__resources_from_env(rt);
    if (status != RR_OK) return status;
    const char *field = rt->resources->names ? "resources (RUSTYRAY_RESOURCES)" : "resources";
    rt->resources->stocks[RR__CPU] = (rr__stock){"cpu", (int64_t)rt->workers * RR__WHOLE, 0, 0};
    rt->resources->count = 1;
    for (int i = 0; i < RR_RESOURCES; i++) {
        const rr_resource *given = &rt->config.resources[i];
        if (!given->name) continue;
        int64_t total = rr__amount_of(given->amount);
        if (total < 0)
            return rr__bad_config(&rt->config,
                                  "rr_config.%s: %g is no amount of '%.100s': it must be 0, or "
                                  "0.0001 to 1e12",
                                  field, given->amount, given->name);
        if (!*given->name || rr__stock_find(rt, given->name) >= 0)
            return rr__bad_config(&rt->config,
                                  "rr_config.%s: the name '%.100s' must be another: names differ, "
                                  "are not empty, and not 'cpu' (that is .workers)",
                                  field, given->name);
        rt->resources->stocks[rt->resources->count++] = (rr__stock){given->name, total, 0, 0};
    }
    return rr__stock_names_copy(rt);
}

/* A folder for spilled values that was given must be one now; others may never be needed. */
static rr_status rr__spill_dir_find(rr_runtime *rt) {
    const char *dir = rt->config.spill_dir, *given;
    if (!dir || !*dir) dir = getenv("RUSTYRAY_SPILL_DIR");
    given = dir && *dir ? dir : NULL;
    if (!given) dir = getenv(RR__TEMP_VARIABLE);
    if (!dir || !*dir) dir = RR__TEMP_DIR;
    if (given && rt->evicts && rt->config.evict == RR_EVICT_SPILL && !RR__FILE_CAN_MAKE(dir))
        return rr__bad_config(&rt->config,
                              "rr_config.spill_dir (RUSTYRAY_SPILL_DIR) is '%.300s': it must be a "
                              "folder in which files can be made",
                              dir);
    if (!(rt->store->spill_dir = RR_MALLOC(strlen(dir) + 1))) return RR_ERR_NO_MEMORY;
    strcpy(rt->store->spill_dir, dir);
    return RR_OK;
}

static rr_status rr__configure_store(rr_runtime *rt) {
    rr_config *c = &rt->config;
    if (c->no_spill && c->evict == RR_EVICT_SPILL) c->evict = RR_EVICT_REBUILD;
    if (c->evict < RR_EVICT_SPILL || c->evict > RR_EVICT_DROP)
        return rr__bad_config(c,
                              "rr_config.evict is %d: it must be RR_EVICT_SPILL, RR_EVICT_REBUILD "
                              "or RR_EVICT_DROP",
                              (int)c->evict);
    rt->evicts = c->store_bytes != 0;
    if (!c->store_bytes) c->store_bytes = SIZE_MAX;
    if (!c->lineage_bytes) c->lineage_bytes = (size_t)64 << 20;
    return rr__spill_dir_find(rt);
}

/* Completes a configuration from the environment and the defaults. */
static rr_status rr__configure(rr_runtime *rt, const rr_config *given) {
    rr_config *c = &rt->config;
    if (given) *c = *given;
    rr_status status = rr__configure_from_env(c);
    if (status != RR_OK) return status;
    if (c->workers < 0 || c->workers > 100000)
        return rr__bad_config(c, "rr_config.workers is %d: it must be 0 (one per CPU) to 100000",
                              c->workers);
    rt->workers = c->workers ? c->workers : rr__cpu_count();
    if (c->max_threads < 0 || (c->max_threads && c->max_threads < rt->workers))
        return rr__bad_config(
            c,
            "rr_config.max_threads (RUSTYRAY_MAX_THREADS) is %d: it must be 0, or "
            "at least the number of workers, which is %d",
            c->max_threads, rt->workers);
    rt->max_threads = c->max_threads ? c->max_threads : rt->workers + 1024;
    status = rr__configure_store(rt);
    if (status != RR_OK) return status;
    if (c->max_pending < 0)
        return rr__bad_config(c, "rr_config.max_pending is %lld: it must be 0 (no limit) or more",
                              (long long)c->max_pending);
    if (c->stack_bytes > RR__STACK_MOST)
        return rr__bad_config(c, "rr_config.stack_bytes is %zu: it must be 0 (256 KiB) to %zu",
                              c->stack_bytes, RR__STACK_MOST);
    rt->config.max_pending = c->max_pending;
    rt->body_bytes = c->stack_bytes ? c->stack_bytes : RUSTYRAY_BODY_STACK;
    if (rt->body_bytes < RR__STACK_LEAST) rt->body_bytes = RR__STACK_LEAST;
    rt->body_bytes = (rt->body_bytes + 4095) / 4096 * 4096;
    rt->stack_bytes = rt->body_bytes + RUSTYRAY_HELP_STACK + RR__STACK_OWN;
    return rr__configure_stocks(rt);
}
