// SPDX-License-Identifier: Apache-2.0
// Reading the file of a study.
#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <set>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/text.h"
#include "octconv/octave/channel_split.h"
#include "workflow/study.h"

namespace octconv::workflow {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 16;

// An object of the file, and what to call it in errors.
class Members {
 public:
  Members(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail("is no object");
  }

  [[noreturn]] void fail(const std::string& why) const { throw FormatError(where_ + " " + why); }

  void only(std::initializer_list<const char*> known) const {
    const std::vector<std::string> names(known.begin(), known.end());
    for (const auto& [name, value] : object_.items()) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      const std::string nearest = nearest_name(name, names);
      fail("has an unknown member '" + name + "'" +
           (nearest.empty() ? "; known are " + join(names, ", ")
                            : "; did you mean '" + nearest + "'?"));
    }
  }

  // Null if there is none.
  [[nodiscard]] const Json* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }

  [[nodiscard]] std::string text(const char* name, const std::string& otherwise) const {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) fail("has '" + std::string(name) + "', which must be text");
    return value->get<std::string>();
  }

  [[nodiscard]] std::string text(const char* name) const {
    if (find(name) == nullptr) fail("lacks '" + std::string(name) + "'");
    return text(name, "");
  }

  [[nodiscard]] std::int64_t whole(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return 0;
    if (!value->is_number_integer()) {
      fail("has '" + std::string(name) + "', which must be a whole number");
    }
    return value->get<std::int64_t>();
  }

  [[nodiscard]] bool flag(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return false;
    if (!value->is_boolean()) fail("has '" + std::string(name) + "', which must be true or false");
    return value->get<bool>();
  }

  [[nodiscard]] const Json& list(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) fail("lacks '" + std::string(name) + "'");
    if (!value->is_array() || value->empty()) {
      fail("has '" + std::string(name) + "', which must be a list that is not empty");
    }
    return *value;
  }

 private:
  const Json& object_;
  std::string where_;
};

void add_options(const Members& members, const std::string& where, NamedOptions& options) {
  const Json* train = members.find("train");
  if (train == nullptr) return;
  if (!train->is_object()) throw FormatError(where + " has 'train', which must be an object");
  for (const auto& [name, value] : train->items()) options[name] = value.dump();
}

StudyVariant read_variant(const Json& json, const std::string& where, const Members& study,
                          const NamedOptions& train) {
  const Members members(json, where);
  members.only({"name", "network", "alpha", "stride_mode", "exchange", "downsample", "low_to_high",
                "zero_gamma", "train"});
  StudyVariant variant{
      .name = members.text("name"), .zero_gamma = members.flag("zero_gamma"), .train = train};
  if (variant.name.empty()) members.fail("has an empty name");
  variant.network = members.text("network", study.text("network", ""));
  if (variant.network.empty()) members.fail("lacks 'network', and so does the study");
  if (const Json* alpha = members.find("alpha")) {
    if (!alpha->is_number()) members.fail("has 'alpha', which must be a number");
    variant.octave.alpha = alpha->get<double>();
  }
  add_options(members, where, variant.train);
  try {
    check_alpha(variant.octave.alpha, "alpha");
    if (members.find("stride_mode") != nullptr) {
      variant.octave.stride_mode = parse_stride_mode(members.text("stride_mode"));
    }
    variant.octave.exchange = parse_exchange(members.text("exchange", "both"));
    variant.octave.downsample = parse_downsample(members.text("downsample", "average"));
    variant.octave.low_to_high =
        parse_low_to_high(members.text("low_to_high", "conv_then_upsample"));
  } catch (const InvalidArgument& error) {
    throw InvalidArgument(where + ": " + error.what());
  }
  return variant;
}

std::vector<std::uint64_t> read_seeds(const Members& study) {
  std::vector<std::uint64_t> seeds;
  for (const Json& seed : study.list("seeds")) {
    if (!seed.is_number_unsigned()) study.fail("has the seed " + seed.dump() + ", no whole number");
    seeds.push_back(seed.get<std::uint64_t>());
    if (std::count(seeds.begin(), seeds.end(), seeds.back()) > 1) {
      study.fail("has the seed " + seed.dump() + " twice");
    }
  }
  return seeds;
}

std::int64_t line_of(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte == 0 ? 0 : byte - 1, text.size()));
  return 1 + std::count(before.begin(), before.end(), '\n');
}

Json parse(const std::string& text, const std::string& name) {
  if (json_depth(text) > kMaxDepth) throw FormatError(name + " is nested too deeply");
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw FormatError(name + ", line " + std::to_string(line_of(text, error.byte)) +
                      ": no JSON from there on");
  } catch (const Json::out_of_range&) {
    throw FormatError(name + " has a number that is too large");
  }
}

}  // namespace

std::string run_folder(const std::string& variant, std::uint64_t seed) {
  std::string folder;
  for (const char c : variant) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_';
    if (plain || (!folder.empty() && folder.back() != '-')) folder += plain ? c : '-';
  }
  while (!folder.empty() && folder.back() == '-') folder.pop_back();
  return folder + "-seed" + std::to_string(seed);
}

Study read_study(const std::filesystem::path& file) {
  return parse_study(read_file(file), file.string());
}

Study parse_study(const std::string& text, const std::string& file) {
  const std::string name = "'" + file + "'";
  const Json json = parse(text, name);
  const Members members(json, name);
  members.only(
      {"about", "data", "size", "frames", "frame_stride", "network", "seeds", "train", "variants"});
  static_cast<void>(members.text("about", ""));
  Study study{.data = members.text("data"), .seeds = read_seeds(members)};
  study.opening = {.size = members.whole("size"),
                   .frames = members.whole("frames"),
                   .frame_stride = members.whole("frame_stride")};
  NamedOptions train;
  add_options(members, name, train);
  std::set<std::string> names;
  std::set<std::string> folders;
  for (const Json& each : members.list("variants")) {
    const std::string where = name + ", variant " + std::to_string(study.variants.size() + 1);
    study.variants.push_back(read_variant(each, where, members, train));
    const std::string& own = study.variants.back().name;
    if (!names.insert(own).second) members.fail("has the variant '" + own + "' twice");
    if (!folders.insert(run_folder(own, 0)).second) {
      members.fail("has the variant '" + own + "', whose folder '" + run_folder(own, 0) +
                   "' is another's too");
    }
  }
  return study;
}

}  // namespace octconv::workflow
