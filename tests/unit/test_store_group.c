/* Declared groups: complete when all are there, never again once one was lost. */
#include "kit/test.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/group.h"

static const struct group *group(const struct groups *gs, const char *id) {
    uint32_t number = groups_find(gs, span_of_string(id));
    assert_true(number != GROUP_NONE);
    return groups_get(gs, number);
}

static bool is_known(const struct groups *gs, const char *id) {
    return groups_find(gs, span_of_string(id)) != GROUP_NONE;
}

static uint32_t join(struct groups *gs, const char *id, uint64_t seq) {
    return groups_join(gs, span_of_string(id), 3, seq);
}

static void test_complete(void **state) {
    (void)state;
    struct groups gs = {0};
    assert_false(is_known(&gs, "g"));
    uint32_t number = join(&gs, "g", 10);
    assert_int_equal(gs.size, 3);
    assert_false(group_is_complete(group(&gs, "g")));
    assert_int_equal(join(&gs, "g", 20), number);
    assert_false(group_is_complete(group(&gs, "g")));
    assert_int_equal(join(&gs, "g", 30), number);
    assert_true(group_is_complete(group(&gs, "g")));
    assert_int_equal(gs.count, 1);
    groups_free(&gs);
    assert_false(is_known(&gs, "g"));
}

static void test_members_ascend(void **state) {
    (void)state;
    struct groups gs = {0};
    join(&gs, "g", 20);
    join(&gs, "g", 30);
    join(&gs, "g", 10); /* an older sample joins later */
    const struct group *g = group(&gs, "g");
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(g->seqs[i], 10 * (i + 1));
    groups_leave(&gs, groups_find(&gs, SPAN_LITERAL("g")), 20);
    assert_int_equal(g->members, 2);
    assert_int_equal(g->seqs[0], 10);
    assert_int_equal(g->seqs[1], 30);
    groups_free(&gs);
}

static void test_a_loss_is_for_ever(void **state) {
    (void)state;
    struct groups gs = {0};
    uint32_t number = join(&gs, "g", 1);
    join(&gs, "g", 2);
    join(&gs, "g", 3);
    groups_leave(&gs, number, 2);
    assert_false(group_is_complete(group(&gs, "g")));
    join(&gs, "g", 4);
    assert_int_equal(group(&gs, "g")->members, 3);
    assert_false(group_is_complete(group(&gs, "g")));
    groups_free(&gs);
}

static void test_forgotten_with_its_last(void **state) {
    (void)state;
    struct groups gs = {0};
    size_t bytes = gs.bytes;
    uint32_t number = join(&gs, "g", 1);
    uint32_t other = join(&gs, "h", 2);
    groups_leave(&gs, number, 1);
    assert_false(is_known(&gs, "g"));
    assert_int_equal(gs.size, 3); /* there is another one */
    groups_leave(&gs, other, 2);
    assert_int_equal(gs.size, 0);
    assert_int_equal(gs.count, 0);
    assert_int_equal(gs.bytes, bytes);
    assert_int_equal(groups_join(&gs, SPAN_LITERAL("i"), 7, 3), other); /* numbers are used again */
    assert_int_equal(gs.size, 7);
    groups_free(&gs);
}

static void test_many(void **state) {
    (void)state;
    size_t used = mem_used();
    struct groups gs = {0};
    enum { GROUPS = 20000 };
    static uint32_t numbers[GROUPS];
    for (uint64_t i = 0; i < 2 * GROUPS; i++) {
        uint64_t id = i % GROUPS;
        numbers[id] = groups_join(&gs, span_of(&id, sizeof(id)), 2, i);
    }
    for (uint64_t id = 0; id < GROUPS; id++) {
        assert_int_equal(groups_find(&gs, span_of(&id, sizeof(id))), numbers[id]);
        assert_true(group_is_complete(groups_get(&gs, numbers[id])));
    }
    for (uint64_t id = 0; id < GROUPS; id += 2) {
        groups_leave(&gs, numbers[id], id);
        groups_leave(&gs, numbers[id], id + GROUPS);
        assert_int_equal(groups_find(&gs, span_of(&id, sizeof(id))), GROUP_NONE);
    }
    assert_int_equal(gs.count, GROUPS / 2);
    groups_free(&gs);
    assert_int_equal(mem_used(), used);
}

int main(void) {
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_members_ascend),
        cmocka_unit_test(test_a_loss_is_for_ever),
        cmocka_unit_test(test_forgotten_with_its_last),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
