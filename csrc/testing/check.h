#pragma once
// Counting what a test program checks.

#include <stdio.h>

#include <string>

namespace fastrnn {
namespace testing {

inline int passed = 0, failed = 0;

inline void check(bool condition, const std::string& what) {
  ++(condition ? passed : failed);
  if (!condition) printf("FAILED %s\n", what.c_str());
}

}  // namespace testing
}  // namespace fastrnn
