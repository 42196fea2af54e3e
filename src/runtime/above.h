/* What the layers above do when a layer below finds that it is time: the table that core/context.h
   declares.
   Locks: none. */
#pragma once
#include "../actors/sending.h"
#include "../tasks/gathers.h"
#include "../tasks/streams.h"
#include "stop.h"

static const rr__hooks rr__above = {
    .ops =
        {
            [RR__FUNCTION] = {.missing = rr__args_missing,
                              .ready = rr__function_ready,
                              .run = rr__function_run,
                              .decided = rr__function_decided,
                              .abandon = rr__function_abandon,
                              .options = rr__control_of,
                              .begun = rr__function_begun,
                              .due = rr__function_due,
                              .end = rr__function_end},
            [RR__METHOD] = {.missing = rr__args_missing,
                            .ready = rr__message_ready,
                            .run = rr__message_run,
                            .decided = rr__lane_forget,
                            .abandon = rr__message_abandon,
                            .begun = rr__message_begun,
                            .end = rr__outcome_free},
            [RR__CONSTRUCTOR] = {.missing = rr__args_missing,
                                 .ready = rr__actor_ready,
                                 .run = rr__actor_run_class,
                                 .options = rr__actor_options,
                                 .due = rr__actor_due,
                                 .unheld = rr__actor_poke,
                                 .end = rr__actor_free},
            [RR__VALUE] = {.end = rr__value_end},
            [RR__GATHER] = {.missing = rr__missing_part,
                            .ready = rr__gather_finish,
                            .end = rr__gather_end},
            [RR__FIELD] = {.missing = rr__field_missing,
                           .ready = rr__field_ready,
                           .run = rr__field_run,
                           .end = rr__outcome_free},
            [RR__STREAM] = {.end = rr__stream_close},
            [RR__FIBER] = {.run = rr__fiber_run},
        },
    .context_alloc = rr__context_alloc,
    .has_stack = rr__fiber_for_thread,
    .thread = rr__worker_main,
    .work = rr__work,
    .thread_ends = rr__local_clear,
    .inside = rr__crew_inside,
    .hope = rr__mailbox_hope,
    .users = rr__store_users,
    .deadlocks_due = rr__deadlocks_due,
    .sleep_due = rr__sleep_due,
    .room_due = rr__room_due,
    .turn_over = rr__loader_end,
    .rebuild = rr__rebuild,
    .recipe_end = rr__recipe_end,
};
