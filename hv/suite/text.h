/* What a guest printed, made fit for reports: one place for UTF-8, control characters and XML. */
#ifndef HV_SUITE_TEXT_H
#define HV_SUITE_TEXT_H

#include <stdio.h>

/*
 * A copy in which every byte that is no part of a printable UTF-8 character, a tab or a newline is
 * '?'. Fit for JSON, for XML 1.0 once it is escaped, and for a terminal. NULL for NULL, or without
 * memory.
 */
char *text_clean(const char *text);

/* The same, and newlines and tabs are spaces. */
char *text_clean_line(const char *text);

/* Prints the text with XML's characters escaped; NULL is "". `text` is cleaned first. */
void text_print_xml(FILE *out, const char *text);

/* The same for the value of an attribute, without the quotes. */
void text_print_attribute(FILE *out, const char *text);

#endif
