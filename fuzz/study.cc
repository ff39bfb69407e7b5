// SPDX-License-Identifier: Apache-2.0
// What `octconv study` and `octconv report` read: each is a study, a history, or refused.
#include <string>

#include "octconv/base/error.h"
#include "target.h"
#include "workflow/history.h"
#include "workflow/study.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    static_cast<void>(octconv::workflow::parse_study(text, "x"));
  } catch (const octconv::Error&) {  // refused
  }
  try {
    static_cast<void>(octconv::workflow::parse_history(text, "x"));
  } catch (const octconv::Error&) {  // refused
  }
  return 0;
}
