// SPDX-License-Identifier: Apache-2.0
// Pictures without labels, on which a network is measured.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "octconv/graph/model.h"
#include "octconv/image/dataset.h"
#include "workflow/preprocess.h"

namespace octconv::workflow {

// Inputs for one model, made when they are asked for.
class Samples {
 public:
  // The training images of a data set (a name or folder, as `open_dataset` takes it), or the
  // pictures of a folder in order of their names; of more than `most` evenly spread ones.
  //
  // `name` stands for the model in errors. Throws what check_takes_pictures and open_dataset throw;
  // InvalidArgument for most < 1, FileError for a folder without pictures.
  Samples(const Model& model, const std::string& name, const std::string& source,
          std::int64_t most);

  [[nodiscard]] std::int64_t count() const noexcept {
    return static_cast<std::int64_t>(chosen_.size());
  }
  // [count, channels, height, width]. Throws FileError or FormatError naming a picture.
  [[nodiscard]] Tensor batch(std::int64_t first, std::int64_t count) const;
  // Height and width.
  [[nodiscard]] const Shape& extents() const noexcept { return extents_; }

 private:
  Preprocessor preprocessor_;
  std::int64_t channels_;
  Shape extents_;
  std::variant<LabelledImages, std::vector<std::filesystem::path>> images_;
  std::vector<std::int64_t> chosen_;  // indices of images_
};

}  // namespace octconv::workflow
