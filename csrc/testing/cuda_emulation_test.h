#pragma once
// The emulation's own tests: what works on a GPU works here, and what must not work is found out.

namespace fastrnn {
namespace testing {

void test_emulation();
/// Part of it: a grid's exchange with a block that is not there.
void test_emulated_exchange();

}  // namespace testing
}  // namespace fastrnn
