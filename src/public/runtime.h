/* The public functions: checks, then one call. */
#pragma once
#include "../runtime/above.h"

static rr_status rr__explain_start(const rr_config *config, rr_status status) {
    if (status != RR_OK && status != RR_ERR_ALREADY_RUNNING && status != RR_ERR_INVALID &&
        status != RR_ERR_DUPLICATE)
        rr__log(config, RR_LOG_ERROR, "the runtime cannot start: %s", rr__self()->note.text);
    return status;
}

rr_status rr_init(const rr_config *config) {
    rr_runtime *rt;
    return rr__explain_start(config, rr__runtime_start(config, true, &rt));
}

/* NULL: the default one. The calling thread's choice stays. */
static rr_status rr__end(const rr_runtime *runtime) {
    rr_status status;
    rr__context *cx = rr__attach(runtime, &status);
    if (!cx && status == RR_ERR_NOT_RUNNING && runtime)
        return rr__note(RR__NULL_REF, status,
                        "rr_runtime_destroy: this runtime was destroyed before");
    if (!cx) return rr__note_status(RR__NULL_REF, status);
    if (runtime && cx->runtime->is_default)
        return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                        "rr_runtime_destroy: the default runtime is ended by rr_shutdown");
    rr__self()->context = cx;
    status = rr__stop(cx);
    rr__self()->context = NULL; /* looked up again by the next call */
    return status;
}

rr_status rr_shutdown(void) { return rr__end(NULL); }

rr_runtime *rr_runtime_create(const rr_config *config) {
    rr_runtime *rt;
    return rr__explain_start(config, rr__runtime_start(config, false, &rt)) == RR_OK ? rt : NULL;
}

rr_status rr_runtime_destroy(rr_runtime *runtime) {
    if (runtime) return rr__end(runtime);
    return rr__note(RR__NULL_REF, RR_ERR_INVALID,
                    "rr_runtime_destroy: NULL is no runtime; the default one is ended by "
                    "rr_shutdown");
}

rr_runtime *rr_runtime_use(rr_runtime *runtime) {
    rr__local *self = rr__self();
    rr_runtime *before = self->chosen;
    if (!RR__CAN_HOLD(self)) return before;
    self->chosen = runtime;
    rr__enter_slow(NULL); /* attaches: keeps the runtime's memory for this thread */
    if (runtime && !rr__attached_to(self, runtime)) self->chosen = rr__gone;
    return before;
}
