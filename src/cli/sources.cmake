tbk_layer(cli
  SOURCES
    cli/address.c
    cli/backup.c
    cli/backup_schedule.c
    cli/bench.c
    cli/bench_alternate.c
    cli/bench_ops.c
    cli/bench_report.c
    cli/bench_run.c
    cli/call.c
    cli/catalog.c
    cli/cell.c
    cli/check.c
    cli/completion.c
    cli/config.c
    cli/config_lines.c
    cli/connection.c
    cli/doctor.c
    cli/doctor_print.c
    cli/field_path.c
    cli/figure.c
    cli/flat.c
    cli/histogram.c
    cli/list.c
    cli/list_output.c
    cli/pages.c
    cli/plot.c
    cli/progress.c
    cli/report.c
    cli/report_kinds.c
    cli/report_print.c
    cli/report_view.c
    cli/request.c
    cli/restore.c
    cli/serve.c
    cli/suggest.c
    cli/terminal.c
    cli/text_table.c
    cli/trade.c
    cli/upkeep.c
    cli/vacuum.c
    cli/version.c
    cli/watch.c
  LINK tbk_http tbk_json tradebook_static PkgConfig::INIH)

# The completion scripts are part of the program, see cli/completion.c.
set(completion_dir ${PROJECT_SOURCE_DIR}/deploy/completion)
set_source_files_properties(cli/completion.c PROPERTIES
  COMPILE_DEFINITIONS TBK_COMPLETION_DIR="${completion_dir}"
  OBJECT_DEPENDS "${completion_dir}/tradebook.bash;${completion_dir}/tradebook.zsh;${completion_dir}/tradebook.fish")

add_executable(tradebook_program cli/main.c)
target_link_libraries(tradebook_program PRIVATE tbk_cli tbk_warnings)
set_target_properties(tradebook_program PROPERTIES OUTPUT_NAME tradebook RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})

install(TARGETS tradebook_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT Server)
install(FILES ${PROJECT_SOURCE_DIR}/deploy/man/tradebook.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1
  COMPONENT Server)
install(FILES ${completion_dir}/tradebook.bash RENAME tradebook
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT Server)
install(FILES ${completion_dir}/tradebook.zsh RENAME _tradebook
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT Server)
install(FILES ${completion_dir}/tradebook.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
  COMPONENT Server)
