/*
 * MSI-X: see msix.h. The table is kept as the bytes that the guest wrote; what follows from them is
 * brought up to date after each write, so that any width and any alignment has a defined result.
 */
#include "devices/pci/msix.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/state.h"
#include "devices/core/util.h"

#define CAP_MSIX      0x11
#define CAP_SIZE      12
#define CAP_CONTROL   2 /* message control */
#define CAP_TABLE     4
#define CAP_PENDING   8
#define CONTROL_MASK  0x4000 /* the function as a whole */
#define CONTROL_ON    0x8000

#define ENTRY_DATA    8
#define ENTRY_CONTROL 12
#define ENTRY_MASKED  1

static uint8_t *entry_of(struct msix *m, unsigned vector)
{
    return m->table + vector * MSIX_ENTRY_SIZE;
}

static uint16_t control_of(const struct msix *m)
{
    return load_le16(m->function->config + m->cap + CAP_CONTROL);
}

bool msix_is_on(const struct msix *m)
{
    return control_of(m) & CONTROL_ON;
}

static bool is_open(struct msix *m, unsigned vector)
{
    return msix_is_on(m) && !(control_of(m) & CONTROL_MASK) &&
           !(entry_of(m, vector)[ENTRY_CONTROL] & ENTRY_MASKED);
}

/* A vector's mask or message may have changed: tell the port, and send what waited (6.8.2.9). */
static void update(struct msix *m, unsigned vector)
{
    const uint8_t *entry = entry_of(m, vector);
    uint64_t bit = UINT64_C(1) << vector;
    bool open = is_open(m, vector);
    int err;

    if (!open && !(m->open & bit))
        return;
    m->open &= ~bit;
    err =
        m->port.set(m->port.opaque, vector, open, load_le64(entry), load_le32(entry + ENTRY_DATA));
    if (err)
        log_guest("MSI-X vector %u is lost: the host refuses its message", vector);
    if (err || !open)
        return;
    m->open |= bit;
    if (m->pending & bit) {
        m->pending &= ~bit;
        m->port.send(m->port.opaque, vector);
    }
}

static void update_all(struct msix *m)
{
    for (unsigned i = 0; i < m->count; i++)
        update(m, i);
}

static void mask_entries(struct msix *m)
{
    memset(m->table, 0, sizeof(m->table));
    for (unsigned i = 0; i < m->count; i++)
        entry_of(m, i)[ENTRY_CONTROL] = ENTRY_MASKED;
}

void msix_init(struct msix *m, struct pci_function *f, unsigned count,
               const struct msix_place *place, const struct msi_port *port)
{
    assert(count >= 1 && count <= MSIX_MAX_VECTORS);
    *m = (struct msix){.function = f, .port = *port, .count = count};
    m->cap = pci_add_capability(f, CAP_MSIX, CAP_SIZE);
    store_le16(f->config + m->cap + CAP_CONTROL, (uint16_t)(count - 1));
    store_le16(f->writable + m->cap + CAP_CONTROL, CONTROL_ON | CONTROL_MASK);
    store_le32(f->config + m->cap + CAP_TABLE, place->table | place->bar);
    store_le32(f->config + m->cap + CAP_PENDING, place->pending | place->bar);
    mask_entries(m);
}

uint64_t msix_table_read(const struct msix *m, uint64_t offset, unsigned size)
{
    uint64_t end = m->count * MSIX_ENTRY_SIZE;
    uint8_t data[8] = {0};

    for (unsigned i = 0; i < size && offset + i < end; i++)
        data[i] = m->table[offset + i];
    return load_le64(data);
}

void msix_table_write(struct msix *m, uint64_t offset, unsigned size, uint64_t value)
{
    uint64_t end = m->count * MSIX_ENTRY_SIZE;

    for (unsigned i = 0; i < size && offset + i < end; i++) {
        uint64_t within = (offset + i) % MSIX_ENTRY_SIZE;
        /* 6.8.2.9: of vector control one bit is there. */
        uint8_t mask = within == ENTRY_CONTROL ? ENTRY_MASKED : within > ENTRY_CONTROL ? 0 : 0xff;

        m->table[offset + i] = (uint8_t)(value >> (8 * i)) & mask;
    }
    for (uint64_t v = offset / MSIX_ENTRY_SIZE;
         v <= (offset + size - 1) / MSIX_ENTRY_SIZE && v < m->count; v++)
        update(m, (unsigned)v);
}

uint64_t msix_pending_read(const struct msix *m, uint64_t offset, unsigned size)
{
    return offset < sizeof(m->pending) ? (m->pending >> (8 * offset)) & size_mask(size) : 0;
}

void msix_config_written(struct msix *m)
{
    update_all(m);
}

void msix_send(struct msix *m, unsigned vector)
{
    uint64_t bit;

    if (vector >= m->count || !msix_is_on(m))
        return;
    bit = UINT64_C(1) << vector;
    if (m->open & bit)
        m->port.send(m->port.opaque, vector);
    else
        m->pending |= bit;
}

void msix_reset(struct msix *m)
{
    mask_entries(m);
    m->pending = 0;
    update_all(m);
}

void msix_save(const struct msix *m, struct state_writer *w)
{
    state_put_u8(w, (uint8_t)m->count);
    state_put_bytes(w, m->table, m->count * MSIX_ENTRY_SIZE);
    state_put_u64(w, m->pending);
}

int msix_load(struct msix *m, struct state_reader *r)
{
    uint8_t count = state_get_u8(r), table[sizeof(m->table)];
    uint64_t pending;

    if (r->error || count != m->count)
        return -EINVAL;
    state_get_bytes(r, table, count * MSIX_ENTRY_SIZE);
    pending = state_get_u64(r);
    if (r->error || (count < MSIX_MAX_VECTORS && pending >> count))
        return -EINVAL;
    for (unsigned i = 0; i < count; i++)
        if (load_le32(table + i * MSIX_ENTRY_SIZE + ENTRY_CONTROL) & ~(uint32_t)ENTRY_MASKED)
            return -EINVAL;
    memcpy(m->table, table, count * MSIX_ENTRY_SIZE);
    m->pending = pending;
    update_all(m);
    return 0;
}
