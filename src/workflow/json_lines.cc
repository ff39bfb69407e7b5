// SPDX-License-Identifier: Apache-2.0
#include "workflow/json_lines.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "base/json_depth.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"

namespace octconv::workflow {
namespace {

// More than any line of ours, and nothing to a parser.
constexpr int kMaxDepth = 16;

}  // namespace

void JsonLine::fail(const std::string& why) const {
  throw FormatError(where_ + ": " + why);
}

const nlohmann::json& JsonLine::member(const char* name) const {
  const auto found = object_.find(name);
  if (found == object_.end()) fail("'" + std::string(name) + "' is missing");
  return *found;
}

double JsonLine::number(const char* name) const {
  const nlohmann::json& value = member(name);
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!value.is_number()) fail("'" + std::string(name) + "' is no number");
  return value.get<double>();
}

std::int64_t JsonLine::whole(const char* name) const {
  const nlohmann::json& value = member(name);
  if (!value.is_number_integer()) fail("'" + std::string(name) + "' is no whole number");
  return value.get<std::int64_t>();
}

std::string JsonLine::text(const char* name) const {
  const nlohmann::json& value = member(name);
  if (!value.is_string()) fail("'" + std::string(name) + "' is no text");
  return value.get<std::string>();
}

std::vector<JsonLine> parse_json_lines(std::string_view text, const std::string& name) {
  std::vector<JsonLine> lines;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::string where = "'" + name + "', line " + std::to_string(lines.size() + 1);
    nlohmann::json object;
    if (json_depth(line) <= kMaxDepth) object = nlohmann::json::parse(line, nullptr, false);
    lines.emplace_back(std::move(object), where);
    if (!lines.back().object().is_object()) lines.back().fail("no object of JSON");
  }
  return lines;
}

std::vector<JsonLine> read_json_lines(const std::filesystem::path& file) {
  return parse_json_lines(read_file(file), file.string());
}

}  // namespace octconv::workflow
