tbk_layer(schema
  SOURCES
    schema/column.c
    schema/descriptor_set.c
    schema/schema.c
    schema/timestamp_message.c
    schema/validate.c
    schema/value.c
  LINK tbk_base tbk_proto PkgConfig::JANSSON)
set_source_files_properties(schema/descriptor_set.c PROPERTIES
  COMPILE_DEFINITIONS TBK_DESCRIPTOR_SET_PATH="${TRADEBOOK_DESCRIPTOR_SET}"
  OBJECT_DEPENDS ${TRADEBOOK_DESCRIPTOR_SET})
