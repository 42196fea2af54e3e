/* What the REMOTE_ macros and the calls are made of: argument typedefs, thunks, static descriptors,
   constructors; and the functions behind them. */
#pragma once
#include "runtime.h"
#include "tasks.h"
#include "actors.h"
#include "insight.h"

// clang-format off

/* REMOTE_FN(int, add, int, a, int, b) becomes, in short:

       typedef int rr__p1_add; typedef int rr__p2_add; typedef char rr__arity_add[3];
       int add(int a, int b);
       static void rr__thunk_add(void *self, void *const *args, void *result) {
           rr__p1_add rr__a1; memcpy(&rr__a1, args[0], sizeof rr__a1); ...
           int value = add(rr__a1, rr__a2); memcpy(result, &value, sizeof value);
       }
       static const rr_type rr__types_add[] = {{"int", ...}, {"int", ...}};
       rr_function rr__fn_add = {.name = "add", .thunk = rr__thunk_add, ...};
       static void rr__link_add(void) __attribute__((constructor));
       static void rr__link_add(void) { rr__link(&rr__fn_add); }
       int add(int a, int b)

   and rr_call(add, 2, five):

       rr__call(&rr__fn_add, (const rr__arg[]){{&(int){2}, null}, {NULL, five}}, 2, "file:line") */

#if !defined(__cplusplus) && !defined(__STDC_NO_ATOMICS__) && !defined(__TINYC__)
#define RR__ATOMIC(T) _Atomic(T)
#else
#define RR__ATOMIC(T) T /* C++ only needs the layout; others go through a lock */
#endif

typedef void (*rr__thunk)(void *self, void *const *args, void *result);

struct rr_function {
    const char *name;     /* "add", "Counter_add" */
    rr__thunk thunk;      /* calls it: unpacks arguments, packs the result */
    const rr_type *params;
    rr_type result;
    rr_type self;         /* the actor's state; size 0 for a plain function */
    rr_type item;         /* what a stream yields; size 0 for all others */
    const char *site;     /* "file:line" */
    int arity;
    int kind;             /* enum rr__kind */
    uint64_t hash;        /* of the signature; with the next two set when it is registered */
    uint8_t handles;      /* bit i: parameter i is a handle */
    bool is_wordy;        /* each argument takes one word of the slot, see rr__args_pack */
    rr_function *next;    /* the list of everything registered */
    RR__ATOMIC(const rr_function *) drop; /* constructor: the destructor of its type */
    RR__ATOMIC(int) state; /* enum rr__function_state */
};

/* What a function descriptor, and an object's slot, is for. */
enum rr__kind {
    RR__FUNCTION,    /* a remote function; an object: its task */
    RR__CONSTRUCTOR, /* an object: the actor itself, and the task of its creation */
    RR__METHOD,      /* a method; an object: a message */
    RR__DESTRUCTOR,
    RR__VALUE,       /* an object that was put or created */
    RR__GATHER,      /* an object made of others */
    RR__FIELD,       /* a member of another one */
    RR__STREAM       /* the reader's end of a stream */
};

enum rr__type_kind {
    RR__KIND_OTHER,
    RR__KIND_VOID,
    RR__KIND_BOOL,
    RR__KIND_FLOAT,
    RR__KIND_DOUBLE,
    RR__KIND_LONG_DOUBLE,
    RR__KIND_REF,
    RR__KIND_ACTOR,
    RR__KIND_BYTES,
    RR__KIND_MANY,
    RR__KIND_INTEGER = 32 /* + 2 * size + (is signed) */
};

/* One argument at a call: a value or, where value is NULL, a reference. */
typedef struct rr__arg {
    const void *value;
    rr_ref ref;
} rr__arg;

/* One argument of a call by name, likewise; value.type.name is NULL for a reference. */
typedef struct rr__named_arg {
    rr_value value;
    rr_ref ref;
} rr__named_arg;

extern void *const rr__nil; /* NULL; dereferenced only where nothing is evaluated */

void rr__link(rr_function *function);
rr_ref rr__put(rr_type type, const void *value, const char *site);
rr_ref rr__put_bytes(const void *data, size_t size, const char *site);
rr_ref rr__put_as(const char *name, rr_type type, const void *value, const char *site);
rr_ref rr__create(size_t size, void **room, const char *site);
rr_ref rr__gather(const rr_ref *refs, size_t n, const char *site);
rr_status rr__get(rr_ref ref, const rr_type *type, void *out, int64_t milliseconds);
void *rr__unwrap(rr_ref ref, const rr_type *type, void *out, const char *site);
void rr__retain_ref(rr_ref ref);
void rr__retain_actor(rr_actor actor);
void rr__release_ref(rr_ref ref);
void rr__release_actor(rr_actor actor);
rr_ref rr__keep_ref(rr_ref ref);
rr_actor rr__keep_actor(rr_actor actor);
rr_ref rr__call(rr_function *fn, const rr__arg *args, size_t n, const char *site);
rr_ref rr__call_with(const rr_options *options, rr_function *fn, const rr__arg *args, size_t n,
                    const char *site);
rr_ref rr__call_named(const char *name, const rr__named_arg *args, size_t n, const char *site);
rr_actor rr__spawn(const rr_actor_options *options, rr_function *fn, const rr__arg *args, size_t n,
                   const char *site);
rr_ref rr__ask(rr_actor actor, rr_function *fn, const rr__arg *args, size_t n, const char *site);
rr_status rr__tell(rr_actor actor, rr_function *fn, const rr__arg *args, size_t n,
                   const char *site);
rr_ref rr__watch(rr_actor actor, const char *site);
void rr__retain_stream(rr_stream stream);
void rr__release_stream(rr_stream stream);
rr_stream rr__keep_stream(rr_stream stream);
rr_ref rr__give_ref(rr_ref ref);
rr_actor rr__give_actor(rr_actor actor);
rr_stream rr__give_stream(rr_stream stream);
rr_ref rr__take_ref(rr_ref ref);
rr_actor rr__take_actor(rr_actor actor);
rr_stream rr__take_stream(rr_stream stream);
rr_stream rr__call_stream(const rr_options *options, rr_function *fn, const rr__arg *args, size_t n,
                          const char *site);
rr_status rr__yield(rr_type type, const void *value, const char *site);
rr_ref rr__field(rr_ref ref, const rr_type *whole, rr_type type, size_t offset, const char *site);

/* Counting and pasting. */
#define RR__COUNT(...)                                                                             \
    RR__COUNT_(__VA_ARGS__, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, \
               0)
#define RR__COUNT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, count, ...) count
#define RR__CAT(a, b) RR__CAT_(a, b)
#define RR__CAT_(a, b) a##b
#define RR__PICK(prefix, count) RR__CAT(prefix, count)
#define RR__TEXT(x) RR__TEXT_(x)
#define RR__TEXT_(x) #x
#define RR__SITE __FILE__ ":" RR__TEXT(__LINE__)
#define RR__ZERO 0
#if defined(__TINYC__)
#define RR__REQUIRE(condition, message) (0 * sizeof(char[(condition) ? 1 : -1]))
#else
#define RR__REQUIRE(condition, message)                                                            \
    (0 * sizeof(struct {                                                                           \
         _Static_assert(condition, message);                                                       \
         char rr__unused;                                                                          \
     }))
#endif

/* 0; does not compile if the lvalue, which is never evaluated, is of another type. */
#define RR__SAME_TYPE(T, x) (0 * sizeof(_Generic((x), T: 0)))

/* Types. The selection looks at an lvalue that is never evaluated, so qualifiers do not matter. */
#define RR__TYPE(T) #T, (uint32_t)sizeof(T), (uint16_t)_Alignof(T), (uint16_t)RR__KIND(T)
#define RR__VOID_TYPE "void", 0, 1, RR__KIND_VOID
#define RR__INTEGER(T, is_signed) (RR__KIND_INTEGER + 2 * (int)sizeof(T) + (is_signed))
#define RR__KIND(T)                                                                                \
    _Generic(*(T *)rr__nil,                                                                        \
        _Bool: RR__KIND_BOOL,                                                                      \
        char: RR__INTEGER(char, (char)-1 < (char)0),                                               \
        signed char: RR__INTEGER(signed char, 1),                                                  \
        unsigned char: RR__INTEGER(unsigned char, 0),                                              \
        short: RR__INTEGER(short, 1),                                                              \
        unsigned short: RR__INTEGER(unsigned short, 0),                                            \
        int: RR__INTEGER(int, 1),                                                                  \
        unsigned: RR__INTEGER(unsigned, 0),                                                        \
        long: RR__INTEGER(long, 1),                                                                \
        unsigned long: RR__INTEGER(unsigned long, 0),                                              \
        long long: RR__INTEGER(long long, 1),                                                      \
        unsigned long long: RR__INTEGER(unsigned long long, 0),                                    \
        float: RR__KIND_FLOAT,                                                                     \
        double: RR__KIND_DOUBLE,                                                                   \
        long double: RR__KIND_LONG_DOUBLE,                                                         \
        rr_ref: RR__KIND_REF,                                                                      \
        rr_actor: RR__KIND_ACTOR,                                                                  \
        rr_bytes: RR__KIND_BYTES,                                                                  \
        rr_many: RR__KIND_MANY,                                                                    \
        default: RR__KIND_OTHER)

/* Parameter lists of 0 to 8 (type, name) pairs, in each form that a definition needs. A list is
   always closed by one more argument (end), so that it is never empty. */
#define RR__PARAMS_0(end) void
#define RR__PARAMS_1(T1, a1, end) T1 a1
#define RR__PARAMS_2(T1, a1, T2, a2, end) T1 a1, T2 a2
#define RR__PARAMS_3(T1, a1, T2, a2, T3, a3, end) T1 a1, T2 a2, T3 a3
#define RR__PARAMS_4(T1, a1, T2, a2, T3, a3, T4, a4, end) T1 a1, T2 a2, T3 a3, T4 a4
#define RR__PARAMS_5(T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, end) T1 a1, T2 a2, T3 a3, T4 a4, T5 a5
#define RR__PARAMS_6(T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, end)                          \
    T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6
#define RR__PARAMS_7(T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, end)                  \
    T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7
#define RR__PARAMS_8(T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8, end)          \
    T1 a1, T2 a2, T3 a3, T4 a4, T5 a5, T6 a6, T7 a7, T8 a8
#define RR__SELF_PARAMS_0(Type, end) RR__UNUSED Type *self
#define RR__SELF_PARAMS_1(Type, ...) RR__UNUSED Type *self, RR__PARAMS_1(__VA_ARGS__)
#define RR__SELF_PARAMS_2(Type, ...) RR__UNUSED Type *self, RR__PARAMS_2(__VA_ARGS__)
#define RR__SELF_PARAMS_3(Type, ...) RR__UNUSED Type *self, RR__PARAMS_3(__VA_ARGS__)
#define RR__SELF_PARAMS_4(Type, ...) RR__UNUSED Type *self, RR__PARAMS_4(__VA_ARGS__)
#define RR__SELF_PARAMS_5(Type, ...) RR__UNUSED Type *self, RR__PARAMS_5(__VA_ARGS__)
#define RR__SELF_PARAMS_6(Type, ...) RR__UNUSED Type *self, RR__PARAMS_6(__VA_ARGS__)
#define RR__SELF_PARAMS_7(Type, ...) RR__UNUSED Type *self, RR__PARAMS_7(__VA_ARGS__)
#define RR__SELF_PARAMS_8(Type, ...) RR__UNUSED Type *self, RR__PARAMS_8(__VA_ARGS__)
#define RR__PARAM_TYPES_0(f, end) typedef char rr__arity_##f[1];
#define RR__PARAM_TYPES_1(f, T1, a1, end)                                                          \
    typedef T1 rr__p1_##f;                                                                         \
    typedef char rr__arity_##f[2];
#define RR__PARAM_TYPES_2(f, T1, a1, T2, a2, end)                                                  \
    typedef T1 rr__p1_##f;                                                                         \
    typedef T2 rr__p2_##f;                                                                         \
    typedef char rr__arity_##f[3];
#define RR__PARAM_TYPES_3(f, T1, a1, T2, a2, T3, a3, end)                                          \
    typedef T1 rr__p1_##f;                                                                         \
    typedef T2 rr__p2_##f;                                                                         \
    typedef T3 rr__p3_##f;                                                                         \
    typedef char rr__arity_##f[4];
#define RR__PARAM_TYPES_4(f, T1, a1, T2, a2, T3, a3, T4, a4, end)                                  \
    typedef T1 rr__p1_##f;                                                                         \
    typedef T2 rr__p2_##f;                                                                         \
    typedef T3 rr__p3_##f;                                                                         \
    typedef T4 rr__p4_##f;                                                                         \
    typedef char rr__arity_##f[5];
#define RR__PARAM_TYPES_5(f, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, end)                          \
    typedef T1 rr__p1_##f;                                                                         \
    typedef T2 rr__p2_##f;                                                                         \
    typedef T3 rr__p3_##f;                                                                         \
    typedef T4 rr__p4_##f;                                                                         \
    typedef T5 rr__p5_##f;                                                                         \
    typedef char rr__arity_##f[6];
#define RR__PARAM_TYPES_6(f, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, end)                  \
    typedef T1 rr__p1_##f;                                                                         \
    typedef T2 rr__p2_##f;                                                                         \
    typedef T3 rr__p3_##f;                                                                         \
    typedef T4 rr__p4_##f;                                                                         \
    typedef T5 rr__p5_##f;                                                                         \
    typedef T6 rr__p6_##f;                                                                         \
    typedef char rr__arity_##f[7];
#define RR__PARAM_TYPES_7(f, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, end)          \
    typedef T1 rr__p1_##f;                                                                         \
    typedef T2 rr__p2_##f;                                                                         \
    typedef T3 rr__p3_##f;                                                                         \
    typedef T4 rr__p4_##f;                                                                         \
    typedef T5 rr__p5_##f;                                                                         \
    typedef T6 rr__p6_##f;                                                                         \
    typedef T7 rr__p7_##f;                                                                         \
    typedef char rr__arity_##f[8];
#define RR__PARAM_TYPES_8(f, T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8, end)  \
    typedef T1 rr__p1_##f;                                                                         \
    typedef T2 rr__p2_##f;                                                                         \
    typedef T3 rr__p3_##f;                                                                         \
    typedef T4 rr__p4_##f;                                                                         \
    typedef T5 rr__p5_##f;                                                                         \
    typedef T6 rr__p6_##f;                                                                         \
    typedef T7 rr__p7_##f;                                                                         \
    typedef T8 rr__p8_##f;                                                                         \
    typedef char rr__arity_##f[9];
#define RR__TYPE_LIST_0(end) {RR__VOID_TYPE}
#define RR__TYPE_LIST_1(T1, a1, end) {RR__TYPE(T1)}
#define RR__TYPE_LIST_2(T1, a1, T2, a2, end) {RR__TYPE(T1)}, {RR__TYPE(T2)}
#define RR__TYPE_LIST_3(T1, a1, T2, a2, T3, a3, end) {RR__TYPE(T1)}, {RR__TYPE(T2)}, {RR__TYPE(T3)}
#define RR__TYPE_LIST_4(T1, a1, T2, a2, T3, a3, T4, a4, end)                                       \
    {RR__TYPE(T1)}, {RR__TYPE(T2)}, {RR__TYPE(T3)}, {RR__TYPE(T4)}
#define RR__TYPE_LIST_5(T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, end)                               \
    {RR__TYPE(T1)}, {RR__TYPE(T2)}, {RR__TYPE(T3)}, {RR__TYPE(T4)},                                \
    {RR__TYPE(T5)}
#define RR__TYPE_LIST_6(T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, end)                       \
    {RR__TYPE(T1)}, {RR__TYPE(T2)}, {RR__TYPE(T3)}, {RR__TYPE(T4)},                                \
    {RR__TYPE(T5)}, {RR__TYPE(T6)}
#define RR__TYPE_LIST_7(T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, end)               \
    {RR__TYPE(T1)}, {RR__TYPE(T2)}, {RR__TYPE(T3)}, {RR__TYPE(T4)},                                \
    {RR__TYPE(T5)}, {RR__TYPE(T6)}, {RR__TYPE(T7)}
#define RR__TYPE_LIST_8(T1, a1, T2, a2, T3, a3, T4, a4, T5, a5, T6, a6, T7, a7, T8, a8, end)       \
    {RR__TYPE(T1)}, {RR__TYPE(T2)}, {RR__TYPE(T3)}, {RR__TYPE(T4)},                                \
    {RR__TYPE(T5)}, {RR__TYPE(T6)}, {RR__TYPE(T7)}, {RR__TYPE(T8)}
#define RR__LOAD(f, i)                                                                             \
    rr__p##i##_##f rr__a##i;                                                                       \
    memcpy((void *)&rr__a##i, rr__args[i - 1], sizeof rr__a##i);
#define RR__LOADS_0(f)
#define RR__LOADS_1(f) RR__LOAD(f, 1)
#define RR__LOADS_2(f) RR__LOADS_1(f) RR__LOAD(f, 2)
#define RR__LOADS_3(f) RR__LOADS_2(f) RR__LOAD(f, 3)
#define RR__LOADS_4(f) RR__LOADS_3(f) RR__LOAD(f, 4)
#define RR__LOADS_5(f) RR__LOADS_4(f) RR__LOAD(f, 5)
#define RR__LOADS_6(f) RR__LOADS_5(f) RR__LOAD(f, 6)
#define RR__LOADS_7(f) RR__LOADS_6(f) RR__LOAD(f, 7)
#define RR__LOADS_8(f) RR__LOADS_7(f) RR__LOAD(f, 8)
#define RR__PASS_0()
#define RR__PASS_1() rr__a1
#define RR__PASS_2() rr__a1, rr__a2
#define RR__PASS_3() rr__a1, rr__a2, rr__a3
#define RR__PASS_4() rr__a1, rr__a2, rr__a3, rr__a4
#define RR__PASS_5() rr__a1, rr__a2, rr__a3, rr__a4, rr__a5
#define RR__PASS_6() rr__a1, rr__a2, rr__a3, rr__a4, rr__a5, rr__a6
#define RR__PASS_7() rr__a1, rr__a2, rr__a3, rr__a4, rr__a5, rr__a6, rr__a7
#define RR__PASS_8() rr__a1, rr__a2, rr__a3, rr__a4, rr__a5, rr__a6, rr__a7, rr__a8
#define RR__PASS_SELF_0(Type) (Type *)rr__self
#define RR__PASS_SELF_1(Type) (Type *)rr__self, RR__PASS_1()
#define RR__PASS_SELF_2(Type) (Type *)rr__self, RR__PASS_2()
#define RR__PASS_SELF_3(Type) (Type *)rr__self, RR__PASS_3()
#define RR__PASS_SELF_4(Type) (Type *)rr__self, RR__PASS_4()
#define RR__PASS_SELF_5(Type) (Type *)rr__self, RR__PASS_5()
#define RR__PASS_SELF_6(Type) (Type *)rr__self, RR__PASS_6()
#define RR__PASS_SELF_7(Type) (Type *)rr__self, RR__PASS_7()
#define RR__PASS_SELF_8(Type) (Type *)rr__self, RR__PASS_8()

/* From the number of arguments of a REMOTE_ macro to that of pairs; 2 or 3 stand before them. */
#define RR__PAIRS(count) RR__CAT(RR__PAIRS_, count)
#define RR__PAIRS_2 0
#define RR__PAIRS_3 0
#define RR__PAIRS_4 1
#define RR__PAIRS_5 1
#define RR__PAIRS_6 2
#define RR__PAIRS_7 2
#define RR__PAIRS_8 3
#define RR__PAIRS_9 3
#define RR__PAIRS_10 4
#define RR__PAIRS_11 4
#define RR__PAIRS_12 5
#define RR__PAIRS_13 5
#define RR__PAIRS_14 6
#define RR__PAIRS_15 6
#define RR__PAIRS_16 7
#define RR__PAIRS_17 7
#define RR__PAIRS_18 8
#define RR__PAIRS_19 8

/* `void` is told from every other result type by pasting: RR__IS_void counts as two arguments. */
#define RR__IS_void void, void
#define RR__IF_VOID(...) RR__IF_VOID_(__VA_ARGS__, VOID, VALUE, none)
#define RR__IF_VOID_(a, b, which, ...) which
#define RR__RETURN(R, call) RR__PICK(RR__RETURN_, RR__IF_VOID(RR__CAT(RR__IS_, R)))(R, call)
#define RR__RETURN_VOID(R, call) (void)rr__result, call
#define RR__RETURN_VALUE(R, call)                                                                  \
    R rr__value = call;                                                                            \
    memcpy(rr__result, &rr__value, sizeof rr__value)
#define RR__RESULT(R) RR__PICK(RR__RESULT_, RR__IF_VOID(RR__CAT(RR__IS_, R)))(R)
#define RR__RESULT_VOID(R) {RR__VOID_TYPE}
#define RR__RESULT_VALUE(R) {RR__TYPE(R)}
#define RR__NO_SELF {"", 0, 1, RR__KIND_VOID}
#define RR__SELF(Type) {RR__TYPE(Type)}

/* What every kind of remote function consists of, beside the function itself. `symbol` is the
   descriptor's name: fn_add, create_Counter_create, method_Counter_add, drop_Counter. */
#define RR__DESCRIBE(k, symbol, f, kind_, result_, self_, item_, invoke, ...)                      \
    static void rr__thunk_##symbol(void *rr__self, void *const *rr__args, void *rr__result) {      \
        (void)rr__self, (void)rr__args;                                                            \
        RR__CAT(RR__LOADS_, k)(f)                                                                  \
        invoke;                                                                                    \
    }                                                                                              \
    static const rr_type rr__types_##symbol[] = {RR__CAT(RR__TYPE_LIST_, k)(__VA_ARGS__)};         \
    rr_function rr__##symbol = {.name = #f,                                                        \
                                .thunk = rr__thunk_##symbol,                                       \
                                .params = rr__types_##symbol,                                      \
                                .result = result_,                                                 \
                                .self = self_,                                                     \
                                .item = item_,                                                     \
                                .site = RR__SITE,                                                  \
                                .arity = k,                                                        \
                                .kind = kind_};                                                    \
    static void rr__link_##symbol(void) RR__AT_START;                                              \
    static void rr__link_##symbol(void) { rr__link(&rr__##symbol); }

#define RR__FN_DECLARE(k, ...) RR__FN_DECLARE_(k, __VA_ARGS__)
#define RR__FN_DECLARE_(k, R, f, ...)                                                              \
    RR__CAT(RR__PARAM_TYPES_, k)(f, __VA_ARGS__)                                                   \
    extern rr_function rr__fn_##f;                                                                 \
    R f(RR__CAT(RR__PARAMS_, k)(__VA_ARGS__))
#define RR__FN(k, ...) RR__FN_(k, __VA_ARGS__)
#define RR__FN_(k, R, f, ...)                                                                      \
    RR__FN_DECLARE_(k, R, f, __VA_ARGS__);                                                         \
    RR__DESCRIBE(k, fn_##f, f, RR__FUNCTION, RR__RESULT(R), RR__NO_SELF, RR__NO_SELF,              \
                 RR__RETURN(R, f(RR__CAT(RR__PASS_, k)())), __VA_ARGS__)                           \
    R f(RR__CAT(RR__PARAMS_, k)(__VA_ARGS__))

#define RR__STREAM_DECLARE(k, ...) RR__STREAM_DECLARE_(k, __VA_ARGS__)
#define RR__STREAM_DECLARE_(k, T, f, ...)                                                          \
    RR__CAT(RR__PARAM_TYPES_, k)(f, __VA_ARGS__)                                                   \
    extern rr_function rr__stream_##f;                                                             \
    void f(RR__CAT(RR__PARAMS_, k)(__VA_ARGS__))
#define RR__STREAM_FN(k, ...) RR__STREAM_FN_(k, __VA_ARGS__)
#define RR__STREAM_FN_(k, T, f, ...)                                                               \
    RR__STREAM_DECLARE_(k, T, f, __VA_ARGS__);                                                     \
    RR__DESCRIBE(k, stream_##f, f, RR__FUNCTION, RR__RESULT(void), RR__NO_SELF, RR__RESULT(T),     \
                 RR__RETURN(void, f(RR__CAT(RR__PASS_, k)())), __VA_ARGS__)                        \
    void f(RR__CAT(RR__PARAMS_, k)(__VA_ARGS__))

/* Methods; a constructor is one without a result, a destructor one without parameters either. */
#define RR__MEMBER_DECLARE(k, R, symbol, Type, f, ...)                                             \
    RR__CAT(RR__PARAM_TYPES_, k)(f, __VA_ARGS__)                                                   \
    extern rr_function rr__##symbol;                                                               \
    R f(RR__CAT(RR__SELF_PARAMS_, k)(Type, __VA_ARGS__))
#define RR__MEMBER(k, R, symbol, kind, Type, f, ...)                                               \
    RR__MEMBER_DECLARE(k, R, symbol, Type, f, __VA_ARGS__);                                        \
    RR__DESCRIBE(k, symbol, f, kind, RR__RESULT(R), RR__SELF(Type), RR__NO_SELF,                   \
                 RR__RETURN(R, f(RR__CAT(RR__PASS_SELF_, k)(Type))), __VA_ARGS__)                  \
    R f(RR__CAT(RR__SELF_PARAMS_, k)(Type, __VA_ARGS__))
#define RR__METHOD_DECLARE(k, ...) RR__METHOD_DECLARE_(k, __VA_ARGS__)
#define RR__METHOD_DECLARE_(k, R, Type, m, ...)                                                    \
    RR__MEMBER_DECLARE(k, R, method_##Type##_##m, Type, Type##_##m, __VA_ARGS__)
#define RR__METHOD_DEFINE(k, ...) RR__METHOD_DEFINE_(k, __VA_ARGS__)
#define RR__METHOD_DEFINE_(k, R, Type, m, ...)                                                     \
    RR__MEMBER(k, R, method_##Type##_##m, RR__METHOD, Type, Type##_##m, __VA_ARGS__)
#define RR__ACTOR_DECLARE(k, ...) RR__ACTOR_DECLARE_(k, __VA_ARGS__)
#define RR__ACTOR_DECLARE_(k, Type, c, ...)                                                        \
    RR__MEMBER_DECLARE(k, void, create_##Type##_##c, Type, Type##_##c, __VA_ARGS__)
#define RR__ACTOR_DEFINE(k, ...) RR__ACTOR_DEFINE_(k, __VA_ARGS__)
#define RR__ACTOR_DEFINE_(k, Type, c, ...)                                                         \
    RR__MEMBER(k, void, create_##Type##_##c, RR__CONSTRUCTOR, Type, Type##_##c, __VA_ARGS__)
#define RR__DROP_DEFINE(Type)                                                                      \
    RR__MEMBER(0, void, drop_##Type, RR__DESTRUCTOR, Type, Type##__drop, ~)

/* Calls. A value travels as the address of a one-element array of the parameter's type, a
   reference as itself; in the branches that are not selected something of a fitting type stands
   where x would not compile. The call in sizeof, which is never made, has the compiler check x as
   it checks an argument. */
#define RR__ARG(f, i, x)                                                                           \
    {_Generic((x),                                                                                 \
         rr_ref: NULL,                                                                             \
         default: (rr__p##i##_##f[1]){RR__FITTING(rr__p##i##_##f, x)} +                            \
             0 * sizeof(((int (*)(rr__p##i##_##f))0)(RR__FITTING(rr__p##i##_##f, x)))),            \
     _Generic((x),                                                                                 \
         rr_ref: _Generic((x), rr_ref: (x), default: RR__NULL_REF),                                \
         default: RR__NULL_REF)}
#define RR__FITTING(P, x) _Generic((x), rr_ref: *(const P *)rr__nil, default: (x))
#define RR__NULL_REF ((rr_ref){0, 0, 0})
#define RR__ARGS_0(f, end) NULL
#define RR__ARGS_1(f, x1, end)                                                                     \
    (const rr__arg[]){                                                                             \
        RR__ARG(f, 1, x1)}
#define RR__ARGS_2(f, x1, x2, end)                                                                 \
    (const rr__arg[]){                                                                             \
        RR__ARG(f, 1, x1), RR__ARG(f, 2, x2)}
#define RR__ARGS_3(f, x1, x2, x3, end)                                                             \
    (const rr__arg[]){                                                                             \
        RR__ARG(f, 1, x1), RR__ARG(f, 2, x2), RR__ARG(f, 3, x3)}
#define RR__ARGS_4(f, x1, x2, x3, x4, end)                                                         \
    (const rr__arg[]){                                                                             \
        RR__ARG(f, 1, x1), RR__ARG(f, 2, x2), RR__ARG(f, 3, x3), RR__ARG(f, 4, x4)}
#define RR__ARGS_5(f, x1, x2, x3, x4, x5, end)                                                     \
    (const rr__arg[]){                                                                             \
        RR__ARG(f, 1, x1), RR__ARG(f, 2, x2), RR__ARG(f, 3, x3), RR__ARG(f, 4, x4),                \
        RR__ARG(f, 5, x5)}
#define RR__ARGS_6(f, x1, x2, x3, x4, x5, x6, end)                                                 \
    (const rr__arg[]){                                                                             \
        RR__ARG(f, 1, x1), RR__ARG(f, 2, x2), RR__ARG(f, 3, x3), RR__ARG(f, 4, x4),                \
        RR__ARG(f, 5, x5), RR__ARG(f, 6, x6)}
#define RR__ARGS_7(f, x1, x2, x3, x4, x5, x6, x7, end)                                             \
    (const rr__arg[]){                                                                             \
        RR__ARG(f, 1, x1), RR__ARG(f, 2, x2), RR__ARG(f, 3, x3), RR__ARG(f, 4, x4),                \
        RR__ARG(f, 5, x5), RR__ARG(f, 6, x6), RR__ARG(f, 7, x7)}
#define RR__ARGS_8(f, x1, x2, x3, x4, x5, x6, x7, x8, end)                                         \
    (const rr__arg[]){                                                                             \
        RR__ARG(f, 1, x1), RR__ARG(f, 2, x2), RR__ARG(f, 3, x3), RR__ARG(f, 4, x4),                \
        RR__ARG(f, 5, x5), RR__ARG(f, 6, x6), RR__ARG(f, 7, x7), RR__ARG(f, 8, x8)}
/* From the number of arguments of a call, the function's name among them, to what is passed on. */
#define RR__ARGS(count, f, ...) RR__CAT(RR__ARGS_, RR__LESS(count))(f, __VA_ARGS__)
#define RR__ARITY(count, f)                                                                        \
    ((count) - 1 +                                                                                 \
     RR__REQUIRE(sizeof(rr__arity_##f) == (count), "wrong number of arguments for " #f))
#define RR__LESS(count) RR__CAT(RR__LESS_, count)
#define RR__LESS_1 0
#define RR__LESS_2 1
#define RR__LESS_3 2
#define RR__LESS_4 3
#define RR__LESS_5 4
#define RR__LESS_6 5
#define RR__LESS_7 6
#define RR__LESS_8 7
#define RR__LESS_9 8
#define RR__CALL(count, ...) RR__CALL_(count, __VA_ARGS__)
#define RR__CALL_(n, f, ...)                                                                       \
    rr__call(&rr__fn_##f, RR__ARGS(n, f, __VA_ARGS__), RR__ARITY(n, f), RR__SITE)
#define RR__CALL_WITH(options, n, ...) RR__CALL_WITH_(options, n, __VA_ARGS__)
#define RR__CALL_WITH_(options, n, f, ...)                                                         \
    rr__call_with(options, &rr__fn_##f, RR__ARGS(n, f, __VA_ARGS__), RR__ARITY(n, f), RR__SITE)
#define RR__CALL_STREAM(options, n, ...) RR__CALL_STREAM_(options, n, __VA_ARGS__)
#define RR__CALL_STREAM_(options, n, f, ...)                                                       \
    rr__call_stream(options, &rr__stream_##f, RR__ARGS(n, f, __VA_ARGS__), RR__ARITY(n, f),      \
                    RR__SITE)
#define RR__SPAWN(options, n, ...) RR__SPAWN_(options, n, __VA_ARGS__)
#define RR__SPAWN_(options, n, f, ...)                                                             \
    rr__spawn(options, &rr__create_##f, RR__ARGS(n, f, __VA_ARGS__), RR__ARITY(n, f), RR__SITE)
#define RR__SEND(how, actor, n, ...) RR__SEND_(how, actor, n, __VA_ARGS__)
#define RR__SEND_(how, actor, n, f, ...)                                                           \
    how((actor), &rr__method_##f, RR__ARGS(n, f, __VA_ARGS__), RR__ARITY(n, f), RR__SITE)
#define RR__NAMED(x)                                                                               \
    {_Generic((x), rr_ref: RR__NO_VALUE, default: (x)),                                            \
     _Generic((x), rr_ref: (x), default: RR__NULL_REF)}
#define RR__NO_VALUE ((rr_value){{NULL, 0, 0, 0}, NULL})
#define RR__NAMED_0(end) NULL
#define RR__NAMED_1(x1, end)                                                                       \
    (const rr__named_arg[]){                                                                       \
        RR__NAMED(x1)}
#define RR__NAMED_2(x1, x2, end)                                                                   \
    (const rr__named_arg[]){                                                                       \
        RR__NAMED(x1), RR__NAMED(x2)}
#define RR__NAMED_3(x1, x2, x3, end)                                                               \
    (const rr__named_arg[]){                                                                       \
        RR__NAMED(x1), RR__NAMED(x2), RR__NAMED(x3)}
#define RR__NAMED_4(x1, x2, x3, x4, end)                                                           \
    (const rr__named_arg[]){                                                                       \
        RR__NAMED(x1), RR__NAMED(x2), RR__NAMED(x3), RR__NAMED(x4)}
#define RR__NAMED_5(x1, x2, x3, x4, x5, end)                                                       \
    (const rr__named_arg[]){                                                                       \
        RR__NAMED(x1), RR__NAMED(x2), RR__NAMED(x3), RR__NAMED(x4),                                \
        RR__NAMED(x5)}
#define RR__NAMED_6(x1, x2, x3, x4, x5, x6, end)                                                   \
    (const rr__named_arg[]){                                                                       \
        RR__NAMED(x1), RR__NAMED(x2), RR__NAMED(x3), RR__NAMED(x4),                                \
        RR__NAMED(x5), RR__NAMED(x6)}
#define RR__NAMED_7(x1, x2, x3, x4, x5, x6, x7, end)                                               \
    (const rr__named_arg[]){                                                                       \
        RR__NAMED(x1), RR__NAMED(x2), RR__NAMED(x3), RR__NAMED(x4),                                \
        RR__NAMED(x5), RR__NAMED(x6), RR__NAMED(x7)}
#define RR__NAMED_8(x1, x2, x3, x4, x5, x6, x7, x8, end)                                           \
    (const rr__named_arg[]){                                                                       \
        RR__NAMED(x1), RR__NAMED(x2), RR__NAMED(x3), RR__NAMED(x4),                                \
        RR__NAMED(x5), RR__NAMED(x6), RR__NAMED(x7), RR__NAMED(x8)}
#define RR__CALL_NAMED(count, ...) RR__CALL_NAMED_(count, __VA_ARGS__)
#define RR__CALL_NAMED_(n, name, ...)                                                              \
    rr__call_named((name), RR__CAT(RR__NAMED_, RR__LESS(n))(__VA_ARGS__), n - 1, RR__SITE)
// clang-format on
