/* The bytes of the file INIT (firmware/init/rules.mk), see image.h. */
    .section .rodata
    .balign 16
    .globl init_image
    .type init_image, %object
init_image:
    .incbin INIT
init_image_end:
    .size init_image, . - init_image
    .balign 8
    .globl init_image_size
    .type init_image_size, %object
init_image_size:
    .quad init_image_end - init_image
    .size init_image_size, . - init_image_size
    .section .note.GNU-stack, "", %progbits
