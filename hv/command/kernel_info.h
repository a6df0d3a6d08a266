/*
 * Which Linux a kernel file is, and where its modules are. The file is hostile input: offsets in it
 * are checked, and a release that is no plain name is none. Main thread, at start-up.
 */
#ifndef HV_COMMAND_KERNEL_INFO_H
#define HV_COMMAND_KERNEL_INFO_H

#define KERNEL_RELEASE_MAX 65 /* with its NUL, as in Linux's struct new_utsname */

/*
 * The release of the kernel at `path`, what uname -r prints in it ("6.1.0-9-amd64"): of a bzImage
 * from its setup header, of other files from the first "Linux version" in them. "" when it does not
 * tell. 0, or -errno after a message when the file cannot be read.
 */
int kernel_release(const char *path, char release[KERNEL_RELEASE_MAX]);

/*
 * The directory of that kernel's modules, one with modules.dep. `wish` is --modules: it, or
 * lib/modules/RELEASE or RELEASE below it; it is an error when it has none of that release. Without
 * a wish (NULL) the kernel's neighbours modules, modules/RELEASE and lib/modules/RELEASE are looked
 * at, then /lib/modules/RELEASE. *dir is the caller's to free; NULL: there is none. 0, or -errno
 * after a message.
 */
int kernel_modules(const char *kernel, const char *release, const char *wish, char **dir);

#endif
