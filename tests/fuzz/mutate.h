/*
 * Mutation of protobuf messages by their fields, so that what reaches the services
 * is well formed and near to what they accept.
 */
#ifndef TBK_FUZZ_MUTATE_H
#define TBK_FUZZ_MUTATE_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"

/* A message with some fields set. Everything lives in the arena, and NULL when it
 * is full. */
ProtobufCMessage *fuzz_message_create(const ProtobufCMessageDescriptor *type, struct tbk_arena *arena);
/* Changes one field of message or of a message within, which live in the arena. */
void fuzz_message_mutate(ProtobufCMessage *message, struct tbk_arena *arena);

/* Reads bytes as a message of this type, mutates it and writes it back; bytes that
 * are none become a new one. 0 when it does not fit. */
size_t fuzz_bytes_mutate(const ProtobufCMessageDescriptor *type, uint8_t *data, size_t size, size_t size_max);

/* Writes a message if it fits; returns its bytes or 0. */
size_t fuzz_message_write(const ProtobufCMessage *message, uint8_t *data, size_t size_max);

/* An arena that is emptied by each call. */
struct tbk_arena *fuzz_mutation_arena(void);

#endif
