/*
 * How a response is printed, to the standard output.
 */
#ifndef TBK_CLI_REPORT_PRINT_H
#define TBK_CLI_REPORT_PRINT_H

#include "base/error.h"
#include "cli/report_kinds.h"

/* The response by the proto3 JSON mapping. */
enum tbk_status tbk_print_json(const ProtobufCMessage *response, struct tbk_error *error) TBK_MUST_CHECK;

/* Sections one after the other, an empty line between tables. RESOURCE_EXHAUSTED
 * when memory is exhausted. */
enum tbk_status tbk_print_sections(const struct tbk_report_section *sections, size_t count,
                                   const struct tbk_report_view *view, struct tbk_error *error) TBK_MUST_CHECK;

/* Title, basis and sections. */
enum tbk_status tbk_print_report(const struct tbk_report *report, const struct tbk_report_view *view,
                                 struct tbk_error *error) TBK_MUST_CHECK;

/* One flat table with a header, see flat.h. */
enum tbk_status tbk_print_csv(const struct tbk_report *report, const struct tbk_report_view *view,
                              struct tbk_error *error) TBK_MUST_CHECK;

/* What may be sent to the standard output. */
struct tbk_report_view tbk_report_view_of_stdout(const ProtobufCMessage *request,
                                                 const ProtobufCMessage *response);

#endif
