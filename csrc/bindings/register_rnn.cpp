#include "bindings/read_call.h"
#include "cpu/engine.h"
#include "cpu/isa.h"

namespace fastrnn {
namespace {

void need_isa(int isa) {
  need(isa >= 0 && size_t(isa) < built_isas().size() && built_isas()[size_t(isa)].supported, "isa: no such number");
}

/// An argument of those that a call may leave out.
py::object extra(const py::args& extras, size_t i) {
  return i < extras.size() ? py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(extras.ptr(), py::ssize_t(i)))
                           : py::none();
}

Rows read_rows(const LayerShape& shape, const py::object& rows) {
  if (rows.is_none()) return Rows(shape);
  need(py::isinstance<py::tuple>(rows), "rows must be a tuple or None");
  return Rows(shape, py::reinterpret_borrow<py::tuple>(rows));
}

/// extras: rows, regularizers.
void forward(int cell, int number, int isa, int threads, const py::tuple& sizes, const py::tuple& x,
             const py::tuple& weights, const py::tuple& initial, const py::tuple& y, const py::tuple& final_states,
             uintptr_t reserve, const py::args& extras) {
  need_isa(isa);
  need(extras.size() <= 2, "too many arguments");
  ForwardArgs args = read_forward(cell, number, sizes, x, weights, initial, y, final_states, reserve);
  args.regularizers = read_regularizers(cell, args.shape, reserve != 0, extra(extras, 1));
  const Rows read = read_rows(args.shape, extra(extras, 0));
  const Sequence* const zoneout = args.regularizers.zoneout;
  args.rows = read.map(args.shape, {args.x, args.y, zoneout[0], zoneout[1]});
  const py::gil_scoped_release release;
  run_forward(cell, number, isa, threads, args);
}

/// extras: rows, grad_states, regularizers.
void backward(int cell, int number, int isa, int threads, const py::tuple& sizes, const py::tuple& x,
              const py::tuple& weights, const py::tuple& initial, const py::tuple& y, uintptr_t reserve,
              const py::tuple& grad_y, const py::tuple& grad_final, const py::tuple& grad_x,
              const py::tuple& grad_weights, const py::tuple& grad_initial, const py::args& extras) {
  need_isa(isa);
  need(extras.size() <= 3, "too many arguments");
  BackwardArgs args = read_backward(cell, number, sizes, x, weights, initial, y, reserve, grad_y, grad_final, grad_x,
                                    grad_weights, grad_initial);
  read_state_gradients(cell, extra(extras, 1), args);
  args.regularizers = read_regularizers(cell, args.shape, true, extra(extras, 2));
  const Rows read = read_rows(args.shape, extra(extras, 0));
  const Sequence* const zoneout = args.regularizers.zoneout;
  args.rows = read.map(
      args.shape, {args.x, args.y, args.d_y, args.d_x, args.d_states[0], args.d_states[1], zoneout[0], zoneout[1]});
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
      info["unit_params"] = c.unit_params_name;
      info["num_operand_states"] = c.operand_states();
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
  m.def("backward", &backward);
}

}  // namespace fastrnn
