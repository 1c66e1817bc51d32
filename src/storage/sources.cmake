tbk_layer(storage
  SOURCES
    storage/backends.c
    storage/sqlite/backend.c
    storage/sqlite/cursors.c
    storage/sqlite/database.c
    storage/sqlite/events.c
    storage/sqlite/list.c
    storage/sqlite/log_vfs.c
    storage/sqlite/migrate.c
    storage/sqlite/neighbours.c
    storage/sqlite/requests.c
    storage/sqlite/rows.c
    storage/sqlite/tables.c
    storage/sqlite/trades.c
    storage/sqlite/triggers.c
    storage/topic.c
  LINK tbk_query PkgConfig::SQLITE)
