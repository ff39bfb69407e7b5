// SPDX-License-Identifier: Apache-2.0
#include "octconv/base/text.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace octconv {
namespace {

// Levenshtein distance, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

std::vector<std::string> nearest_names(std::string_view name,
                                       const std::vector<std::string>& candidates,
                                       std::size_t count) {
  std::vector<std::pair<std::size_t, std::size_t>> order;  // distance, index
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    order.emplace_back(edit_distance(name, candidates[i]), i);
  }
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), count));
  std::vector<std::string> nearest;
  for (const auto& [distance, index] : order) nearest.push_back(candidates[index]);
  return nearest;
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  const std::vector<std::string> nearest = nearest_names(name, candidates, 1);
  const bool near = !nearest.empty() && edit_distance(name, nearest[0]) <= name.size() / 2;
  return near ? nearest[0] : "";
}

}  // namespace octconv
