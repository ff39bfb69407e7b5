// SPDX-License-Identifier: Apache-2.0
// Silence of OpenCV's logger.
#pragma once

#include <mutex>

#include <opencv2/core/utils/logger.hpp>

namespace octconv::image {

// Keeps OpenCV's logger quiet while any thread has one: what went wrong is in the exception.
class QuietLog {
 public:
  QuietLog() {
    const std::lock_guard lock(mutex);
    if (users++ == 0) {
      level = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    }
  }
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;
  ~QuietLog() {
    const std::lock_guard lock(mutex);
    if (--users == 0) cv::utils::logging::setLogLevel(level);
  }

 private:
  static inline std::mutex mutex;
  static inline int users = 0;
  static inline cv::utils::logging::LogLevel level = cv::utils::logging::LOG_LEVEL_SILENT;
};

}  // namespace octconv::image
