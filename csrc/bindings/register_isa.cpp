#include <pybind11/stl.h>

#include "bindings/register.h"
#include "cpu/isa.h"

namespace py = pybind11;

namespace fastrnn {
namespace {

std::vector<std::string> names(bool supported_only) {
  std::vector<std::string> found;
  for (const Isa& isa : built_isas())
    if (isa.supported || !supported_only) found.push_back(isa.name);
  return found;
}

std::string name_of(int isa) {
  if (isa < 0 || size_t(isa) >= built_isas().size()) throw py::index_error("no such instruction set");
  return built_isas()[size_t(isa)].name;
}

}  // namespace

void register_isa(py::module_& m) {
  m.def("built_isas", [] { return names(false); });
  m.def("available_isas", [] { return names(true); });
  m.def("current_isa", &current_isa_name);
  m.def("bf16_products", &bf16_products);
  m.def("set_isa", &select_isa);
  m.def("isa_id", &current_isa);
  m.def("isa_name", &name_of);
}

}  // namespace fastrnn
