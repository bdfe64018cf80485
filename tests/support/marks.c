/*
 * marks.c - what Check calls at each assertion that holds, in place of its own _mark_point.
 *
 * That one writes the place to a file, so that Check can tell of a crash behind which assertion it
 * came.  Where a loop asserts a million times, nothing takes as long as these writes.  Here a place
 * is written unless it is among the last ones, so that a loop writes each of its places once; what
 * is told of a crash is the last place that was new then.  A failed assertion does not come here.
 *
 * Test programs and this library are compiled with _mark_point=mark_place; not those whose threads
 * take turns: a place that is written is a turn, so a seed's order would depend on what was before.
 */
#undef _mark_point

#define PLACES 64

void _mark_point(const char *file, int line);
void mark_place(const char *file, int line);

/* By their lines.  Each test has a process of its own. */
static _Thread_local struct {
    const char *file;
    int line;
} places[PLACES];

void
mark_place(const char *file, int line)
{
    unsigned at = (unsigned)line % PLACES;

    if (places[at].line == line && places[at].file == file)
        return;
    places[at].file = file;
    places[at].line = line;
    _mark_point(file, line);
}
