/* The graph of those that wait: bodies that sleep without a limit, and all that they wait for. One
   look; what it is for, and why it may be believed, is told in core/deadlock.h.

   Everything goes on while it is made. What is not understood is alive.
   Rules  K1  What a sleeping body waits for is written before its sleeper is known, and read under
              its parker's lock; `sleeps` there tells one sleep from the next.
          K2  Any other object that cannot go on waits for the one that its waits_on leads to, which
              is written before it is left to be sent on; it is read between two looks at its id.
          K3  A body is not its task: a task that was decided is over for all who wait for it, but
              its body may sleep on, with what it has, and those below it on the stack.
   Locks: a parker's, then those of shards, resources and timers, one after the other. */
#pragma once
#include "errors.h"
#include "links.h"
#include "resources.h"

enum rr__vertex_kind {
    RR__OF_OBJECT, /* goes on when the body does that makes it, or what it waits for */
    RR__OF_BODY,   /* that sleeps, or lies below one that does; or a thread that waits for room */
    RR__OF_NEEDS,  /* resources that somebody waits for */
    RR__OF_STOCK,  /* one of those that there is not enough of */
    RR__OF_LIFE,   /* an actor with resources: goes on when all its bodies do, and it can end */
    RR__OF_ROOM,   /* in an actor's mailbox: when one of its messages does */
    RR__OF_STORE   /* room in the store: when one of the bodies does that have values in use */
};

/* How a vertex was when it was looked at; of a body but whether it is for outside. */
typedef struct rr__sight {
    bool goes_on;    /* it is over, is queued, or can end by itself */
    bool is_outside; /* only because a thread from outside may complete it */
    bool is_actor, runs;
    rr__object *link;
    uint64_t link_id;
    rr__shape *shape; /* resources that it waits for */
    int inside;       /* methods that a crew waits for one of; of the store: who has values */
    rr__hope hope;    /* for room */
} rr__sight;

typedef struct rr__vertex {
    enum rr__vertex_kind kind;
    rr__object *object; /* NULL: none. A body's is its task, a life's its actor */
    uint64_t id;
    rr__sight sight;
    rr__parker *parker, *giver; /* of a body; whose sign it waits for */
    uint64_t sleeps;            /* of the parker */
    bool is_innermost, goes_on, is_alive;
    bool has_changed;            /* since it was read first, or its slot has */
    uint32_t first, edges, need; /* it goes on when so many of these do */
    uint32_t body;               /* of an object: from 1; 0: none that sleeps */
    uint32_t member;  /* of an actor: the first body that works for it; of a body: the next one; of
                        a life: as of its actor; from 1 */
    uint32_t mailbox; /* of an actor: the room there; from 1 */
    uint32_t held;    /* what it has, in rr__graph.held; from 1 */
    int stock;        /* that is short */
    uint32_t found, lowest, at; /* for the search for components */
    bool is_open, leads_out;
} rr__vertex;

/* What resources somebody waits for, or has; with the vertex of that. */
typedef struct rr__portion {
    rr__shape *shape; /* wanted */
    bool is_of_actors;
    uint32_t vertex;
    int64_t amounts[RR__STOCKS];
} rr__portion;

enum { RR__GRAPH_PIECE = 4096 };

/* One look. Without memory it finds nothing. */
typedef struct rr__graph {
    rr__context *cx;
    uint32_t **of_slot; /* vertices of objects by slot, from 1; in pieces, NULL: none */
    uint32_t slots;
    rr__vertex *vertices;
    uint32_t *edges;
    rr__portion *wanted, *held;
    uint32_t *users; /* bodies that sleep, and have values in use */
    uint32_t store;  /* vertex of the store, from 1; 0: nobody wants room there */
    size_t count, edge_count, wanted_count, held_count, users_count;
    size_t room, edge_room, wanted_room, held_room, users_room;
    bool is_lost; /* no memory, or it changed too much meanwhile */
} rr__graph;

/* An array with a place for one more, or, without memory, as it was. */
static void *rr__grown(rr__graph *g, void *array, size_t count, size_t *room, size_t size) {
    if (count < *room) return array;
    size_t wanted = *room ? 2 * *room : 64;
    void *more = RR_REALLOC(array, wanted * size);
    if (more) *room = wanted;
    else g->is_lost = true;
    return more ? more : array;
}

static uint32_t rr__vertex_new(rr__graph *g, enum rr__vertex_kind kind, rr__object *o,
                               uint64_t id) {
    g->vertices = rr__grown(g, g->vertices, g->count, &g->room, sizeof *g->vertices);
    if (g->is_lost) return 0;
    g->vertices[g->count] = (rr__vertex){.kind = kind, .object = o, .id = id};
    return (uint32_t)g->count++;
}

/* Where the vertex of a slot is noted; NULL: there was no memory, or there are more slots now. Few
   slots have one, so the table comes in pieces. The number of a slot is fixed while looks go on:
   the memory of slots is given back, if at all, by the same thread. */
static uint32_t *rr__place_of(rr__graph *g, uint32_t slot) {
    if (slot >= g->slots) return NULL;
    uint32_t **piece = &g->of_slot[slot / RR__GRAPH_PIECE];
    if (!*piece) *piece = RR_CALLOC(RR__GRAPH_PIECE, sizeof **piece);
    return *piece ? &(*piece)[slot % RR__GRAPH_PIECE] : NULL;
}

static uint32_t rr__vertex_of(rr__graph *g, rr__object *o, uint64_t id) {
    uint32_t *place = rr__place_of(g, o->slot), known = place ? *place : 0;
    if (known && g->vertices[known - 1].id == id) return known - 1;
    uint32_t v = rr__vertex_new(g, RR__OF_OBJECT, o, id);
    if (!place) g->is_lost = true;
    if (g->is_lost) return 0;
    if (known) g->vertices[known - 1].has_changed = true; /* it is gone, its slot another's */
    *place = v + 1;
    return v;
}

/* From the vertex whose edges are being added. */
static void rr__edge_add(rr__graph *g, uint32_t from, uint32_t to) {
    g->edges = rr__grown(g, g->edges, g->edge_count, &g->edge_room, sizeof *g->edges);
    if (g->is_lost) return;
    g->edges[g->edge_count++] = to;
    g->vertices[from].edges++;
}

/* What v waits for is added from here on: so many of it are needed. */
static void rr__edges_begin(rr__graph *g, uint32_t v, uint32_t need) {
    g->vertices[v].first = (uint32_t)g->edge_count, g->vertices[v].need = need;
}

/* ---- bodies ---- */

static void rr__held_add(rr__graph *g, uint32_t v, const rr__shape *shape, bool keeps_cpus) {
    g->held = rr__grown(g, g->held, g->held_count, &g->held_room, sizeof *g->held);
    if (g->is_lost) return;
    rr__portion *portion = &g->held[g->held_count++];
    *portion = (rr__portion){.vertex = v};
    g->vertices[v].held = (uint32_t)g->held_count;
    memcpy(portion->amounts, shape->amounts, sizeof portion->amounts); /* fixed */
    if (!keeps_cpus) portion->amounts[RR__CPU] = 0;
}

/* A time limit ends it, or the next attempt begins. The caller counts it. */
static bool rr__has_timer(rr_runtime *rt, const rr__control *control) {
    rr__lock(&rt->timers->lock);
    bool has = control->limit.at || control->retry.at;
    rr__unlock(&rt->timers->lock);
    return has;
}

static uint32_t rr__mailbox_vertex(rr__graph *g, rr__object *actor) {
    uint64_t id = rr__load_relaxed(&actor->id); /* who waits counts it */
    uint32_t v = rr__vertex_of(g, actor, id);
    uint32_t known = g->is_lost ? 0 : g->vertices[v].mailbox;
    uint32_t room = known ? known - 1 : rr__vertex_new(g, RR__OF_ROOM, actor, id);
    if (!g->is_lost) g->vertices[v].mailbox = room + 1;
    return room;
}

static uint32_t rr__store_vertex(rr__graph *g) {
    if (!g->store) g->store = rr__vertex_new(g, RR__OF_STORE, NULL, 0) + 1;
    return g->store - 1;
}

static void rr__user_add(rr__graph *g, uint32_t body) {
    g->users = rr__grown(g, g->users, g->users_count, &g->users_room, sizeof *g->users);
    if (!g->is_lost) g->users[g->users_count++] = body;
}

/* What the innermost body waits for: room in a mailbox or in the store, a sign, for which see
   rr__giver_explore, or objects, for which see rr__wait_add. */
static void rr__body_edges(rr__graph *g, uint32_t body, const rr__sleeper *s) {
    bool is_sender = s->edge && !s->wait, has_one = s->wants_room || is_sender;
    g->vertices[body].giver = s->giver;
    uint32_t to = s->wants_room ? rr__store_vertex(g)
                  : is_sender   ? rr__mailbox_vertex(g, s->edge)
                                : 0;
    rr__edges_begin(g, body, 1);
    if (has_one) rr__edge_add(g, body, to);
}

/* It works for an actor, which keeps its resources as long as that goes on. */
static void rr__member_add(rr__graph *g, uint32_t body, rr__object *actor) {
    uint32_t v = rr__vertex_of(g, actor, rr__load_relaxed(&actor->id));
    if (g->is_lost) return;
    rr__control *control = rr__options_of(actor);
    bool is_first = !g->vertices[v].member;
    g->vertices[body].member = g->vertices[v].member;
    g->vertices[v].member = body + 1;
    if (!is_first || !control || !control->shape) return;
    uint32_t life = rr__vertex_new(g, RR__OF_LIFE, actor, g->vertices[v].id);
    rr__held_add(g, life, control->shape, true);
    if (!g->is_lost) g->vertices[life].member = v; /* until it is explored */
}

/* One body of those that sleep together; `above` is on top of it, and must end first. */
static uint32_t rr__body_add(rr__graph *g, rr__sleeper *s, rr__frame *frame, uint32_t above,
                             bool is_innermost) {
    rr_runtime *rt = g->cx->runtime;
    rr__object *task = frame->task;
    const rr__control *control = rr__control_of(task);
    uint64_t id = rr__load_relaxed(&task->id); /* it counts itself */
    uint32_t body = rr__vertex_new(g, RR__OF_BODY, task, id), v = rr__vertex_of(g, task, id);
    if (g->is_lost) return 0;
    rr__vertex *b = &g->vertices[body], *o = &g->vertices[v];
    if (o->body) g->vertices[o->body - 1].has_changed = true; /* it has begun anew since */
    o->body = body + 1;
    b->parker = s->parker, b->sleeps = s->parker->sleeps, b->is_innermost = is_innermost;
    if (is_innermost) {
        s->parker->vertex = body + 1;
        bool has_timer = control && rr__has_timer(rt, control);
        b->goes_on = has_timer || s->is_for_outside,
        b->sight.is_outside = s->is_for_outside && !has_timer;
        if (s->self->uses_store == rt) rr__user_add(g, body);
        rr__body_edges(g, body, s);
    } else {
        rr__edges_begin(g, body, 1);
        rr__edge_add(g, body, above);
    }
    if (frame->granted) rr__held_add(g, body, frame->granted->shape, false);
    if (frame->actor && !g->is_lost) rr__member_add(g, body, frame->actor);
    return body;
}

/* Does it sleep, in this runtime alone, for something that the graph can tell? Under its lock. */
static bool rr__sleeper_may_be_stuck(const rr_runtime *rt, const rr__sleeper *s) {
    if (!s || s->has_limit || rr__sleeper_is_over_locked(s)) return false;
    if (!s->ring && !s->wants_room && !s->giver && !s->is_for_outside) return false;
    if (s->context->runtime != rt) return false;
    for (const rr__frame *frame = s->self->frame; frame; frame = frame->outer)
        if (frame->runner->runtime != rt) return false;
    return s->self->frame || s->wants_room || s->giver;
}

/* A thread from outside, without a body, which brings a value back that others wait for; while it
   makes one again it is counted among those that have values, as bodies are. */
static void rr__thread_add(rr__graph *g, rr__sleeper *s) {
    uint32_t v = rr__vertex_new(g, RR__OF_BODY, NULL, 0);
    if (g->is_lost) return;
    g->vertices[v].parker = s->parker, g->vertices[v].sleeps = s->parker->sleeps;
    s->parker->vertex = v + 1;
    if (s->self->uses_store == g->cx->runtime) rr__user_add(g, v);
    rr__body_edges(g, v, s);
}

/* Does what was added of it sleep on? Under its lock. */
static bool rr__sleeps_on_locked(const rr_runtime *rt, const rr__vertex *v) {
    return rr__sleeper_may_be_stuck(rt, v->parker->sleeper) && v->parker->sleeps == v->sleeps;
}

/* The objects that it waits for: so many of them. A piece at a time, for who completes one needs
   the lock. */
static void rr__wait_add(rr__graph *g, rr__parker *parker) {
    enum { PIECE = 1024 };
    size_t i = 0, n = 1, need = 0, done = 0;
    rr__vertex *v = &g->vertices[parker->vertex - 1];
    uint32_t body = parker->vertex - 1;
    for (rr__edges_begin(g, body, 1); i < n && !g->is_lost && !v->has_changed;) {
        rr__lock(&parker->lock);
        const rr__wait *wait = parker->sleeper ? parker->sleeper->wait : NULL;
        v->has_changed |= !wait || !rr__sleeps_on_locked(g->cx->runtime, v);
        n = v->has_changed ? 0 : wait->n, need = v->has_changed ? 0 : parker->sleeper->need;
        for (size_t end = i + PIECE; i < n && i < end && !g->is_lost; i++) {
            rr__object *o = wait->objects[i];
            if (o && !wait->nodes[i].object) done++; /* it was complete from the start */
            else if (o) rr__edge_add(g, body, rr__vertex_of(g, o, rr__load_relaxed(&o->id)));
        }
        rr__unlock(&parker->lock);
        v = &g->vertices[body];
    }
    v->need = (uint32_t)(need - done);
}

static void rr__parker_add(rr__graph *g, rr__parker *parker) {
    uint32_t above = 0;
    if (g->is_lost) return;
    rr__lock(&parker->lock);
    rr__sleeper *s = parker->sleeper;
    bool is_stuck = rr__sleeper_may_be_stuck(g->cx->runtime, s), is_first = true;
    bool has_objects = is_stuck && s->wait;
    parker->vertex = 0;
    if (is_stuck && !s->self->frame) rr__thread_add(g, s);
    for (rr__frame *f = is_stuck ? s->self->frame : NULL; f && !g->is_lost; f = f->outer) {
        above = rr__body_add(g, s, f, above, is_first);
        is_first = false;
    }
    rr__unlock(&parker->lock);
    if (has_objects && !g->is_lost) rr__wait_add(g, parker);
}

/* All bodies that sleep: on fibers, and, as recipes do, on threads from outside. */
static bool rr__bodies_add(rr__graph *g) {
    rr_runtime *rt = g->cx->runtime;
    rr__lock(&rt->fibers_lock);
    rr__fiber *fiber = rt->fibers; /* the rest of the list stays as it is */
    rr__unlock(&rt->fibers_lock);
    for (; fiber; fiber = fiber->all) rr__parker_add(g, &fiber->parker);
    for (rr__context *cx = rr__load_acquire(&rt->contexts); cx; cx = cx->next)
        rr__parker_add(g, &cx->parker);
    return !g->is_lost;
}

/* ---- what they wait for ---- */

/* What an object with options waits for that no link tells. It is pinned. */
static void rr__options_look(rr__context *cx, rr__object *o, rr__sight *sight) {
    rr_runtime *rt = cx->runtime;
    rr__control *control = rr__options_of(o);
    if (!control || (sight->goes_on = rr__has_timer(rt, control))) return;
    rr__lock(&rt->resources->lock);
    bool waits = control->turn.at && control->shape && control->turn_in == &control->shape->waiting;
    sight->shape = waits ? control->shape : NULL;
    rr__unlock(&rt->resources->lock);
    if (sight->is_actor) sight->inside = rr__above.inside(cx, o);
}

/* It waits for nobody that the graph knows: rr_create made it. */
static bool rr__is_for_outside(rr__context *cx, rr__object *o, uint64_t id) {
    if (!rr__try_retain(cx, o, id)) return false;
    bool is = rr__is_unsealed(o);
    rr__drop(cx, o);
    return is;
}

/* An object; has_body: of which a body sleeps. */
static rr__sight rr__object_look(rr__context *cx, rr__object *o, uint64_t id, bool has_body) {
    const rr__sight alive = {.goes_on = true};
    uint64_t word = rr__load_acquire(&o->word);
    enum rr__state state = rr__state_of(word);
    rr__sight sight = {.is_actor = (word & RR__IS_ACTOR) != 0, .runs = state == RR__RUNNING};
    rr__object *link = has_body ? NULL : rr__load_acquire(&o->waits_on);
    bool waits = state == RR__WAITING || (sight.runs && sight.is_actor);
    if ((!waits && !has_body) || state >= RR__READY || rr__linked_fiber(link)) return alive;
    if (rr__load_acquire(&o->id) != id || (word & RR__IS_DOOMED)) return alive;
    sight.link = link, sight.link_id = link ? rr__load_acquire(&link->id) : 0;
    if (link && (rr__load_acquire(&o->waits_on) != link || !sight.link_id)) return alive;
    bool has_options = (word & (RR__HAS_CONTROL | RR__HAS_CARE)) != 0;
    if (has_options && !rr__try_retain(cx, o, id)) return alive;
    if (has_options) rr__options_look(cx, o, &sight), rr__drop(cx, o);
    if (sight.goes_on || has_body || link || sight.shape || sight.inside) return sight;
    sight.goes_on = true, sight.is_outside = rr__is_for_outside(cx, o, id);
    return sight;
}

/* Room in a mailbox. Visits the messages that make some if they fail. */
static rr__sight rr__room_look(rr__context *cx, const rr__vertex *v, rr__visit *visit, void *arg) {
    rr__sight sight = {.goes_on = true};
    rr__object *actor = v->object;
    if (!rr__try_retain(cx, actor, v->id)) return sight;
    sight.hope = rr__above.hope(cx, actor, visit, arg);
    sight.goes_on = sight.hope.is_moving;
    rr__drop(cx, actor);
    return sight;
}

static uint32_t rr__wanted_vertex(rr__graph *g, rr__shape *shape) {
    rr__resources *resources = g->cx->runtime->resources;
    for (size_t i = 0; i < g->wanted_count; i++)
        if (g->wanted[i].shape == shape) return g->wanted[i].vertex;
    g->wanted = rr__grown(g, g->wanted, g->wanted_count, &g->wanted_room, sizeof *g->wanted);
    uint32_t v = rr__vertex_new(g, RR__OF_NEEDS, NULL, 0);
    if (g->is_lost) return 0;
    rr__portion *portion = &g->wanted[g->wanted_count++];
    *portion = (rr__portion){.vertex = v, .shape = shape};
    g->vertices[v].need = 1; /* of nothing: see rr__needs_are_there */
    rr__lock(&resources->lock);
    rr__shape *known = resources->shapes;
    while (known && known != shape) known = known->next;
    if (known) memcpy(portion->amounts, shape->amounts, sizeof portion->amounts);
    if (known) portion->is_of_actors = shape->is_of_actors;
    else g->is_lost = true;
    rr__unlock(&resources->lock);
    return v;
}

/* Edges to the bodies that work for an actor, from the first one on. Returns how many there are. */
static int rr__members_explore(rr__graph *g, uint32_t v, uint32_t first) {
    int n = 0;
    for (uint32_t m = first; m && !g->is_lost; m = g->vertices[m - 1].member, n++)
        rr__edge_add(g, v, m - 1);
    return n;
}

/* An actor that runs waits for the body of its message, all else for the object itself. */
static void rr__link_explore(rr__graph *g, uint32_t v, const rr__sight *sight) {
    uint32_t to = rr__vertex_of(g, sight->link, sight->link_id);
    if (g->is_lost) return;
    uint32_t body = sight->is_actor && sight->runs ? g->vertices[to].body : 0;
    rr__edge_add(g, v, body ? body - 1 : to);
}

static void rr__object_explore(rr__graph *g, uint32_t v) {
    rr__vertex *vertex = &g->vertices[v];
    uint32_t body = vertex->body;
    rr__sight sight = rr__object_look(g->cx, vertex->object, vertex->id, body > 0);
    vertex->sight = sight, vertex->goes_on = sight.goes_on;
    if (sight.goes_on) return;
    if (body) rr__edge_add(g, v, body - 1);
    else if (sight.shape) rr__edge_add(g, v, rr__wanted_vertex(g, sight.shape));
    else if (sight.link) rr__link_explore(g, v, &sight);
    else if (rr__members_explore(g, v, vertex->member) != sight.inside && !g->is_lost)
        g->vertices[v].goes_on = true; /* one of them runs */
}

/* Who explores the room in a mailbox, and from where. */
typedef struct rr__room_visit {
    rr__graph *graph;
    uint32_t vertex;
} rr__room_visit;

static void rr__room_message(void *arg, rr__object *message) {
    rr__room_visit *visit = arg;
    rr__graph *g = visit->graph;
    uint32_t v = rr__vertex_of(g, message, rr__load_relaxed(&message->id)); /* it counts itself */
    if (!g->is_lost) rr__edge_add(g, visit->vertex, v);
}

static void rr__room_explore(rr__graph *g, uint32_t v) {
    rr__vertex room = g->vertices[v];
    rr__sight sight = rr__room_look(g->cx, &room, rr__room_message, &(rr__room_visit){g, v});
    g->vertices[v].sight = sight, g->vertices[v].goes_on = sight.goes_on;
    if (!sight.goes_on && sight.hope.queued)
        rr__edge_add(g, v, rr__vertex_of(g, room.object, room.id));
}

/* One that has values, and does not sleep, or not for ever, may give room. */
static void rr__store_explore(rr__graph *g, uint32_t v) {
    int users = g->vertices[v].sight.inside = rr__above.users(g->cx->runtime);
    g->vertices[v].goes_on = users != (int)g->users_count;
    for (size_t i = 0; i < g->users_count; i++) rr__edge_add(g, v, g->users[i]);
}

/* Who sleeps until another one has done something for it: that is all its parker does. */
static void rr__giver_explore(rr__graph *g, uint32_t v) {
    uint32_t giver = g->vertices[v].giver->vertex;
    rr__edges_begin(g, v, 1);
    if (giver) rr__edge_add(g, v, giver - 1);
    else g->vertices[v].goes_on = true;
}

static void rr__vertex_explore(rr__graph *g, uint32_t v) {
    enum rr__vertex_kind kind = g->vertices[v].kind;
    if (kind == RR__OF_BODY && g->vertices[v].giver) rr__giver_explore(g, v);
    if (kind == RR__OF_BODY || kind == RR__OF_NEEDS) return; /* known */
    if (g->vertices[v].has_changed) return;
    rr__edges_begin(g, v, 1);
    if (kind == RR__OF_OBJECT) rr__object_explore(g, v);
    if (kind == RR__OF_ROOM) rr__room_explore(g, v);
    if (kind == RR__OF_STORE) rr__store_explore(g, v);
    if (kind != RR__OF_LIFE) return;
    rr__vertex *life = &g->vertices[v];
    life->member = g->vertices[life->member].member;
    int n = rr__members_explore(g, v, life->member);
    g->vertices[v].need = (uint32_t)n;
}
