/* cmd/opt_rows: the usual rows of an option table.  Included by the files that
 * hold a table, behind their own AT(field): the offset of the field in the
 * command's struct. */
#ifndef G4_CMD_OPT_ROWS_H
#define G4_CMD_OPT_ROWS_H

#define TITLE(text) { .name = "", .kind = G4_OPTK_TITLE, .help = text }
#define FLAG(letter, name, field, flags, help) { letter, name, G4_OPTK_FLAG, NULL, AT(field), help, flags, 0, 0, 0, NULL, NULL }
#define TEXT(letter, name, arg, field, flags, help) \
    { letter, name, G4_OPTK_TEXT, arg, AT(field), help, flags, 0, 0, 0, NULL, NULL }
#define LIST(letter, name, kind, arg, field, flags, help) { letter, name, kind, arg, AT(field), help, flags, 0, 0, 0, NULL, NULL }
#define UINT(letter, name, field, lo, hi, flags, help) \
    { letter, name, G4_OPTK_UINT, "N", AT(field), help, flags, 0, lo, hi, NULL, NULL }

enum { RESULT = G4_OPTF_RESULT, NO = G4_OPTF_NO, ONCE = G4_OPTF_ONCE };

#endif
