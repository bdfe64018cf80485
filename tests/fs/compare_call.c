/*
 * compare_call.c - one call on both sides: what it is, who makes it, what it gives.
 */
#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compare.h"

#define HISTORY      16
#define SPARSE_LIMIT (UINT64_C(5) << 30)

struct run run;

/* The calls before, oldest first from `next`. */
static struct {
    char calls[HISTORY][256];
    uint64_t next;
} history;

static const struct who starter = {"", 0, 0, 0, {0}};
static const struct who strangers[] = {
    {"1", 1, 1, 0, {0}},
    {"2", 2, 2, 0, {0}},
    {"1 of group 2", 1, 1, 1, {2}},
    {"3 of groups 0 and 1", 3, 3, 2, {0, 1}},
};

static uint8_t *
page_aligned(void)
{
    uint8_t *bytes = aligned_alloc(BLOCK, DATA_MAX);

    if (bytes == NULL)
        abort();
    memset(bytes, 0, DATA_MAX);
    return bytes;
}

void
call_init(void)
{
    run.data = page_aligned();
    for (int side = 0; side < SIDES; side++)
        run.seen[side] = page_aligned();
    run.who = &starter;
    run.began = time(NULL);
}

/* For a line of the report: odd bytes and the middle of a long name are left out. */
static void
make_readable(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0'; at++)
        if (at - text < 8 || strncmp(at, "llllllll", 8) != 0)
            *to++ = *at < ' ' || *at > '~' ? '?' : *at;
    *to = '\0';
}

void
call_is(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(run.call, sizeof(run.call), format, arguments);
    va_end(arguments);
    make_readable(run.call);
    snprintf(history.calls[history.next++ % HISTORY], sizeof(history.calls[0]),
             "%llu%s%s: %.220s", (unsigned long long)run.step,
             run.who == &starter ? "" : " as ", run.who->name, run.call);
}

void
differ(const char *format, ...)
{
    uint64_t first = history.next > HISTORY ? history.next - HISTORY : 0;
    char text[4096];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (uint64_t i = first; i < history.next; i++)
        printf("# step %s\n", history.calls[i % HISTORY]);
    printf("not ok - seed %llu, ", (unsigned long long)run.seed);
    if (run.worker != 0)
        printf("process %d, ", run.worker);
    printf("step %llu, %s: %s\n", (unsigned long long)run.step, run.call, text);
    fflush(stdout);
    _exit(1);
}

void
same_result(const long result[SIDES], const int error[SIDES])
{
    if (result[0] != result[1] || (result[0] < 0 && error[0] != error[1]))
        differ("gives %ld %s, there %ld %s", result[0],
               result[0] < 0 ? strerror(error[0]) : "", result[1],
               result[1] < 0 ? strerror(error[1]) : "");
    run.result = result[0];
}

/* ---- who ---- */

static void
must(int result)
{
    if (result != 0) {
        perror("changing who we are");
        _exit(2);
    }
}

void
act(void)
{
    const struct who *who = run.who;

    if (who == &starter)
        return;
    must(setegid(who->gid));
    must(setgroups(who->group_count, who->groups));
    must(seteuid(who->uid));
}

void
act_no_more(void)
{
    if (run.who == &starter)
        return;
    must(seteuid(0));
    must(setegid(0));
    must(setgroups(0, NULL));
}

void
who_started(void)
{
    run.who = &starter;
}

bool
acts_as_root(void)
{
    return run.many_users && run.who == &starter;
}

void
draw_who(void)
{
    if (run.many_users && once_in(4))
        run.who = &strangers[below(COUNT(strangers))];
}

/* ---- chance ---- */

uint64_t
below(uint64_t limit)
{
    return random_below(&run.dice, limit);
}

bool
once_in(uint64_t count)
{
    return below(count) == 0;
}

static const char *
random_name(char room[257])
{
    static const char *const names[] = {"a", "b", "c", "d0", "d1", "e.txt", "f-g", "x"};

    if (!once_in(60))
        return names[below(COUNT(names))];
    if (once_in(2))
        return "\xff \n\x01";
    /* The longest name, and now and then one byte too many. */
    memset(room, 'l', 256);
    room[once_in(5) ? 256 : 255] = '\0';
    return room;
}

void
random_path(char path[PATH_ROOM])
{
    static const char *const ends[] = {"/", "/."};
    size_t depth = 1 + below(3), size = 0;
    char room[257];

    for (size_t i = 0; i < depth; i++)
        size += (size_t)snprintf(path + size, PATH_ROOM - size, "%s%s", i > 0 ? "/" : "",
                                 random_name(room));
    if (once_in(40))
        snprintf(path + size, PATH_ROOM - size, "%s", ends[below(COUNT(ends))]);
}

void
full_path(int side, const char *path, char full[PATH_ROOM * 2])
{
    snprintf(full, PATH_ROOM * 2, "/proc/self/fd/%d/%s", run.roots[side], path);
}

/* Sizes around the limits that matter: inline, block, chunk. */
size_t
random_size(void)
{
    static const size_t around[] = {0,      1,      4095,   4096,  4097,
                                    131071, 131072, 131073, 262144};

    switch (below(4)) {
    case 0:
        return around[below(COUNT(around))];
    case 1:
        return below(DATA_MAX);
    default:
        return below(6000);
    }
}

uint64_t
random_offset(void)
{
    if (once_in(200))
        return below(SPARSE_LIMIT);
    return once_in(4) ? below(1 << 20) : random_size();
}

void
fill_data(size_t size)
{
    for (size_t i = 0; i < size; i++)
        run.data[i] = (uint8_t)(run.step * 131 + i * 7 + (i >> 8));
}
