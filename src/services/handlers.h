/*
 * Handlers of methods that are not of the common resource form.
 */
#ifndef TBK_SERVICES_HANDLERS_H
#define TBK_SERVICES_HANDLERS_H

#include "services/service.h"

tbk_run tbk_health_check;
tbk_run tbk_admin_echo;
tbk_run tbk_admin_descriptor_set;
tbk_run tbk_admin_server_info;

#endif
