/* Builders of small kernel files for the loader tests: good ones, which tests then damage. */
#include <check.h>
#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "hv/test/loader_world.h"

static void reach(struct blob *b, size_t end)
{
    ck_assert_uint_le(end, sizeof(b->data));
    if (end > b->len)
        b->len = end;
}

void blob_put(struct blob *b, size_t at, uint64_t value, size_t size)
{
    reach(b, at + size);
    for (size_t i = 0; i < size; i++)
        b->data[at + i] = (uint8_t)(value >> (8 * i));
}

void blob_bytes(struct blob *b, size_t at, const void *data, size_t size)
{
    reach(b, at + size);
    memcpy(b->data + at, data, size);
}

void blob_pattern(struct blob *b, size_t at, size_t size, unsigned seed)
{
    reach(b, at + size);
    for (size_t i = 0; i < size; i++)
        b->data[at + i] = (uint8_t)((seed + i) % 251 + 1);
}

void expect_loaded(const struct blob *b, size_t offset, uint64_t gpa, size_t size)
{
    ck_assert_uint_le(offset + size, b->len);
    ck_assert_mem_eq(ram(gpa), b->data + offset, size);
}

void build_bzimage(struct blob *b)
{
    memset(b, 0, sizeof(*b));
    blob_put(b, 0x1f1, 2, 1); /* setup_sects */
    blob_put(b, 0x1f4, BZ_IMAGE / 16, 4);
    blob_put(b, 0x1fe, 0xaa55, 2);
    blob_put(b, 0x200, 0x6aeb, 2); /* jump to 0x26c */
    blob_bytes(b, 0x202, "HdrS", 4);
    blob_put(b, 0x206, 0x20f, 2);
    blob_put(b, 0x211, 1, 1);          /* LOADED_HIGH */
    blob_put(b, 0x214, 0x100000, 4);   /* code32_start */
    blob_put(b, 0x22c, 0x7fffffff, 4); /* initrd_addr_max */
    blob_put(b, 0x230, 0x200000, 4);   /* kernel_alignment */
    blob_put(b, 0x234, 1, 1);          /* relocatable_kernel */
    blob_put(b, 0x236, 3, 2);          /* 64-bit entry, above 4 GiB */
    blob_put(b, 0x238, 2047, 4);       /* cmdline_size */
    blob_put(b, 0x248, 0x300, 4);      /* payload_offset */
    blob_put(b, 0x24c, 0x1000, 4);     /* payload_length */
    blob_put(b, 0x258, BZ_PREF, 8);
    blob_put(b, 0x260, BZ_INIT, 4);
    blob_pattern(b, BZ_OFFSET, BZ_IMAGE, 7);
}

static void add_load(struct blob *b, unsigned i, uint64_t offset, uint64_t gpa, uint64_t filesz)
{
    phdr_set(b, i, PH_TYPE, PT_LOAD);
    phdr_set(b, i, PH_OFFSET, offset);
    phdr_set(b, i, PH_VADDR, gpa);
    phdr_set(b, i, PH_PADDR, gpa);
    phdr_set(b, i, PH_FILESZ, filesz);
    phdr_set(b, i, PH_MEMSZ, filesz);
    phdr_set(b, i, PH_ALIGN, 4096);
}

static void add_segments(struct blob *b)
{
    add_load(b, 0, ELF_TEXT, ELF_TEXT_GPA, ELF_TEXT_SIZE);
    add_load(b, 1, ELF_DATA, ELF_DATA_GPA, ELF_DATA_SIZE);
    phdr_set(b, 1, PH_MEMSZ, 65536);
    phdr_set(b, 2, PH_TYPE, PT_NULL);
    blob_pattern(b, ELF_TEXT, ELF_TEXT_SIZE, 3);
    blob_pattern(b, ELF_DATA, ELF_DATA_SIZE, 100);
}

void build_elf64(struct blob *b)
{
    Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_EXEC,
                    .e_machine = EM_X86_64,
                    .e_version = EV_CURRENT,
                    .e_entry = ELF_ENTRY,
                    .e_phoff = sizeof(Elf64_Ehdr),
                    .e_ehsize = sizeof(Elf64_Ehdr),
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 3};

    memset(b, 0, sizeof(*b));
    blob_bytes(b, 0, &h, sizeof(h));
    add_segments(b);
}

void build_elf32(struct blob *b)
{
    Elf32_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_EXEC,
                    .e_machine = EM_386,
                    .e_version = EV_CURRENT,
                    .e_entry = (uint32_t)ELF_ENTRY,
                    .e_phoff = sizeof(Elf32_Ehdr),
                    .e_ehsize = sizeof(Elf32_Ehdr),
                    .e_phentsize = sizeof(Elf32_Phdr),
                    .e_phnum = 3};

    memset(b, 0, sizeof(*b));
    blob_bytes(b, 0, &h, sizeof(h));
    add_segments(b);
}

void phdr_set(struct blob *b, unsigned i, enum phdr_field field, uint64_t value)
{
    static const size_t at64[] = {
        [PH_TYPE] = offsetof(Elf64_Phdr, p_type),     [PH_OFFSET] = offsetof(Elf64_Phdr, p_offset),
        [PH_VADDR] = offsetof(Elf64_Phdr, p_vaddr),   [PH_PADDR] = offsetof(Elf64_Phdr, p_paddr),
        [PH_FILESZ] = offsetof(Elf64_Phdr, p_filesz), [PH_MEMSZ] = offsetof(Elf64_Phdr, p_memsz),
        [PH_ALIGN] = offsetof(Elf64_Phdr, p_align)};
    static const size_t at32[] = {
        [PH_TYPE] = offsetof(Elf32_Phdr, p_type),     [PH_OFFSET] = offsetof(Elf32_Phdr, p_offset),
        [PH_VADDR] = offsetof(Elf32_Phdr, p_vaddr),   [PH_PADDR] = offsetof(Elf32_Phdr, p_paddr),
        [PH_FILESZ] = offsetof(Elf32_Phdr, p_filesz), [PH_MEMSZ] = offsetof(Elf32_Phdr, p_memsz),
        [PH_ALIGN] = offsetof(Elf32_Phdr, p_align)};
    bool is64 = b->data[EI_CLASS] == ELFCLASS64;

    if (is64)
        blob_put(b, sizeof(Elf64_Ehdr) + i * sizeof(Elf64_Phdr) + at64[field], value,
                 field == PH_TYPE ? 4 : 8);
    else
        blob_put(b, sizeof(Elf32_Ehdr) + i * sizeof(Elf32_Phdr) + at32[field], value, 4);
}

/* One note at *at; name is padded, and so is what follows. */
static void put_note(struct blob *b, size_t *at, unsigned type, uint64_t value, unsigned descsz,
                     unsigned align)
{
    size_t desc = (*at + 12 + 4 + align - 1) / align * align;

    blob_put(b, *at, 4, 4);
    blob_put(b, *at + 4, descsz, 4);
    blob_put(b, *at + 8, type, 4);
    blob_bytes(b, *at + 12, "Xen", 4);
    blob_put(b, desc, value, descsz);
    *at = (desc + descsz + align - 1) / align * align;
}

void build_note(struct blob *b, uint64_t entry, unsigned descsz, unsigned align)
{
    size_t at = ELF_NOTES;

    put_note(b, &at, 6, 0x2e36, 2, align);
    put_note(b, &at, 18, entry, descsz, align);
    phdr_set(b, 2, PH_TYPE, PT_NOTE);
    phdr_set(b, 2, PH_OFFSET, ELF_NOTES);
    phdr_set(b, 2, PH_FILESZ, at - ELF_NOTES);
    phdr_set(b, 2, PH_MEMSZ, at - ELF_NOTES);
    phdr_set(b, 2, PH_ALIGN, align);
}

void build_multiboot(struct blob *b, size_t at, uint32_t flags, const uint32_t addresses[5])
{
    blob_put(b, at, 0x1badb002, 4);
    blob_put(b, at + 4, flags, 4);
    blob_put(b, at + 8, -(UINT64_C(0x1badb002) + flags), 4);
    for (unsigned i = 0; addresses && i < 5; i++)
        blob_put(b, at + 12 + 4 * i, addresses[i], 4);
}

void build_image(struct blob *b)
{
    memset(b, 0, sizeof(*b));
    blob_pattern(b, 0, IMAGE_FILE, 7);
    blob_put(b, 8, 0, 8);                /* text_offset */
    blob_put(b, 16, IMAGE_MEMORY, 8);    /* image_size */
    blob_put(b, 24, 1 << 1 | 1 << 3, 8); /* flags: 4 KiB pages, anywhere in RAM */
    blob_bytes(b, 56, "ARM\x64", 4);
    blob_put(b, 60, IMAGE_PE, 4);
    blob_bytes(b, IMAGE_PE, "PE\0\0", 4);
    blob_put(b, IMAGE_PE + 6, 2, 2);    /* sections */
    blob_put(b, IMAGE_PE + 20, 160, 2); /* bytes of the optional header */
    for (size_t i = 0; i < 2; i++) {
        size_t section = IMAGE_PE + 24 + 160 + 40 * i;

        blob_put(b, section + 16, IMAGE_FILE / 2, 4);     /* SizeOfRawData */
        blob_put(b, section + 20, IMAGE_FILE / 2 * i, 4); /* PointerToRawData */
    }
}
