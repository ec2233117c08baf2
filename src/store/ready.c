/* See ready.h. */
#include "store/ready.h"

/* The samples of the block that WHERE admits; false where the limit was reached before. */
static bool ready_evaluate(const struct ready *r, uint64_t number, uint64_t words[BLOCK_WORDS]) {
    uint64_t *left = &r->limit->left, most = UINT64_MAX;
    if (!r->limit->is_whole || !*left)
        return matches_and(r->matches, r->partition, &r->where, number, words, left);
    matches_and(r->matches, r->partition, &r->where, number, words, &most);
    uint64_t cost = UINT64_MAX - most;
    *left -= cost < *left ? cost : *left;
    return true;
}

bool ready_block(const struct ready *r, uint64_t number, uint64_t words[BLOCK_WORDS]) {
    const struct row_block *rows = blockindex_get(&r->partition->rows, number);
    if (!rows || (r->matches && matches_has_none(r->matches, number))) return false;
    memcpy(words, rows->alive, BLOCK_WORDS * sizeof(*words));
    for (size_t i = 0; i < r->n_fields; i++) {
        const uint64_t *produced = column_bits(r->fields[i], number);
        if (!produced) return false;
        for (unsigned w = 0; w < BLOCK_WORDS; w++) words[w] &= produced[w];
    }
    const struct task_block *marks = r->task ? task_block(r->task, number) : NULL;
    for (unsigned w = 0; marks && w < BLOCK_WORDS; w++)
        words[w] &= ~(marks->consumed[w] | marks->leased[w]);
    if (!bits_any(words, BLOCK_WORDS)) return false;
    if (!r->matches) return true;
    if (!ready_evaluate(r, number, words)) {
        if (!r->limit->is_cut) r->limit->cut_at = number;
        r->limit->is_cut = true;
        return false;
    }
    return bits_any(words, BLOCK_WORDS);
}

uint64_t ready_word(const struct ready *r, uint64_t number, unsigned word) {
    const struct row_block *rows = blockindex_get(&r->partition->rows, number);
    uint64_t bits = rows ? rows->alive[word] : 0;
    for (size_t i = 0; bits && i < r->n_fields; i++) {
        const uint64_t *produced = column_bits(r->fields[i], number);
        bits &= produced ? produced[word] : 0;
    }
    const struct task_block *marks = r->task ? task_block(r->task, number) : NULL;
    return marks ? bits & ~(marks->consumed[word] | marks->leased[word]) : bits;
}

/* Move the hint over blocks that will never have anything for the task: all that lives there is
 * consumed, and no new sample can come into them. */
static void ready_move_hint(struct task *task, const struct partition *p) {
    uint64_t last = block_number(p->next_seq), end = blockindex_end(&p->rows);
    if (task->hint < p->rows.first) task->hint = p->rows.first;
    for (; task->hint < end && task->hint < last; task->hint++) {
        const struct row_block *rows = blockindex_get(&p->rows, task->hint);
        if (!rows) continue;
        const struct task_block *marks = task_block(task, task->hint);
        if (!marks) return;
        uint64_t left = 0;
        for (unsigned w = 0; w < BLOCK_WORDS; w++) left |= rows->alive[w] & ~marks->consumed[w];
        if (left) return;
    }
    if (task->hint < last) task->hint = last; /* at once, however many samples were cleared */
}

/* To the oldest sample. */
static void ready_begin(struct ready *r) {
    r->number = r->first;
    r->word = r->impossible || !ready_block(r, r->first, r->words) ? BLOCK_WORDS : 0;
}

void ready_open(struct ready *r, const struct ready_query *query, struct scratch *scratch) {
    enum { WASTE = 2 }; /* a batch of thousands passes over some that WHERE does not admit */
    *r = (struct ready){.partition = query->partition,
                        .task = query->task,
                        .n_fields = query->n_fields,
                        .lookup = query->lookup,
                        .where = where_bind(query->where, query->partition, scratch)};
    r->limit = scratch_zalloc(scratch, 1, sizeof(*r->limit));
    r->limit->left = query->evaluations ? query->evaluations : UINT64_MAX;
    r->limit->waste = query->evaluations ? WASTE * query->evaluations : UINT64_MAX;
    r->limit->is_whole = query->whole_blocks;
    if (!query->lookup) r->matches = matches_use(query->partition, &r->where, scratch);
    r->fields = scratch_alloc(scratch, query->n_fields, sizeof(*r->fields));
    uint64_t first = query->partition->rows.first, end = blockindex_end(&query->partition->rows);
    if (query->first > first) first = query->first;
    for (size_t i = 0; i < query->n_fields; i++) {
        const struct column *field = column_set_find(&query->partition->fields, query->fields[i]);
        r->fields[i] = field;
        if (!field || field->produced == 0) {
            r->impossible = true;
            continue;
        }
        if (field->blocks.first > first) first = field->blocks.first;
        if (blockindex_end(&field->blocks) < end) end = blockindex_end(&field->blocks);
    }
    if (r->task) {
        ready_move_hint(r->task, query->partition);
        if (r->task->hint > first) first = r->task->hint;
    }
    if (first >= end) r->impossible = true;
    r->first = first;
    r->end = r->impossible ? first : end;
    ready_begin(r);
}

void ready_rescan(struct ready *scan, const struct ready *r, struct scratch *scratch) {
    *scan = *r;
    scan->lookup = false;
    scan->limit->rescans = true;
    scan->matches = matches_use(scan->partition, &scan->where, scratch);
    ready_begin(scan);
}

/* The next word with candidates; false at the end. */
static bool ready_advance(struct ready *r) {
    if (r->impossible) return false;
    while (!ready_is_cut(r)) {
        for (; r->word < BLOCK_WORDS; r->word++)
            if (r->words[r->word]) return true;
        do {
            if (ready_is_cut(r)) return false;
            if (++r->number >= r->end) {
                r->impossible = true;
                return false;
            }
        } while (!ready_block(r, r->number, r->words));
        r->word = 0;
    }
    return false;
}

uint64_t ready_next(struct ready *r) {
    while (ready_advance(r)) {
        uint64_t *word = &r->words[r->word];
        uint64_t seq = r->number * BLOCK_ROWS + r->word * 64 + bits_lowest(*word);
        *word &= *word - 1;
        if (r->matches || where_admits(&r->where, seq)) return seq;
    }
    return SEQ_NONE;
}

/* The word with candidates before; false at the beginning. */
static bool ready_retreat(struct ready *r) {
    if (r->impossible) return false;
    while (!ready_is_cut(r)) {
        for (; r->word > 0; r->word--)
            if (r->words[r->word - 1]) return true;
        do {
            if (ready_is_cut(r)) return false;
            if (r->number == r->first) {
                r->impossible = true;
                return false;
            }
        } while (!ready_block(r, --r->number, r->words));
        r->word = BLOCK_WORDS;
    }
    return false;
}

uint64_t ready_previous(struct ready *r) {
    if (!r->backwards) {
        r->backwards = true;
        r->number = r->end;
        r->word = 0;
    }
    while (ready_retreat(r)) {
        uint64_t *word = &r->words[r->word - 1];
        unsigned bit = bits_highest(*word);
        *word &= ~(UINT64_C(1) << bit);
        uint64_t seq = r->number * BLOCK_ROWS + (r->word - 1) * 64 + bit;
        if (r->matches || where_admits(&r->where, seq)) return seq;
    }
    return SEQ_NONE;
}

uint64_t ready_bound(const struct ready *r, bool *exact) {
    const struct partition *p = r->partition;
    uint64_t used = r->task ? r->task->consumed + r->task->leased : 0, most = p->samples - used;
    size_t partial = 0; /* fields that not every sample has */
    for (size_t i = 0; i < r->n_fields; i++) {
        uint64_t produced = r->fields[i] ? r->fields[i]->produced : 0;
        if (produced < p->samples) partial++;
        if (produced < most) most = produced;
    }
    *exact = most == 0 || (r->where.where->n == 0 && (!partial || (partial == 1 && !used)));
    return most;
}

uint64_t ready_count(struct ready *r) {
    uint64_t count = 0;
    if (r->where.where->n && !r->matches) {
        while (ready_next(r) != SEQ_NONE) count++;
        return count;
    }
    while (ready_advance(r)) {
        count += bits_count(r->words + r->word, BLOCK_WORDS - r->word);
        r->word = BLOCK_WORDS;
    }
    return count;
}

bool ready_is_left(const struct ready *r, uint64_t seq) {
    if (!partition_alive(r->partition, seq)) return false;
    for (size_t i = 0; i < r->n_fields; i++)
        if (!r->fields[i] || !column_has(r->fields[i], seq)) return false;
    const struct task_block *marks = r->task ? task_block(r->task, block_number(seq)) : NULL;
    unsigned row = block_row(seq);
    return !marks || !(bits_get(marks->consumed, row) || bits_get(marks->leased, row));
}

bool ready_has(const struct ready *r, uint64_t seq) {
    return ready_is_left(r, seq) && where_admits(&r->where, seq);
}
