/* Deadlocks: who can never go on. While bodies wait without a limit, the clock's thread looks at
   them now and then: each waits for so many of certain objects, those for others, and what runs,
   is queued, has a time limit, or may be completed from outside is alive. What life does not reach
   in this graph is stuck, for good: rings of bodies, also by way of arguments, mailboxes, crews,
   streams and resources, and waits for some of many. Bodies in a ring are told, and then it looks
   again. What runs pays nothing for that.

   The graph is one of alternatives (the and-or model: Knapp, "Deadlock detection in distributed
   databases", 1987), and life spreads in it in linear time (Dowling and Gallier, "Linear-time
   algorithms for testing the satisfiability of propositional Horn formulae", 1984). One ring is
   told in each component of what is stuck that waits for none but itself (Tarjan, "Depth-first
   search and linear graph algorithms", 1972): the others may go on when it is.

   Everything goes on meanwhile. So what seems stuck is read a second time: what has changed is
   alive, and what that leads to; the rest was as it seems at one moment between the two readings,
   and what is stuck once stays so, but for what is ended from outside (rr_cancel, rr_kill, the time
   limit of a caller).
   Rule   K4  The clock says that it looks before it looks, and a body looks whether the clock does
              after its sleeper is known: so one of them sees the other, by the parker's lock
              (rr__look_later).
   Locks: those of core/graph.h. */
#pragma once
#include "graph.h"

/* ---- life ---- */

/* Life spreads from what goes on. `from` has the vertices that lead to each, as rr__vertex.first
   and .edges tell where it leads; `stuck` how much of each resource is with those not alive. */
typedef struct rr__life {
    uint32_t *start, *from, *work;
    size_t waiting;
    int64_t stuck[RR__STOCKS];
} rr__life;

static void rr__life_end(rr__life *life) {
    RR_FREE(life->start), RR_FREE(life->from), RR_FREE(life->work);
}

static void rr__live(rr__graph *g, rr__life *life, uint32_t index) {
    rr__vertex *v = &g->vertices[index];
    v->is_alive = true;
    life->work[life->waiting++] = index;
    for (int i = 0; v->held && i < RR__STOCKS; i++)
        life->stuck[i] -= g->held[v->held - 1].amounts[i];
}

/* outside: also from what a thread from outside may complete. False: without memory. */
static bool rr__life_begin(rr__graph *g, rr__life *life, bool outside) {
    *life = (rr__life){.start = RR_CALLOC(g->count + 2, sizeof *life->start),
                       .from = RR_MALLOC((g->edge_count + 1) * sizeof *life->from),
                       .work = RR_MALLOC((g->count + 1) * sizeof *life->work)};
    if (!life->start || !life->from || !life->work) return false;
    for (size_t i = 0; i < g->edge_count; i++) life->start[g->edges[i] + 2]++;
    for (size_t i = 1; i < g->count + 2; i++) life->start[i] += life->start[i - 1];
    for (uint32_t v = 0; v < g->count; v++)
        for (uint32_t e = 0; e < g->vertices[v].edges; e++)
            life->from[life->start[g->edges[g->vertices[v].first + e] + 1]++] = v;
    for (size_t i = 0; i < g->held_count; i++)
        for (int k = 0; k < RR__STOCKS; k++) life->stuck[k] += g->held[i].amounts[k];
    for (uint32_t i = 0; i < g->count; i++) {
        const rr__vertex *v = &g->vertices[i];
        bool goes_on = v->goes_on && (outside || !v->sight.is_outside);
        if (goes_on || v->has_changed || !v->need) rr__live(g, life, i);
    }
    return true;
}

/* There will not be enough of this resource. Actors leave one CPU. */
static bool rr__is_short_of(const rr__graph *g, const rr__life *life, const rr__portion *wanted,
                            int stock) {
    int64_t kept = stock == RR__CPU && wanted->is_of_actors ? RR__WHOLE : 0;
    int64_t total = g->cx->runtime->resources->stocks[stock].total; /* fixed */
    return wanted->amounts[stock] && wanted->amounts[stock] > total - kept - life->stuck[stock];
}

static bool rr__needs_are_there(const rr__graph *g, const rr__life *life,
                                const rr__portion *wanted) {
    for (int i = 0; i < g->cx->runtime->resources->count; i++)
        if (rr__is_short_of(g, life, wanted, i)) return false;
    return true;
}

/* To the end. */
static void rr__life_spreads(rr__graph *g, rr__life *life) {
    do {
        while (life->waiting > 0) {
            uint32_t v = life->work[--life->waiting];
            for (uint32_t i = life->start[v]; i < life->start[v + 1]; i++) {
                rr__vertex *from = &g->vertices[life->from[i]];
                if (!from->is_alive && from->need && --from->need == 0)
                    rr__live(g, life, life->from[i]);
            }
        }
        for (size_t i = 0; i < g->wanted_count; i++) {
            uint32_t v = g->wanted[i].vertex;
            if (!g->vertices[v].is_alive && rr__needs_are_there(g, life, &g->wanted[i]))
                rr__live(g, life, v);
        }
    } while (life->waiting > 0);
}

/* ---- what is stuck ---- */

static bool rr__body_sleeps_on(const rr_runtime *rt, const rr__vertex *v) {
    rr__lock(&v->parker->lock);
    bool same = rr__sleeps_on_locked(rt, v);
    rr__unlock(&v->parker->lock);
    return same;
}

static void rr__visit_none(void *arg, rr__object *message) { (void)arg, (void)message; }

/* The second reading. What has a life of its own is known by its bodies. */
static bool rr__is_unchanged(rr__graph *g, const rr__vertex *v) {
    if (v->kind == RR__OF_NEEDS || v->kind == RR__OF_LIFE) return true;
    if (v->kind == RR__OF_BODY) return rr__body_sleeps_on(g->cx->runtime, v);
    rr__sight was = v->sight, now;
    if (v->kind == RR__OF_STORE) return rr__above.users(g->cx->runtime) == was.inside;
    if (v->kind == RR__OF_ROOM) now = rr__room_look(g->cx, v, rr__visit_none, NULL);
    else now = rr__object_look(g->cx, v->object, v->id, v->body > 0);
    return now.goes_on == was.goes_on && now.is_outside == was.is_outside && now.runs == was.runs &&
           now.link == was.link && now.link_id == was.link_id && now.shape == was.shape &&
           now.inside == was.inside && now.hope.held == was.hope.held &&
           now.hope.queued == was.hope.queued;
}

/* What has changed is alive, and what that leads to. */
static void rr__stuck_read_again(rr__graph *g, rr__life *life) {
    for (uint32_t i = 0; i < g->count; i++)
        if (!g->vertices[i].is_alive && !rr__is_unchanged(g, &g->vertices[i])) rr__live(g, life, i);
    rr__life_spreads(g, life);
}

/* A resource that somebody lacks: he waits for all that have some of it and are stuck. */
static uint32_t rr__stock_add(rr__graph *g, int stock) {
    uint32_t v = rr__vertex_new(g, RR__OF_STOCK, NULL, 0);
    if (g->is_lost) return 0;
    g->vertices[v].stock = stock;
    rr__edges_begin(g, v, 1);
    for (size_t i = 0; i < g->held_count && !g->is_lost; i++)
        if (!g->vertices[g->held[i].vertex].is_alive && g->held[i].amounts[stock])
            rr__edge_add(g, v, g->held[i].vertex);
    return v;
}

/* Edges to what is short. */
static void rr__stocks_add(rr__graph *g, const rr__life *life) {
    uint32_t stocks[RR__STOCKS] = {0};
    for (size_t i = 0; i < g->wanted_count; i++)
        for (int k = 0; k < g->cx->runtime->resources->count && !g->is_lost; k++)
            if (!stocks[k] && !g->vertices[g->wanted[i].vertex].is_alive &&
                rr__is_short_of(g, life, &g->wanted[i], k))
                stocks[k] = rr__stock_add(g, k);
    for (size_t i = 0; i < g->wanted_count && !g->is_lost; i++) {
        uint32_t v = g->wanted[i].vertex;
        if (g->vertices[v].is_alive) continue;
        rr__edges_begin(g, v, 1);
        for (int k = 0; k < g->cx->runtime->resources->count; k++)
            if (rr__is_short_of(g, life, &g->wanted[i], k)) rr__edge_add(g, v, stocks[k]);
    }
}

/* From one that is stuck to one that it waits for, which is stuck, too. */
static uint32_t rr__next_stuck(const rr__graph *g, uint32_t v) {
    const rr__vertex *vertex = &g->vertices[v];
    uint32_t e = 0;
    while (g->vertices[g->edges[vertex->first + e]].is_alive) e++; /* there is one */
    return g->edges[vertex->first + e];
}

/* ---- telling ---- */

/* The body that sleeps and keeps this object, whoever counts it; 0: none is known. From 1. */
static uint32_t rr__keeper_of(const rr__graph *g, uint32_t v) {
    const rr__vertex *vertex = &g->vertices[v];
    return vertex->kind == RR__OF_BODY ? v + 1 : vertex->body ? vertex->body : vertex->member;
}

/* False: it has gone. */
static bool rr__vertex_describe(rr__graph *g, uint32_t v, rr__text *text) {
    rr__object *o = g->vertices[v].object;
    uint32_t keeper = rr__keeper_of(g, v);
    rr__vertex *body = keeper ? &g->vertices[keeper - 1] : NULL;
    bool ok;
    if (body) {
        rr__lock(&body->parker->lock);
        if ((ok = rr__sleeps_on_locked(g->cx->runtime, body))) rr__describe(text, o);
        rr__unlock(&body->parker->lock);
    } else if ((ok = rr__try_retain(g->cx, o, g->vertices[v].id))) {
        rr__describe(text, o);
        rr__drop(g->cx, o);
    }
    return ok;
}

/* After `before`, what the next one in a ring is called: a body is its task, and room in a mailbox
   its actor. */
static bool rr__step_describe(rr__graph *g, uint32_t before, uint32_t v, bool is_first,
                              rr__text *text) {
    const rr__vertex *from = &g->vertices[before], *to = &g->vertices[v];
    bool is_body = from->kind == RR__OF_OBJECT && to->kind == RR__OF_BODY;
    bool is_same = from->object == to->object && (is_body || from->kind >= RR__OF_LIFE);
    if (to->kind == RR__OF_NEEDS || (to->object && is_same)) return true;
    if (from->kind != RR__OF_STOCK) rr__text_add(text, "%s waits for ", is_first ? "" : ", which");
    if (to->kind != RR__OF_STOCK) return rr__vertex_describe(g, v, text);
    rr__text_add(text, "the '%s' that is with ", g->cx->runtime->resources->stocks[to->stock].name);
    return true;
}

/* "'a' waits for 'b', which waits for 'a'", from a body on. */
static bool rr__ring_describe(rr__graph *g, uint32_t start, rr__text *text) {
    rr__text_add(text, "deadlock: ");
    bool ok = rr__vertex_describe(g, start, text);
    size_t begin = text->used;
    uint32_t v = start;
    do {
        uint32_t next = rr__next_stuck(g, v);
        ok = ok && rr__step_describe(g, v, next, text->used == begin, text);
        v = next;
    } while (ok && v != start);
    return ok;
}

static void rr__stuck_tell(rr__context *cx, const rr__vertex *v, const char *text) {
    rr__parker *parker = v->parker;
    rr__lock(&parker->lock);
    rr__sleeper *s = parker->sleeper;
    bool is_told = rr__sleeps_on_locked(cx->runtime, v) && s->ring;
    if (is_told) {
        s->is_ring = true;
        snprintf(s->ring, RR__RING_TEXT, "%s", text);
    }
    rr__parker *woken = is_told ? rr__parker_ends_locked(s) : NULL;
    rr__unlock(&parker->lock);
    rr__wake(cx, woken);
}

/* Tells the bodies of the ring that one comes to from here, and cannot leave. False: there are
   none, or it is over. */
static bool rr__ring_tell(rr__graph *g, uint32_t from) {
    char text[RR__RING_TEXT];
    uint32_t v = from, start = from, steps = 0;
    for (uint32_t power = 1; (v = rr__next_stuck(g, v)) != start; steps++) /* after Brent */
        if (steps == power) start = v, power *= 2, steps = 0;
    do v = rr__next_stuck(g, v);
    while (v != start && !g->vertices[v].is_innermost);
    start = v;
    if (!g->vertices[start].is_innermost) return false;
    if (!rr__ring_describe(g, start, &(rr__text){text, sizeof text, 0})) return false;
    do {
        if (g->vertices[v].is_innermost) rr__stuck_tell(g->cx, &g->vertices[v], text);
        v = rr__next_stuck(g, v);
    } while (v != start);
    return true;
}

/* The component that begins with v, above which it lies on the stack, is complete: tells a ring of
   it, if nobody in it waits for others. Where room in the store would do, somebody gives up who
   waits for that (store/patience.h). */
static bool rr__component_end(rr__graph *g, const uint32_t *stack, size_t *open, uint32_t v) {
    bool leads_out = false;
    uint32_t w;
    do {
        w = stack[--*open];
        g->vertices[w].is_open = false;
        leads_out |= g->vertices[w].leads_out || g->vertices[w].kind == RR__OF_STORE;
    } while (w != v);
    return !leads_out && rr__ring_tell(g, v);
}

/* A vertex that the search has not seen before. */
static void rr__component_enter(rr__graph *g, uint32_t v, uint32_t *found, uint32_t *stack,
                                size_t *open) {
    g->vertices[v].found = g->vertices[v].lowest = ++*found;
    g->vertices[v].is_open = true;
    stack[(*open)++] = v;
}

/* Tarjan's search from one vertex, without recursion; `path` leads from it to where it is. */
static bool rr__components_from(rr__graph *g, uint32_t root, uint32_t *found, uint32_t *stack,
                                uint32_t *path) {
    size_t open = 0, depth = 0;
    bool has_told = false;
    rr__component_enter(g, path[depth++] = root, found, stack, &open);
    while (depth > 0) {
        rr__vertex *v = &g->vertices[path[depth - 1]];
        if (v->at < v->edges) {
            uint32_t to = g->edges[v->first + v->at++];
            rr__vertex *w = &g->vertices[to];
            if (w->is_alive) continue;
            if (!w->found) rr__component_enter(g, path[depth++] = to, found, stack, &open);
            else if (!w->is_open) v->leads_out = true;
            else if (w->found < v->lowest) v->lowest = w->found;
            continue;
        }
        rr__vertex *before = --depth ? &g->vertices[path[depth - 1]] : NULL;
        bool is_root = v->lowest == v->found;
        if (is_root) has_told |= rr__component_end(g, stack, &open, path[depth]);
        if (before && is_root) before->leads_out = true;
        else if (before && v->lowest < before->lowest) before->lowest = v->lowest;
    }
    return has_told;
}

static bool rr__stuck_tell_all(rr__graph *g) {
    uint32_t *stack = RR_MALLOC(2 * g->count * sizeof *stack), found = 0;
    bool has_told = false;
    for (uint32_t v = 0; v < g->count && stack; v++)
        if (!g->vertices[v].is_alive && !g->vertices[v].found)
            has_told |= rr__components_from(g, v, &found, stack, stack + g->count);
    RR_FREE(stack);
    return has_told;
}

/* ---- the look ---- */

/* False: without memory. */
static bool rr__graph_begin(rr__graph *g, rr__context *cx) {
    *g = (rr__graph){.cx = cx, .slots = rr__slots_count(&cx->runtime->slots)};
    g->of_slot = RR_CALLOC(g->slots / RR__GRAPH_PIECE + 1, sizeof *g->of_slot);
    return g->of_slot != NULL;
}

static void rr__graph_end(rr__graph *g) {
    for (uint32_t i = 0; g->of_slot && i <= g->slots / RR__GRAPH_PIECE; i++) RR_FREE(g->of_slot[i]);
    RR_FREE(g->of_slot), RR_FREE(g->vertices), RR_FREE(g->edges), RR_FREE(g->users);
    RR_FREE(g->wanted), RR_FREE(g->held);
}

/* Finds what is stuck, and has been so at one moment. */
static bool rr__graph_look(rr__graph *g, bool outside) {
    rr__life life = {0};
    for (uint32_t i = 0; i < g->count && !g->is_lost; i++) rr__vertex_explore(g, i);
    bool ok = !g->is_lost && rr__life_begin(g, &life, outside);
    if (ok) {
        rr__life_spreads(g, &life);
        rr__stuck_read_again(g, &life);
        rr__stocks_add(g, &life);
    }
    rr__life_end(&life);
    return ok && !g->is_lost;
}

/* Returns whether anybody waits; *has_told: somebody was told. */
static bool rr__deadlocks_look(rr__context *cx, bool *has_told) {
    rr__graph g;
    bool ok = rr__graph_begin(&g, cx);
    *has_told = ok && rr__bodies_add(&g) && rr__graph_look(&g, true) && rr__stuck_tell_all(&g);
    bool anybody = g.count > 0 || g.is_lost || !ok;
    rr__graph_end(&g);
    return anybody;
}

/* Will none of those that have values in use ever give room? outside: what a thread from outside
   may complete is waited for. */
static bool rr__room_is_stuck(rr__context *cx, bool outside) {
    rr__graph g;
    bool ok = rr__graph_begin(&g, cx) && rr__bodies_add(&g);
    uint32_t store = ok ? rr__store_vertex(&g) : 0;
    ok = ok && rr__graph_look(&g, outside) && !g.vertices[store].is_alive;
    rr__graph_end(&g);
    return ok;
}

/* The clock's turn. It comes again as long as anybody waits: later each time, and so that looking
   takes a twentieth of a processor at most. */
static void rr__deadlocks_due(rr__context *cx) {
    const double shortest = 1e-3, longest = 0.1;
    rr_runtime *rt = cx->runtime;
    rr__timers *timers = rt->timers;
    int looks = RR__LOOKS;
    bool has_told;
    double start = rr_now();
    rr__store_seq_cst(&timers->looking, (int)RR__LOOKS); /* rule K4 */
    bool anybody = rr__deadlocks_look(cx, &has_told);
    double cost = rr_now() - start, next = 2 * timers->look_delay;
    next = has_told || next < shortest ? shortest : next < longest ? next : longest;
    next = next < 20 * cost ? 20 * cost : next;
    timers->look_delay = anybody ? next : 0;
    if (!anybody && rr__cas_seq_cst(&timers->looking, &looks, (int)RR__LOOKS_NOT)) return;
    rr__store_seq_cst(&timers->looking, (int)RR__WILL_LOOK);
    rr__timer_set(rt, &timers->look, rr_now() + next);
}
