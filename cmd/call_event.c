/* cmd/call_event: --events: what happens, a line of JSON each, as it happens. */
#include "call.h"

#include <inttypes.h>

int g4_call_event(struct g4_caller *c, const g4_record *r, uint32_t step, const char *what, g4_sv members, g4_err *err)
{
    const g4_json id = g4_json_get(r->root, "id");
    g4_str s = {0};
    if (c->event_fd < 0) return G4_OK;
    g4_str_addf(&s, "{\"event\":\"%s\",\"record\":%" PRIu64, what, r->seq);
    if (id.n) {
        g4_str_adds(&s, ",\"id\":");
        g4_json_put_compact(&s, id);
    }
    if (step) g4_str_addf(&s, ",\"step\":%u", step);
    if (members.n) {
        g4_str_addc(&s, ',');
        g4_str_add(&s, members.p, members.n);
    }
    g4_str_adds(&s, "}\n");
    g4_tool_enter(NULL);
    const int bad = g4_write_all(c->event_fd, s.p, s.n);
    g4_tool_leave(NULL);
    g4_str_free(&s);
    return bad ? g4_fail_errno(err, G4_EIO, "cannot write events") : G4_OK;
}
