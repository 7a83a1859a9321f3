/* cmd/opt_help: what is printed from an option table. */
#ifndef G4_CMD_OPT_HELP_H
#define G4_CMD_OPT_HELP_H

#include "opt.h"

void g4_opt_help(const struct g4_opt_command *cmd);

/* One line an option, fields separated by tabs: "-m" or "", "--model", the
 * value's name or "" ("[=N]" when it may be left out), the help line.  The
 * forms --no-NAME are lines of their own. */
void g4_opt_completions(const struct g4_opt_command *cmd);

#endif
