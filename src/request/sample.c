/* See sample.h. */
#include "request/sample.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/nearest.h"
#include "base/number.h"
#include "store/names.h"

static int sample_head(struct args *a, void *request) {
    struct sample_call *call = &((struct sample *)request)->call;
    call->sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"));
    call->args.exponent = 1;
    int failed = args_partition(a, &call->partition);
    return failed ? failed : args_task(a, &call->task);
}

static int sample_fields(struct args *a, void *request) {
    struct sample_call *call = &((struct sample *)request)->call;
    return args_fields(a, &call->n_fields, &call->fields);
}

/* ---- BY ----------------------------------------------------------------------------------- */

static int by_tag(struct args *a, struct sampler_args *out) {
    int failed = args_bytes(a, "the tag behind the sampler", &out->tag);
    return failed ? failed : names_check_word("tag", out->tag, a->error);
}

static int by_ranks(struct args *a, struct sampler_args *out) {
    return args_number(a, "the number of ranks", 1, SAMPLER_RANKS_MAX, &out->ranks);
}

static int by_unknown(struct args *a, struct span name) {
    const struct sampler *sampler;
    struct nearest nearest = nearest_to(name);
    char names[160];
    size_t len = 0;
    for (size_t i = 0; (sampler = sampler_at(i)) && len < sizeof(names); i++) {
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
                                sampler->name);
        nearest_try(&nearest, span_of_string(sampler->name));
    }
    return error_set(a->error, ERROR_ERR, "BY: unknown sampler %s, expected one of %s%s",
                     QUOTE(name), names, NEAREST_HINT(&nearest, ""));
}

/* What is no number belongs to the next clause. */
static int by_number(struct args *a, struct sampler_args *out) {
    uint64_t number;
    if (!args_left(a) || !number_parse_u64(a->argv[a->at].bytes, &number)) return 0;
    return args_number(a, "the number behind the sampler", 1, PARTITION_SAMPLES_MAX, &out->number);
}

static int by_groups(struct args *a, struct sampler_args *out) {
    out->groups = args_accept(a, "GROUP");
    return out->groups ? by_number(a, out) : 0;
}

static int by_exponent(struct args *a, struct sampler_args *out) {
    struct span text;
    int failed = args_bytes(a, "EXPONENT", &text);
    if (failed || number_parse_double(text, false, &out->exponent)) return failed;
    return error_set(a->error, ERROR_ERR, "EXPONENT: expected a decimal number, got %s",
                     QUOTE(text));
}

/* EXPONENT and SEED, each at most once, in any order. */
static int by_drawing(struct args *a, unsigned takes, struct sampler_args *out) {
    bool has_exponent = !(takes & SAMPLER_EXPONENT);
    int failed = 0;
    while (!failed) {
        if (!has_exponent && args_accept(a, "EXPONENT")) {
            has_exponent = true;
            failed = by_exponent(a, out);
        } else if ((takes & SAMPLER_SEED) && !out->seeded && args_accept(a, "SEED")) {
            out->seeded = true;
            failed = args_number(a, "SEED", 0, UINT64_MAX, &out->seed);
        } else {
            return 0;
        }
    }
    return failed;
}

static int sample_by(struct args *a, void *request) {
    static const struct {
        enum sampler_takes what;
        int (*parse)(struct args *a, struct sampler_args *out);
    } table[] = {
        {SAMPLER_TAG, by_tag},
        {SAMPLER_RANKS, by_ranks},
        {SAMPLER_GROUPS, by_groups},
        {SAMPLER_NUMBER, by_number},
    };
    struct sample_call *call = &((struct sample *)request)->call;
    struct span name;
    int failed = args_bytes(a, "the sampler behind BY", &name);
    if (failed) return failed;
    call->sampler = sampler_find(name);
    if (!call->sampler) return by_unknown(a, name);
    for (size_t i = 0; !failed && i < sizeof(table) / sizeof(table[0]); i++)
        if (call->sampler->takes & table[i].what) failed = table[i].parse(a, &call->args);
    if (!failed) failed = by_drawing(a, call->sampler->takes, &call->args);
    if (call->sampler->random && !call->args.seeded)
        hash_random(&call->args.seed, sizeof(call->args.seed));
    return failed;
}

/* ---- ONCE --------------------------------------------------------------------------------- */

static int sample_once(struct args *a, void *request) {
    struct op_once *once = &((struct sample *)request)->call.once;
    int failed = args_bytes(a, "the holder behind ONCE", &once->holder);
    if (failed) return failed;
    if (once->holder.len < 1 || once->holder.len > ONCE_HOLDER_MAX)
        return error_set(a->error, ERROR_ERR, "ONCE: a holder has 1 to %d bytes, got %zu",
                         ONCE_HOLDER_MAX, once->holder.len);
    return args_number(a, "the number of the call behind ONCE", 0, UINT64_MAX, &once->number);
}

/* COUNT (0: left out), sampler and WHERE as bytes: two calls with the same bytes ask for the
 * same. */
struct fingerprint {
    char *at;
    size_t len;
};

static void fingerprint_add(struct fingerprint *fingerprint, const void *bytes, size_t len) {
    if (fingerprint->at && len) memcpy(fingerprint->at + fingerprint->len, bytes, len);
    fingerprint->len += len;
}

static void fingerprint_add_span(struct fingerprint *fingerprint, struct span span) {
    fingerprint_add(fingerprint, &span.len, sizeof(span.len));
    fingerprint_add(fingerprint, span.ptr, span.len);
}

static void fingerprint_write(struct fingerprint *fingerprint, const struct sample_call *call,
                              uint64_t count) {
    const struct sampler_args *args = &call->args;
    uint64_t numbers[] = {count,        args->ranks,  args->groups,
                          args->number, args->seeded, args->seeded ? args->seed : 0};
    fingerprint_add_span(fingerprint, span_of_string(call->sampler->name));
    fingerprint_add_span(fingerprint, args->tag);
    fingerprint_add(fingerprint, numbers, sizeof(numbers));
    fingerprint_add(fingerprint, &args->exponent, sizeof(args->exponent));
    if (fingerprint->at) where_key_write(&call->where, fingerprint->at + fingerprint->len);
    fingerprint->len += where_key_len(&call->where);
}

static struct span sample_fingerprint(const struct sample_call *call, uint64_t count,
                                      struct scratch *scratch) {
    struct fingerprint fingerprint = {0};
    fingerprint_write(&fingerprint, call, count); /* how long it is */
    fingerprint = (struct fingerprint){.at = scratch_alloc(scratch, 1, fingerprint.len)};
    fingerprint_write(&fingerprint, call, count);
    return span_of(fingerprint.at, fingerprint.len);
}

struct span request_sample_selection(const struct sample_call *call, struct scratch *scratch) {
    return sample_fingerprint(call, 0, scratch);
}

/* What only shows once all clauses are known. */
static int sample_check(struct sample_call *call, struct error *e) {
    if (!call->at_least) call->at_least = call->count;
    if (call->at_least > call->count)
        return error_set(e, ERROR_ERR, "ATLEAST %llu is more than COUNT %llu",
                         (unsigned long long)call->at_least, (unsigned long long)call->count);
    if (call->keep && call->lease_ms)
        return error_set(e, ERROR_ERR, "syntax error: KEEP takes nothing, so there is no LEASE");
    return 0;
}

static int sample_check_rank(struct args *a, struct sample_call *call) {
    struct error *e = a->error;
    bool has_rank = args_has(a, "RANK"), has_done = args_has(a, "DONE");
    if (has_rank != args_has(a, "BATCH"))
        return error_set(e, ERROR_ERR, "syntax error: RANK and BATCH need each other");
    if (has_done && !has_rank)
        return error_set(e, ERROR_ERR, "syntax error: DONE needs RANK and BATCH");
    if (!has_rank) return 0;
    if (call->lease_ms || call->keep)
        return error_set(e, ERROR_ERR, "syntax error: RANK does not go with %s",
                         call->keep ? "KEEP" : "LEASE");
    if (has_done && call->done >= call->batch)
        return error_set(e, ERROR_ERR, "DONE %llu is not below BATCH %llu",
                         (unsigned long long)call->done, (unsigned long long)call->batch);
    call->ranked = true;
    call->finishes = call->batch > 0;
    if (!has_done && call->batch) call->done = call->batch - 1;
    call->fingerprint = sample_fingerprint(call, call->count, a->scratch);
    return 0;
}

/* All that decides what the call gets, BLOCK and AS left out: a client may ask again for less time
 * or in another form. */
static void once_write(struct fingerprint *fingerprint, const struct sample_call *call) {
    uint64_t numbers[] = {call->at_least, (uint64_t)call->lease_ms, call->n_fields};
    fingerprint_add_span(fingerprint, call->task);
    fingerprint_add(fingerprint, numbers, sizeof(numbers));
    for (size_t i = 0; i < call->n_fields; i++) fingerprint_add_span(fingerprint, call->fields[i]);
    fingerprint_write(fingerprint, call, call->count);
}

static int sample_check_holder(struct sample_call *call, struct scratch *scratch, struct error *e) {
    if (!call->once.holder.ptr) return 0;
    if (call->ranked || call->keep)
        return error_set(e, ERROR_ERR, "syntax error: ONCE does not go with %s",
                         call->ranked ? "RANK" : "KEEP");
    struct fingerprint fingerprint = {0};
    once_write(&fingerprint, call); /* how long it is */
    fingerprint = (struct fingerprint){.at = scratch_alloc(scratch, 1, fingerprint.len)};
    once_write(&fingerprint, call);
    call->once.request = checksum128(span_of(fingerprint.at, fingerprint.len));
    return 0;
}

static int sample_finish(struct args *a, void *request) {
    struct sample_call *call = &((struct sample *)request)->call;
    int failed = sample_check(call, a->error);
    if (!failed) failed = sample_check_rank(a, call);
    return failed ? failed : sample_check_holder(call, a->scratch, a->error);
}

/* What a sampler takes behind its name is in its own file, store/sampler_*.c. */
#define SAMPLE_BY                                                                                  \
    "sampler(SEQUENTIAL|LIFO|random(RANDOM [SEED s=integer])|MAX tag|MIN tag|"                     \
    "priority(PRIORITY tag [EXPONENT p=double] [SEED s=integer])|groups(GROUP [n=integer])|"       \
    "balanced(BALANCED tag ranks=integer [groups(GROUP [n=integer])]))"

static const struct args_clause sample_clauses[] = {
    ARGS_NUMBER("COUNT", "n", struct sample, call.count, 1, PARTITION_SAMPLES_MAX,
                .is_required = true),
    ARGS_CLAUSE("FIELDS", ARGS_FIELDS, sample_fields, .is_required = true),
    ARGS_CLAUSE("BY", SAMPLE_BY, sample_by),
    ARGS_MEMBER("WHERE", ARGS_WHERE, args_where, struct sample, call.where),
    ARGS_NUMBER("RANK", "r", struct sample, call.rank, 0, UINT64_MAX),
    ARGS_NUMBER("BATCH", "b", struct sample, call.batch, 0, UINT64_MAX),
    ARGS_NUMBER("DONE", "d", struct sample, call.done, 0, UINT64_MAX),
    ARGS_NUMBER("ATLEAST", "k", struct sample, call.at_least, 1, PARTITION_SAMPLES_MAX),
    ARGS_MEMBER("KEEP", "", args_flag, struct sample, call.keep),
    ARGS_NUMBER("LEASE", "lease-ms", struct sample, call.lease_ms, 1, ARGS_TIME_MAX),
    ARGS_CLAUSE("ONCE", "(holder call=integer)", sample_once),
    ARGS_MEMBER("BLOCK", ARGS_BLOCK, args_block, struct sample, block),
    ARGS_MEMBER("AS", "(ROWS|TEXT|COLUMNS|KEYS)", args_choice, struct sample, form),
    {0}};

const struct args_syntax request_sample_syntax = {sizeof(struct sample), "partition=key task",
                                                  sample_head, sample_clauses, sample_finish};
