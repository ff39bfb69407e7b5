# SPDX-License-Identifier: Apache-2.0
# How a layer, a library made of layers, and a test of a layer are declared.

# octconv_layer(NAME DEPENDS layer... HEADERS public.h... SOURCES file.cc... LINK private... PUBLIC_LINK ...)
#
# Headers are named relative to include/octconv, sources relative to the calling folder. A layer is an
# object library, so that tests reach what the installed library hides.
function(octconv_layer name)
  cmake_parse_arguments(arg "" "" "DEPENDS;HEADERS;SOURCES;LINK;PUBLIC_LINK" ${ARGN})
  add_library(octconv_${name} OBJECT ${arg_SOURCES})
  set_target_properties(octconv_${name} PROPERTIES
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_compile_features(octconv_${name} PUBLIC cxx_std_20)
  target_include_directories(octconv_${name} PUBLIC
    "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include")
  target_include_directories(octconv_${name} PUBLIC "${PROJECT_SOURCE_DIR}/src")
  octconv_developer_flags(octconv_${name})
  foreach(dependency IN LISTS arg_DEPENDS)
    if(NOT TARGET octconv_${dependency})
      message(FATAL_ERROR "octconv: layer ${name} depends on ${dependency}, which is not below it")
    endif()
    target_link_libraries(octconv_${name} PUBLIC octconv_${dependency})
  endforeach()
  target_link_libraries(octconv_${name} PRIVATE ${arg_LINK} PUBLIC ${arg_PUBLIC_LINK})
  set(headers ${arg_HEADERS})
  list(TRANSFORM headers PREPEND "${PROJECT_SOURCE_DIR}/include/octconv/")
  set_target_properties(octconv_${name} PROPERTIES
    OCTCONV_HEADERS "${headers}" OCTCONV_LINK "${arg_LINK}" OCTCONV_PUBLIC_LINK "${arg_PUBLIC_LINK}")
  set_property(GLOBAL APPEND PROPERTY OCTCONV_LAYERS "${name}: ${arg_DEPENDS}")
endfunction()

# octconv_library(NAME LAYERS layer... LINK library...): one installed library, alias octconv::NAME.
function(octconv_library name)
  cmake_parse_arguments(arg "" "" "LAYERS;LINK" ${ARGN})
  if(name STREQUAL "octconv")
    set(target octconv)
  else()
    set(target octconv_lib${name})
  endif()
  add_library(${target})
  add_library(octconv::${name} ALIAS ${target})
  set(output octconv)
  if(NOT name STREQUAL "octconv")
    set(output octconv_${name})
  endif()
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name} OUTPUT_NAME ${output} LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION} SOVERSION "${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
  target_compile_features(${target} PUBLIC cxx_std_20)
  foreach(layer IN LISTS arg_LAYERS)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:octconv_${layer}>)
    get_target_property(headers octconv_${layer} OCTCONV_HEADERS)
    if(headers)
      target_sources(${target} PUBLIC FILE_SET HEADERS
        BASE_DIRS "${PROJECT_SOURCE_DIR}/include" "${PROJECT_BINARY_DIR}/include" FILES ${headers})
    endif()
    get_target_property(link octconv_${layer} OCTCONV_LINK)
    get_target_property(public_link octconv_${layer} OCTCONV_PUBLIC_LINK)
    target_link_libraries(${target} PRIVATE ${link} PUBLIC ${public_link})
  endforeach()
  foreach(library IN LISTS arg_LINK)
    target_link_libraries(${target} PUBLIC octconv::${library})
  endforeach()
endfunction()

# octconv_test(LAYER SOURCES file.cc... [LINK library...]): one GoogleTest program over a layer's objects.
function(octconv_test layer)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;LAYERS" ${ARGN})
  add_executable(octconv_${layer}_test ${arg_SOURCES})
  set_target_properties(octconv_${layer}_test PROPERTIES CXX_EXTENSIONS OFF
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  target_include_directories(octconv_${layer}_test PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  octconv_developer_flags(octconv_${layer}_test)
  octconv_link_layers(octconv_${layer}_test ${layer} ${arg_LAYERS})
  target_link_libraries(octconv_${layer}_test PRIVATE GTest::gtest GTest::gmock GTest::gtest_main ${arg_LINK})
  gtest_discover_tests(octconv_${layer}_test DISCOVERY_MODE PRE_TEST
    WORKING_DIRECTORY "${PROJECT_BINARY_DIR}" PROPERTIES LABELS ${layer})
endfunction()

# Links the objects of the named layers and of all the layers below them.
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
    get_property(layers GLOBAL PROPERTY OCTCONV_LAYERS)
    foreach(line IN LISTS layers)
      if(line MATCHES "^${layer}: (.*)$")
        string(REPLACE " " ";" below "${CMAKE_MATCH_1}")
        list(APPEND open ${below})
      endif()
    endforeach()
  endwhile()
endfunction()

function(octconv_developer_flags target)
  # Designated initialisers leave members out on purpose; GCC 12 reports std::string's own code
  # (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105651).
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wsign-conversion
    -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    $<$<BOOL:${OCTCONV_WERROR}>:-Werror>)
  if(OCTCONV_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${OCTCONV_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${OCTCONV_SANITIZE})
  endif()
endfunction()

# Writes "layer: dependency dependency" lines for the layer test.
function(octconv_write_layers file)
  get_property(layers GLOBAL PROPERTY OCTCONV_LAYERS)
  list(JOIN layers "\n" text)
  file(WRITE "${file}" "${text}\n")
endfunction()
