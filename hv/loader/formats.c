/*
 * Which kernels each architecture boots. An hv names one of these tables (hv/arch/<arch>/boot.c);
 * the others are not linked, nor are the loaders that only they name.
 */
#include "hv/loader/plan.h"

/* ELF first: its magic is at the very start, where a bzImage has a jump or "MZ". Any file may carry
 * a Multiboot header, so that one is last. */
static const struct kernel_format *const x86[] = {&kernel_elf, &kernel_bzimage, &kernel_flat, NULL};

const struct kernel_formats kernels_x86 = {"x86-64",
                                           "a bzImage, an ELF vmlinux or a Multiboot image", x86};

static const struct kernel_format *const arm64[] = {&kernel_image, &kernel_image_gzip, NULL};

const struct kernel_formats kernels_arm64 = {"arm64",
                                             "an Image (arch/arm64/boot/Image or Image.gz)", arm64};
