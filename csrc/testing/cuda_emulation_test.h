#pragma once
// The emulation's own tests: what works on a GPU works here, and what must not work is found out.

namespace fastrnn {
namespace testing {

void test_emulation();

}  // namespace testing
}  // namespace fastrnn
