# SPDX-License-Identifier: Apache-2.0
# One step of a package test: cmake -D STEP=... -P run.cmake. Every step starts from an empty folder.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Runs the consumer's program and compares what it prints with what it should.
function(check_output)
  execute_process(COMMAND "${WORK}/consumer" OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output STREQUAL "${EXPECTED}\n")
    message(FATAL_ERROR "the consumer printed '${output}' instead of '${EXPECTED}'")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
string(REPLACE "|" ";" OPTIONS "${OPTIONS}")

if(STEP STREQUAL "install")
  # Installs the build tree BUILD to PREFIX. Component by component: together they must hold all that
  # consumers need. Then moved, so that a file which remembers the first place shows.
  run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/first" --component Runtime)
  run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/first" --component Development)
  file(REMOVE_RECURSE "${PREFIX}")
  file(RENAME "${WORK}/first" "${PREFIX}")
  if(EXISTS "${PREFIX}/bin/octconv")
    run("${PREFIX}/bin/octconv" --version)
  endif()
elseif(STEP STREQUAL "build-and-install")
  run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}" ${OPTIONS})
  run("${CMAKE_COMMAND}" --build "${WORK}")
  file(REMOVE_RECURSE "${PREFIX}")
  run("${CMAKE_COMMAND}" --install "${WORK}" --prefix "${PREFIX}")
elseif(STEP STREQUAL "consume")
  run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}" ${OPTIONS})
  run("${CMAKE_COMMAND}" --build "${WORK}")
  check_output()
elseif(STEP STREQUAL "pkg-config")
  set(ENV{PKG_CONFIG_PATH} "${PREFIX}/${LIBDIR}/pkgconfig")
  set(ENV{LD_LIBRARY_PATH} "${PREFIX}/${LIBDIR}")
  foreach(mode "" --static)
    execute_process(COMMAND "${PKG_CONFIG}" ${mode} --cflags --libs octconv
      OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    run("${CXX}" -std=c++20 "${SOURCE}/consumer.cc" -o "${WORK}/consumer" ${flags})
    check_output()
  endforeach()
elseif(STEP STREQUAL "example")
  # The program of the README, on a model that the installed command made.
  run("${CMAKE_COMMAND}" -S "${SOURCE}/examples" -B "${WORK}" ${OPTIONS})
  run("${CMAKE_COMMAND}" --build "${WORK}")
  run("${PREFIX}/bin/octconv" export resnet20 --alpha 0.5 -o "${WORK}/model.onnx")
  set(ENV{PYTHONPATH} "${SOURCE}/tests/cli")
  run("${PYTHON}" "${SOURCE}/tests/package/zeros.py" "${WORK}/input.npy" 1 3 32 32)
  execute_process(COMMAND "${WORK}/run_model" "${WORK}/model.onnx" "${WORK}/input.npy"
    OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output MATCHES "^scores \\[1, 10\\]:( -?[0-9.e-]+)+\n$")
    message(FATAL_ERROR "the example printed '${output}'")
  endif()
elseif(STEP STREQUAL "small-network")
  # The programs of examples/small_network: one prints shapes, the other must learn.
  run("${CMAKE_COMMAND}" -S "${SOURCE}/examples/small_network" -B "${WORK}" ${OPTIONS})
  run("${CMAKE_COMMAND}" --build "${WORK}")
  execute_process(COMMAND "${WORK}/octave_layer" OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output STREQUAL "${EXPECTED}")
    message(FATAL_ERROR "octave_layer printed '${output}' instead of '${EXPECTED}'")
  endif()
  execute_process(COMMAND "${WORK}/small_network" 60 OUTPUT_VARIABLE output
    COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output MATCHES "^step 10 loss ([0-9.]+)\n.*step 60 loss ([0-9.]+)\n$"
     OR NOT CMAKE_MATCH_2 LESS CMAKE_MATCH_1)
    message(FATAL_ERROR "small_network did not learn: '${output}'")
  endif()
  execute_process(COMMAND "${WORK}/small_network" 1 no-such-data RESULT_VARIABLE code
    ERROR_VARIABLE error)
  if(NOT code EQUAL 1 OR NOT error MATCHES "^error: .*no-such-data")
    message(FATAL_ERROR "small_network ended with ${code} and said '${error}'")
  endif()
else()
  message(FATAL_ERROR "unknown step '${STEP}'")
endif()
