# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where: component Runtime (command, shared libraries) and component
# Development (headers, static libraries, CMake package, pkg-config file).
include(CMakePackageConfigHelpers)

set(octconv_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/octconv")

# One export file per library, so that finding octconv never looks for what only its other libraries
# need. The first is octconv itself; the config file loads the others as components.
set(octconv_components "")
foreach(name octconv image torch)
  if(name STREQUAL "octconv")
    set(target octconv)
    set(export octconv-targets)
  else()
    set(target octconv_lib${name})
    set(export octconv-${name}-targets)
    if(NOT TARGET ${target})
      continue()
    endif()
    list(APPEND octconv_components ${name})
  endif()
  install(TARGETS ${target} EXPORT ${export}
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT Runtime
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Runtime
      NAMELINK_COMPONENT Development
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT Development
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT Development)
  install(EXPORT ${export} NAMESPACE octconv::
    DESTINATION "${octconv_package_dir}" COMPONENT Development)
endforeach()

if(TARGET octconv_tool)
  install(TARGETS octconv_tool
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT Runtime)
endif()

# A shared library brings what it links itself; a static one leaves that to whoever links it.
get_target_property(octconv_type octconv TYPE)
if(octconv_type STREQUAL "STATIC_LIBRARY")
  set(octconv_static TRUE)
else()
  set(octconv_static FALSE)
endif()

configure_package_config_file(cmake/octconv-config.cmake.in
  "${PROJECT_BINARY_DIR}/octconv-config.cmake"
  INSTALL_DESTINATION "${octconv_package_dir}"
  NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/octconv-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/octconv-config.cmake"
  "${PROJECT_BINARY_DIR}/octconv-config-version.cmake"
  DESTINATION "${octconv_package_dir}" COMPONENT Development)

# pkg-config. A static library's needs are public, so that the plain `pkg-config --libs octconv` links;
# --static adds nothing to them. A shared library's are nobody's business.
set(octconv_pc_requires "")
set(octconv_pc_libs "")
if(octconv_static)
  set(octconv_pc_requires "libhwy protobuf")
  set(octconv_pc_libs "-lonnx_proto")
  foreach(library IN LISTS OpenMP_CXX_LIB_NAMES)
    string(APPEND octconv_pc_libs " -l${library}")
  endforeach()
endif()
set(octconv_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(octconv_pc_prefix "${CMAKE_INSTALL_PREFIX}")
  set(octconv_pc_libdir "${CMAKE_INSTALL_LIBDIR}")
else()
  # Relative to the file itself, so that the installed folder can be moved.
  file(RELATIVE_PATH octconv_pc_prefix "/prefix/${octconv_pc_dir}" "/prefix")
  string(REGEX REPLACE "/$" "" octconv_pc_prefix "${octconv_pc_prefix}")
  set(octconv_pc_prefix "\${pcfiledir}/${octconv_pc_prefix}")
  set(octconv_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(octconv_pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(octconv_pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/octconv.pc.in "${PROJECT_BINARY_DIR}/octconv.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/octconv.pc"
  DESTINATION "${octconv_pc_dir}" COMPONENT Development)
