#include <string>

#include "bindings/read_recurrent.h"
#include "cuda/cudnn_model.h"
#include "cuda/device.h"

namespace fastrnn {
namespace {

void define_plans(py::module_& m) {
  using cuda::DeviceCaps;
  py::class_<DeviceCaps>(m, "DeviceCaps")
      .def(py::init<>())
      .def_readwrite("name", &DeviceCaps::name)
      .def_readwrite("major", &DeviceCaps::major)
      .def_readwrite("minor", &DeviceCaps::minor)
      .def_readwrite("multiprocessors", &DeviceCaps::multiprocessors)
      .def_readwrite("shared_per_block", &DeviceCaps::shared_per_block)
      .def_readwrite("shared_per_sm", &DeviceCaps::shared_per_sm)
      .def_readwrite("registers_per_sm", &DeviceCaps::registers_per_sm)
      .def_readwrite("threads_per_sm", &DeviceCaps::threads_per_sm)
      .def_readwrite("max_cluster", &DeviceCaps::max_cluster)
      .def_readwrite("cooperative", &DeviceCaps::cooperative);
  const auto property = [](auto member) { return [member](const cuda::Plan& plan) { return plan.placement.*member; }; };
  using cuda::Placement;
  py::class_<cuda::Plan>(m, "Plan")
      .def_property_readonly("mode", [](const cuda::Plan& p) { return cuda::name_of(p.placement.mode); })
      .def_property_readonly("weights", [](const cuda::Plan& p) { return cuda::name_of(p.placement.weights); })
      .def_property_readonly("product", [](const cuda::Plan& p) { return cuda::name_of(p.placement.product); })
      .def_property_readonly("sums", [](const cuda::Plan& p) { return cuda::name_of(p.placement.sums); })
      .def_property_readonly("exchange",
                             [](const cuda::Plan& p) {
                               return p.placement.mode == cuda::Mode::kGrid ? cuda::name_of(p.placement.exchange) : "";
                             })
      .def_property_readonly("threads", property(&Placement::threads))
      .def_property_readonly("units", property(&Placement::units))
      .def_property_readonly("slices", property(&Placement::slices))
      .def_property_readonly("groups", property(&Placement::groups))
      .def_property_readonly("group_rows", property(&Placement::group_rows))
      .def_property_readonly("shared_bytes", [](const cuda::Plan& p) { return p.placement.shared_floats * 4; })
      .def_property_readonly("streamed_bytes", [](const cuda::Plan& p) { return p.placement.streamed_floats * 4; })
      .def_readonly("microseconds", &cuda::Plan::microseconds)
      .def_readonly("why", &cuda::Plan::why)
      .def("scratch_bytes",
           [](const cuda::Plan& p, int directions) { return cuda::scratch_bytes(p.placement, directions); })
      .def("__repr__", [](const cuda::Plan& p) { return "<Plan: " + p.why + ">"; });
  m.def(
      "make_plan",
      [](const DeviceCaps& device, int cell, int number, bool backward, const py::tuple& sizes, bool tf32,
         const py::tuple& only, int64_t projection) {
        need(cell >= 0 && cell < num_cells(), "cell: no such number");
        need(is_number(number), "number: no such code");
        need_size(sizes, 4, "sizes must hold seq_len, batch, hidden and directions");
        const int64_t seq_len = integer(sizes, 0), batch = integer(sizes, 1), hidden = integer(sizes, 2);
        const int directions = int(integer(sizes, 3));
        need(seq_len > 0 && batch > 0 && batch <= INT32_MAX && hidden > 0 && hidden <= 1 << 24,
             "sizes must be positive, and not huge");
        need(directions == 1 || directions == 2, "directions must be 1 or 2");
        need(projection >= 0 && projection <= 1 << 24, "projection must not be negative, or huge");
        need_size(only, 8, "only must hold mode, slices, group_rows, weights, product, shared, sums, exchange");
        need(integer(only, 0) <= int(cuda::Mode::kGrid) && integer(only, 3) <= int(cuda::WeightPlace::kShared) &&
                 integer(only, 4) <= int(cuda::Product::kHalf) && integer(only, 6) <= int(cuda::Sums::kScatter) &&
                 integer(only, 7) <= int(cuda::Handover::kTagged),
             "only: no such mode, place of weights, product, way of sums, or exchange");
        const cuda::PlanOverride given{int(integer(only, 0)), int(integer(only, 1)), int(integer(only, 2)),
                                       int(integer(only, 3)), int(integer(only, 4)), int(integer(only, 5)),
                                       int(integer(only, 6)), int(integer(only, 7))};
        return cuda::make_plan(device, cell_traits(cell),
                               {seq_len, int(batch), int(hidden), directions, number, backward, tf32, int(projection)},
                               given);
      },
      py::arg("device"), py::arg("cell"), py::arg("number"), py::arg("backward"), py::arg("sizes"), py::arg("tf32"),
      py::arg("only"), py::arg("projection") = 0);
}

void define_torch_model(py::module_& m) {
  m.def(
      "torch_model",
      [](const cuda::DeviceCaps& device, int cell, int number, const py::tuple& sizes, bool backward, bool packed,
         bool step, bool tf32, int projection) -> py::object {
        need(cell >= 0 && cell < num_cells(), "cell: no such number");
        need(is_number(number), "number: no such code");
        need_size(sizes, 6, "sizes must hold seq_len, batch, input, hidden, directions and layers");
        const cuda::TorchCall call{integer(sizes, 0),
                                   int(integer(sizes, 1)),
                                   int(integer(sizes, 2)),
                                   int(integer(sizes, 3)),
                                   int(integer(sizes, 4)),
                                   number,
                                   int(integer(sizes, 5)),
                                   backward,
                                   packed,
                                   step,
                                   tf32,
                                   projection};
        const CellTraits& traits = cell_traits(cell);
        const cuda::TorchPath path = cuda::torch_path(device, traits, call);
        if (path == cuda::TorchPath::kNone) return py::none();
        return py::make_tuple(cuda::torch_microseconds(device, traits, call), cuda::name_of(path));
      },
      py::arg("device"), py::arg("cell"), py::arg("number"), py::arg("sizes"), py::arg("backward"), py::arg("packed"),
      py::arg("step"), py::arg("tf32"), py::arg("projection") = 0);
}

}  // namespace

void register_cuda(py::module_& m) {
  py::module_ c = m.def_submodule("cuda", "The CUDA engine, as far as this build has it.");
  c.def("devices", [] {
    std::string why;
    const int count = cuda::device_count(&why);
    return py::make_tuple(count, why);
  });
  define_plans(c);
  define_torch_model(c);
  c.def("device_caps", &cuda::query_device);
  c.def("failures", [](int device) { return cuda::engine().failures(device); });
  c.def("columns", [](int cell) {
    need(cell >= 0 && cell < num_cells(), "cell: no such number");
    const cuda::Columns columns = cuda::columns_of(cell);
    py::list segments;
    for (int i = 0; i < columns.num_segments; ++i) {
      const cuda::Segment& s = columns.segments[i];
      segments.append(py::make_tuple(s.column, s.gate, s.count, s.phase));
    }
    return py::make_tuple(columns.slots, columns.working, columns.input, columns.gradients, columns.unit_gradients,
                          segments);
  });
  define_recurrent(c, &cuda::engine);
}

}  // namespace fastrnn
