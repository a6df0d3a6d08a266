/*
 * The modules of a kernel: what depmod(8) and the kernel's build wrote down about them
 * (modules.dep(5), modules.builtin), and which files must be loaded in which order to have some of
 * them. Names with "-" and "_" are the same. Main thread, at start-up.
 */
#ifndef HV_COMMAND_MODULES_H
#define HV_COMMAND_MODULES_H

#define MODULES_MAX_FILES 64 /* to be loaded */

enum module_state {
    MODULE_UNKNOWN, /* nothing tells: there is no directory, or no modules.builtin in it */
    MODULE_BUILTIN,
    MODULE_FILE,
    MODULE_MISSING /* neither built in nor a file */
};

struct modules;

/*
 * `dir` holds modules.dep; NULL: nothing is known of the kernel. 0, or -errno after a message.
 * modules_close accepts NULL.
 */
int modules_open(struct modules **out, const char *dir);
void modules_close(struct modules *m);

enum module_state modules_state(const struct modules *m, const char *name);

/*
 * Puts the file of `name` on the list of what is to be loaded, behind the files that it depends on;
 * nothing happens to one that stands there already, or that is no file. -ENOENT, -ELOOP or -E2BIG
 * after a message: the dependencies are damaged.
 */
int modules_add(struct modules *m, const char *name);

/* The list: paths below `dir`, borrowed. */
unsigned modules_count(const struct modules *m);
const char *modules_file(const struct modules *m, unsigned index);

#endif
