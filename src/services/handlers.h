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

tbk_check tbk_events_check_list;
tbk_run tbk_events_run_list;
tbk_run tbk_events_subscribe;
tbk_check tbk_cursors_check_name;
tbk_run tbk_cursors_run_get;
tbk_run tbk_cursors_run_delete;
tbk_check tbk_cursors_check_list;
tbk_run tbk_cursors_run_list;
tbk_check tbk_cursors_check_move;
tbk_run tbk_cursors_run_commit;
tbk_run tbk_cursors_run_set;

tbk_check tbk_analytics_check_performance;
tbk_run tbk_analytics_get_performance;
tbk_check tbk_analytics_check_equity_curve;
tbk_run tbk_analytics_get_equity_curve;
tbk_check tbk_analytics_check_series;
tbk_run tbk_analytics_get_series;
tbk_check tbk_analytics_check_comparison;
tbk_run tbk_analytics_compare;
tbk_check tbk_analytics_check_theories;
tbk_run tbk_analytics_rank_theories;
tbk_check tbk_analytics_check_calibration;
tbk_run tbk_analytics_get_calibration;

tbk_check tbk_model_check_promote;
tbk_run tbk_model_run_promote;
tbk_check tbk_model_check_roll_back;
tbk_run tbk_model_run_roll_back;
tbk_check tbk_model_check_retire;
tbk_run tbk_model_run_retire;
tbk_check tbk_model_check_history;
tbk_run tbk_model_run_history;

tbk_check tbk_pattern_check_outcome;
tbk_run tbk_pattern_run_outcome;
tbk_check tbk_theories_check_grade;
tbk_run tbk_theories_run_grade;

tbk_check tbk_analytics_check_patterns;
tbk_run tbk_analytics_rank_patterns;
tbk_check tbk_analytics_check_production_models; /* then tbk_resource_run_list */

tbk_check tbk_trades_check_open;
tbk_run tbk_trades_run_open;
tbk_check tbk_trades_check_close;
tbk_run tbk_trades_run_close;
tbk_check tbk_trades_check_batch_close;
tbk_run tbk_trades_run_batch_close;
tbk_check tbk_trades_check_record;
tbk_run tbk_trades_run_record;
tbk_check tbk_positions_check_list;
tbk_run tbk_positions_run_list;

#endif
