#include "bindings/register.h"
#include "cpu/isa.h"
#include "cpu/parallel.h"
#include "cuda/device.h"

namespace py = pybind11;

namespace fastrnn {

void register_build(py::module_& m) {
  m.def("build_info", [] {
    py::list isas;
    for (const Isa& isa : built_isas()) isas.append(isa.name);
    py::dict info;
    info["version"] = FASTRNN_VERSION;
    info["compiler"] = FASTRNN_COMPILER;
    info["isas"] = isas;
    info["cuda"] = cuda::is_built();
    py::list architectures;
    for (const std::string& name : cuda::built_architectures()) architectures.append(name);
    info["cuda_architectures"] = architectures;
    info["openmp"] = has_openmp();
    return info;
  });
  m.def("num_threads", &max_threads);
}

}  // namespace fastrnn
