/* suite.h - the end of a test program's main. */
#ifndef SUPPORT_SUITE_H
#define SUPPORT_SUITE_H

#include <check.h>

/* Runs and frees it.  What main is to return: 0 if nothing failed. */
int run_suite(Suite *suite);

#endif
