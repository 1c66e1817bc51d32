/*
 * The definition of every figure that analytics answers.
 */
#ifndef TBK_SERVICES_ANALYTICS_DEFINITIONS_H
#define TBK_SERVICES_ANALYTICS_DEFINITIONS_H

#include "base/arena.h"
#include "tradebook/v1/analytics.pb-c.h"

/* Sets basis->definitions to those of all figures that a message of this type can
 * hold, in itself or in messages within it. False when the arena is exhausted. */
bool tbk_definitions_of(const ProtobufCMessageDescriptor *response, struct tbk_arena *arena,
                        Tradebook__V1__Basis *basis);

#endif
