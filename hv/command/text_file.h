/* Small text files of the host, read whole and bounded. Main thread, at start-up. */
#ifndef HV_COMMAND_TEXT_FILE_H
#define HV_COMMAND_TEXT_FILE_H

#include <stddef.h>

#define TEXT_FILE_MAX (32u << 20)

/*
 * Reads DIR/NAME (an empty one, too) with a NUL behind it; *text is the caller's to free, *len may
 * be NULL. Never blocks: what is no regular file is -EINVAL, one above TEXT_FILE_MAX -EFBIG. Logs
 * nothing.
 */
int text_file_read(const char *dir, const char *name, char **text, size_t *len);

#endif
