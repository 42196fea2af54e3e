/* Deadlocks: who can never go on. While bodies wait without a limit, the clock's thread looks at
   them now and then: each waits for so many of certain objects, those for others, and what runs,
   is queued, has a time limit, or may be completed from outside is alive. What life does not reach
   in this graph is stuck, for good: rings of bodies, also by way of arguments, mailboxes, crews,
   streams and resources, and waits for some of many. Bodies in a ring are told, and then it looks
   again. What runs pays nothing for that.

   The graph is one of alternatives (the and-or model: Knapp, "Deadlock detection in distributed
   databases", 1987), and life spreads in it in linear time (Dowling and Gallier, "Linear-time
   algorithms for testing the satisfiability of propositional Horn formulae", 1984). What is not
   understood is alive: so nothing is told that is not so.

   Everything goes on meanwhile. So the part that seems stuck is read a second time: if it has not
   changed, it was as it seems at one moment between the two, and what is stuck once stays so.
   Rules  K1  What a sleeping body waits for is written before its sleeper is known, and read under
              its parker's lock; `waits` of its fiber tells one sleep from the next.
          K2  Any other object that cannot go on waits for the one that its waits_on leads to, which
              is written before it is left to be sent on; it is read between two looks at its id.
   Locks: a parker's, then those of shards, resources and timers, one after the other. */
#pragma once
#include "errors.h"
#include "links.h"
#include "resources.h"

/* How an object was when it was looked at. */
typedef struct rr__sight {
    bool goes_on; /* it is over, is queued, or can end by itself */
    rr__object *link;
    uint64_t link_id;
    rr__shape *shape; /* resources that it waits for */
    int inside;       /* methods that a crew waits for one of */
} rr__sight;

typedef struct rr__vertex {
    rr__object *object; /* NULL: a shape */
    uint64_t id;
    rr__sight sight;
    rr__fiber *fiber; /* a body that sleeps, or lies below one that does */
    uint64_t waits;   /* of the fiber */
    bool is_innermost, is_alive;
    uint32_t first, edges, need;        /* it goes on when so many of these do */
    uint32_t first_member, next_member; /* of an actor: bodies that work for it; from 1 */
    uint32_t walk;                      /* that has been here */
} rr__vertex;

/* What resources somebody waits for, or has; with the vertex of that. */
typedef struct rr__portion {
    rr__shape *shape;
    uint32_t vertex;
    int64_t amounts[RR__STOCKS];
} rr__portion;

enum { RR__PORTIONS = 256 };

/* One look. Without memory it finds nothing. */
typedef struct rr__graph {
    rr__context *cx;
    uint32_t *of_slot; /* vertices by slot, from 1 */
    uint32_t slots;
    rr__vertex *vertices;
    size_t count, room;
    uint32_t *edges;
    size_t edge_count, edge_room;
    rr__portion wanted[RR__PORTIONS], held[RR__PORTIONS];
    int wanted_count, held_count;
    bool is_lost; /* no memory, or more than is looked at */
} rr__graph;

static rr__vertex *rr__vertex_at(rr__graph *g, uint32_t index) { return &g->vertices[index]; }

/* The vertex of an object, or, o NULL, a new one. */
static uint32_t rr__vertex_of(rr__graph *g, rr__object *o, uint64_t id) {
    uint32_t known = o && o->slot < g->slots ? g->of_slot[o->slot] : 0;
    if (known && g->vertices[known - 1].id == id) return known - 1;
    if (g->count == g->room) {
        size_t room = g->room ? 2 * g->room : 64;
        rr__vertex *more = RR_REALLOC(g->vertices, room * sizeof *more);
        if (more) g->vertices = more, g->room = room;
    }
    if (g->count == g->room || (o && o->slot >= g->slots)) {
        g->is_lost = true;
        return 0;
    }
    g->vertices[g->count] = (rr__vertex){.object = o, .id = id};
    if (o) g->of_slot[o->slot] = (uint32_t)g->count + 1;
    return (uint32_t)g->count++;
}

static void rr__edge_add(rr__graph *g, uint32_t from, uint32_t to) {
    if (g->edge_count == g->edge_room) {
        size_t room = g->edge_room ? 2 * g->edge_room : 256;
        uint32_t *more = RR_REALLOC(g->edges, room * sizeof *more);
        if (more) g->edges = more, g->edge_room = room;
    }
    if (g->edge_count == g->edge_room || g->is_lost) {
        g->is_lost = true;
        return;
    }
    g->edges[g->edge_count++] = to;
    g->vertices[from].edges++;
}

/* ---- bodies ---- */

static rr__portion *rr__portion_add(rr__graph *g, rr__portion *shares, int *count) {
    if (*count < RR__PORTIONS) return &shares[(*count)++];
    g->is_lost = true;
    return &shares[0];
}

/* A time limit ends it, or the next attempt begins. The caller counts it. */
static bool rr__has_timer(rr_runtime *rt, const rr__control *control) {
    rr__lock(&rt->timers->lock);
    bool has = control->limit.at || control->retry.at;
    rr__unlock(&rt->timers->lock);
    return has;
}

/* What the innermost body waits for: so many of some objects, or the end of a link. */
static void rr__body_edges(rr__graph *g, uint32_t body, const rr__sleeper *s) {
    const rr__wait *wait = s->wait;
    rr__vertex_at(g, body)->first = (uint32_t)g->edge_count;
    if (!wait) {
        rr__object *edge = rr__load_acquire(&s->parker->fiber->token.waits_on);
        uint64_t id = edge ? rr__load_acquire(&edge->id) : 0;
        if (id) rr__edge_add(g, body, rr__vertex_of(g, edge, id));
        rr__vertex_at(g, body)->need = id ? 1 : 0;
        return;
    }
    size_t need = s->need;
    for (size_t i = 0; i < wait->n; i++) {
        rr__object *o = wait->objects[i];
        if (o && !wait->nodes[i].object) need--; /* it was complete from the start */
        else if (o) rr__edge_add(g, body, rr__vertex_of(g, o, rr__load_relaxed(&o->id)));
    }
    rr__vertex_at(g, body)->need = (uint32_t)need;
}

/* One body of a fiber that sleeps; `above` is on top of it, and must end first. */
static uint32_t rr__body_add(rr__graph *g, rr__sleeper *s, rr__frame *frame, uint32_t above,
                             bool is_innermost) {
    rr_runtime *rt = g->cx->runtime;
    rr__object *task = frame->task;
    rr__fiber *fiber = s->parker->fiber;
    uint32_t body = rr__vertex_of(g, task, rr__load_relaxed(&task->id)); /* it counts itself */
    if (g->is_lost) return 0;
    rr__vertex *v = rr__vertex_at(g, body);
    const rr__control *control = rr__control_of(task);
    v->fiber = fiber, v->waits = fiber->waits, v->is_innermost = is_innermost;
    v->is_alive = rr__frame_must_stop(frame) || (control && rr__has_timer(rt, control));
    if (is_innermost) {
        rr__body_edges(g, body, s);
    } else {
        v->first = (uint32_t)g->edge_count, v->need = 1;
        rr__edge_add(g, body, above);
    }
    if (frame->granted) {
        rr__portion *share = rr__portion_add(g, g->held, &g->held_count);
        share->vertex = body, share->shape = frame->granted->shape;
        memcpy(share->amounts, share->shape->amounts, sizeof share->amounts);
    }
    if (frame->actor && frame->actor != task) {
        uint32_t actor = rr__vertex_of(g, frame->actor, rr__load_relaxed(&frame->actor->id));
        rr__vertex_at(g, body)->next_member = rr__vertex_at(g, actor)->first_member;
        rr__vertex_at(g, actor)->first_member = body + 1;
    }
    return body;
}

/* Does it sleep, in its own runtime, for something that the graph can tell? Under its lock. */
static bool rr__sleeper_is_stuck(const rr__sleeper *s) {
    return s && s->task && s->ring && !s->has_limit && !rr__sleeper_is_over_locked(s);
}

static bool rr__bodies_add(rr__graph *g) {
    rr_runtime *rt = g->cx->runtime;
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers; /* the rest of the list stays as it is */
    rr__unlock(&rt->fibers_lock);
    for (; fiber && !g->is_lost; fiber = fiber->all) {
        rr__lock(&fiber->parker.lock);
        rr__sleeper *s = fiber->parker.sleeper;
        rr__frame *frame = rr__sleeper_is_stuck(s) ? s->self->frame : NULL;
        uint32_t above = 0;
        for (bool first = true; frame && !g->is_lost; frame = frame->outer, first = false)
            above = rr__body_add(g, s, frame, above, first);
        rr__unlock(&fiber->parker.lock);
    }
    return g->count > 0 && !g->is_lost;
}

/* ---- what they wait for ---- */

/* What an object with options waits for that no link tells. It is pinned. */
static void rr__options_look(rr__context *cx, rr__object *o, uint64_t word, rr__sight *sight) {
    rr_runtime *rt = cx->runtime;
    rr__control *control = rr__options_of(o);
    if (!control || (sight->goes_on = rr__has_timer(rt, control))) return;
    rr__lock(&rt->resources->lock);
    bool waits = control->turn.at && control->shape && control->turn_in == &control->shape->waiting;
    sight->shape = waits ? control->shape : NULL;
    rr__unlock(&rt->resources->lock);
    if (word & RR__IS_ACTOR) sight->inside = rr__above.inside(cx, o);
}

/* How an object is that is no body that sleeps. */
static rr__sight rr__look_at(rr__context *cx, rr__object *o, uint64_t id) {
    rr__sight sight = {.goes_on = true};
    uint64_t word = rr__load_acquire(&o->word);
    enum rr__state state = rr__state_of(word);
    rr__object *link = rr__load_acquire(&o->waits_on);
    bool runs = state == RR__RUNNING, may_wait = state == RR__WAITING || runs;
    if (!may_wait || (runs && !(word & RR__IS_ACTOR)) || rr__linked_fiber(link)) return sight;
    if (rr__load_acquire(&o->id) != id || (word & RR__IS_DECIDED)) return sight;
    sight.link = link, sight.link_id = link ? rr__load_acquire(&link->id) : 0;
    if (rr__load_acquire(&o->waits_on) != link || (link && !sight.link_id)) return sight;
    sight.goes_on = !link;
    if (!(word & (RR__HAS_CONTROL | RR__HAS_CARE))) return sight;
    if (!rr__try_retain(cx, o, id)) return (rr__sight){.goes_on = true};
    rr__options_look(cx, o, word, &sight);
    if (!link && !sight.shape && !sight.inside) sight.goes_on = true;
    rr__drop(cx, o);
    return sight;
}

static uint32_t rr__wanted_vertex(rr__graph *g, rr__shape *shape) {
    for (int i = 0; i < g->wanted_count; i++)
        if (g->wanted[i].shape == shape) return g->wanted[i].vertex;
    rr__portion *share = rr__portion_add(g, g->wanted, &g->wanted_count);
    share->vertex = rr__vertex_of(g, NULL, 0), share->shape = shape;
    rr__vertex_at(g, share->vertex)->need = 1; /* of nothing: see rr__shares_spread */
    rr__lock(&g->cx->runtime->resources->lock);
    rr__shape *known = g->cx->runtime->resources->shapes;
    while (known && known != shape) known = known->next;
    if (known) memcpy(share->amounts, shape->amounts, sizeof share->amounts);
    else g->is_lost = true;
    rr__unlock(&g->cx->runtime->resources->lock);
    return share->vertex;
}

static void rr__vertex_explore(rr__graph *g, uint32_t index) {
    rr__vertex *v = rr__vertex_at(g, index);
    if (!v->object || v->fiber) return;
    rr__sight sight = v->sight = rr__look_at(g->cx, v->object, v->id);
    v->is_alive = sight.goes_on;
    if (sight.goes_on) return;
    v->first = (uint32_t)g->edge_count, v->need = 1;
    if (sight.shape) rr__edge_add(g, index, rr__wanted_vertex(g, sight.shape));
    else if (sight.link) rr__edge_add(g, index, rr__vertex_of(g, sight.link, sight.link_id));
    int members = 0;
    for (uint32_t m = sight.inside ? v->first_member : 0; m && !g->is_lost; members++) {
        rr__edge_add(g, index, m - 1);
        m = rr__vertex_at(g, m - 1)->next_member;
    }
    if (members != sight.inside && !g->is_lost) /* one of them runs */
        rr__vertex_at(g, index)->is_alive = true;
}

/* ---- life ---- */

/* The vertices that lead to each, as rr__vertex.first and .edges tell where it leads. */
typedef struct rr__reverse {
    uint32_t *start, *from, *work;
    size_t waiting;
} rr__reverse;

static bool rr__reverse_make(rr__graph *g, rr__reverse *r) {
    r->waiting = 0;
    r->start = RR_CALLOC(g->count + 2, sizeof *r->start);
    r->from = RR_MALLOC((g->edge_count + 1) * sizeof *r->from);
    r->work = RR_MALLOC((g->count + 1) * sizeof *r->work);
    if (!r->start || !r->from || !r->work) return false;
    for (size_t i = 0; i < g->edge_count; i++) r->start[g->edges[i] + 2]++;
    for (size_t i = 1; i < g->count + 2; i++) r->start[i] += r->start[i - 1];
    for (uint32_t v = 0; v < g->count; v++)
        for (uint32_t e = 0; e < g->vertices[v].edges; e++)
            r->from[r->start[g->edges[g->vertices[v].first + e] + 1]++] = v;
    return true;
}

static void rr__live(rr__graph *g, rr__reverse *r, uint32_t v) {
    g->vertices[v].is_alive = true;
    r->work[r->waiting++] = v;
}

static void rr__life_spreads(rr__graph *g, rr__reverse *r) {
    while (r->waiting > 0) {
        uint32_t v = r->work[--r->waiting];
        for (uint32_t i = r->start[v]; i < r->start[v + 1]; i++) {
            rr__vertex *from = &g->vertices[r->from[i]];
            if (!from->is_alive && from->need && --from->need == 0) rr__live(g, r, r->from[i]);
        }
    }
}

/* How much of a resource is with those that are stuck. */
static int64_t rr__stuck_amount(const rr__graph *g, int stock) {
    int64_t sum = 0;
    for (int i = 0; i < g->held_count; i++)
        if (!g->vertices[g->held[i].vertex].is_alive) sum += g->held[i].amounts[stock];
    return sum;
}

/* Which resource there will not be enough of; 0: there will be. */
static int rr__short_of(const rr__graph *g, const rr__portion *wanted) {
    const rr__resources *resources = g->cx->runtime->resources;
    for (int i = RR__CPU + 1; i < resources->count; i++) /* CPUs are lent by who waits */
        if (wanted->amounts[i] > resources->stocks[i].total - rr__stuck_amount(g, i)) return i;
    return 0;
}

/* Spreads life to the end. */
static bool rr__graph_live(rr__graph *g) {
    rr__reverse r = {NULL, NULL, NULL, 0};
    bool ok = rr__reverse_make(g, &r), more = ok;
    for (uint32_t v = 0; v < g->count && ok; v++)
        if (g->vertices[v].is_alive || !g->vertices[v].need) rr__live(g, &r, v);
    while (more) {
        rr__life_spreads(g, &r);
        more = false;
        for (int i = 0; i < g->wanted_count; i++) {
            uint32_t v = g->wanted[i].vertex;
            if (g->vertices[v].is_alive || rr__short_of(g, &g->wanted[i])) continue;
            rr__live(g, &r, v);
            more = true;
        }
    }
    RR_FREE(r.start), RR_FREE(r.from), RR_FREE(r.work);
    return ok;
}

/* ---- what is stuck ---- */

static bool rr__body_sleeps_on(const rr__vertex *v) {
    rr__lock(&v->fiber->parker.lock);
    bool same = rr__sleeper_is_stuck(v->fiber->parker.sleeper) && v->fiber->waits == v->waits;
    rr__unlock(&v->fiber->parker.lock);
    return same;
}

/* The second reading. */
static bool rr__is_unchanged(rr__graph *g, const rr__vertex *v) {
    if (!v->object) return true;
    if (v->fiber) return rr__body_sleeps_on(v);
    rr__sight now = rr__look_at(g->cx, v->object, v->id);
    return !now.goes_on && now.link == v->sight.link && now.link_id == v->sight.link_id &&
           now.shape == v->sight.shape && now.inside == v->sight.inside;
}

static bool rr__stuck_is_unchanged(rr__graph *g) {
    for (size_t i = 0; i < g->count; i++)
        if (!g->vertices[i].is_alive && !rr__is_unchanged(g, &g->vertices[i])) return false;
    return true;
}

/* From one that is stuck to one that it waits for, which is stuck, too. *stock: what that one has
   of it. */
static uint32_t rr__next_stuck(const rr__graph *g, uint32_t v, int *stock) {
    const rr__vertex *vertex = &g->vertices[v];
    *stock = 0;
    for (uint32_t e = 0; e < vertex->edges; e++)
        if (!g->vertices[g->edges[vertex->first + e]].is_alive) return g->edges[vertex->first + e];
    for (int i = 0; i < g->wanted_count; i++)
        if (g->wanted[i].vertex == v) *stock = rr__short_of(g, &g->wanted[i]);
    for (int i = 0; i < g->held_count && *stock; i++)
        if (!g->vertices[g->held[i].vertex].is_alive && g->held[i].amounts[*stock])
            return g->held[i].vertex;
    return v; /* it cannot be */
}

static bool rr__vertex_describe(rr__graph *g, uint32_t v, rr__text *text) {
    rr__object *o = g->vertices[v].object;
    if (!rr__try_retain(g->cx, o, g->vertices[v].id)) return false;
    rr__describe(text, o);
    rr__drop(g->cx, o);
    return true;
}

/* "'a' waits for 'b', which waits for 'a'", from a body on. False: it is no ring any more. */
static bool rr__ring_describe(rr__graph *g, uint32_t start, rr__text *text) {
    int stock;
    rr__text_add(text, "deadlock: ");
    bool ok = rr__vertex_describe(g, start, text);
    for (uint32_t v = start, first = true; ok && (first || v != start); first = false) {
        v = rr__next_stuck(g, v, &stock);
        rr__text_add(text, "%s waits for ", first ? "" : ", which");
        if (!g->vertices[v].object) { /* resources */
            v = rr__next_stuck(g, v, &stock);
            rr__text_add(text, "'%s', which is with ",
                         g->cx->runtime->resources->stocks[stock].name);
        }
        ok = g->vertices[v].object && rr__vertex_describe(g, v, text);
    }
    return ok;
}

static void rr__stuck_tell(rr__context *cx, const rr__vertex *v, const char *text) {
    rr__fiber *fiber = v->fiber;
    rr__lock(&fiber->parker.lock);
    rr__sleeper *s = fiber->parker.sleeper;
    bool is_told = rr__sleeper_is_stuck(s) && fiber->waits == v->waits;
    if (is_told) {
        s->is_ring = true;
        snprintf(s->ring, RR__RING_TEXT, "%s", text);
    }
    rr__unlock(&fiber->parker.lock);
    if (is_told) rr__wake(cx, &fiber->parker);
}

/* Tells all bodies of the ring that this one is in. */
static bool rr__ring_tell(rr__graph *g, uint32_t start) {
    char text[RR__RING_TEXT];
    int stock;
    if (!rr__ring_describe(g, start, &(rr__text){text, sizeof text, 0})) return false;
    uint32_t v = start;
    do {
        if (g->vertices[v].is_innermost) rr__stuck_tell(g->cx, &g->vertices[v], text);
        v = rr__next_stuck(g, v, &stock);
    } while (v != start);
    return true;
}

/* From each stuck body on to where it comes round; what leads into a ring is not told. */
static bool rr__stuck_tell_all(rr__graph *g) {
    bool has_told = false;
    int stock;
    for (uint32_t v = 0; v < g->count; v++) {
        uint32_t at = v;
        if (g->vertices[v].is_alive || !g->vertices[v].is_innermost) continue;
        while (!g->vertices[at].walk)
            g->vertices[at].walk = v + 1, at = rr__next_stuck(g, at, &stock);
        if (g->vertices[at].walk != v + 1) continue; /* where another one has been */
        while (!g->vertices[at].is_innermost) at = rr__next_stuck(g, at, &stock);
        has_told |= rr__ring_tell(g, at);
    }
    return has_told;
}

/* ---- the look ---- */

static bool rr__graph_look(rr__graph *g) {
    for (uint32_t i = 0; i < g->count && !g->is_lost; i++) rr__vertex_explore(g, i);
    if (g->is_lost || !rr__graph_live(g)) return false;
    return rr__stuck_is_unchanged(g) && rr__stuck_tell_all(g);
}

/* Returns whether anybody waits; *has_told: somebody was told. */
static bool rr__deadlocks_look(rr__context *cx, bool *has_told) {
    rr__graph *g = RR_CALLOC(1, sizeof *g);
    bool anybody = false;
    *has_told = false;
    if (!g) return true;
    g->cx = cx, g->slots = rr__slots_count(&cx->runtime->slots);
    g->of_slot = RR_CALLOC(g->slots, sizeof *g->of_slot);
    if (g->of_slot && rr__bodies_add(g)) *has_told = rr__graph_look(g);
    anybody = g->count > 0 || g->is_lost || !g->of_slot;
    RR_FREE(g->of_slot), RR_FREE(g->vertices), RR_FREE(g->edges), RR_FREE(g);
    return anybody;
}

/* The clock's turn. It comes again as long as anybody waits: later each time, and so that looking
   takes a twentieth of a processor at most. */
static void rr__deadlocks_due(rr__context *cx) {
    const double shortest = 1e-3, longest = 0.1;
    rr_runtime *rt = cx->runtime;
    rr__timers *timers = rt->timers;
    int none = 0;
    bool has_told;
    double start = rr_now();
    rr__store_seq_cst(&timers->deadlocks_is_set, 0); /* from now on it may be set again */
    bool anybody = rr__deadlocks_look(cx, &has_told);
    double cost = rr_now() - start, next = 2 * timers->deadlocks_delay;
    next = has_told || next < shortest ? shortest : next < longest ? next : longest;
    next = next < 20 * cost ? 20 * cost : next;
    timers->deadlocks_delay = anybody ? next : 0;
    if (anybody && rr__cas_seq_cst(&timers->deadlocks_is_set, &none, 1))
        rr__timer_set(rt, &timers->deadlocks, rr_now() + next);
}
