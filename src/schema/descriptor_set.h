/*
 * The serialised FileDescriptorSet of all protocol files, embedded in the binary
 * when it is built.
 */
#ifndef TBK_SCHEMA_DESCRIPTOR_SET_H
#define TBK_SCHEMA_DESCRIPTOR_SET_H

#include <stdint.h>

extern const uint8_t tbk_descriptor_set_begin[];
extern const uint8_t tbk_descriptor_set_end[];

#endif
