# The Debian packages: `cpack -G DEB` in a build folder makes tradebook (program and
# service), libtradebook0 (the C client) and libtradebook-dev.

# Files of the system: `cmake --install` without a component leaves them out, as
# they belong to no prefix.
function(tradebook_service_file file destination name)
  install(FILES ${PROJECT_SOURCE_DIR}/deploy/${file} DESTINATION ${destination} RENAME ${name}
    COMPONENT Server EXCLUDE_FROM_ALL)
endfunction()
tradebook_service_file(systemd/tradebook.service /usr/lib/systemd/system tradebook.service)
tradebook_service_file(systemd/sysusers.conf /usr/lib/sysusers.d tradebook.conf)
tradebook_service_file(systemd/tmpfiles.conf /usr/lib/tmpfiles.d tradebook.conf)
tradebook_service_file(systemd/tradebook.conf /etc/tradebook tradebook.conf)
tradebook_service_file(debian/copyright /usr/share/doc/tradebook copyright)
tradebook_service_file(README.md /usr/share/doc/tradebook README.md)
tradebook_service_file(metrics.md /usr/share/doc/tradebook metrics.md)
tradebook_service_file(compose/prometheus/alerts.yml /usr/share/doc/tradebook/examples alerts.yml)
tradebook_service_file(compose/grafana/dashboards/tradebook.json /usr/share/doc/tradebook/examples dashboard.json)
install(FILES ${PROJECT_SOURCE_DIR}/deploy/debian/copyright DESTINATION /usr/share/doc/libtradebook${PROJECT_VERSION_MAJOR}
  COMPONENT Library EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/deploy/debian/copyright DESTINATION /usr/share/doc/libtradebook-dev
  COMPONENT Development EXCLUDE_FROM_ALL)

set(CPACK_PACKAGE_NAME tradebook)
set(CPACK_PACKAGE_VENDOR tradebook)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL Server Library Development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The developers of tradebook <maintainers@tradebook.example>")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/clients/c)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_SERVER_PACKAGE_NAME tradebook)
set(CPACK_DEBIAN_SERVER_PACKAGE_SECTION database)
set(CPACK_DEBIAN_SERVER_DESCRIPTION "One small server owns the database of machine-learning trading bots: signals,
trades, theories, patterns, risk and models. Programs call it instead of sharing
a file. This package has the server, which is also the command line, and its
service, which is neither enabled nor started by installing it.")
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS
    "systemd | systemd-standalone-sysusers | systemd-sysusers, systemd | systemd-standalone-tmpfiles | systemd-tmpfiles")
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/deploy/debian/conffiles
    ${PROJECT_SOURCE_DIR}/deploy/debian/postinst
    ${PROJECT_SOURCE_DIR}/deploy/debian/prerm
    ${PROJECT_SOURCE_DIR}/deploy/debian/postrm)

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libtradebook${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "The shared library with which C and C++ programs call a tradebook server.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libtradebook-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "What is needed to build programs that call a tradebook server in C or C++: headers,
the CMake package and the pkg-config file.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "libtradebook${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), libprotobuf-c-dev")
include(CPack)
