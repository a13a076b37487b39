/* Directories: what the store and the log need of the file system. */
#ifndef BASE_FS_H
#define BASE_FS_H

#include "base/status.h"

/* Makes the directory and those above it; existing ones are fine. */
struct status *fs_make_dirs(const char *path) STATUS_MUST_CHECK;

#endif
