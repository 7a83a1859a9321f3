/* The verdict of the validator on every document of tests/data/schema. */
#include "../lines.h"
#include "../tap.h"
#include "text/validate.h"

struct tally {
    size_t schemas, documents, wrong;
};

static void verdicts(struct tally *t, g4_json line, const char *list, int want)
{
    for (g4_json_it it = g4_json_iter(g4_json_get(line, list)); g4_json_next(&it); t->documents++) {
        const g4_json name = g4_json_get(line, "name");
        g4_err err = {0};
        const int rc = g4_validate(g4_json_get(line, "schema"), it.value, &err);
        if (rc == want) continue;
        t->wrong++;
        printf("# %.*s: %.*s: %d %s\n", (int)name.n, name.p, (int)(it.value.n < 200 ? it.value.n : 200), it.value.p, rc, err.msg);
    }
}

static void judge(void *arg, g4_json line)
{
    struct tally *t = arg;
    t->schemas++;
    verdicts(t, line, "valid", G4_OK);
    verdicts(t, line, "invalid", G4_EINPUT);
}

static void validator(const char *name, size_t schemas)
{
    char path[100];
    struct tally t = {0};
    snprintf(path, sizeof path, "tests/data/schema/%s.jsonl", name);
    each_line(path, judge, &t);
    ok(t.schemas == schemas && !t.wrong, "validator, %s: %zu schemas, %zu documents, %zu judged wrongly", name, t.schemas,
       t.documents, t.wrong);
}

int main(void)
{
    validator("core", 66);
    validator("real", 35);
    validator("suite", 75);
    return done_testing();
}
