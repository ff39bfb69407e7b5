// SPDX-License-Identifier: Apache-2.0
// Training as seen on standard error: one line that is redrawn on a terminal, plain lines
// elsewhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "octconv/train/trainer.h"

namespace octconv::tool {

/// "1:05:09", "2:07".
[[nodiscard]] std::string clock_text(double seconds);

class ProgressDisplay : public train::Observer {
 public:
  /// @param title  begins every line, e.g. "resnet20 alpha 0.25"
  explicit ProgressDisplay(std::string title);
  /// Ends a line that was being redrawn.
  ~ProgressDisplay() override;

  void on_step(const train::StepProgress& progress) override;
  void on_skipped(const train::SkippedImage& image) override;
  void on_epoch(const train::EpochRecord& record) override;

 private:
  void redraw(const std::string& line);

  std::string title_;
  bool terminal_;
  std::size_t drawn_ = 0;  // length of the line on the terminal
  std::chrono::steady_clock::time_point next_;
};

}  // namespace octconv::tool
