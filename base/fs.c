/* See fs.h. */
#include "fs.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct status *fs_make_dirs(const char *path)
{
    char *part = mem_strdup(path);
    struct status *st = NULL;
    for (char *p = part + 1; st == NULL; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char kept = *p;
        *p = '\0';
        if (mkdir(part, 0750) != 0 && errno != EEXIST) {
            enum status_code code = errno == ENOSPC ? STATUS_LIMIT : STATUS_IO;
            st = status_make(__FILE__, __LINE__, code, code == STATUS_LIMIT ? "53100" : NULL,
                             "could not create the directory \"%s\": %s", part, strerror(errno));
        }
        *p = kept;
        if (kept == '\0') {
            break;
        }
    }
    mem_free(part);
    return st;
}
