/* strings.c - small text of the public interface: slices of strings, error names,
 * version. */
#include <errno.h>
#include <string.h>

#include "lsmkv.h"

/* The version of CMakeLists.txt; a test holds the two together. */
#define VERSION "0.1.0"

struct lsmkv_slice
lsmkv_str(const char *string)
{
    return lsmkv_bytes(string, strlen(string));
}

const char *
lsmkv_version(void)
{
    return VERSION;
}

const char *
lsmkv_strerror(int result)
{
    const char *text;

    switch (-result) {
    case 0:
        return "success";
    case ENOENT:
        return "not found";
    case EEXIST:
        return "already exists";
    case EBADMSG:
        return "checksum mismatch";
    case EUCLEAN:
        return "damaged structure";
    case E2BIG:
        return "too big";
    case EBUSY:
        return "in use";
    case ERANGE:
        return "buffer too small";
    default:
        text = result > 0 ? NULL : strerrordesc_np(-result);
        return text != NULL ? text : "unknown error";
    }
}
