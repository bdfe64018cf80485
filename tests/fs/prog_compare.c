/*
 * prog_compare.c - the same random calls in two directories; any difference is a finding.
 *
 *     prog_compare [-a] [-p PROCESSES] A B [operations [seed]]
 *
 * A is on the mount, B on a file system known to be right (ext4): the expectation is never
 * ours alone.  After each call the results, errnos and which times of the file and its parents
 * changed are compared; every so often, and at the end, the whole trees.  Files, mappings and
 * listings stay open over the other calls.  As root, calls are made as several users.
 *
 *   -a   access lists, too
 *   -p   so many processes at once, each with `operations` of its own
 *
 * Prints its seed; exits with 1 on a difference, naming the seed, the step and the call, and
 * the calls before it.  With operations 0 it only compares the trees.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "compare.h"

#define TREE_EVERY 500
#define FUSE_MAGIC 0x65735546

/* Which calls, and how many of a thousand. */
static const struct {
    uint64_t share;
    void (*make)(void);
} steps[] = {
    {120, do_open},  {90, do_make},       {55, do_link},     {70, do_remove},
    {80, do_rename}, {20, do_truncate},   {10, do_stand_in}, {5, do_many},
    {70, do_look},   {70, do_attributes}, {30, do_times},    {60, do_xattr},
    {30, do_acl},    {210, do_handle},    {55, do_map},      {25, do_listing},
};

static void
do_step(void)
{
    uint64_t share = below(1000);

    run.step++;
    for (size_t i = 0; i < COUNT(steps); i++) {
        if (share < steps[i].share) {
            draw_who();
            steps[i].make();
            who_started();
            return;
        }
        share -= steps[i].share;
    }
}

static void
run_alone(uint64_t operations)
{
    compare_trees();
    while (run.step < operations) {
        do_step();
        if (run.step % TREE_EVERY == 0)
            compare_trees();
    }
}

static int
usage(void)
{
    fprintf(stderr, "usage: prog_compare [-at] [-p PROCESSES] A B [operations [seed]]\n");
    return 2;
}

int
main(int argc, char **argv)
{
    unsigned processes = 0;
    uint64_t operations;
    struct statfs beneath;
    int option;

    while ((option = getopt(argc, argv, "atp:")) != -1)
        if (option == 'a')
            run.acl = true;
        else if (option == 't')
            run.kernels_times = true;
        else if (option == 'p')
            processes = (unsigned)strtoul(optarg, NULL, 10);
        else
            return usage();
    argc -= optind;
    argv += optind;
    if (argc < 2)
        return usage();
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(0);
    operations = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000;
    run.seed = argc > 3 ? strtoull(argv[3], NULL, 10) : random_seed();
    run.dice = random_of(run.seed);
    run.many_users = geteuid() == 0;
    call_init();
    handles_init();
    maps_init();
    dirs_init();
    for (int side = 0; side < SIDES; side++) {
        run.roots[side] = open(argv[side], O_RDONLY | O_DIRECTORY);
        if (run.roots[side] < 0) {
            perror(argv[side]);
            return 2;
        }
    }
    run.mounted = fstatfs(run.roots[0], &beneath) == 0 && beneath.f_type == FUSE_MAGIC;
    if (processes > 0)
        run_workers(processes, operations, do_step);
    else
        run_alone(operations);
    compare_trees();
    printf("ok - %llu calls%s, no difference\n", (unsigned long long)operations,
           processes > 0 ? " of each process" : "");
    return 0;
}
