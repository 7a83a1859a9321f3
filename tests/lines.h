/* tests/lines: the lines of a JSONL file of test vectors. */
#ifndef G4_TESTS_LINES_H
#define G4_TESTS_LINES_H

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* Calls each with every line that is JSON; the number of lines, 0 when the file cannot be read. */
static inline size_t each_line(const char *path, void (*each)(void *arg, g4_json line), void *arg)
{
    g4_str text = {0};
    size_t n = 0;
    if (g4_file_read(path, 64 << 20, &text, NULL)) return 0;
    for (char *p = text.p, *stop = text.p + text.n; p < stop;) {
        char *end = memchr(p, '\n', (size_t)(stop - p));
        if (!end) end = stop;
        g4_json line;
        if (!g4_json_check(p, (size_t)(end - p), &line, NULL)) {
            each(arg, line);
            n++;
        }
        p = end + 1;
    }
    g4_str_free(&text);
    return n;
}

#endif
