// SPDX-License-Identifier: Apache-2.0
// Asks another program's parser whether a text is well-formed XML.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace octconv::report {

/// Runs Python statements with `root` bound to the parsed text (xml.etree); fails if they raise.
inline void expect_xml(const std::string& text, const std::string& statements = "") {
  static const bool installed = std::system("python3 -c '' 2>/dev/null") == 0;
  if (!installed) GTEST_SKIP() << "python3 is not installed";
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / ("octconv-xml-" + std::to_string(::getpid()));
  std::ofstream(path, std::ios::binary) << text;
  const std::string script =
      "import sys, xml.etree.ElementTree as tree\nroot = tree.parse(sys.argv[1]).getroot()\n" +
      statements;
  const std::string command = "python3 -c '" + script + "' '" + path.string() + "'";
  EXPECT_EQ(std::system(command.c_str()), 0) << script << text;
  std::filesystem::remove(path);
}

}  // namespace octconv::report
