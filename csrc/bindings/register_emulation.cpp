#include "bindings/read_recurrent.h"
#include "testing/check.h"
#include "testing/cuda_emulation.h"
#include "testing/cuda_emulation_test.h"
#include "testing/emulated_engine.h"

namespace fastrnn {

void register_emulation(py::module_& testing) {
  py::module_ m = testing.def_submodule("emulated", "The CUDA engine on an emulated GPU; addresses are the host's.");
  define_recurrent(m, &testing::emulated_engine);
  m.def("set_seed", [](uint64_t seed) { emulation::settings().seed = seed; });
  m.def("set_resident_blocks", [](int blocks) { emulation::settings().resident_blocks = blocks; });
  m.def("test_emulation", [] {
    const int passed = testing::passed, failed = testing::failed;
    testing::test_emulation();
    return py::make_tuple(testing::passed - passed, testing::failed - failed);
  });
}

}  // namespace fastrnn
