#include <string>

#include "bindings/read_recurrent.h"
#include "cuda/device.h"

namespace fastrnn {
namespace {

py::dict describe(const cuda::DeviceCaps& caps) {
  py::dict d;
  d["name"] = caps.name;
  d["major"] = caps.major;
  d["minor"] = caps.minor;
  d["multiprocessors"] = caps.multiprocessors;
  d["shared_per_block"] = caps.shared_per_block;
  d["shared_per_sm"] = caps.shared_per_sm;
  d["registers_per_sm"] = caps.registers_per_sm;
  d["threads_per_sm"] = caps.threads_per_sm;
  d["max_cluster"] = caps.max_cluster;
  d["cooperative"] = caps.cooperative;
  return d;
}

}  // namespace

void register_cuda(py::module_& m) {
  py::module_ c = m.def_submodule("cuda", "The CUDA engine, as far as this build has it.");
  c.def("devices", [] {
    std::string why;
    const int count = cuda::device_count(&why);
    return py::make_tuple(count, why);
  });
  c.def("device_caps", [](int device) { return describe(cuda::query_device(device)); });
  c.def("columns", [](int cell) {
    need(cell >= 0 && cell < num_cells(), "cell: no such number");
    const cuda::Columns columns = cuda::columns_of(cell);
    py::list segments;
    for (int i = 0; i < columns.num_segments; ++i) {
      const cuda::Segment& s = columns.segments[i];
      segments.append(py::make_tuple(s.column, s.gate, s.count, s.phase));
    }
    return py::make_tuple(columns.slots, columns.gradients, segments);
  });
  define_recurrent(c, &cuda::engine);
}

}  // namespace fastrnn
