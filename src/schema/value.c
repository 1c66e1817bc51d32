#include "schema/value.h"

#include <string.h>

bool tbk_value_same(struct tbk_value one, struct tbk_value other)
{
    if (one.type != other.type) {
        return false;
    }
    switch (one.type) {
    case TBK_VALUE_NULL:
        return true;
    case TBK_VALUE_INTEGER:
        return one.integer == other.integer;
    case TBK_VALUE_REAL:
        return one.real == other.real;
    case TBK_VALUE_TEXT:
        return one.text.length == other.text.length &&
               memcmp(one.text.data, other.text.data, one.text.length) == 0;
    case TBK_VALUE_TIMESTAMP:
        return one.timestamp_us == other.timestamp_us;
    }
    return false;
}
