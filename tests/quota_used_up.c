/* A stand-in for a disk on which a person's quota is used up, as LD_PRELOAD: this kernel has no quotas.
 * Below the folder FULL no file can be made and nothing written to a new one, as the kernel says it:
 * EDQUOT. What is there can be read. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_full(const char *path)
{
    char here[4096] = "";
    const char *full = getenv("FULL");
    const char *place = path[0] == '/' ? path : getcwd(here, sizeof here);
    return full != NULL && place != NULL && strncmp(place, full, strlen(full)) == 0 &&
           access(path, F_OK) != 0;
}

static int refused(void)
{
    errno = EDQUOT;
    return -1;
}

#define OPENING(name)                                                                    \
    int name(const char *path, int flags, ...)                                           \
    {                                                                                    \
        int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);                   \
        va_list more;                                                                    \
        va_start(more, flags);                                                           \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                        \
        va_end(more);                                                                    \
        return flags & O_CREAT && is_full(path) ? refused() : next(path, flags, mode);   \
    }

OPENING(open)
OPENING(open64)

int mkdir(const char *path, mode_t mode)
{
    int (*next)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    return is_full(path) ? refused() : next(path, mode);
}
