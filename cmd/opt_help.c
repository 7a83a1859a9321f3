/* cmd/opt_help: see opt_help.h. */
#include "opt_help.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 30 };

static bool shown(const struct g4_opt *o)
{
    return !(o->flags & G4_OPTF_HIDDEN);
}

static void option_line(const struct g4_opt *o)
{
    char left[96];
    int n = o->letter ? snprintf(left, sizeof left, "  -%c, ", o->letter) : snprintf(left, sizeof left, "      ");
    n += snprintf(left + n, sizeof left - (size_t)n, "--%s%s", o->flags & G4_OPTF_NO ? "[no-]" : "", o->name);
    if (o->arg)
        n += snprintf(left + n, sizeof left - (size_t)n, o->flags & G4_OPTF_OPTIONAL ? "[=%s]" : " %s", o->arg);
    if (n < HELP_COLUMN - 1) printf("%-*s%s\n", HELP_COLUMN, left, o->help);
    else printf("%s\n%*s%s\n", left, HELP_COLUMN, "", o->help);
}

void g4_opt_help(const struct g4_opt_command *cmd)
{
    printf("%s: %s\n\nExamples:\n%s\nUsage:\n", cmd->name, cmd->summary, cmd->examples);
    for (const char *p = cmd->synopsis; *p;) {
        const size_t n = strcspn(p, "\n");
        printf("  %s %.*s\n", cmd->name, (int)n, p);
        p += n + (p[n] == '\n');
    }
    for (const struct g4_opt *o = cmd->opts; o->name; o++) {
        if (o->kind == G4_OPTK_TITLE) printf("\n%s:\n", o->help);
        else if (shown(o)) option_line(o);
    }
    printf("\nThe manual has more: man %s, man 5 g4-jsonl, man 7 g4\n", cmd->name);
}

void g4_opt_completions(const struct g4_opt_command *cmd)
{
    for (const struct g4_opt *o = cmd->opts; o->name; o++) {
        if (o->kind == G4_OPTK_TITLE || !shown(o)) continue;
        const char letter[3] = { o->letter ? '-' : 0, o->letter };
        const bool optional = o->flags & G4_OPTF_OPTIONAL;
        printf("%s\t--%s\t%s%s%s\t%s\n", letter, o->name, optional ? "[=" : "", o->arg ? o->arg : "",
               optional ? "]" : "", o->help);
        if (o->flags & G4_OPTF_NO) printf("\t--no-%s\t\t%s\n", o->name, o->help);
    }
}
