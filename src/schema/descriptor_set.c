#include "schema/descriptor_set.h"

/* TBK_DESCRIPTOR_SET_PATH is set by the build. */
__asm__(".section .rodata\n"
        ".balign 16\n"
        ".globl tbk_descriptor_set_begin\n"
        "tbk_descriptor_set_begin:\n"
        ".incbin \"" TBK_DESCRIPTOR_SET_PATH "\"\n"
        ".globl tbk_descriptor_set_end\n"
        "tbk_descriptor_set_end:\n"
        ".byte 0\n"
        ".previous\n");
