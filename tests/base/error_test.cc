// SPDX-License-Identifier: Apache-2.0
// Errors are caught by kind, as octconv::Error, and as std::exception.
#include "octconv/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace octconv {
namespace {

template <class T>
class Errors : public testing::Test {};
using Kinds = testing::Types<InvalidArgument, Unsupported, FileError, FormatError>;
TYPED_TEST_SUITE(Errors, Kinds);

TYPED_TEST(Errors, AreErrorsThatKeepTheirSentence) {
  const auto raise = [] { throw TypeParam("sizes 3 and 4 differ"); };
  EXPECT_THROW(raise(), TypeParam);
  EXPECT_THROW(raise(), Error);
  try {
    raise();
  } catch (const std::exception& error) {
    EXPECT_STREQ(error.what(), "sizes 3 and 4 differ");
  }
}

}  // namespace
}  // namespace octconv
