/*
 * The methods that every resource has in the same form: create, batch create,
 * get, list, update. They work on any table of the schema; tbk_method.table says
 * on which. The shapes of their requests are fixed by the protocol files:
 *
 *   Create       1: the message
 *   BatchCreate  1: repeated messages; response 1: repeated BatchItemResult
 *   Get          the unique columns that may be asked by, under their names
 *   List         page_size, page_token, filter, order_by;
 *                response 1: repeated messages, 2: next_page_token
 *   Update       1: the message, 2: update_mask
 */
#ifndef TBK_SERVICES_RESOURCE_H
#define TBK_SERVICES_RESOURCE_H

#include "services/service.h"

/* A list answer holds no more than about this many bytes of records; the rest
 * follows on the next page. */
enum { TBK_LIST_BYTES_MAX = 1024 * 1024 };

tbk_check tbk_resource_check_create;
tbk_run tbk_resource_run_create;
tbk_check tbk_resource_check_batch_create;
tbk_run tbk_resource_run_batch_create;
tbk_check tbk_resource_check_get;
tbk_run tbk_resource_run_get;
tbk_check tbk_resource_check_list;
tbk_run tbk_resource_run_list;
tbk_check tbk_resource_check_update;
tbk_run tbk_resource_run_update;

#endif
