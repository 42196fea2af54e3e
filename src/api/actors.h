/* Actors: their state, their methods, messages, supervision. */
#pragma once
#include "config.h"
#include "objects.h"

/* REMOTE_ACTOR(Type, create, T1, a1, ...) { body }: a constructor,
   `void Type_create(Type *self, T1 a1, ...)`. Type is the actor's state; *self is
   zeroed before. A type may have several constructors. If the body calls rr_fail
   the actor is never born.
   REMOTE_METHOD(R, Type, name, ...) { body }: `R Type_name(Type *self, ...)`.
   REMOTE_DESTRUCTOR(Type) { body }: runs once when an actor that was born ends. Destructors of a
   runtime run one at a time, except while one of them waits.
   The _DECLARE forms are for other units. */
#define REMOTE_ACTOR(...) RR__ACTOR_DEFINE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define REMOTE_METHOD(...) RR__METHOD_DEFINE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define REMOTE_DESTRUCTOR(Type) RR__DROP_DEFINE(Type)
#define REMOTE_ACTOR_DECLARE(...) RR__ACTOR_DECLARE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)
#define REMOTE_METHOD_DECLARE(...) RR__METHOD_DECLARE(RR__PAIRS(__VA_ARGS__), __VA_ARGS__, ~)

/* rr_actor rr_spawn(Type_create, x1, ...): makes an actor and returns its handle
   at once; the constructor is its first message. Arguments as for rr_call. If the
   constructor fails, or an argument of it, every call on the actor fails with
   RR_ERR_ACTOR_DEAD and the cause. rr_spawn_with takes RR_ACTOR_OPTIONS(...): with options that
   cannot be every call fails with RR_ERR_INVALID, RR_ERR_UNSCHEDULABLE or RR_ERR_NO_MEMORY; with a
   name that a living actor has, with RR_ERR_ACTOR_DEAD. */
#define rr_spawn(...) RR__SPAWN(NULL, RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)
#define rr_spawn_with(options, ...)                                                                \
    RR__SPAWN(((const rr_actor_options[1]){options}), RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)
#define RR_ACTOR_OPTIONS(...) ((rr_actor_options){__VA_ARGS__})

/* rr_ref rr_ask(rr_actor actor, Type_name, x1, ...): sends a message; the
   reference is to the method's result. Methods of one actor run one at a time, in
   the order in which each caller sent them; a call that waits for an argument
   holds back later calls of the same caller only. A caller is a thread outside, a
   task, or an actor. Errors in the reference: as for rr_call, RR_ERR_ACTOR_DEAD,
   RR_ERR_TYPE for a method of another actor type, RR_ERR_MAILBOX_FULL. Blocks: no, unless the
   mailbox is full and .when_full is RR_WAIT (rr_actor_options). */
#define rr_ask(actor, ...) RR__SEND(rr__ask, actor, RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)

/* rr_status rr_tell(rr_actor actor, Type_name, x1, ...): sends a message whose
   result nobody wants. Returns what is wrong already; an error of the method
   itself goes to the log. Blocks: as rr_ask. */
#define rr_tell(actor, ...) RR__SEND(rr__tell, actor, RR__AFTER(__VA_ARGS__), __VA_ARGS__, ~)

/* The living actor of this name: a handle of the caller's own, in its scope.
   Errors: RR_ERR_NOT_FOUND, RR_ERR_INVALID (a NULL), RR_ERR_NO_MEMORY,
   RR_ERR_NOT_RUNNING; *out is then null. */
rr_status rr_find_actor(const char *name, rr_actor *out);

/* Ends an actor now: what is queued fails with RR_ERR_ACTOR_DEAD, and what its bodies have called
   and has not ended is cancelled as by rr_cancel. A method that is running is told (rr_cancelled;
   its waits and sleeps return at once), and ends first: what it returns counts. Then the destructor
   runs; what that calls stays. Errors: RR_ERR_ACTOR_DEAD if it is dead already, RR_ERR_STALE,
   RR_ERR_NOT_RUNNING. Blocks: no; takes some ns for each object there is if the actor has called
   something. */
rr_status rr_kill(rr_actor actor);

/* In a method or constructor: the actor ends when the body has returned (its
   result counts); what is queued fails. Elsewhere: a warning. */
void rr_exit_actor(void);

/* In a method or constructor: the actor's state is broken. The body goes on and returns, and its
   call fails with RR_ERR_ACTOR_CRASHED and this message (printf), unless it is to run again
   (rr_actor_options.max_method_retries). The destructor runs on the broken state; then, as often as
   .max_restarts says, the constructor makes a fresh one from its first arguments, and what is
   queued runs on that. After that the actor ends. A constructor that fails when it is run again has
   crashed; one that fails at first makes no actor. Elsewhere: a warning. */
void rr_crash_actor(const char *format, ...) RR__PRINTF(1, 2);

/* How an actor has ended. status: RR_OK if its last handle went or it left by rr_exit_actor,
   RR_ERR_ACTOR_DEAD for rr_kill and rr_shutdown, RR_ERR_ACTOR_CRASHED, or what its constructor
   failed with. */
typedef struct rr_exit {
    rr_status status;
    int restarts;     /* so often it was made anew */
    char reason[240]; /* in words */
} rr_exit;

/* rr_ref rr_watch(rr_actor actor): a reference to an rr_exit, complete when the actor has ended and
   its destructor has run; at once if that is so already. Does not keep the actor alive. As an
   argument of a message it tells a supervisor: rr_tell(boss, Boss_lost, i, rr_watch(child)). A
   message that waits for that alone does not hold back later ones of its caller.
   Errors in the reference: RR_ERR_STALE, RR_ERR_NO_MEMORY, RR_ERR_NOT_RUNNING. Blocks: no. */
#define rr_watch(actor) rr__watch((actor), RR__SITE)
