/* See docs.h. */
#include "cmd/docs.h"

const struct command_arg docs_keys[] = {
    {.name = "n", .type = "integer"}, {.name = "key", .type = "string", .multiple = 1}, {0}};

const struct command_arg docs_fields[] = {
    {.name = "m", .type = "integer"}, {.name = "field", .type = "string", .multiple = 1}, {0}};

static const struct command_arg docs_condition[] = {{.name = "tag", .type = "string"},
                                                    {.name = "op", .type = "string"},
                                                    {.name = "value", .type = "string"},
                                                    {0}};

const struct command_arg docs_where[] = {
    {.name = "k", .type = "integer"},
    {.name = "condition", .type = "block", .multiple = 1, .args = docs_condition},
    {0}};

const struct command_arg docs_partition[] = {{.name = "partition", .type = "key"}, {0}};
