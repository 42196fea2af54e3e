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

   Everything goes on meanwhile. So the part that seems stuck is read a second time: if it has not
   changed, it was as it seems at one moment between the two, and what is stuck once stays so, but
   for what is ended from outside (rr_cancel, rr_kill, the time limit of a caller).
   Rule   K4  The clock says that it looks before it looks, and a body looks whether the clock does
              after its sleeper is known: so one of them sees the other (rr__look_later).
   Locks: those of core/graph.h. */
#pragma once
#include "graph.h"

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
            if (!from->is_alive && from->left && --from->left == 0) rr__live(g, r, r->from[i]);
        }
    }
}

/* How much of a resource is with those that are stuck. */
static int64_t rr__stuck_amount(const rr__graph *g, int stock) {
    int64_t sum = 0;
    for (size_t i = 0; i < g->held_count; i++)
        if (!g->vertices[g->held[i].vertex].is_alive) sum += g->held[i].amounts[stock];
    return sum;
}

/* There will not be enough of this resource. Actors leave one CPU. */
static bool rr__is_short_of(const rr__graph *g, const rr__portion *wanted, int stock) {
    int64_t kept = stock == RR__CPU && wanted->is_of_actors ? RR__WHOLE : 0;
    int64_t total = g->cx->runtime->resources->stocks[stock].total; /* fixed */
    return wanted->amounts[stock] &&
           wanted->amounts[stock] > total - kept - rr__stuck_amount(g, stock);
}

/* There will be enough of all of them. */
static bool rr__needs_live(const rr__graph *g, const rr__portion *wanted) {
    for (int i = 0; i < g->cx->runtime->resources->count; i++)
        if (rr__is_short_of(g, wanted, i)) return false;
    return true;
}

/* Spreads life to the end. outside: also from what a thread from outside may complete. */
static bool rr__graph_live(rr__graph *g, bool outside) {
    rr__reverse r = {NULL, NULL, NULL, 0};
    bool ok = rr__reverse_make(g, &r), more = ok;
    for (uint32_t i = 0; i < g->count && ok; i++) {
        rr__vertex *v = &g->vertices[i];
        v->left = v->need, v->is_alive = false;
        if ((v->goes_on && (outside || !v->sight.is_outside)) || !v->need) rr__live(g, &r, i);
    }
    while (more) {
        rr__life_spreads(g, &r);
        more = false;
        for (size_t i = 0; i < g->wanted_count; i++) {
            uint32_t v = g->wanted[i].vertex;
            if (g->vertices[v].is_alive || !rr__needs_live(g, &g->wanted[i])) continue;
            rr__live(g, &r, v);
            more = true;
        }
    }
    RR_FREE(r.start), RR_FREE(r.from), RR_FREE(r.work);
    return ok;
}

/* ---- what is stuck ---- */

static bool rr__body_sleeps_on(const rr_runtime *rt, const rr__vertex *v) {
    rr__lock(&v->parker->lock);
    bool same = rr__sleeper_may_be_stuck(rt, v->parker->sleeper) && v->parker->sleeps == v->sleeps;
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
    return now.goes_on == was.goes_on && now.is_outside == was.is_outside && now.link == was.link &&
           now.link_id == was.link_id && now.shape == was.shape && now.inside == was.inside &&
           now.hope.held == was.hope.held && now.hope.queued == was.hope.queued;
}

static bool rr__stuck_is_unchanged(rr__graph *g) {
    for (size_t i = 0; i < g->count; i++)
        if (!g->vertices[i].is_alive && !rr__is_unchanged(g, &g->vertices[i])) return false;
    return true;
}

/* Who lacks resources waits for all that have some of them and are stuck. */
static bool rr__holders_add(rr__graph *g) {
    for (size_t i = 0; i < g->wanted_count && !g->is_lost; i++) {
        const rr__portion *wanted = &g->wanted[i];
        if (g->vertices[wanted->vertex].is_alive) continue;
        rr__edges_begin(g, wanted->vertex, 1);
        for (int stock = 0; stock < g->cx->runtime->resources->count; stock++)
            for (size_t k = 0; k < g->held_count && rr__is_short_of(g, wanted, stock); k++)
                if (!g->vertices[g->held[k].vertex].is_alive && g->held[k].amounts[stock])
                    rr__edge_add(g, wanted->vertex, g->held[k].vertex);
    }
    return !g->is_lost;
}

/* From one that is stuck to one that it waits for, which is stuck, too. */
static uint32_t rr__next_stuck(const rr__graph *g, uint32_t v) {
    const rr__vertex *vertex = &g->vertices[v];
    uint32_t e = 0;
    while (g->vertices[g->edges[vertex->first + e]].is_alive) e++; /* there is one */
    return g->edges[vertex->first + e];
}

/* ---- telling ---- */

/* Which of the resources that it lacks somebody has. */
static const char *rr__stock_between(const rr__graph *g, uint32_t wants, uint32_t has) {
    const rr__resources *resources = g->cx->runtime->resources;
    const rr__portion *wanted = g->wanted, *held = g->held;
    while (wanted->vertex != wants) wanted++;
    while (held->vertex != has) held++;
    int stock = 0;
    while (!held->amounts[stock] || !rr__is_short_of(g, wanted, stock)) stock++;
    return resources->stocks[stock].name;
}

/* False: it has gone. */
static bool rr__vertex_describe(rr__graph *g, uint32_t v, rr__text *text) {
    rr__object *o = g->vertices[v].object;
    if (!rr__try_retain(g->cx, o, g->vertices[v].id)) return false;
    rr__describe(text, o);
    rr__drop(g->cx, o);
    return true;
}

/* "'a' waits for 'b', which waits for 'a'". A body is its task, and room in an actor's mailbox, or
   its end, is the actor. */
static bool rr__ring_describe(rr__graph *g, uint32_t start, rr__text *text) {
    rr__text_add(text, "deadlock: ");
    bool ok = rr__vertex_describe(g, start, text), is_first = true;
    for (uint32_t v = start, next; ok && (is_first || v != start); v = next) {
        const rr__vertex *from = &g->vertices[v];
        next = rr__next_stuck(g, v);
        bool is_same = from->object && g->vertices[next].object == from->object;
        if (is_same && next != start) continue;
        if (is_same) break;
        if (from->object) rr__text_add(text, "%s waits for ", is_first ? "" : ", which");
        else rr__text_add(text, "the '%s' that is with ", rr__stock_between(g, v, next));
        is_first = false;
        ok = !g->vertices[next].object || rr__vertex_describe(g, next, text);
    }
    return ok;
}

static void rr__stuck_tell(rr__context *cx, const rr__vertex *v, const char *text) {
    rr__parker *parker = v->parker;
    rr__lock(&parker->lock);
    rr__sleeper *s = parker->sleeper;
    bool is_same = rr__sleeper_may_be_stuck(cx->runtime, s) && parker->sleeps == v->sleeps;
    bool is_told = is_same && s->ring;
    if (is_told) {
        s->is_ring = true;
        snprintf(s->ring, RR__RING_TEXT, "%s", text);
    }
    rr__unlock(&parker->lock);
    if (is_told) rr__wake(cx, parker);
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
    g->of_slot = RR_CALLOC(g->slots, sizeof *g->of_slot);
    return g->of_slot != NULL;
}

static void rr__graph_end(rr__graph *g) {
    RR_FREE(g->of_slot), RR_FREE(g->vertices), RR_FREE(g->edges), RR_FREE(g->users);
    RR_FREE(g->wanted), RR_FREE(g->held);
}

/* Finds what is stuck, and has been so at one moment. */
static bool rr__graph_look(rr__graph *g, bool outside) {
    for (uint32_t i = 0; i < g->count && !g->is_lost; i++) rr__vertex_explore(g, i);
    if (g->is_lost || !rr__graph_live(g, outside) || !rr__holders_add(g)) return false;
    return rr__stuck_is_unchanged(g);
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
    bool ok = rr__graph_begin(&g, cx) && (rr__bodies_add(&g), !g.is_lost);
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
