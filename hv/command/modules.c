/*
 * modules.dep and modules.builtin: see modules.h. The files are read whole and cut up in place,
 * each line into a path and, in modules.dep, the paths behind its colon.
 */
#include "hv/command/modules.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/log.h"
#include "hv/command/text_file.h"

#define DEPTH_MAX 32 /* of dependencies; real ones stay below 10 */

/* A line. Both texts lie in the file's text. */
struct module {
    const char *path;
    const char *name;  /* the path's last part */
    const char *needs; /* paths with spaces between them */
    bool added;
};

struct table {
    char *text; /* owned; NULL: there was no such file */
    struct module *module;
    unsigned count;
};

struct modules {
    char *dir; /* owned; NULL: nothing is known */
    struct table dep, builtin;
    const char *file[MODULES_MAX_FILES]; /* in the order of loading */
    unsigned file_count;
};

static unsigned count_lines(const char *text)
{
    unsigned lines = 1;

    while ((text = strchr(text, '\n'))) {
        lines++;
        text++;
    }
    return lines;
}

/* Files are read below the directory and nowhere else. */
static bool path_ok(const char *path)
{
    if (*path == '/' || *path == '\0')
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    }
    return true;
}

/* Takes `text`. */
static int table_fill(struct table *t, char *text)
{
    char *line, *rest = text;

    t->text = text;
    t->module = calloc(count_lines(text), sizeof(*t->module));
    if (!t->module)
        return -ENOMEM;
    while ((line = strsep(&rest, "\n"))) {
        char *colon = strchr(line, ':');

        if (colon)
            *colon++ = '\0';
        if (path_ok(line)) {
            const char *slash = strrchr(line, '/');

            t->module[t->count++] = (struct module){
                .path = line, .name = slash ? slash + 1 : line, .needs = colon ? colon : ""};
        }
    }
    return 0;
}

static int table_read(struct table *t, const char *dir, const char *name)
{
    char *text;
    int err = text_file_read(dir, name, &text, NULL);

    if (!err)
        err = table_fill(t, text);
    return err;
}

static void table_free(struct table *t)
{
    free(t->text);
    free(t->module);
}

static bool same_char(char a, char b)
{
    return a == b || ((a == '-' || a == '_') && (b == '-' || b == '_'));
}

/* The file "9p.ko.xz" is the module "9p". */
static bool is_named(const char *file, const char *name)
{
    for (; *name; file++, name++)
        if (!same_char(*file, *name))
            return false;
    return strncmp(file, ".ko", 3) == 0 && (file[3] == '\0' || file[3] == '.');
}

static struct module *find_name(const struct table *t, const char *name)
{
    for (unsigned i = 0; i < t->count; i++)
        if (is_named(t->module[i].name, name))
            return &t->module[i];
    return NULL;
}

static struct module *find_path(const struct table *t, const char *path, size_t len)
{
    for (unsigned i = 0; i < t->count; i++)
        if (strncmp(t->module[i].path, path, len) == 0 && !t->module[i].path[len])
            return &t->module[i];
    return NULL;
}

int modules_open(struct modules **out, const char *dir)
{
    struct modules *m = calloc(1, sizeof(*m));
    const char *name = "modules.dep";
    int err = m ? 0 : -ENOMEM;

    if (!err && dir) {
        m->dir = strdup(dir);
        err = m->dir ? table_read(&m->dep, dir, name) : -ENOMEM;
        if (!err) {
            name = "modules.builtin";
            err = table_read(&m->builtin, dir, name);
            if (err == -ENOENT) /* then nothing is known of what is built in */
                err = 0;
        }
    }
    if (err) {
        log_error("%s/%s: cannot read: %s", dir ? dir : "", name, strerror(-err));
        modules_close(m);
        m = NULL;
    }
    *out = m;
    return err;
}

void modules_close(struct modules *m)
{
    if (!m)
        return;
    table_free(&m->dep);
    table_free(&m->builtin);
    free(m->dir);
    free(m);
}

enum module_state modules_state(const struct modules *m, const char *name)
{
    if (find_name(&m->dep, name))
        return MODULE_FILE;
    if (!m->builtin.text)
        return MODULE_UNKNOWN;
    return find_name(&m->builtin, name) ? MODULE_BUILTIN : MODULE_MISSING;
}

/*
 * Behind what it needs. depmod lists all of that, what is to be loaded first last; going from the
 * end on, and into each, gives an order in which they load even if only the nearest are listed.
 */
static int add(struct modules *m, struct module *module, unsigned depth)
{
    size_t end = strlen(module->needs);

    if (module->added)
        return 0;
    module->added = true;
    if (depth == DEPTH_MAX) {
        log_error("%s/modules.dep: %s depends on too many others (run depmod)", m->dir,
                  module->path);
        return -ELOOP;
    }
    while (end) {
        size_t start = end;
        struct module *need;
        int err;

        while (start && module->needs[start - 1] != ' ')
            start--;
        need = start < end ? find_path(&m->dep, module->needs + start, end - start) : NULL;
        if (start < end && !need) {
            log_error("%s/modules.dep: %s depends on %.*s, which is not there (run depmod)", m->dir,
                      module->path, (int)(end - start), module->needs + start);
            return -ENOENT;
        }
        err = need ? add(m, need, depth + 1) : 0;
        if (err)
            return err;
        end = start ? start - 1 : 0;
    }
    if (m->file_count == MODULES_MAX_FILES) {
        log_error("%s/modules.dep: more than %d files would have to be loaded", m->dir,
                  MODULES_MAX_FILES);
        return -E2BIG;
    }
    m->file[m->file_count++] = module->path;
    return 0;
}

int modules_add(struct modules *m, const char *name)
{
    struct module *module = find_name(&m->dep, name);

    return module ? add(m, module, 0) : 0;
}

unsigned modules_count(const struct modules *m)
{
    return m->file_count;
}

const char *modules_file(const struct modules *m, unsigned index)
{
    return m->file[index];
}
