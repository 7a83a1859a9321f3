/* record/request: what a record says to the engine: plain records as they are,
 * OpenAI Batch lines by their body, attached files as content parts. */
#ifndef G4_RECORD_REQUEST_H
#define G4_RECORD_REQUEST_H

#include "record/input.h"

/* A content part for a file: {"type":"image","path":...} by its magic, or its
 * text under a line "==> PATH <==".  G4_EINPUT when it cannot be read. */
int g4_request_part(const char *path, g4_str *part, g4_err *err);

/* Fills pass, batch, has_chat, request and err from r->root.  parts: content
 * parts joined by commas, or {NULL, 0}.  prefill: a final assistant turn is
 * continued unless the record says otherwise. */
void g4_request_make(g4_record *r, bool prefill, g4_sv parts);

#endif
