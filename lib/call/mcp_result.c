/* call/mcp_result: see mcp_result.h. */
#include "call/mcp_result.h"

#include <string.h>

static void put_member(g4_str *out, const char *name, g4_json value)
{
    if (out->p[out->n - 1] != '{') g4_str_addc(out, ',');
    g4_str_addf(out, "\"%s\":", name);
    g4_json_put_compact(out, value);
}

void g4_mcp_declaration(g4_json tool, g4_str *out)
{
    const g4_json schema = g4_json_get(tool, "inputSchema"), text = g4_json_get(tool, "description");
    const g4_json name = g4_json_get(tool, "name");
    g4_str_adds(out, "{\"type\":\"function\",\"function\":{");
    if (name.n) put_member(out, "name", name);
    if (g4_json_type(text) == G4_JSON_STRING) put_member(out, "description", text);
    if (g4_json_type(schema) == G4_JSON_OBJECT) put_member(out, "parameters", schema);
    g4_str_adds(out, "}}");
}

/* What stands for a part that is no text. */
static void name_part(g4_json part, g4_str *out)
{
    g4_str type = {0}, what = {0};
    g4_json_str(g4_json_get(part, "type"), &type);
    g4_json resource = g4_json_get(part, "resource");
    if (!resource.n) resource = part;
    g4_json mime = g4_json_get(resource, "mimeType"), uri = g4_json_get(resource, "uri");
    if (g4_json_type(mime) == G4_JSON_STRING) g4_json_str(mime, &what);
    if (what.n && g4_json_type(uri) == G4_JSON_STRING) g4_str_addc(&what, ' ');
    if (g4_json_type(uri) == G4_JSON_STRING) g4_json_str(uri, &what);
    g4_str_addf(out, "[%s%s%s]", type.n ? type.p : "part", what.n ? " " : "", what.n ? what.p : "");
    g4_str_free(&type);
    g4_str_free(&what);
}

static void put_parts(g4_json parts, g4_str *out)
{
    bool any = false;
    for (g4_json_it it = g4_json_iter(parts); g4_json_type(parts) == G4_JSON_ARRAY && g4_json_next(&it); any = true) {
        const g4_json own = g4_json_get(it.value, "text"), inner = g4_json_path(it.value, "resource", "text");
        if (any) g4_str_addc(out, '\n');
        if (g4_json_type(own) == G4_JSON_STRING) g4_json_str(own, out);
        else if (g4_json_type(inner) == G4_JSON_STRING) g4_json_str(inner, out);
        else name_part(it.value, out);
    }
}

bool g4_mcp_content(g4_json result, g4_json error, g4_str *out)
{
    const g4_json structured = g4_json_get(result, "structuredContent");
    bool failed = false;
    if (!result.n) {
        g4_json_str(g4_json_get(error, "message"), out);
        if (!out->n) g4_str_adds(out, "the server answered with an error");
        return true;
    }
    if (g4_json_is(g4_json_get(result, "resultType"), "input_required")) {
        g4_str_adds(out, "the server wants input that nobody here can give");
        return true;
    }
    g4_json_bool(g4_json_get(result, "isError"), &failed);
    if (!failed && g4_json_type(structured) > G4_JSON_NULL) g4_json_put_compact(out, structured);
    else put_parts(g4_json_get(result, "content"), out);
    if (failed && !out->n) g4_str_adds(out, "the tool failed and said nothing");
    return failed;
}
