/* The public functions: checks, then one call. */
#pragma once
#include "../runtime/above.h"

static rr_status rr__explain_start(const rr_config *config, rr_status status) {
    if (status != RR_OK && status != RR_ERR_ALREADY_RUNNING && status != RR_ERR_INVALID &&
        status != RR_ERR_DUPLICATE)
        rr__log(config, RR_LOG_ERROR, "the runtime cannot start: %s", rr_status_text(status));
    return status;
}

rr_status rr_init(const rr_config *config) {
    rr_runtime *rt;
    return rr__explain_start(config, rr__runtime_start(config, true, &rt));
}

rr_status rr_shutdown(void) {
    rr_status status;
    rr__local *self = rr__self();
    rr_runtime *chosen = self->chosen;
    self->chosen = NULL, self->context = NULL;
    rr__context *cx = rr__enter_slow(&status);
    status = cx ? rr__stop(cx) : status;
    self->chosen = chosen, self->context = NULL; /* looked up again by the next call */
    return status;
}

rr_runtime *rr_runtime_create(const rr_config *config) {
    rr_runtime *rt;
    return rr__explain_start(config, rr__runtime_start(config, false, &rt)) == RR_OK ? rt : NULL;
}

rr_status rr_runtime_destroy(rr_runtime *runtime) {
    if (!runtime) return RR_ERR_INVALID;
    rr_runtime *before = rr_runtime_use(runtime);
    rr_status status;
    rr__context *cx = rr__enter(&status);
    if (cx && runtime->is_default) status = RR_ERR_INVALID; /* rr_shutdown is for that */
    else if (cx) status = rr__stop(cx);
    rr_runtime_use(before == runtime ? NULL : before);
    return status;
}

rr_runtime *rr_runtime_use(rr_runtime *runtime) {
    rr__local *self = rr__self();
    rr_status status;
    rr_runtime *before = self->chosen;
    self->chosen = runtime, self->context = NULL;
    rr__enter_slow(&status); /* attaches: keeps the runtime's memory for this thread */
    return before;
}
