/*
 * AML encoder: ACPI machine language for a definition block (ACPI 6.5, chapter 20). Terms are
 * written in the order in which ASL would say them; what ASL puts in braces is opened by a call,
 * filled, and closed by aml_end:
 *
 *     aml_scope(&a, "\\_SB");
 *     aml_device(&a, "VIO0");
 *     aml_name_string(&a, "_HID", "LNRO0005");
 *     aml_name(&a, "_CRS");
 *     aml_resources(&a);
 *     aml_memory32(&a, 0xd0000000, 0x200);
 *     aml_interrupt(&a, 16, AML_LEVEL);
 *     aml_end(&a); // resources
 *     aml_end(&a); // device
 *     aml_end(&a); // scope
 *
 * Names and nesting are ours, never the guest's or the user's: a wrong one is an assertion. Lack
 * of space latches in the buffer (buf.h).
 */
#ifndef FIRMWARE_AML_H
#define FIRMWARE_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/buf.h"

#define AML_MAX_DEPTH 8

struct aml {
    struct buf *out; /* not owned */
    unsigned depth;
    struct {
        size_t at;      /* where its PkgLength goes, once it is known */
        bool resources; /* also wants an end tag and a BufferSize */
    } open[AML_MAX_DEPTH];
};

struct aml aml_over(struct buf *out);

/* Data (20.2.3). Integers take the shortest form. */
void aml_int(struct aml *a, uint64_t v);
void aml_string(struct aml *a, const char *s);
void aml_eisaid(struct aml *a, const char *id);     /* "PNP0501" */
void aml_package(struct aml *a, unsigned elements); /* elements follow; aml_end */

/* Name space (20.2.5). Paths: "NAME", "\\NAME", "\\_SB.NAME"; segments of 1 to 4 characters. */
void aml_scope(struct aml *a, const char *path);                 /* aml_end */
void aml_device(struct aml *a, const char *name);                /* aml_end */
void aml_method(struct aml *a, const char *name, unsigned args); /* aml_end; not serialized */
void aml_name(struct aml *a, const char *name);                  /* its value follows */
void aml_name_int(struct aml *a, const char *name, uint64_t v);
void aml_name_string(struct aml *a, const char *name, const char *s);
void aml_name_eisaid(struct aml *a, const char *name, const char *id);

/* An I/O port region, and a field list over it with byte access; each field is `bits` wide. */
void aml_port_region(struct aml *a, const char *name, uint16_t port, uint8_t size);
void aml_field(struct aml *a, const char *region); /* aml_end */
void aml_field_unit(struct aml *a, const char *name, unsigned bits);

/* Statements (20.2.5.3). Terms of local variables are numbered from 0. */
void aml_path(struct aml *a, const char *path); /* a reference by name */
void aml_local(struct aml *a, unsigned n);
void aml_store_path_to_local(struct aml *a, const char *path, unsigned n);
void aml_if_local_bits(struct aml *a, unsigned n, uint64_t bits); /* aml_end */
void aml_notify(struct aml *a, const char *path, uint8_t value);

/* Resource template (6.4): the value of a _CRS. Descriptors follow; aml_end. */
void aml_resources(struct aml *a);
void aml_io(struct aml *a, uint16_t port, uint8_t size);
void aml_memory32(struct aml *a, uint32_t gpa, uint32_t size); /* read/write, fixed */

/* What a bridge passes on to the devices behind it: bus numbers, memory addresses. */
void aml_bus_range(struct aml *a, uint8_t first, uint8_t last);
void aml_memory_window(struct aml *a, uint32_t gpa, uint32_t size);

enum aml_trigger { AML_LEVEL, AML_EDGE };

/* Extended interrupt, active high, exclusive. */
void aml_interrupt(struct aml *a, uint32_t gsi, enum aml_trigger trigger);

/* Closes what was opened last and fills its length in. */
void aml_end(struct aml *a);

#endif
