// The emulation's own tests without Python, for sanitizers.

#include <stdio.h>

#include "testing/check.h"
#include "testing/cuda_emulation_test.h"

int main() {
  fastrnn::testing::test_emulation();
  printf("%d passed, %d failed\n", fastrnn::testing::passed, fastrnn::testing::failed);
  return fastrnn::testing::failed ? 1 : 0;
}
