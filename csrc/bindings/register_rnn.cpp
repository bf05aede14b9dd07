#include <pybind11/stl.h>

#include "bindings/read_call.h"
#include "cpu/engine.h"
#include "cpu/isa.h"

namespace fastrnn {
namespace {

void need_isa(int isa) {
  need(isa >= 0 && size_t(isa) < built_isas().size() && built_isas()[size_t(isa)].supported, "isa: no such number");
}

void forward(int cell, int number, int isa, int threads, const py::tuple& sizes, const py::tuple& x,
             const py::tuple& weights, const py::tuple& initial, const py::tuple& y, const py::tuple& final_states,
             uintptr_t reserve) {
  need_isa(isa);
  ForwardArgs args = read_forward(cell, number, sizes, x, weights, initial, y, final_states, reserve);
  args.rows = Rows(args.shape).map(args.shape, {args.x, args.y});
  const py::gil_scoped_release release;
  run_forward(cell, number, isa, threads, args);
}

void forward_rows(int cell, int number, int isa, int threads, const py::tuple& sizes, const py::tuple& x,
                  const py::tuple& weights, const py::tuple& initial, const py::tuple& y, const py::tuple& final_states,
                  uintptr_t reserve, const py::tuple& rows) {
  need_isa(isa);
  ForwardArgs args = read_forward(cell, number, sizes, x, weights, initial, y, final_states, reserve);
  const Rows read(args.shape, rows);
  args.rows = read.map(args.shape, {args.x, args.y});
  const py::gil_scoped_release release;
  run_forward(cell, number, isa, threads, args);
}

void backward(int cell, int number, int isa, int threads, const py::tuple& sizes, const py::tuple& x,
              const py::tuple& weights, const py::tuple& initial, const py::tuple& y, uintptr_t reserve,
              const py::tuple& grad_y, const py::tuple& grad_final, const py::tuple& grad_x,
              const py::tuple& grad_weights, const py::tuple& grad_initial) {
  need_isa(isa);
  BackwardArgs args = read_backward(cell, number, sizes, x, weights, initial, y, reserve, grad_y, grad_final, grad_x,
                                    grad_weights, grad_initial);
  args.rows = Rows(args.shape).map(args.shape, {args.x, args.y, args.d_y, args.d_x});
  const py::gil_scoped_release release;
  run_backward(cell, number, isa, threads, args);
}

void backward_rows(int cell, int number, int isa, int threads, const py::tuple& sizes, const py::tuple& x,
                   const py::tuple& weights, const py::tuple& initial, const py::tuple& y, uintptr_t reserve,
                   const py::tuple& grad_y, const py::tuple& grad_final, const py::tuple& grad_x,
                   const py::tuple& grad_weights, const py::tuple& grad_initial, const py::tuple& rows) {
  need_isa(isa);
  BackwardArgs args = read_backward(cell, number, sizes, x, weights, initial, y, reserve, grad_y, grad_final, grad_x,
                                    grad_weights, grad_initial);
  const Rows read(args.shape, rows);
  args.rows = read.map(args.shape, {args.x, args.y, args.d_y, args.d_x});
  const py::gil_scoped_release release;
  run_backward(cell, number, isa, threads, args);
}

void backward_states(int cell, int number, int isa, int threads, const py::tuple& sizes, const py::tuple& x,
                     const py::tuple& weights, const py::tuple& initial, const py::tuple& y, uintptr_t reserve,
                     const py::tuple& grad_y, const py::tuple& grad_final, const py::tuple& grad_x,
                     const py::tuple& grad_weights, const py::tuple& grad_initial, const std::optional<py::tuple>& rows,
                     const py::tuple& grad_states) {
  need_isa(isa);
  BackwardArgs args = read_backward(cell, number, sizes, x, weights, initial, y, reserve, grad_y, grad_final, grad_x,
                                    grad_weights, grad_initial);
  read_state_gradients(cell, grad_states, args);
  const Rows read = rows ? Rows(args.shape, *rows) : Rows(args.shape);
  args.rows = read.map(args.shape, {args.x, args.y, args.d_y, args.d_x, args.d_states[0], args.d_states[1]});
  const py::gil_scoped_release release;
  run_backward(cell, number, isa, threads, args);
}

}  // namespace

void register_rnn(py::module_& m) {
  m.def("cells", [] {
    py::list cells;
    for (int i = 0; i < num_cells(); ++i) {
      const CellTraits& c = cell_traits(i);
      py::dict info;
      info["name"] = c.name;
      info["num_gates"] = c.gates;
      info["num_states"] = c.states;
      info["num_unit_params"] = c.unit_params;
      info["gates"] = c.gate_names;
      cells.append(info);
    }
    return cells;
  });
  m.def("reserve_size", [](int cell, int number, int isa, const py::tuple& sizes) {
    need_isa(isa);
    return reserve_bytes(cell, number, isa, read_shape(cell, number, sizes));
  });
  m.def("forward", &forward);
  m.def("forward", &forward_rows);
  m.def("backward", &backward);
  m.def("backward", &backward_rows);
  m.def("backward", &backward_states);
}

}  // namespace fastrnn
