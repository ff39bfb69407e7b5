// SPDX-License-Identifier: Apache-2.0
// Files with an object of JSON on each line, read so that an error names file and line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace octconv::workflow {

// A line, and what to call it.
class JsonLine {
 public:
  JsonLine(nlohmann::json object, std::string where)
      : object_(std::move(object)), where_(std::move(where)) {}

  [[nodiscard]] const nlohmann::json& object() const { return object_; }
  [[nodiscard]] const std::string& where() const { return where_; }

  // Throws FormatError: file, line, why.
  [[noreturn]] void fail(const std::string& why) const;

  // Members. Each throws FormatError if it is missing or of another type. A number may be null,
  // which is not a number.
  [[nodiscard]] double number(const char* name) const;
  [[nodiscard]] std::int64_t whole(const char* name) const;
  [[nodiscard]] std::string text(const char* name) const;
  [[nodiscard]] const nlohmann::json& member(const char* name) const;

 private:
  nlohmann::json object_;
  std::string where_;  // "'run/history.jsonl', line 3"
};

// All lines; `name` stands for the file in errors. Throws FormatError for a line that is no object.
std::vector<JsonLine> parse_json_lines(std::string_view text, const std::string& name);

// The same of a file. Throws FileError if it cannot be read.
std::vector<JsonLine> read_json_lines(const std::filesystem::path& file);

}  // namespace octconv::workflow
