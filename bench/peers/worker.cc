// SPDX-License-Identifier: Apache-2.0
// octconv's engine as a process that compare.py asks for times: see worker.py for the protocol.
//
// usage: octconv_peer_worker MODEL.onnx INPUT.f32 SHAPE THREADS CORES
//   INPUT.f32  the input's floats; SHAPE, CORES  numbers with commas
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <sched.h>

#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/base/version.h"
#include "octconv/engine/network.h"
#include "octconv/onnx/onnx.h"

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::vector<std::int64_t> numbers(const std::string& text) {
  std::vector<std::int64_t> result;
  std::stringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) result.push_back(std::stoll(item));
  return result;
}

// Before any thread is made, so that all of them inherit it.
void stay_on(const std::vector<std::int64_t>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const std::int64_t core : cores) CPU_SET(static_cast<std::size_t>(core), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    throw octconv::Error("cannot stay on the processors");
}

octconv::Tensor read_input(const std::string& path, const octconv::Shape& shape) {
  octconv::Tensor input(shape);
  std::ifstream file(path, std::ios::binary);
  const std::streamsize bytes = static_cast<std::streamsize>(sizeof(float)) * input.elements();
  if (!file.read(reinterpret_cast<char*>(input.data()), bytes))
    throw octconv::Error("cannot read '" + path + "'");
  return input;
}

// In kB.
long memory(const std::string& what) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(what + ":", 0) == 0)
      return std::strtol(line.c_str() + what.size() + 1, nullptr, 10);
  }
  throw octconv::Error("/proc/self/status: no " + what);
}

void work(char** arguments) {
  stay_on(numbers(arguments[5]));
  octconv::set_thread_count(std::atoi(arguments[4]));
  const std::vector<std::int64_t> shape = numbers(arguments[3]);
  const octconv::Tensor input = read_input(arguments[2], octconv::Shape(shape));
  const long base = memory("VmHWM");
  const Clock::time_point begin = Clock::now();
  octconv::Session session(octconv::compile(octconv::load_onnx(arguments[1])));
  const double load = milliseconds_since(begin);
  octconv::Tensor output;
  session.run(input, output);
  std::cout << R"(ready {"version": ")" << OCTCONV_VERSION << R"(", "note": "", "load_ms": )"
            << load << R"(, "first_ms": )" << milliseconds_since(begin) - load << R"(, "base_kb": )"
            << base << "}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.rfind("run ", 0) == 0) {
      std::cout << "times";
      for (int i = std::atoi(line.c_str() + 4); i > 0; --i) {
        const Clock::time_point start = Clock::now();
        session.run(input, output);
        std::cout << " " << milliseconds_since(start);
      }
      std::cout << std::endl;
    } else if (line == "memory") {
      std::cout << "memory " << memory("VmHWM") << std::endl;
    } else if (line.rfind("write ", 0) == 0) {
      std::ofstream file(line.substr(6), std::ios::binary);
      file.write(reinterpret_cast<const char*>(output.data()),
                 static_cast<std::streamsize>(sizeof(float)) * output.elements());
      file.close();
      if (!file) throw octconv::Error("cannot write '" + line.substr(6) + "'");
      std::cout << "written" << std::endl;
    } else {
      throw octconv::Error("unknown order '" + line + "'");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: %s MODEL.onnx INPUT.f32 SHAPE THREADS CORES\n", argv[0]);
    return 2;
  }
  try {
    work(argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
