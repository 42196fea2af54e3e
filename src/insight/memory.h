/* What keeps memory: the table of rr_write_memory. All live objects are counted, then what each
   of them counts is taken off what is held by others.
   Locks: the census', the global one and the store's, one after the other. */
#pragma once
#include "../store/names.h"
#include "../tasks/arguments.h"
#include "stats.h"

/* A live object in rr_write_memory, which counts it until the row is complete. */
typedef struct rr__row {
    rr__object *object;
    size_t bytes;
    uint64_t held, argument, contained, pinned; /* held: at first all but ours */
    const char *state, *what, *site;            /* static; state NULL: it is not shown */
} rr__row;

typedef struct rr__census {
    rr_runtime *runtime;
    rr__row *rows;
    size_t count, room;
    uint32_t *row_of, slots; /* by slot: 1 + its row, or 0 */
} rr__census;

/* Not by its place: that is written when a value comes back. */
static size_t rr__bytes_seen(rr__object *o) {
    bool is_inline = (rr__load_acquire(&o->word) & RR__IS_INLINE) != 0;
    if (o->kind == RR__CONSTRUCTOR) return o->of.fn->self.size;
    if (!rr__is_complete(o) || rr__has_failed(o)) return 0;
    if (o->kind == RR__GATHER)
        return sizeof(rr__parts) + o->extra.parts->count * (sizeof(rr_bytes) + sizeof(void *));
    return is_inline && o->kind <= RR__METHOD ? o->of.fn->result.size : rr__info_of(o);
}

static bool rr__census_add(rr__census *c, rr__object *o) {
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 256;
        rr__row *rows = RR_REALLOC(c->rows, room * sizeof *rows);
        if (!rows) return false;
        c->rows = rows, c->room = room;
    }
    uint64_t count = (rr__load_relaxed(&o->word) & RR__COUNT_MASK) - 1; /* less ours */
    c->rows[c->count++] = (rr__row){.object = o, .bytes = rr__bytes_seen(o), .held = count};
    c->slots = o->slot;
    return true;
}

/* Takes a count of each live object. False: no memory for that. */
static bool rr__census_begin(rr__context *cx, rr__census *c) {
    uint32_t slot = 1;
    for (rr__object *o; (o = rr__live_next(cx, &slot));) {
        if (rr__census_add(c, o)) continue;
        rr__drop(cx, o);
        return false;
    }
    c->row_of = RR_CALLOC((size_t)c->slots + 1, sizeof *c->row_of);
    for (size_t i = 0; c->row_of && i < c->count; i++)
        c->row_of[c->rows[i].object->slot] = (uint32_t)i + 1;
    return c->row_of != NULL;
}

/* The row of what lies there, if anything does: the address may be made of other data by now. */
static rr__row *rr__row_at(rr__census *c, uint64_t address) {
    uint32_t slot = rr__slot_number(c->runtime, (rr__object *)(uintptr_t)address);
    uint32_t row = slot <= c->slots ? c->row_of[slot] : 0;
    return row ? &c->rows[row - 1] : NULL;
}

static void rr__row_holds(rr__census *c, const void *object) {
    rr__row *row = rr__row_at(c, (uint64_t)(uintptr_t)object);
    if (row) row->contained++;
}

/* The arguments of a task that has not begun. If it begins meanwhile, the words of its slot are
   overwritten at some time, and rr__args_drop lets a block be until we are done. */
static void rr__census_args(rr__census *c, rr__object *task) {
    const rr_function *fn = task->of.fn;
    rr__lock(&c->runtime->store->census_lock);
    enum rr__state state = rr__state_of(rr__load_seq_cst(&task->word)); /* after has_census */
    bool has_begun = state != RR__WAITING && state != RR__QUEUED;
    const char *block = has_begun || task->args_place == RR__IN_SLOT ? NULL : rr__args_of(task);
    for (int i = 0, word = 0; !has_begun && i < fn->arity; i++) {
        uint64_t address;
        if (block) memcpy(&address, block + word * 8, sizeof address);
        else address = rr__load_relaxed(&task->words[word < 4 ? word : 0]);
        rr__row *row = rr__is_counted(fn, task->by_ref, i) ? rr__row_at(c, address) : NULL;
        if (row) row->argument++;
        word += (int)(rr__arg_bytes(fn, task->by_ref, i) / 8);
    }
    rr__unlock(&c->runtime->store->census_lock);
}

/* What an object counts. */
static void rr__census_visit(rr__context *cx, rr__census *c, rr__object *o) {
    if (o->kind == RR__FUNCTION || o->kind == RR__METHOD) rr__census_args(c, o);
    if (o->kind == RR__GATHER && o->extra.parts)
        for (size_t i = 0; i < o->extra.parts->count; i++)
            rr__row_holds(c, o->extra.parts->objects[i]);
    unsigned kind = rr__kind_in(rr__load_acquire(&o->word));
    bool is_handle = kind == RR__KIND_REF || kind == RR__KIND_ACTOR;
    if (is_handle && o->kind != RR__CONSTRUCTOR && rr__is_complete(o) && !rr__has_failed(o))
        rr__row_holds(c, rr__contained(cx, o));
}

/* Names, and pins by hand. */
static void rr__census_marks(rr__census *c) {
    rr_runtime *rt = c->runtime;
    const rr__map *names = &rt->store->names;
    rr__global_lock();
    for (size_t i = 0; i < names->room; i++)
        if (names->entries[i].key) rr__row_holds(c, names->entries[i].value);
    for (size_t i = 0; i < c->count; i++) {
        uint64_t id = rr__load_relaxed(&c->rows[i].object->id); /* we hold a count */
        c->rows[i].pinned = (uint64_t)rr__pins_in(rr__map_at_number(&rt->store->pinned, id));
    }
    rr__global_unlock();
}

/* Where a value outside its slot is; NULL: in memory. */
static const char *rr__residence_text(rr_runtime *rt, rr__object *o) {
    rr__stored *s = rt->evicts ? rr__stored_of(o) : NULL;
    if (!s) return NULL;
    rr__lock(&rt->store->lock);
    uint64_t word = rr__load_relaxed(rr__residence_at(o)); /* moves under this lock */
    enum rr__residence now = rr__residence_in(word);
    bool is_lost = now == RR__LOST || (now == RR__RETURNING && !s->file);
    rr__unlock(&rt->store->lock);
    return rr__is_at_hand(word) ? NULL : is_lost ? "dropped" : "spilled";
}

static const char *rr__state_text(rr_runtime *rt, rr__object *o) {
    uint64_t word = rr__load_acquire(&o->word);
    enum rr__state state = rr__state_of(word);
    if (o->kind == RR__CONSTRUCTOR) return state == RR__FAILED ? "ended" : "actor";
    if (state == RR__FAILED) return "failed";
    if (state != RR__READY) return state == RR__RUNNING ? "running" : "pending";
    if (o->kind == RR__GATHER) return "gather";
    if (word & RR__IS_INLINE) return "inline";
    const char *elsewhere = rr__residence_text(rt, o);
    return elsewhere ? elsewhere : "arena";
}

/* What is written of an object, which may go then. */
static void rr__row_fill(rr_runtime *rt, rr__row *row) {
    rr__object *o = row->object;
    enum rr__state state = rr__state_of(rr__load_acquire(&o->word));
    uint64_t own = state < RR__READY && o->kind <= RR__METHOD && o->kind != RR__CONSTRUCTOR;
    uint64_t known = own + row->argument + row->contained + row->pinned;
    row->held = row->held > known ? row->held - known : 0;
    row->state = rr__state_text(rt, o), row->site = o->site;
    row->what = o->kind <= RR__METHOD ? o->of.fn->name : rr__type_of(o).name;
    if (rr__is_internal(o)) row->state = NULL;
}

static int rr__row_order(const void *a, const void *b) {
    const rr__row *left = a, *right = b;
    if (left->bytes != right->bytes) return left->bytes > right->bytes ? -1 : 1;
    return (uintptr_t)left->object < (uintptr_t)right->object ? -1 : 1;
}

static void rr__rows_write(rr_runtime *rt, rr__row *rows, size_t n, FILE *file) {
    uint64_t limit = rt->evicts ? rt->config.store_bytes : 0;
    rr__lock(&rt->store->lock);
    uint64_t spilled = rt->store->stats.spill_bytes_used;
    rr__unlock(&rt->store->lock);
    if (n) qsort(rows, n, sizeof *rows, rr__row_order);
    fprintf(file, "store: %llu bytes in memory, limit %llu (0: none), %llu in files\n",
            (unsigned long long)rr__load_relaxed(&rt->memory.live), /* a counter */
            (unsigned long long)limit, (unsigned long long)spilled);
    fprintf(file, "%12s %-8s %5s %8s %9s %6s %-16s %s\n", "bytes", "state", "held", "argument",
            "contained", "pinned", "what", "made at");
    for (size_t i = 0; i < n; i++) {
        const rr__row *row = &rows[i];
        if (row->state)
            fprintf(file, "%12zu %-8s %5llu %8llu %9llu %6llu %-16s %s\n", row->bytes, row->state,
                    (unsigned long long)row->held, (unsigned long long)row->argument,
                    (unsigned long long)row->contained, (unsigned long long)row->pinned, row->what,
                    row->site);
    }
}

/* Nothing is kept alive, and nobody waits, while the file is written. */
static rr_status rr__write_memory(rr__context *cx, FILE *file) {
    rr_runtime *rt = cx->runtime;
    rr__census c = {.runtime = rt};
    rr__add_seq_cst(&rt->store->has_census, 1); /* pairs with rr__args_drop */
    bool ok = rr__census_begin(cx, &c);
    RR__STRESS_POINT();
    for (size_t i = 0; ok && i < c.count; i++) rr__census_visit(cx, &c, c.rows[i].object);
    if (ok) rr__census_marks(&c);
    for (size_t i = 0; i < c.count; i++) {
        rr__row_fill(rt, &c.rows[i]);
        rr__drop(cx, c.rows[i].object);
    }
    rr__sub_seq_cst(&rt->store->has_census, 1);
    if (ok) rr__rows_write(rt, c.rows, c.count, file);
    RR_FREE(c.rows);
    RR_FREE(c.row_of);
    return !ok ? RR_ERR_NO_MEMORY : fflush(file) || ferror(file) ? RR_ERR_IO : RR_OK;
}
