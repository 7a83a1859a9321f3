/* call/mcp_result: from the shapes of the Model Context Protocol to ours. */
#ifndef G4_CALL_MCP_RESULT_H
#define G4_CALL_MCP_RESULT_H

#include "base/json.h"

/* Appends a tool of tools/list as an OpenAI function declaration. */
void g4_mcp_declaration(g4_json tool, g4_str *out);

/* The content of a tool message from the answer to tools/call: structured content
 * as JSON, else the texts joined by newlines, other parts named in brackets.  true
 * when it is the message of an error. */
bool g4_mcp_content(g4_json result, g4_json error, g4_str *out);

#endif
