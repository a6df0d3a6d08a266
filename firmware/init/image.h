/* The guest's first program (main.c), linked, as hv carries it. */
#ifndef FIRMWARE_INIT_IMAGE_H
#define FIRMWARE_INIT_IMAGE_H

#include <stddef.h>

extern const unsigned char init_image[];
extern const size_t init_image_size;

#endif
