/* A store for a test: opened, driven by plan and apply as the commands do it, and closed with a check
 * that it gave back what it took. */
#ifndef TQ_TESTS_KIT_STORE_H
#define TQ_TESTS_KIT_STORE_H

#include <stdbool.h>

#include "base/scratch.h"
#include "store/put.h"
#include "store/sample.h"
#include "store/select.h"
#include "store/store.h"

struct kit {
    struct store *store;
    struct scratch scratch; /* of the last command; what it returned lives until the next */
    struct error error;     /* of the last command that failed */
    int64_t now_ms;
    bool skipped;   /* by the last put */
    size_t changed; /* what store_apply said last */
    size_t used;    /* mem_used when it was opened */
};

/* Draws the secret of the hashes on the first call. */
void kit_open(struct kit *k);

/* Drops everything; aborts where payload did not come back. The store can be used again. */
void kit_empty(struct kit *k);

/* Drops everything and forgets which leases there were: as a new one, for which memory would have to be mapped. */
void kit_renew(struct kit *k);

/* Empties and frees it. Returns how many bytes of memory did not come back. */
size_t kit_close(struct kit *k);

/* For cmocka: a test whose *state is a struct kit. */
#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
int kit_setup(void **state);
int kit_teardown(void **state);

/* Each plans and applies; returns 0 or the error code. */
int kit_put(struct kit *k, const struct put *put);
int kit_sample(struct kit *k, const struct sample_call *call, struct sampled *sampled);
int kit_reset(struct kit *k, const struct reset *reset);
int kit_expect(struct kit *k, const char *partition, uint64_t samples);
int kit_seal(struct kit *k, const char *partition);
/* Returns the number of samples touched (partitions, where all goes). */
size_t kit_clear(struct kit *k, const struct clear *clear);

/* The same for the usual case. `field` is a name or name:type. */
int kit_field(struct kit *k, const char *partition, const char *key, const char *field,
              struct span bytes);
int kit_text(struct kit *k, const char *partition, const char *key, const char *field,
             const char *literal);
int kit_tag(struct kit *k, const char *partition, const char *key, const char *tag,
            const char *value);
int kit_group(struct kit *k, const char *partition, const char *key, const char *group,
              uint64_t size);
size_t kit_clear_key(struct kit *k, const char *partition, const char *key);
size_t kit_drop(struct kit *k, const char *partition);

/* Looking. The partition and the sample exist, and so does the value where a span is returned. */
struct partition *kit_partition(struct kit *k, const char *partition);
uint64_t kit_seq(struct kit *k, const char *partition, const char *key);
struct span kit_value(struct kit *k, const char *partition, const char *key, const char *field);
const char *kit_type(struct kit *k, const char *partition, const char *field); /* in scratch */
/* The sample's own type in that field, in scratch. */
const char *kit_item(struct kit *k, const char *partition, const char *key, const char *field);

/* All that the store holds, as bytes on the heap (give back with kit_dump_free): two stores whose
 * dumps are equal hold the same: samples, what tasks have consumed, leases, rank batches, bounds,
 * expectations. Figures of memory are left out. */
struct span kit_dump(const struct store *s);
void kit_dump_free(struct span dump);

/* Do both hold the same? Where not, `difference` has the first line that differs, of either. */
enum { KIT_DIFFERENCE = 640 };
bool kit_is_same(const struct store *a, const struct store *b,
                 char difference[static KIT_DIFFERENCE]);

#endif
