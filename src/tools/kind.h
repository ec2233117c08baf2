/* What kind of file is this? Told by how it begins. */
#ifndef TQ_TOOLS_KIND_H
#define TQ_TOOLS_KIND_H

#include "base/error.h"

enum file_kind { FILE_SNAPSHOT, FILE_SEGMENT, FILE_MANIFEST };

/* ERROR_ERR where it can't be read, or is none of ours. */
int file_kind(const char *path, enum file_kind *out, struct error *e);

/* The directory that a file is in, and its name there. */
void file_split(const char *path, char *directory, size_t size, const char **name);

#endif
