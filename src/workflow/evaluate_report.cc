// SPDX-License-Identifier: Apache-2.0
#include "workflow/evaluate_report.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "octconv/base/version.h"
#include "report/html.h"
#include "report/number.h"

namespace octconv::workflow {
namespace {

using report::fixed;
using report::grouped;

std::string percent(double share) {
  return fixed(100 * share, 2) + " %";
}

std::string extents_text(const DetailedEvaluation& evaluation) {
  return std::to_string(evaluation.height) + " x " + std::to_string(evaluation.width);
}

// Of the images of a class, the share that was taken for each class.
std::vector<std::vector<double>> shares(const DetailedEvaluation& evaluation) {
  const std::size_t count = evaluation.classes.size();
  std::vector<std::vector<double>> rows(count, std::vector<double>(count));
  for (std::size_t row = 0; row < count; ++row) {
    const auto images = static_cast<double>(evaluation.classes[row].images);
    if (images == 0) continue;
    for (std::size_t column = 0; column < count; ++column) {
      rows[row][column] = static_cast<double>(evaluation.taken_for[row * count + column]) / images;
    }
  }
  return rows;
}

std::int64_t taken_for_none(const DetailedEvaluation& evaluation) {
  std::int64_t taken = 0;
  for (const std::int64_t images : evaluation.taken_for) taken += images;
  return evaluation.total.images - taken;
}

// Digits of 3 x 5 dots, the first bit of which is the upper left one.
constexpr std::array<std::uint32_t, 10> kDigits{
    0b111'101'101'101'111, 0b010'110'010'010'111, 0b111'001'111'100'111, 0b111'001'111'001'111,
    0b101'101'111'001'001, 0b111'100'111'001'111, 0b111'100'111'101'111, 0b111'001'010'010'010,
    0b111'101'111'101'111, 0b111'101'111'001'111};
constexpr std::int64_t kDigitRows = 5;
constexpr std::int64_t kDigitColumns = 3;
constexpr std::int64_t kDot = 2;  // pixels
constexpr std::int64_t kDigitHeight = kDigitRows * kDot;
constexpr std::int64_t kDigitAdvance = (kDigitColumns + 1) * kDot;
constexpr std::int64_t kDigitGap = 4;  // to the cells

std::int64_t number_width(const std::string& number) {
  return static_cast<std::int64_t>(number.size()) * kDigitAdvance - kDot;
}

// Black, with its upper left corner there. Requires that it fits into the image.
void draw_number(const std::string& number, std::int64_t top, std::int64_t left, Image& image) {
  for (std::size_t i = 0; i < number.size(); ++i) {
    const std::uint32_t dots = kDigits[static_cast<std::size_t>(number[i] - '0')];
    const std::int64_t first = left + static_cast<std::int64_t>(i) * kDigitAdvance;
    for (std::int64_t y = 0; y < kDigitHeight; ++y) {
      for (std::int64_t x = 0; x < kDigitColumns * kDot; ++x) {
        const std::int64_t dot = y / kDot * kDigitColumns + x / kDot;
        if ((dots >> (kDigitRows * kDigitColumns - 1 - dot) & 1) == 0) continue;
        const std::int64_t pixel = (top + y) * image.width + first + x;
        std::fill_n(image.pixels.begin() + 3 * pixel, 3, std::uint8_t{0});
      }
    }
  }
}

// Of so many classes. Where cells are large enough there is a margin with numbers.
struct ConfusionLayout {
  std::int64_t cell = 1;
  std::int64_t margin = 0;
};

ConfusionLayout confusion_layout(std::int64_t classes) {
  constexpr std::int64_t kSide = 720;
  constexpr std::int64_t kLargestCell = 48;
  ConfusionLayout layout{.cell = std::clamp(kSide / classes, std::int64_t{1}, kLargestCell)};
  const std::int64_t width = number_width(std::to_string(classes - 1));
  if (layout.cell >= std::max(width, kDigitHeight) + kDot) {
    layout.margin = std::max(width, kDigitHeight) + 2 * kDigitGap;
  }
  return layout;
}

}  // namespace

report::Table size_table(const std::vector<DetailedEvaluation>& evaluations) {
  report::Table table({{"size", report::Align::kLeft},
                       {"images"},
                       {"accuracy"},
                       {"top 5"},
                       {"loss"},
                       {"multiply-adds"}});
  for (const DetailedEvaluation& each : evaluations) {
    table.add_row({extents_text(each), std::to_string(each.total.images),
                   percent(each.total.top1()), percent(each.total.top5()),
                   fixed(each.total.loss, 4), grouped(each.macs)});
  }
  return table;
}

report::Table class_table(const DetailedEvaluation& evaluation,
                          const std::vector<std::string>& classes) {
  report::Table table({{"class", report::Align::kLeft},
                       {"images"},
                       {"found"},
                       {"accuracy"},
                       {"top 5"},
                       {"loss"},
                       {"most taken for", report::Align::kLeft},
                       {"share"}});
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const Evaluation& own = evaluation.classes[label];
    if (own.images == 0) {
      table.add_row({classes[label], "0", "0", "-", "-", "-", "-", "-"});
      continue;
    }
    const std::int64_t other = evaluation.confused_with(static_cast<std::int64_t>(label));
    std::string name = "-";
    std::string share = "-";
    if (other >= 0) {
      const auto column = static_cast<std::size_t>(other);
      name = classes[column];
      share = percent(static_cast<double>(evaluation.taken_for[label * classes.size() + column]) /
                      static_cast<double>(own.images));
    }
    table.add_row({classes[label], std::to_string(own.images), std::to_string(own.top1_correct),
                   percent(own.top1()), percent(own.top5()), fixed(own.loss, 4), name, share});
  }
  return table;
}

Image confusion_image(const DetailedEvaluation& evaluation) {
  constexpr std::array<double, 3> kNone{255, 255, 255};
  constexpr std::array<double, 3> kAll{8, 48, 107};
  const std::vector<std::vector<double>> rows = shares(evaluation);
  const auto count = static_cast<std::int64_t>(rows.size());
  const ConfusionLayout layout = confusion_layout(count);
  const std::int64_t side = layout.margin + count * layout.cell;
  Image image{.height = side,
              .width = side,
              .channels = 3,
              .pixels = std::vector<std::uint8_t>(static_cast<std::size_t>(side * side * 3), 255)};
  for (std::int64_t y = layout.margin; y < side; ++y) {
    for (std::int64_t x = layout.margin; x < side; ++x) {
      const double share = rows[static_cast<std::size_t>((y - layout.margin) / layout.cell)]
                               [static_cast<std::size_t>((x - layout.margin) / layout.cell)];
      for (std::size_t c = 0; c < kNone.size(); ++c) {
        image.pixels[static_cast<std::size_t>((y * side + x) * 3) + c] =
            static_cast<std::uint8_t>(std::lround(kNone[c] + share * (kAll[c] - kNone[c])));
      }
    }
  }
  if (layout.margin == 0) return image;
  for (std::int64_t index = 0; index < count; ++index) {
    const std::string number = std::to_string(index);
    const std::int64_t middle = layout.margin + index * layout.cell + layout.cell / 2;
    const std::int64_t width = number_width(number);
    draw_number(number, middle - kDigitHeight / 2, layout.margin - kDigitGap - width, image);
    draw_number(number, layout.margin - kDigitGap - kDigitHeight, middle - width / 2, image);
  }
  return image;
}

std::string confusion_html(const DetailedEvaluation& evaluation, const std::string& model,
                           const Dataset& data) {
  report::HtmlPage page("What " + model + " takes images for");
  page.facts({{"Data", data.name + ", " + grouped(evaluation.total.images) + " test images"},
              {"Input", extents_text(evaluation)},
              {"Accuracy", percent(evaluation.total.top1())},
              {"Top 5", percent(evaluation.total.top5())},
              {"Multiply-adds", grouped(evaluation.macs)},
              {"Version", "octconv " OCTCONV_VERSION}});
  page.matrix({.rows = "class",
               .columns = "taken for",
               .labels = data.classes,
               .shares = shares(evaluation)},
              "Of the images of a class (a row), the share in percent that the network puts first "
              "into each class (a column). On the diagonal it is right.");
  if (const std::int64_t none = taken_for_none(evaluation); none > 0) {
    page.paragraph(std::to_string(none) +
                   " images were taken for no class: not all of their outputs are numbers.");
  }
  page.heading("Class by class");
  page.table(class_table(evaluation, data.classes));
  return page.str();
}

}  // namespace octconv::workflow
