/* The shell command that runs one boot again. Pure. */
#ifndef HV_SUITE_REPRODUCE_H
#define HV_SUITE_REPRODUCE_H

/* "cd DIR && HV run ...", quoted for sh. NULL: no memory; the caller frees it. `words` is
 * NULL-ended. */
char *reproduce_text(const char *dir, const char *hv, char *const *words);

#endif
