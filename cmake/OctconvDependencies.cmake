# SPDX-License-Identifier: Apache-2.0
# Every package that octconv uses, found once, where every folder sees it.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(hwy REQUIRED)
find_package(Protobuf REQUIRED)  # ONNX names its target without looking for it
find_package(ONNX REQUIRED)
find_package(nlohmann_json REQUIRED)
if(OCTCONV_WITH_IMAGE)
  find_package(OpenCV REQUIRED COMPONENTS core imgproc imgcodecs videoio)
  find_package(JPEG REQUIRED)  # libjpeg-turbo's
  find_package(ZLIB REQUIRED)
endif()
if(OCTCONV_WITH_TORCH)
  find_package(Torch CONFIG REQUIRED)
endif()
if(OCTCONV_BUILD_TOOLS)
  find_package(CLI11 REQUIRED)
endif()
if(OCTCONV_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  include(GoogleTest)
endif()
