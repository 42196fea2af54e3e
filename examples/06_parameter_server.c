/* 06_parameter_server: logistic regression. An actor holds the weights, tasks compute
   the gradient of one shard of the data each, rr_gather hands them to the actor in
   the order of the shards, so every run gives the same numbers. */
#define RUSTYRAY_IMPLEMENTATION
#include "rustyray.h"
#include <math.h>

enum { FEATURES = 4, SHARDS = 8, ROWS = 250, EPOCHS = 60, REPORT = 10 };

typedef struct Row {
    double x[FEATURES];
    double label;
} Row;
typedef struct Weights {
    double w[FEATURES + 1]; /* the last one stands alone: the bias */
} Weights;
typedef struct Step {
    double gradient[FEATURES + 1];
    double loss;
    int right, rows;
} Step;

static double uniform(uint32_t *state) { /* -1 to 1, from a fixed seed */
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / 8388608.0 - 1.0;
}

/* Labels follow a hidden plane; one in ten is wrong on purpose. */
REMOTE_FN(rr_bytes, make_shard, int, shard) {
    static const double plane[FEATURES] = {2.0, -1.0, 0.5, 1.5};
    uint32_t seed = 12345u + 7919u * (uint32_t)shard;
    Row *rows = rr_result(ROWS * sizeof *rows);
    for (int i = 0; rows && i < ROWS; i++) {
        double side = 0.3;
        for (int j = 0; j < FEATURES; j++) side += plane[j] * (rows[i].x[j] = uniform(&seed));
        rows[i].label = (side > 0) != (uniform(&seed) > 0.8);
    }
    return rr_bytes_of(rows, ROWS * sizeof *rows);
}

REMOTE_FN(Step, gradient, rr_bytes, shard, Weights, weights) {
    const Row *rows = shard.data;
    Step step = {{0}, 0, 0, (int)(shard.size / sizeof *rows)};
    for (int i = 0; i < step.rows; i++) {
        double z = weights.w[FEATURES];
        for (int j = 0; j < FEATURES; j++) z += weights.w[j] * rows[i].x[j];
        double guess = 1 / (1 + exp(-z)), error = guess - rows[i].label;
        for (int j = 0; j < FEATURES; j++) step.gradient[j] += error * rows[i].x[j];
        step.gradient[FEATURES] += error;
        step.loss -= log(rows[i].label > 0.5 ? guess : 1 - guess);
        step.right += (guess > 0.5) == (rows[i].label > 0.5);
    }
    return step;
}

typedef struct Server {
    Weights weights;
    double rate;
} Server;
REMOTE_ACTOR(Server, create, double, rate) { self->rate = rate; }
REMOTE_METHOD(Weights, Server, weights) { return self->weights; }
REMOTE_METHOD(Step, Server, apply, rr_many, steps) {
    Step all = {{0}, 0, 0, 0};
    for (size_t i = 0; i < steps.count; i++) {
        Step step;
        memcpy(&step, steps.items[i].data, sizeof step);
        for (int j = 0; j <= FEATURES; j++) all.gradient[j] += step.gradient[j];
        all.loss += step.loss, all.right += step.right, all.rows += step.rows;
    }
    for (int j = 0; j <= FEATURES; j++)
        self->weights.w[j] -= self->rate * all.gradient[j] / all.rows;
    return all;
}

int main(void) {
    if (rr_init(NULL) != RR_OK) return 1;
    rr_actor server = rr_spawn(Server_create, 0.5);
    rr_ref shards[SHARDS];
    for (int i = 0; i < SHARDS; i++) shards[i] = rr_call(make_shard, i);

    for (int epoch = 0; epoch <= EPOCHS; epoch++) {
        rr_scope scope = rr_scope_begin(); /* an epoch's references go with the epoch */
        rr_ref weights = rr_ask(server, Server_weights), steps[SHARDS];
        for (int i = 0; i < SHARDS; i++) steps[i] = rr_call(gradient, shards[i], weights);
        Step all = rr_unwrap(Step, rr_ask(server, Server_apply, rr_gather(steps, SHARDS)));
        if (epoch % REPORT == 0)
            printf("epoch %2d: loss %.3f, %4.1f%% right\n", epoch, all.loss / all.rows,
                   100.0 * all.right / all.rows);
        rr_scope_end(scope);
    }
    return rr_shutdown() == RR_OK ? 0 : 1;
}
