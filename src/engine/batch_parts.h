// SPDX-License-Identifier: Apache-2.0
// A batch as it is run: in parts whose values a cache holds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/execution.h"

namespace octconv::engine {

/// Parts of the same size, and a smaller one.
struct BatchParts {
  std::int64_t batch = 0;
  std::unique_ptr<const Execution> part;
  std::unique_ptr<const Execution> rest;  ///< null: there is none

  [[nodiscard]] std::int64_t arena_elements() const {
    return std::max(part->arena_elements(), rest == nullptr ? 0 : rest->arena_elements());
  }

  /// body(execution, first image) for all parts, one for a batch of 0.
  template <class Body>
  void for_each(const Body& body) const {
    std::int64_t image = 0;
    do {
      const bool whole = batch - image >= part->batch();
      const Execution& execution = whole ? *part : *rest;
      body(execution, image);
      image += execution.batch();
    } while (image < batch);
  }
};

/// One part if the program keeps values: they are those of the whole batch.
[[nodiscard]] BatchParts divide_batch(const Network::Program& program, std::int64_t batch,
                                      const std::vector<Shape>& extents);

}  // namespace octconv::engine
