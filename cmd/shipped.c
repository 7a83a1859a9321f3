/* cmd/shipped: see shipped.h. */
#include "shipped.h"
#include "tool.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The folder of the running program, without a slash at its end. */
static bool program_folder(char dir[PATH_MAX])
{
    const ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
    if (n <= 0) return false;
    dir[n] = 0;
    char *slash = strrchr(dir, '/');
    if (!slash) return false;
    *slash = 0;
    return true;
}

const char *g4_tool_shipped_model(char *path, size_t size)
{
    static const char *const places[] = { "../share/g4", "../examples/nano" };
    char dir[PATH_MAX];
    if (!program_folder(dir)) return NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const int n = snprintf(path, size, "%s/%s/g4-nano.gguf", dir, places[i]);
        if (n < 0 || (size_t)n >= size || access(path, R_OK)) continue;
        g4_tool_note("no model is chosen (-m, G4_MODEL): g4-nano answers, which can do little");
        return path;
    }
    return NULL;
}
