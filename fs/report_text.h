/*
 * report_text.h - strings that may be any bytes, where only UTF-8 may stand.
 */
#ifndef FS_REPORT_TEXT_H
#define FS_REPORT_TEXT_H

#include <jansson.h>

/* Names and damaged bytes may be no UTF-8, which JSON must be: then what is not ASCII is '?'. */
json_t *report_text(const char *text);

#endif
