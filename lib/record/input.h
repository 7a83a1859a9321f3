/* record/input: from items (lines, files, archive members) to records and the
 * requests they make.  Everything that is wrong with an input becomes a record
 * with err set, so that it has its place in the output. */
#ifndef G4_RECORD_INPUT_H
#define G4_RECORD_INPUT_H

#include "base/json.h"
#include "record/source.h"

enum g4_input_mode {
    G4_INPUT_DOCUMENT, /* all inputs make one document, the document one record */
    G4_INPUT_JSONL,    /* a JSON object a line */
    G4_INPUT_JSON,     /* JSON texts, over several lines or one a line: only with `map` */
    G4_INPUT_LINES,    /* a prompt a line */
    G4_INPUT_FILES,    /* a file a record */
    G4_INPUT_TAR,      /* a member of an archive a record */
};

struct g4_input_params { /* pointers are borrowed */
    enum g4_input_mode mode;
    struct g4_source_params source; /* kind is set here */
    const char *map;               /* jq program, or NULL */
    g4_json vars;                  /* its $names, an object */
    const char *const *attach;     /* files attached to every record */
    size_t n_attach;
    bool prefill;                  /* records whose last turn is the assistant's are continued, unless they say no */
    bool needs_text;               /* DOCUMENT: an empty one fails */
    bool plain;                    /* records as they are: no request is made of them */
    bool keep_text;                /* fill g4_record.text, and take nothing off a document's end */
};

typedef struct g4_record {
    uint64_t seq;       /* 0, 1, 2, ... in input order */
    char *where;        /* "FILE:LINE", "PATH", for messages */
    uint64_t line;      /* 0: none */
    g4_err err;         /* code != 0: no request can be made */
    g4_str json;        /* the object that is passed on */
    g4_json root;       /* its span in json */
    g4_str text;        /* keep_text: the line or document as it came, not JSON modes */
    g4_str request;     /* what the engine gets; empty: json as it is */
    bool pass;          /* goes through untouched */
    bool batch;         /* an OpenAI Batch line */
    bool has_chat;      /* the input had messages or tools */
    uint64_t hash;      /* of everything above that decides the result */
    struct g4_record *next;
} g4_record;

typedef struct g4_input g4_input;

g4_input *g4_input_new(const struct g4_input_params *p, g4_err *err);
void g4_input_free(g4_input *in);

/* 1: *r is the caller's; 0: nothing yet, watch g4_input_fd; -1: the end. */
int g4_input_next(g4_input *in, g4_record **r);
void g4_record_free(g4_record *r);
int g4_input_fd(const g4_input *in);
double g4_input_progress(const g4_input *in);

/* A path was lost half-way or could not be opened (status 4). */
bool g4_input_failed(const g4_input *in);

/* A record in the place of another, with the JSON of its next step (taken over; an
 * object this side made). */
g4_record *g4_record_next(const g4_record *r, g4_str *json, bool prefill);

/* The text of a request: json, or what was made from it. */
g4_sv g4_record_request(const g4_record *r);

#endif
