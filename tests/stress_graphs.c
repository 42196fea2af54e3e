/* Guards the dependencies: random graphs of tasks over values, references, gathered and failed
   objects, built outside and inside tasks, give what a serial evaluation gives.
   stress_graphs [threads] [rounds] [seed] */
#define _GNU_SOURCE
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include "test.h"
#include "fixture.h"
#include "stress.h"

enum { NODES = 120, PARTS = 6 };
typedef enum kind { PUT, ADD, MIX, FAIL, BYTES, SUM_BYTES, GATHERED, NESTED, FORWARD, KINDS } kind;

/* A node of the graph: what it is made from (earlier nodes), and what it must be: a value, or the
   code of its failure. */
typedef struct node {
    kind kind;
    int inputs[PARTS], n, constant;
    long value;
    int code;
    rr_ref ref;
} node;

REMOTE_FN(long, graphs_add, long, a, long, b) { return (a + b) % 1000003; }
REMOTE_FN(long, graphs_mix, int, constant, long, a, long, b, long, c) {
    return (a * 7 + b * 5 + c * 3 + constant) % 1000003;
}
REMOTE_FN(long, graphs_fail, int, code, long, a) {
    rr_fail(code, "at %ld", a);
    return a;
}
REMOTE_FN(rr_bytes, graphs_bytes, long, size) {
    unsigned char *p = rr_result((size_t)size);
    for (long i = 0; p && i < size; i++) p[i] = (unsigned char)i;
    return rr_bytes_of(p, (size_t)size);
}
REMOTE_FN(long, graphs_sum_bytes, rr_bytes, b) {
    long sum = 0;
    for (size_t i = 0; i < b.size; i++) sum += ((const unsigned char *)b.data)[i];
    return sum % 1000003;
}
REMOTE_FN(long, graphs_sum_parts, rr_many, parts) {
    long sum = 0;
    for (size_t i = 0; i < parts.count; i++)
        sum += *(const long *)parts.items[i].data * (long)(i + 1);
    return sum % 1000003;
}
/* Waits for its own children, one of which depends on the argument it did not wait for. */
REMOTE_FN(long, graphs_nested, rr_ref, late, int, depth) {
    rr_ref left = depth ? rr_call(graphs_nested, late, depth - 1) : rr_call(graphs_add, late, 1);
    rr_ref right = rr_call(graphs_add, 10, depth);
    rr_ref both = rr_call(graphs_add, left, right);
    long v = 0;
    if (rr_get(long, both, &v) != RR_OK)
        rr_fail(rr_error_code(both), "%.300s", rr_error_message(both));
    return v;
}
REMOTE_FN(rr_ref, graphs_forward, rr_ref, r) { return rr_call(graphs_add, r, 0); }
REMOTE_FN(long, graphs_unbox, rr_ref, box) {
    rr_ref inner;
    long v = 0;
    if (rr_get(rr_ref, box, &inner) != RR_OK) return rr_fail(rr_error_code(box), "box"), 0;
    if (rr_get(long, inner, &v) != RR_OK) rr_fail(rr_error_code(inner), "inner");
    return v;
}

/* The serial evaluation. */
static long nested_value(long v, int depth) {
    long left = depth ? nested_value(v, depth - 1) : (v + 1) % 1000003;
    return (left + (10 + depth) % 1000003) % 1000003;
}
static long bytes_sum(long size) {
    long sum = 0;
    for (long i = 0; i < size; i++) sum += i & 255;
    return sum % 1000003;
}
static void evaluate(node *nodes, node *x) {
    long v[PARTS] = {0}, sum = 0;
    for (int i = 0; i < x->n; i++) {
        const node *in = &nodes[x->inputs[i]];
        v[i] = in->value;
        sum += v[i] * (i + 1);
        if (!x->code) x->code = in->code; /* all failures of a graph have one code, see plan */
    }
    switch (x->kind) {
    case PUT:
        x->value = x->constant;
        break;
    case ADD:
        x->value = (v[0] + v[1]) % 1000003;
        break;
    case MIX:
        x->value = (v[0] * 7 + v[1] * 5 + v[2] * 3 + x->constant) % 1000003;
        break;
    case FAIL:
        x->code = x->code ? x->code : x->constant;
        break;
    case SUM_BYTES:
        x->value = bytes_sum(v[0] % 3000);
        break;
    case GATHERED:
        x->value = sum % 1000003;
        break;
    case NESTED:
        x->value = nested_value(v[0], x->constant % 4);
        break;
    default:
        x->value = v[0];
        break;
    }
}

static void plan(node *nodes, uint64_t *random, int failures) {
    int code = 1 + (int)test_below(random, 1000);
    for (int i = 0; i < NODES; i++) {
        node *x = &nodes[i];
        x->kind = (kind)test_below(random, KINDS), x->constant = (int)test_below(random, 900);
        if (i < 3 || x->kind == BYTES) x->kind = PUT;
        if (x->kind == FAIL && (int)test_below(random, 100) >= failures) x->kind = ADD;
        if (x->kind == FAIL) x->constant = code;
        static const int inputs[KINDS] = {
            [ADD] = 2,          [MIX] = 3,    [FAIL] = 1,   [SUM_BYTES] = 1,
            [GATHERED] = PARTS, [NESTED] = 1, [FORWARD] = 1};
        x->n = inputs[x->kind];
        for (int k = 0; k < x->n; k++) {
            int span = i < 10 ? i : 10; /* mostly near, for depth */
            x->inputs[k] = test_below(random, 4) ? i - 1 - (int)test_below(random, span)
                                                 : (int)test_below(random, i);
        }
        evaluate(nodes, x);
    }
}

static rr_ref submit(const node *nodes, const node *x) {
    rr_ref in[PARTS] = {{0, 0, 0}};
    for (int i = 0; i < x->n; i++) in[i] = nodes[x->inputs[i]].ref;
    switch (x->kind) {
    case ADD:
        return rr_call(graphs_add, in[0], in[1]);
    case MIX:
        return rr_call(graphs_mix, x->constant, in[0], in[1], in[2]);
    case FAIL:
        return rr_call(graphs_fail, x->constant, in[0]);
    case SUM_BYTES: {
        rr_ref size = rr_call_named("graphs_modulo", in[0], RR_VALUE(long, 3000));
        return rr_call(graphs_sum_bytes, rr_call(graphs_bytes, size));
    }
    case GATHERED:
        return rr_call(graphs_sum_parts, rr_gather(in, PARTS));
    case NESTED:
        return rr_call(graphs_nested, in[0], x->constant % 4);
    case FORWARD:
        return rr_call(graphs_unbox, rr_call(graphs_forward, in[0]));
    default:
        return rr_put(long, x->constant);
    }
}
REMOTE_FN(long, graphs_modulo, long, a, long, b) { return a % b; }

static bool is_right(const node *x) {
    long v = 0;
    rr_status status = rr_get(long, x->ref, &v);
    bool right = x->code ? status == RR_ERR_TASK && rr_error_code(x->ref) == x->code
                         : status == RR_OK && v == x->value;
    if (!right)
        fprintf(stderr, "kind %d: %s %ld, wanted %ld, code %d: %.500s\n", x->kind,
                rr_status_name(status), v, x->value, x->code, rr_error_message(x->ref));
    return right;
}

/* Builds a graph, drops some references early, and looks at the rest in a random order. */
static bool build_and_compare(uint64_t seed) {
    uint64_t random = seed;
    node *nodes = calloc(NODES, sizeof *nodes);
    bool dropped[NODES] = {0}, right = true;
    int used[NODES] = {0};
    plan(nodes, &random, test_below(&random, 2) ? 40 : 0);
    for (int i = 0; i < NODES; i++)
        for (int k = 0; k < nodes[i].n; k++) used[nodes[i].inputs[k]] = i;
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < NODES; i++) {
        nodes[i].ref = submit(nodes, &nodes[i]);
        for (int k = 0; k < i; k++)
            if (used[k] == i && test_below(&random, 3) == 0)
                rr_release(nodes[k].ref), dropped[k] = true;
        if (test_below(&random, 20) == 0 && !dropped[i]) right = is_right(&nodes[i]) && right;
    }
    for (int i = 0; i < NODES; i++) {
        int at = (int)test_below(&random, NODES);
        if (!dropped[at]) right = is_right(&nodes[at]) && right;
    }
    rr_scope_end(scope);
    free(nodes);
    return right;
}
REMOTE_FN(int, graphs_inside, uint64_t, seed) { return build_and_compare(seed); }

typedef struct job {
    uint64_t seed;
} job;
static void build_outside(void *data) { CHECK(build_and_compare(((job *)data)->seed)); }

static void one_round(uint64_t *random, int threads) {
    fixture f;
    START(&f, .workers = 1 + (int)test_below(random, 4));
    outside others[16];
    job jobs[16];
    int n = threads < 16 ? threads : 16;
    for (int i = 0; i < n; i++) {
        jobs[i].seed = test_random(random);
        outside_start(&others[i], f.runtime, build_outside, &jobs[i]);
    }
    rr_scope scope = rr_scope_begin();
    for (int i = 0; i < 4; i++) {
        int right = 0;
        CHECK(rr_get(int, rr_call(graphs_inside, test_random(random)), &right) == RR_OK && right);
    }
    rr_scope_end(scope);
    for (int i = 0; i < n; i++) outside_join(&others[i]);
    CHECK(objects_settle_at(0));
    rr_stats s;
    rr_get_stats(&s);
    CHECK(s.tasks_submitted == s.tasks_finished + s.tasks_failed && s.store_bytes_used == 0);
    fixture_stop(&f);
}

int main(int argc, char **argv) {
    stress s = stress_begin(argc, argv, 2);
    for (uint64_t random; stress_next(&s, &random);) one_round(&random, s.threads);
    return stress_end(&s);
}
