# SPDX-License-Identifier: Apache-2.0
# How a layer, a library made of layers, and a test of a layer are declared.

# octconv_layer(NAME DEPENDS layer... HEADERS public.h... SOURCES file.cc... LINK ... PUBLIC_LINK ...)
#
# Headers are named relative to include/octconv, sources relative to the calling folder. LINK names
# libraries that only the sources use, PUBLIC_LINK those that the public headers use too. A layer is
# an object library, so that tests reach what the installed library hides.
function(octconv_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;HEADERS;SOURCES;LINK;PUBLIC_LINK")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "octconv: layer ${name} has unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  set(layer octconv_${name})
  add_library(${layer} OBJECT ${arg_SOURCES})
  set_target_properties(${layer} PROPERTIES
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    CXX_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON)
  target_compile_features(${layer} PUBLIC cxx_std_20)
  target_include_directories(${layer} PUBLIC
    "${PROJECT_SOURCE_DIR}/include"
    "${PROJECT_BINARY_DIR}/include"
    "${PROJECT_SOURCE_DIR}/src")
  octconv_developer_flags(${layer})
  if(OCTCONV_BUILD_FUZZ)
    # Tells fuzz/driver.cc what is reached. Readers call no kernel, and those are slow enough.
    if(name STREQUAL "base")
      target_sources(${layer} PRIVATE "${PROJECT_SOURCE_DIR}/fuzz/untraced.cc")
    elseif(NOT name STREQUAL "kernels")
      target_compile_options(${layer} PRIVATE -fsanitize-coverage=trace-pc)
    endif()
  endif()
  foreach(dependency IN LISTS arg_DEPENDS)
    if(NOT TARGET octconv_${dependency})
      message(FATAL_ERROR "octconv: layer ${name} depends on ${dependency}, which is not below it")
    endif()
    target_link_libraries(${layer} PUBLIC octconv_${dependency})
  endforeach()
  target_link_libraries(${layer} PRIVATE ${arg_LINK} PUBLIC ${arg_PUBLIC_LINK})

  list(TRANSFORM arg_HEADERS PREPEND "${PROJECT_SOURCE_DIR}/include/octconv/")
  set_target_properties(${layer} PROPERTIES
    OCTCONV_DEPENDS "${arg_DEPENDS}"
    OCTCONV_HEADERS "${arg_HEADERS}"
    OCTCONV_LINK "${arg_LINK}"
    OCTCONV_PUBLIC_LINK "${arg_PUBLIC_LINK}")
  set_property(GLOBAL APPEND PROPERTY OCTCONV_LAYERS ${name})
endfunction()

# octconv_library(NAME LAYERS layer... LINK library...): one installed library, alias octconv::NAME.
#
# The target is `octconv` for the library of that name, else `octconv_libNAME`.
function(octconv_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LAYERS;LINK")
  if(name STREQUAL "octconv")
    set(target octconv)
    set(output octconv)
  else()
    set(target octconv_lib${name})
    set(output octconv_${name})
  endif()
  add_library(${target})
  add_library(octconv::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name}
    OUTPUT_NAME ${output}
    LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_compile_features(${target} PUBLIC cxx_std_20)
  octconv_developer_flags(${target})
  foreach(layer IN LISTS arg_LAYERS)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:octconv_${layer}>)
    get_target_property(headers octconv_${layer} OCTCONV_HEADERS)
    if(headers)
      target_sources(${target} PUBLIC FILE_SET HEADERS
        BASE_DIRS "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include"
        FILES ${headers})
    endif()
    get_target_property(link octconv_${layer} OCTCONV_LINK)
    foreach(library IN LISTS link)
      # The layer is compiled already: of a header-only library nothing is left to link, and users of
      # a static octconv need not have it.
      octconv_is_header_only(header_only ${library})
      if(NOT header_only)
        target_link_libraries(${target} PRIVATE ${library})
      endif()
    endforeach()
    get_target_property(public_link octconv_${layer} OCTCONV_PUBLIC_LINK)
    target_link_libraries(${target} PUBLIC ${public_link})
  endforeach()
  foreach(library IN LISTS arg_LINK)
    target_link_libraries(${target} PUBLIC octconv::${library})
  endforeach()
endfunction()

function(octconv_is_header_only result library)
  set(header_only FALSE)
  if(TARGET ${library})
    get_target_property(type ${library} TYPE)
    get_target_property(link ${library} INTERFACE_LINK_LIBRARIES)
    if(type STREQUAL "INTERFACE_LIBRARY" AND NOT link)
      set(header_only TRUE)
    endif()
  endif()
  set(${result} ${header_only} PARENT_SCOPE)
endfunction()

# octconv_test(LAYER SOURCES file.cc... LAYERS layer... LINK library...): one GoogleTest program over
# the objects of a layer, of further layers, and of all below them.
function(octconv_test layer)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK;LAYERS")
  set(test octconv_${layer}_test)
  add_executable(${test} ${arg_SOURCES})
  set_target_properties(${test} PROPERTIES
    CXX_EXTENSIONS OFF
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_include_directories(${test} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  octconv_developer_flags(${test})
  octconv_link_layers(${test} ${layer} ${arg_LAYERS})
  target_link_libraries(${test} PRIVATE
    GTest::gtest GTest::gmock GTest::gtest_main ${arg_LINK})
  gtest_discover_tests(${test}
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60  # seconds: LibTorch alone takes some to load on a busy machine
    WORKING_DIRECTORY "${PROJECT_BINARY_DIR}"
    PROPERTIES LABELS ${layer})
endfunction()

# Links the objects of the named layers and of all the layers below them: the objects of an object
# library reach only what links it directly.
function(octconv_link_layers target)
  set(open ${ARGN})
  set(closed "")
  while(open)
    list(POP_FRONT open layer)
    if(layer IN_LIST closed)
      continue()
    endif()
    list(APPEND closed ${layer})
    target_link_libraries(${target} PRIVATE octconv_${layer})
    get_target_property(below octconv_${layer} OCTCONV_DEPENDS)
    list(APPEND open ${below})
  endwhile()
endfunction()

function(octconv_developer_flags target)
  # Designated initialisers leave members out on purpose; GCC 12 reports std::string's own code
  # (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105651).
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wsign-conversion
    -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    $<$<BOOL:${OCTCONV_WERROR}>:-Werror>)
  if(OCTCONV_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${OCTCONV_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${OCTCONV_SANITIZE})
  endif()
endfunction()

# Writes "layer: dependency dependency" lines, lowest layer first, for the layer test.
function(octconv_write_layers file)
  get_property(layers GLOBAL PROPERTY OCTCONV_LAYERS)
  set(text "")
  foreach(layer IN LISTS layers)
    get_target_property(depends octconv_${layer} OCTCONV_DEPENDS)
    list(JOIN depends " " depends)
    string(APPEND text "${layer}: ${depends}\n")
  endforeach()
  file(WRITE "${file}" "${text}")
endfunction()
