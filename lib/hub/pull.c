/* hub/pull: from a reference to files in the store; see hub.h. */
#include "hub/hub.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_true(const char *var)
{
    static const char *const yes[] = { "1", "on", "yes", "true" };
    const char *v = getenv(var);
    for (size_t i = 0; v && i < sizeof yes / sizeof *yes; i++)
        if (!strcasecmp(v, yes[i])) return true;
    return false;
}

bool g4_hub_env_offline(void)
{
    return is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE");
}

int g4_hub_pull(const struct g4_hub_params *p, const char *ref, enum g4_hub_why *why, g4_err *err)
{
    *why = G4_HUB_USAGE;
    return g4_fail(err, G4_EUSAGE, "'%s' cannot be fetched yet", ref);
}
