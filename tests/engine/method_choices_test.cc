// SPDX-License-Identifier: Apache-2.0
// What is measured is remembered, by convolution; what a file says is held against what is
// possible.
#include "engine/method_choices.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/engine/network.h"
#include "octconv/graph/model.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "support/scratch.h"

namespace octconv::engine {
namespace {

using ::testing::HasSubstr;

ConvOptions conv_of(std::int64_t high, std::int64_t low) {
  return {.in = {.high = high, .low = low},
          .out = {.high = high, .low = low},
          .kernel = {3, 3},
          .stride = {1, 1},
          .dilation = {1, 1},
          .padding_begin = {1, 1},
          .padding_end = {1, 1},
          .octave = {2, 2}};
}

class MethodChoicesTest : public ScratchFolder {};

TEST_F(MethodChoicesTest, AreMeasuredOnceAndRemembered) {
  const std::filesystem::path file = folder_ / "choices";
  MethodChoices first(file);
  const ConvMethods methods = first.choose(conv_of(12, 4), {14, 10});
  first.save();
  const std::string text = read_file(file);
  EXPECT_THAT(text, HasSubstr("12+4 to 12+4"));
  EXPECT_THAT(text, HasSubstr("[14, 10]"));
  MethodChoices second(file);
  EXPECT_EQ(second.choose(conv_of(12, 4), {14, 10}), methods);
  second.save();
  EXPECT_EQ(read_file(file), text);
}

TEST_F(MethodChoicesTest, TakeWhatTheFileSays) {
  const std::filesystem::path file = folder_ / "choices";
  MethodChoices first(file);
  static_cast<void>(first.choose(conv_of(12, 4), {14, 10}));
  first.save();
  const std::string text = read_file(file);
  const std::size_t line = text.find('\n') + 1;
  const std::string key = text.substr(text.find('\t'));
  for (const char* methods : {"winograd2 direct winograd4 ", "direct winograd4 direct "}) {
    write_file(file, text.substr(0, line) + methods + key);
    const ConvMethods chosen = MethodChoices(file).choose(conv_of(12, 4), {14, 10});
    EXPECT_EQ(std::string(to_string(chosen.high)) + " " +
                  std::string(to_string(chosen.low_to_high)) + " " +
                  std::string(to_string(chosen.low)) + " ",
              methods);
  }
}

TEST_F(MethodChoicesTest, MeasureNothingWhereThereIsNoChoice) {
  const std::filesystem::path file = folder_ / "choices";
  MethodChoices choices(file);
  ConvOptions wide = conv_of(4, 4);
  wide.kernel = {5, 5};
  wide.padding_begin = wide.padding_end = {2, 2};
  EXPECT_EQ(choices.choose(wide, {9, 9}), ConvMethods{});
  choices.save();
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(MethodChoicesTest, RefuseAFileOfSomethingElse) {
  for (const char* text : {"", "something else\n", "octconv methods 1\ndirect direct\n",
                           "octconv methods 1\ndirect direct fast \tkey\n",
                           "octconv methods 1\ndirect direct direct key\n"}) {
    EXPECT_THROW(MethodChoices(write("choices", text)), FormatError) << text;
  }
}

TEST_F(MethodChoicesTest, ServeTheCompiler) {
  const Graph graph = octavize(make_network("resnet20"), {.alpha = 0.5}).graph;
  const Model model{graph, initial_weights(graph, 1), {}};
  const std::filesystem::path file = folder_ / "choices";
  const CompileOptions options{.measure = true, .choices = file};
  Tensor input(Shape{1, 3, 32, 32});
  for (std::int64_t i = 0; i < input.elements(); ++i)
    input.data()[i] = static_cast<float>(i % 17) / 17;
  const Tensor once = Session(compile(model, options)).run(input);
  EXPECT_TRUE(std::filesystem::exists(file));
  const Tensor again = Session(compile(model, options)).run(input);
  EXPECT_TRUE(std::equal(once.values().begin(), once.values().end(), again.values().begin()));
}

}  // namespace
}  // namespace octconv::engine
