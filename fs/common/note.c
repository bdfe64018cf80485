/* note.c - see note.h. */
#include "common/note.h"

#include <string.h>

#define BEGIN "mounted at "

void
note_print(const char *point, char note[NOTE_SIZE])
{
    char *to = stpcpy(note, BEGIN), *end = note + NOTE_SIZE - 2;

    for (; *point != '\0' && to < end; point++) {
        if (*point == '\n' || *point == '\\')
            *to++ = '\\';
        *to++ = *point == '\n' ? 'n' : *point;
    }
    *to = '\0';
}

/* What does not fit is cut: no mount is there. */
static void
parse(const char *note, char *point)
{
    const char *end = point + PATH_MAX - 1;

    if (strncmp(note, BEGIN, strlen(BEGIN)) == 0) {
        for (note += strlen(BEGIN); *note != '\0' && point < end; note++) {
            bool escape = note[0] == '\\' && (note[1] == 'n' || note[1] == '\\');

            note += escape;
            *point++ = escape && *note == 'n' ? '\n' : *note;
        }
    }
    *point = '\0';
}

int
note_read(const char *store, int *pid, char *point)
{
    char note[NOTE_SIZE];
    int result = lsmkv_lock_holder(store, pid, note, sizeof(note));

    if (result == 0)
        parse(note, point);
    return result;
}
