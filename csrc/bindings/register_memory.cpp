#include <pybind11/numpy.h>

#include "bindings/register.h"
#include "cpu/scratch.h"

namespace py = pybind11;

namespace fastrnn {

void register_memory(py::module_& m) {
  m.def("clear_scratch", &free_idle_blocks);
  m.def("scratch_bytes", &idle_block_bytes);
  m.def("alloc_block", [](py::ssize_t nbytes) {
    if (nbytes < 0) throw py::value_error("nbytes must not be negative");
    void* block = acquire_block(size_t(nbytes));
    return py::array_t<uint8_t>(nbytes, static_cast<uint8_t*>(block), py::capsule(block, &release_block));
  });
}

}  // namespace fastrnn
