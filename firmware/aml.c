/* AML encoder of the DSDT builder. See aml.h; sections are those of ACPI 6.5. */
#include "firmware/aml.h"

#include <assert.h>
#include <string.h>

enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_DUAL_NAME = 0x2e,
    OP_MULTI_NAME = 0x2f,
    OP_EXT = 0x5b,
    OP_EXT_REGION = 0x80,
    OP_EXT_FIELD = 0x81,
    OP_EXT_DEVICE = 0x82,
    OP_LOCAL0 = 0x60,
    OP_STORE = 0x70,
    OP_AND = 0x7b,
    OP_NOTIFY = 0x86,
    OP_IF = 0xa0,
};

#define SEGMENT           4 /* characters of a name segment */
#define REGION_SYSTEM_IO  1
#define FIELD_BYTE_ACCESS 1 /* no lock, other bits preserved: fields span whole registers */

struct aml aml_over(struct buf *out)
{
    return (struct aml){.out = out};
}

static void put_op(struct aml *a, uint8_t op)
{
    buf_u8(a->out, op);
}

static void put_ext_op(struct aml *a, uint8_t op)
{
    put_op(a, OP_EXT);
    put_op(a, op);
}

/* 20.2.2: segments are padded with '_' to four characters. */
static void put_segment(struct aml *a, const char *s, size_t len)
{
    assert(len >= 1 && len <= SEGMENT);
    buf_bytes(a->out, s, len);
    buf_bytes(a->out, "____", SEGMENT - len);
}

void aml_path(struct aml *a, const char *path)
{
    unsigned segments = 1;

    if (*path == '\\') {
        buf_u8(a->out, '\\');
        path++;
    }
    for (const char *p = path; *p; p++)
        segments += *p == '.';
    if (segments == 2) {
        put_op(a, OP_DUAL_NAME);
    } else if (segments > 2) {
        put_op(a, OP_MULTI_NAME);
        buf_u8(a->out, (uint8_t)segments);
    }
    for (; segments; segments--) {
        size_t len = strcspn(path, ".");

        put_segment(a, path, len);
        path += len + 1;
    }
}

/*
 * 20.2.4: one byte up to 63; else the two top bits of the first count the bytes that follow, and
 * its low four bits are the lowest of the value. Returns the number of bytes.
 */
static size_t encode_length(uint8_t out[4], size_t v)
{
    size_t more = v < 1u << 6 ? 0 : v < 1u << 12 ? 1 : v < 1u << 20 ? 2 : 3;

    assert(v < 1u << 28);
    if (more == 0) {
        out[0] = (uint8_t)v;
        return 1;
    }
    out[0] = (uint8_t)(more << 6 | (v & 0xf));
    for (size_t i = 1; i <= more; i++)
        out[i] = (uint8_t)(v >> (8 * i - 4));
    return 1 + more;
}

/* A package length counts its own bytes, so its size depends on its value. */
static size_t encode_package_length(uint8_t out[4], size_t content)
{
    size_t size = 1;

    while (encode_length(out, content + size) != size)
        size++;
    return size;
}

/* What follows, up to aml_end, belongs to a package whose length stands here. */
static void open_package(struct aml *a, bool resources)
{
    assert(a->depth < AML_MAX_DEPTH);
    a->open[a->depth].at = a->out->len;
    a->open[a->depth].resources = resources;
    a->depth++;
}

/* 6.4.2.9: a checksum of 0 says that there is none. */
static void put_end_tag(struct aml *a)
{
    buf_u8(a->out, 0x79);
    buf_u8(a->out, 0);
}

/* The shortest form of an integer constant (20.2.3). Returns the number of bytes, at most 9. */
static size_t encode_int(uint8_t out[9], uint64_t v)
{
    size_t width = v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;

    out[0] = width == 1 ? OP_BYTE : width == 2 ? OP_WORD : width == 4 ? OP_DWORD : OP_QWORD;
    if (v <= 1) {
        out[0] = v ? OP_ONE : OP_ZERO;
        return 1;
    }
    for (size_t i = 0; i < width; i++)
        out[1 + i] = (uint8_t)(v >> (8 * i));
    return 1 + width;
}

void aml_int(struct aml *a, uint64_t v)
{
    uint8_t bytes[9];

    buf_bytes(a->out, bytes, encode_int(bytes, v));
}

void aml_end(struct aml *a)
{
    uint8_t bytes[9];
    size_t at;

    assert(a->depth > 0);
    a->depth--;
    at = a->open[a->depth].at;
    if (a->open[a->depth].resources) {
        put_end_tag(a);
        buf_insert(a->out, at, bytes, encode_int(bytes, a->out->len - at));
    }
    buf_insert(a->out, at, bytes, encode_package_length(bytes, a->out->len - at));
}

void aml_string(struct aml *a, const char *s)
{
    put_op(a, OP_STRING);
    buf_str(a->out, s);
}

static unsigned hex_digit(char c)
{
    assert((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
    return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* 19.3.4 and 6.1.5: three letters of five bits and four hexadecimal digits, big-endian. */
void aml_eisaid(struct aml *a, const char *id)
{
    uint32_t v = 0;

    assert(strlen(id) == 7);
    for (int i = 0; i < 3; i++)
        v = v << 5 | ((uint32_t)(id[i] - 'A' + 1) & 0x1f);
    for (int i = 3; i < 7; i++)
        v = v << 4 | hex_digit(id[i]);
    put_op(a, OP_DWORD);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_u8(a->out, (uint8_t)(v >> shift));
}

void aml_package(struct aml *a, unsigned elements)
{
    assert(elements <= UINT8_MAX);
    put_op(a, OP_PACKAGE);
    open_package(a, false);
    buf_u8(a->out, (uint8_t)elements);
}

void aml_scope(struct aml *a, const char *path)
{
    put_op(a, OP_SCOPE);
    open_package(a, false);
    aml_path(a, path);
}

void aml_device(struct aml *a, const char *name)
{
    put_ext_op(a, OP_EXT_DEVICE);
    open_package(a, false);
    aml_path(a, name);
}

void aml_method(struct aml *a, const char *name, unsigned args)
{
    assert(args <= 7);
    put_op(a, OP_METHOD);
    open_package(a, false);
    aml_path(a, name);
    buf_u8(a->out, (uint8_t)args);
}

void aml_name(struct aml *a, const char *name)
{
    put_op(a, OP_NAME);
    aml_path(a, name);
}

void aml_name_int(struct aml *a, const char *name, uint64_t v)
{
    aml_name(a, name);
    aml_int(a, v);
}

void aml_name_string(struct aml *a, const char *name, const char *s)
{
    aml_name(a, name);
    aml_string(a, s);
}

void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
    aml_name(a, name);
    aml_eisaid(a, id);
}

void aml_port_region(struct aml *a, const char *name, uint16_t port, uint8_t size)
{
    put_ext_op(a, OP_EXT_REGION);
    aml_path(a, name);
    buf_u8(a->out, REGION_SYSTEM_IO);
    aml_int(a, port);
    aml_int(a, size);
}

void aml_field(struct aml *a, const char *region)
{
    put_ext_op(a, OP_EXT_FIELD);
    open_package(a, false);
    aml_path(a, region);
    buf_u8(a->out, FIELD_BYTE_ACCESS);
}

void aml_field_unit(struct aml *a, const char *name, unsigned bits)
{
    uint8_t bytes[4];

    put_segment(a, name, strlen(name));
    buf_bytes(a->out, bytes, encode_length(bytes, bits));
}

void aml_local(struct aml *a, unsigned n)
{
    assert(n <= 7);
    put_op(a, (uint8_t)(OP_LOCAL0 + n));
}

void aml_store_path_to_local(struct aml *a, const char *path, unsigned n)
{
    put_op(a, OP_STORE);
    aml_path(a, path);
    aml_local(a, n);
}

void aml_if_local_bits(struct aml *a, unsigned n, uint64_t bits)
{
    put_op(a, OP_IF);
    open_package(a, false);
    put_op(a, OP_AND);
    aml_local(a, n);
    aml_int(a, bits);
    put_op(a, OP_ZERO); /* the result is stored nowhere */
}

void aml_notify(struct aml *a, const char *path, uint8_t value)
{
    put_op(a, OP_NOTIFY);
    aml_path(a, path);
    aml_int(a, value);
}

void aml_resources(struct aml *a)
{
    put_op(a, OP_BUFFER);
    open_package(a, true);
}

/* 6.4.2.5: I/O port descriptor, all 16 address lines decoded, at one place only. */
void aml_io(struct aml *a, uint16_t port, uint8_t size)
{
    buf_u8(a->out, 0x47);
    buf_u8(a->out, 1);
    buf_le16(a->out, port);
    buf_le16(a->out, port);
    buf_u8(a->out, 1); /* alignment */
    buf_u8(a->out, size);
}

/* 6.4.3.4: 32-bit fixed memory range. */
void aml_memory32(struct aml *a, uint32_t gpa, uint32_t size)
{
    buf_u8(a->out, 0x86);
    buf_le16(a->out, 9);
    buf_u8(a->out, 1); /* writable */
    buf_le32(a->out, gpa);
    buf_le32(a->out, size);
}

#define WINDOW_MEMORY 0
#define WINDOW_BUSES  2
#define WINDOW_FIXED  0x0c /* producer, positive decoding, both ends fixed */

/* 6.4.3.5.3: word address space, with a 16-bit granularity of 0. */
void aml_bus_range(struct aml *a, uint8_t first, uint8_t last)
{
    buf_u8(a->out, 0x88);
    buf_le16(a->out, 13);
    buf_u8(a->out, WINDOW_BUSES);
    buf_u8(a->out, WINDOW_FIXED);
    buf_u8(a->out, 0);
    buf_le16(a->out, 0);
    buf_le16(a->out, first);
    buf_le16(a->out, last);
    buf_le16(a->out, 0); /* no translation */
    buf_le16(a->out, (uint16_t)(last - first + 1));
}

/* 6.4.3.5.2: double word address space. */
void aml_memory_window(struct aml *a, uint32_t gpa, uint32_t size)
{
    buf_u8(a->out, 0x87);
    buf_le16(a->out, 23);
    buf_u8(a->out, WINDOW_MEMORY);
    buf_u8(a->out, WINDOW_FIXED);
    buf_u8(a->out, 1); /* writable, not cached */
    buf_le32(a->out, 0);
    buf_le32(a->out, gpa);
    buf_le32(a->out, gpa + (size - 1));
    buf_le32(a->out, 0); /* no translation */
    buf_le32(a->out, size);
}

/* 6.4.3.6: bit 0 consumer, bit 1 edge, bit 2 active low, bit 3 shared. */
void aml_interrupt(struct aml *a, uint32_t gsi, enum aml_trigger trigger)
{
    buf_u8(a->out, 0x89);
    buf_le16(a->out, 6);
    buf_u8(a->out, (uint8_t)(1 | (trigger == AML_EDGE ? 2 : 0)));
    buf_u8(a->out, 1); /* one interrupt */
    buf_le32(a->out, gsi);
}
