/* See dump_store.h. */
#include "tools/dump_store.h"

#include "tools/dump_value.h"
#include "tools/json.h"

static void dump_tasks(struct json *j, const struct partition *p) {
    json_begin(j, "tasks", '{');
    for (size_t i = 0; i < p->n_tasks; i++) {
        const struct task *t = p->tasks[i];
        json_name(j, t->name);
        json_begin(j, NULL, '{');
        json_number(j, "consumed", t->consumed);
        json_number(j, "leased", t->leased);
        json_begin(j, "leases", '[');
        for (const struct lease *lease = lease_after(t, 0); lease;
             lease = lease_after(t, lease->id)) {
            json_begin(j, NULL, '{');
            json_number(j, "lease", lease->id);
            json_signed(j, "ends-ms", lease->ends_ms);
            json_text(j, "holder", lease->holder);
            json_number(j, "samples", lease_samples(lease));
            json_end(j, '}');
        }
        json_end(j, ']');
        json_number(j, "rank-batches", t->ranks.n);
        json_end(j, '}');
    }
    json_end(j, '}');
}

static void dump_partition(const struct partition *p) {
    struct json j = {0};
    json_begin(&j, NULL, '{');
    json_text(&j, "partition", p->name);
    json_number(&j, "samples", p->samples);
    json_number(&j, "written", p->written);
    if (p->has_expected) json_number(&j, "expected", p->expected);
    json_bool(&j, "sealed", p->sealed);
    json_number(&j, "groups", p->groups->count);
    json_begin(&j, "fields", '{');
    for (size_t i = 0; i < p->fields.count; i++) {
        json_name(&j, column_name(p->fields.columns[i]));
        json_string(&j, NULL, DTYPE_NAME(column_type(p->fields.columns[i])));
    }
    json_end(&j, '}');
    dump_tasks(&j, p);
    json_number(&j, "lease-replies", p->ended->n);
    json_number(&j, "once-holders", p->onces->n);
    json_end(&j, '}');
    json_line(&j);
}

static void dump_cells(struct json *j, const char *what, const struct column_set *set, uint64_t seq,
                       struct scratch *scratch) {
    json_begin(j, what, '{');
    for (size_t i = 0; i < set->count; i++) {
        struct span value;
        if (!column_get(set->columns[i], seq, &value)) continue;
        struct dtype item = column_item_type(set->columns[i], seq);
        json_name(j, column_name(set->columns[i]));
        dump_value(j, &item, value, scratch);
    }
    json_end(j, '}');
}

static void dump_tasks_with(struct json *j, const char *what, const struct partition *p,
                            uint64_t seq, bool (*concerns)(const struct task *t, uint64_t seq)) {
    json_begin(j, what, '[');
    for (size_t i = 0; i < p->n_tasks; i++)
        if (concerns(p->tasks[i], seq)) json_text(j, NULL, p->tasks[i]->name);
    json_end(j, ']');
}

static void dump_sample(const struct partition *p, uint64_t seq, struct scratch *scratch) {
    struct json j = {0};
    uint32_t group = partition_group(p, seq);
    json_begin(&j, NULL, '{');
    json_text(&j, "partition", p->name);
    json_number(&j, "seq", seq);
    json_text(&j, "key", partition_key(p, seq));
    json_number(&j, "written-s", partition_written(p, seq));
    if (group != GROUP_NONE) json_text(&j, "group", groups_get(p->groups, group)->id);
    dump_cells(&j, "tags", &p->tags, seq, scratch);
    dump_cells(&j, "fields", &p->fields, seq, scratch);
    dump_tasks_with(&j, "consumed", p, seq, task_has_consumed);
    dump_tasks_with(&j, "leased", p, seq, task_is_leased);
    json_end(&j, '}');
    json_line(&j);
    scratch_reset(scratch);
}

void dump_store(const struct store *s, struct scratch *scratch) {
    uint64_t cursor = 0;
    for (const struct partition *p; (p = store_next(s, &cursor));) {
        dump_partition(p);
        for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++)
            dump_sample(p, seq, scratch);
    }
}
