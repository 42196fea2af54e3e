/* Texts of statuses, and the log: rr_config.log, or stderr. Called with no lock held. */
#pragma once
#include "platform.h"

/* A line of the log that may come with every request, and how often it did: rr__log_again. */
enum { RR__LOG_TEXT = 1024, RR__LOG_PAUSE = 60 }; /* bytes; seconds */

const char *rr_status_name(rr_status status) {
    static const char *const names[] = {
#define RR__STATUS_NAME(id, text) #id,
        RR__STATUSES(RR__STATUS_NAME)
#undef RR__STATUS_NAME
    };
    return (unsigned)status < RR__STATUS_COUNT ? names[status] : "unknown status";
}

const char *rr_status_text(rr_status status) {
    static const char *const texts[] = {
#define RR__STATUS_TEXT(id, text) text,
        RR__STATUSES(RR__STATUS_TEXT)
#undef RR__STATUS_TEXT
    };
    return (unsigned)status < RR__STATUS_COUNT ? texts[status] : "unknown status";
}

static void rr__log_to_stderr(rr_log_level level, const char *text, void *data) {
    (void)data;
    fprintf(stderr, "rustyray: %s: %s\n", level == RR_LOG_ERROR ? "error" : "warning", text);
}

static void rr__log_text(const rr_config *config, rr_log_level level, const char *text) {
    rr_log_fn log = config && config->log ? config->log : rr__log_to_stderr;
    log(level, text, config ? config->log_data : NULL);
}

RR__PRINTF(3, 4)
static void rr__log(const rr_config *config, rr_log_level level, const char *format, ...) {
    char text[RR__LOG_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rr__log_text(config, level, text);
}
