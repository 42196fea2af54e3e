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
    uint64_t hash;        /* of the signature; with the next three set when it is registered */
    size_t by_value;      /* bytes that its arguments, its result and what it yields take */
    uint16_t handles;     /* bit i: parameter i is a handle */
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

enum { RR__MAX_PARAMS = 16 };

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

/* Counting and pasting. A list is always closed by one more argument, ~, so that it is never empty.
   RR__PAIRS: of (type, name) pairs behind the two or three first arguments of a REMOTE_ macro.
   RR__AFTER: of arguments behind the first. */
#define RR__PAIRS(...)                                                                             \
    RR__40TH(__VA_ARGS__, RR__TOO_MANY, RR__TOO_MANY, RR__TOO_MANY, RR__TOO_MANY, 16, 16, 15, 15,  \
             14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2,  \
             2, 1, 1, 0, 0, 0, ~)
#define RR__AFTER(...)                                                                             \
    RR__20TH(__VA_ARGS__, RR__TOO_MANY, RR__TOO_MANY, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,\
             3, 2, 1, 0, ~)
#define RR__20TH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, nth, ...) nth
#define RR__40TH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, a2, b2, c2, d2, e2,   \
                 f2, g2, h2, i2, j2, k2, l2, m2, n2, o2, p2, q2, r2, s2, nth, ...)                 \
    nth
#define RR__TOO_MANY no_more_than_16_parameters__put_them_into_a_struct
#define RR__CAT(a, b) RR__CAT_(a, b)
#define RR__CAT_(a, b) a##b
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

/* Maps: m(f, i, T, a) for each of k pairs, or m(f, i, x) for each of k arguments, i counted from
   the one given. EACH puts nothing between them; LIST and ITEMS commas, and are m_0 for none. */
#define RR__EACH(k) RR__CAT(RR__EACH_, k)
#define RR__LIST(k) RR__CAT(RR__LIST_, k)
#define RR__ITEMS(k) RR__CAT(RR__ITEMS_, k)
#define RR__NEXT(i) RR__CAT(RR__NEXT_, i)
#define RR__NEXT_1 2
#define RR__NEXT_2 3
#define RR__NEXT_3 4
#define RR__NEXT_4 5
#define RR__NEXT_5 6
#define RR__NEXT_6 7
#define RR__NEXT_7 8
#define RR__NEXT_8 9
#define RR__NEXT_9 10
#define RR__NEXT_10 11
#define RR__NEXT_11 12
#define RR__NEXT_12 13
#define RR__NEXT_13 14
#define RR__NEXT_14 15
#define RR__NEXT_15 16
#define RR__NEXT_16 17
#define RR__EACH_0(m, f, i, ...)
#define RR__EACH_1(m, f, i, T, a, ...) m(f, i, T, a)
#define RR__EACH_2(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_1(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_3(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_2(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_4(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_3(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_5(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_4(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_6(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_5(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_7(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_6(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_8(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_7(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_9(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_8(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_10(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_9(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_11(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_10(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_12(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_11(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_13(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_12(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_14(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_13(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_15(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_14(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__EACH_16(m, f, i, T, a, ...) m(f, i, T, a) RR__EACH_15(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_0(m, f, i, ...) m##_0
#define RR__LIST_1(m, f, i, T, a, ...) m(f, i, T, a)
#define RR__LIST_2(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_1(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_3(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_2(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_4(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_3(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_5(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_4(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_6(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_5(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_7(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_6(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_8(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_7(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_9(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_8(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_10(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_9(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_11(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_10(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_12(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_11(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_13(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_12(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_14(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_13(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_15(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_14(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__LIST_16(m, f, i, T, a, ...) m(f, i, T, a), RR__LIST_15(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_0(m, f, i, ...) m##_0
#define RR__ITEMS_1(m, f, i, x, ...) m(f, i, x)
#define RR__ITEMS_2(m, f, i, x, ...) m(f, i, x), RR__ITEMS_1(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_3(m, f, i, x, ...) m(f, i, x), RR__ITEMS_2(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_4(m, f, i, x, ...) m(f, i, x), RR__ITEMS_3(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_5(m, f, i, x, ...) m(f, i, x), RR__ITEMS_4(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_6(m, f, i, x, ...) m(f, i, x), RR__ITEMS_5(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_7(m, f, i, x, ...) m(f, i, x), RR__ITEMS_6(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_8(m, f, i, x, ...) m(f, i, x), RR__ITEMS_7(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_9(m, f, i, x, ...) m(f, i, x), RR__ITEMS_8(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_10(m, f, i, x, ...) m(f, i, x), RR__ITEMS_9(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_11(m, f, i, x, ...) m(f, i, x), RR__ITEMS_10(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_12(m, f, i, x, ...) m(f, i, x), RR__ITEMS_11(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_13(m, f, i, x, ...) m(f, i, x), RR__ITEMS_12(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_14(m, f, i, x, ...) m(f, i, x), RR__ITEMS_13(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_15(m, f, i, x, ...) m(f, i, x), RR__ITEMS_14(m, f, RR__NEXT(i), __VA_ARGS__)
#define RR__ITEMS_16(m, f, i, x, ...) m(f, i, x), RR__ITEMS_15(m, f, RR__NEXT(i), __VA_ARGS__)

/* What a definition needs of each of its pairs. */
#define RR__PARAM_TYPE(f, i, T, a) typedef T rr__p##i##_##f;
#define RR__PARAM_TYPES(k, f, ...)                                                                 \
    RR__EACH(k)(RR__PARAM_TYPE, f, 1, __VA_ARGS__) typedef char rr__arity_##f[k + 1];
#define RR__PARAM(f, i, T, a) T a
#define RR__PARAM_0 void
#define RR__AND_PARAM(f, i, T, a) , T a
#define RR__PARAMS(k, ...) RR__LIST(k)(RR__PARAM, ~, 1, __VA_ARGS__)
#define RR__SELF_PARAMS(k, Type, ...)                                                              \
    RR__UNUSED Type *self RR__EACH(k)(RR__AND_PARAM, ~, 1, __VA_ARGS__)
#define RR__TYPE_OF(f, i, T, a) {RR__TYPE(T)}
#define RR__TYPE_OF_0 {RR__VOID_TYPE}
#define RR__LOAD(f, i, T, a)                                                                       \
    rr__p##i##_##f rr__a##i;                                                                       \
    memcpy((void *)&rr__a##i, rr__args[i - 1], sizeof rr__a##i);
#define RR__PASS(f, i, T, a) rr__a##i
#define RR__PASS_0
#define RR__AND_PASS(f, i, T, a) , rr__a##i
#define RR__PASSED(k, ...) RR__LIST(k)(RR__PASS, ~, 1, __VA_ARGS__)
#define RR__SELF_PASSED(k, Type, ...)                                                              \
    (Type *)rr__self RR__EACH(k)(RR__AND_PASS, ~, 1, __VA_ARGS__)

/* `void` is told from every other result type by pasting: RR__IS_void counts as two arguments. */
#define RR__IS_void void, void
#define RR__IF_VOID(...) RR__IF_VOID_(__VA_ARGS__, NOTHING, VALUE, none)
#define RR__IF_VOID_(a, b, which, ...) which
#define RR__RETURN(R, call) RR__CAT(RR__RETURN_, RR__IF_VOID(RR__CAT(RR__IS_, R)))(R, call)
#define RR__RETURN_NOTHING(R, call) (void)rr__result, call
#define RR__RETURN_VALUE(R, call)                                                                  \
    R rr__value = call;                                                                            \
    memcpy(rr__result, &rr__value, sizeof rr__value)
#define RR__RESULT(R) RR__CAT(RR__RESULT_, RR__IF_VOID(RR__CAT(RR__IS_, R)))(R)
#define RR__RESULT_NOTHING(R) {RR__VOID_TYPE}
#define RR__RESULT_VALUE(R) {RR__TYPE(R)}
#define RR__NO_SELF {"", 0, 1, RR__KIND_VOID}
#define RR__SELF(Type) {RR__TYPE(Type)}

/* What every kind of remote function consists of, beside the function itself. `symbol` is the
   descriptor's name: fn_add, create_Counter_create, method_Counter_add, drop_Counter. */
#define RR__DESCRIBE(k, symbol, f, kind_, result_, self_, item_, invoke, ...)                      \
    static void rr__thunk_##symbol(void *rr__self, void *const *rr__args, void *rr__result) {      \
        (void)rr__self, (void)rr__args;                                                            \
        RR__EACH(k)(RR__LOAD, f, 1, __VA_ARGS__)                                                   \
        invoke;                                                                                    \
    }                                                                                              \
    static const rr_type rr__types_##symbol[] = {                                                  \
        RR__LIST(k)(RR__TYPE_OF, f, 1, __VA_ARGS__)};                                              \
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
    RR__PARAM_TYPES(k, f, __VA_ARGS__)                                                             \
    extern rr_function rr__fn_##f;                                                                 \
    R f(RR__PARAMS(k, __VA_ARGS__))
#define RR__FN(k, ...) RR__FN_(k, __VA_ARGS__)
#define RR__FN_(k, R, f, ...)                                                                      \
    RR__FN_DECLARE_(k, R, f, __VA_ARGS__);                                                         \
    RR__DESCRIBE(k, fn_##f, f, RR__FUNCTION, RR__RESULT(R), RR__NO_SELF, RR__NO_SELF,              \
                 RR__RETURN(R, f(RR__PASSED(k, __VA_ARGS__))), __VA_ARGS__)                        \
    R f(RR__PARAMS(k, __VA_ARGS__))

#define RR__STREAM_DECLARE(k, ...) RR__STREAM_DECLARE_(k, __VA_ARGS__)
#define RR__STREAM_DECLARE_(k, T, f, ...)                                                          \
    RR__PARAM_TYPES(k, f, __VA_ARGS__)                                                             \
    extern rr_function rr__stream_##f;                                                             \
    void f(RR__PARAMS(k, __VA_ARGS__))
#define RR__STREAM_FN(k, ...) RR__STREAM_FN_(k, __VA_ARGS__)
#define RR__STREAM_FN_(k, T, f, ...)                                                               \
    RR__STREAM_DECLARE_(k, T, f, __VA_ARGS__);                                                     \
    RR__DESCRIBE(k, stream_##f, f, RR__FUNCTION, RR__RESULT(void), RR__NO_SELF, RR__RESULT(T),     \
                 RR__RETURN(void, f(RR__PASSED(k, __VA_ARGS__))), __VA_ARGS__)                     \
    void f(RR__PARAMS(k, __VA_ARGS__))

/* Methods; a constructor is one without a result, a destructor one without parameters either. */
#define RR__MEMBER_DECLARE(k, R, symbol, Type, f, ...)                                             \
    RR__PARAM_TYPES(k, f, __VA_ARGS__)                                                             \
    extern rr_function rr__##symbol;                                                               \
    R f(RR__SELF_PARAMS(k, Type, __VA_ARGS__))
#define RR__MEMBER(k, R, symbol, kind, Type, f, ...)                                               \
    RR__MEMBER_DECLARE(k, R, symbol, Type, f, __VA_ARGS__);                                        \
    RR__DESCRIBE(k, symbol, f, kind, RR__RESULT(R), RR__SELF(Type), RR__NO_SELF,                   \
                 RR__RETURN(R, f(RR__SELF_PASSED(k, Type, __VA_ARGS__))), __VA_ARGS__)             \
    R f(RR__SELF_PARAMS(k, Type, __VA_ARGS__))
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
#define RR__ARG_0 {NULL, RR__NULL_REF}
#define RR__ARGS(k, f, ...) (const rr__arg[]){RR__ITEMS(k)(RR__ARG, f, 1, __VA_ARGS__)}
#define RR__ARITY(k, f)                                                                            \
    ((k) + RR__REQUIRE(sizeof(rr__arity_##f) == (k) + 1, "wrong number of arguments for " #f))
#define RR__CALL(k, ...) RR__CALL_(k, __VA_ARGS__)
#define RR__CALL_(k, f, ...)                                                                       \
    rr__call(&rr__fn_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f), RR__SITE)
#define RR__CALL_WITH(options, k, ...) RR__CALL_WITH_(options, k, __VA_ARGS__)
#define RR__CALL_WITH_(options, k, f, ...)                                                         \
    rr__call_with(options, &rr__fn_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f), RR__SITE)
#define RR__CALL_STREAM(options, k, ...) RR__CALL_STREAM_(options, k, __VA_ARGS__)
#define RR__CALL_STREAM_(options, k, f, ...)                                                       \
    rr__call_stream(options, &rr__stream_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f),        \
                    RR__SITE)
#define RR__SPAWN(options, k, ...) RR__SPAWN_(options, k, __VA_ARGS__)
#define RR__SPAWN_(options, k, f, ...)                                                             \
    rr__spawn(options, &rr__create_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f), RR__SITE)
#define RR__SEND(how, actor, k, ...) RR__SEND_(how, actor, k, __VA_ARGS__)
#define RR__SEND_(how, actor, k, f, ...)                                                           \
    how((actor), &rr__method_##f, RR__ARGS(k, f, __VA_ARGS__), RR__ARITY(k, f), RR__SITE)
#define RR__NAMED(f, i, x)                                                                         \
    {_Generic((x), rr_ref: RR__NO_VALUE, default: (x)),                                            \
     _Generic((x), rr_ref: (x), default: RR__NULL_REF)}
#define RR__NAMED_0 {RR__NO_VALUE, RR__NULL_REF}
#define RR__NO_VALUE ((rr_value){{NULL, 0, 0, 0}, NULL})
#define RR__CALL_NAMED(k, ...) RR__CALL_NAMED_(k, __VA_ARGS__)
#define RR__CALL_NAMED_(k, name, ...)                                                              \
    rr__call_named((name), (const rr__named_arg[]){RR__ITEMS(k)(RR__NAMED, ~, 1, __VA_ARGS__)}, k, \
                   RR__SITE)
// clang-format on
