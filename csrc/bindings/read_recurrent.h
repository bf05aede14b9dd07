#pragma once
// Calls of the CUDA engine as Python passes them (fastrnn/_cuda/), read into its own structures.

#include "bindings/read_call.h"
#include "cuda/engine.h"
#include "cuda/plan_layout.h"

namespace fastrnn {

inline cuda::StepRows read_step_rows(int64_t seq_len, int64_t batch, const py::tuple& t, const int64_t** offsets) {
  need_size(t, 5, "rows must hold offsets, offsets on the device, resets, row_step and row_sequence");
  need(seq_len > 0 && batch > 0 && batch <= INT32_MAX, "sizes must be positive");
  *offsets = static_cast<const int64_t*>(address(t, 0));
  cuda::StepRows rows{seq_len,
                      int(batch),
                      static_cast<const int64_t*>(address(t, 1)),
                      static_cast<const uint8_t*>(address(t, 2)),
                      integer(t, 3),
                      integer(t, 4)};
  need(!*offsets == !rows.offsets, "offsets are needed both here and on the device");
  if (*offsets) {
    need((*offsets)[0] == 0, "offsets must start at 0");
    int64_t before = batch;
    for (int64_t i = 0; i < seq_len; ++i) {
      const int64_t count = (*offsets)[i + 1] - (*offsets)[i];
      need(count >= 1 && count <= before, "steps must have at least one row, and no more than the step before");
      before = count;
    }
  }
  return rows;
}

inline cuda::StepArray read_step_array(const py::tuple& t) {
  need_size(t, 3, "an array of steps must hold an address and two strides");
  return {address(t, 0), integer(t, 1), integer(t, 2)};
}

inline void read_recurrent_sizes(int cell, int number, const py::tuple& sizes, size_t count) {
  need(cell >= 0 && cell < num_cells(), "cell: no such number");
  need(is_number(number) && !(number & kMixed), "number: the CUDA engine has no such code");
  need_size(sizes, count, "sizes must hold seq_len, batch, hidden, directions, projection");
  need(integer(sizes, 2) > 0 && integer(sizes, 2) <= 1 << 24, "hidden must be positive, and at most 2^24");
  need(integer(sizes, 3) == 1 || integer(sizes, 3) == 2, "directions must be 1 or 2");
  const int64_t projection = integer(sizes, 4);
  need(projection == 0 || (projection > 0 && projection <= 1 << 24 && cuda::has_projection(cell_traits(cell).name)),
       "projection must be 0, or a size where the cell has one");
}

inline cuda::Forward read_recurrent_forward(int cell, int number, const py::tuple& sizes, const py::tuple& rows,
                                            const py::tuple& directions, const py::tuple& y, const py::tuple& initial,
                                            const py::tuple& final_states, const py::object& regularizers,
                                            const int64_t** offsets) {
  read_recurrent_sizes(cell, number, sizes, 6);
  cuda::Forward call{};
  call.rows = read_step_rows(integer(sizes, 0), integer(sizes, 1), rows, offsets);
  call.hidden = int(integer(sizes, 2));
  call.directions = int(integer(sizes, 3));
  const bool projects = integer(sizes, 4) > 0;
  call.width = projects ? int(integer(sizes, 4)) : call.hidden;
  call.saving = integer(sizes, 5) != 0;
  need_size(directions, size_t(call.directions), "directions must hold one tuple each");
  for (int d = 0; d < call.directions; ++d) {
    const py::tuple t = directions[size_t(d)];
    need_size(
        t, 14,
        "a direction must hold gates, weight_hh, both biases, unit_params, cells, operand, kept, raw, statistics, "
        "two states before zoneout, weight_hr and unprojected");
    call.direction[d] = {address(t, 0),
                         address(t, 1),
                         address(t, 2),
                         address(t, 3),
                         address(t, 4),
                         address(t, 5),
                         address(t, 6),
                         address(t, 7),
                         address(t, 8),
                         address(t, 9),
                         {address(t, 10), address(t, 11)},
                         address(t, 12),
                         address(t, 13)};
    need(projects ? call.direction[d].weight_hr && call.direction[d].unprojected : !call.direction[d].weight_hr,
         "a projection needs its weights and memory for what it takes");
    need(!is_half(number) || call.direction[d].kept, "the halves need memory for h");
    need(!cell_traits(cell).normalizes_gates || call.direction[d].raw, "the cell needs memory for its products");
  }
  call.y = read_step_array(y);
  const int states = cell_traits(cell).states;
  read_states(initial, states, call.initial, "initial must hold one address a state");
  read_states(final_states, states, call.final_states, "final must hold one address a state");
  call.regularizers = read_regularizers(cell, regularizers);
  return call;
}

inline cuda::Backward read_recurrent_backward(int cell, int number, const py::tuple& sizes, const py::tuple& rows,
                                              const py::tuple& directions, const py::tuple& y, const py::tuple& grad_y,
                                              const py::tuple& initial, const py::tuple& grad_final,
                                              const py::tuple& grad_initial, const py::object& regularizers,
                                              const int64_t** offsets) {
  read_recurrent_sizes(cell, number, sizes, 5);
  cuda::Backward call{};
  call.rows = read_step_rows(integer(sizes, 0), integer(sizes, 1), rows, offsets);
  call.hidden = int(integer(sizes, 2));
  call.directions = int(integer(sizes, 3));
  const bool projects = integer(sizes, 4) > 0;
  call.width = projects ? int(integer(sizes, 4)) : call.hidden;
  need_size(directions, size_t(call.directions), "directions must hold one tuple each");
  for (int d = 0; d < call.directions; ++d) {
    const py::tuple t = directions[size_t(d)];
    need_size(t, 18,
              "a direction must hold gates, weight_hh, unit_params, cells, grad_gates, two operands, two gradients of "
              "states, grad_unit_params, statistics, grad_normalized, two states before zoneout, state_operand, "
              "kept_state, weight_hr and grad_projected");
    call.direction[d] = {address(t, 0),
                         address(t, 1),
                         address(t, 2),
                         address(t, 3),
                         address(t, 4),
                         {address(t, 5), address(t, 6)},
                         {address(t, 7), address(t, 8)},
                         address(t, 9),
                         address(t, 10),
                         address(t, 11),
                         {address(t, 12), address(t, 13)},
                         address(t, 14),
                         address(t, 15),
                         address(t, 16),
                         address(t, 17)};
    need(projects ? call.direction[d].weight_hr && call.direction[d].d_projected : !call.direction[d].weight_hr,
         "a projection needs its weights and memory for its gradients");
  }
  call.y = read_step_array(y);
  call.d_y = read_step_array(grad_y);
  const int states = cell_traits(cell).states;
  read_states(initial, states, call.initial, "initial must hold one address a state");
  read_states(grad_final, states, call.d_final, "grad_final must hold one address a state");
  read_states(grad_initial, states, call.d_initial, "grad_initial must hold one address a state");
  call.regularizers = read_regularizers(cell, regularizers);
  return call;
}

/// A plan that was made for another call would write where nothing is.
template <class Call>
void need_fit(const cuda::Engine& engine, int cell, int number, const cuda::Running& how, const Call& call,
              bool backward) {
  const char* const reason = engine.refuses(cell, number);
  need(reason == nullptr, reason ? reason : "");
  const cuda::Placement& place = how.placement;
  if (place.mode == cuda::Mode::kStepwise) return;
  const int projection = call.direction[0].weight_hr ? call.width : 0;
  cuda::Placement expected = place;
  cuda::set_products(
      cell_traits(cell),
      {call.rows.seq_len, call.rows.batch, call.hidden, call.directions, number, backward, false, projection},
      expected);
  bool fits = number != kFloat64 && place.itemsize == expected.itemsize && place.phases == expected.phases &&
              place.projecting == expected.projecting && (!place.scatters() || (backward && projection == 0)) &&
              int64_t(place.slices) * place.features >= projection &&
              int64_t(place.groups) * place.group_rows >= call.rows.batch &&
              int64_t(place.slices) * place.units >= call.hidden;
  for (int phase = 0; phase < expected.phases; ++phase)
    fits = fits && place.outputs[phase] == expected.outputs[phase] && place.width[phase] == expected.width[phase] &&
           place.depth[phase] == expected.depth[phase];
  need(fits, "the plan was made for another call");
  need(how.scratch || cuda::scratch_bytes(place, call.directions) == 0, "the plan needs scratch memory");
}

/// forward, backward and refuses of an engine, into a module.
inline void define_recurrent(py::module_& m, const cuda::Engine& (*engine)()) {
  m.def("refuses", [engine](int cell, int number) -> py::object {
    need(cell >= 0 && cell < num_cells(), "cell: no such number");
    const char* const reason = engine().refuses(cell, number);
    return reason ? py::object(py::str(reason)) : py::none();
  });
  m.def("multiply_fragments", [engine](int kind, uintptr_t words, uintptr_t sums, int device, uintptr_t stream) {
    need(kind >= 0 && kind < 3, "kind: no such instruction");
    engine().multiply_fragments(kind, reinterpret_cast<const uint32_t*>(words), reinterpret_cast<float*>(sums), device,
                                reinterpret_cast<void*>(stream));
  });
  m.def("round_to_tf32", [engine](int count, uintptr_t values, int device, uintptr_t stream) {
    engine().round_to_tf32(count, reinterpret_cast<float*>(values), device, reinterpret_cast<void*>(stream));
  });
  m.def("forward",
        [engine](int cell, int number, const cuda::Plan& plan, uintptr_t scratch, const py::tuple& sizes,
                 const py::tuple& rows, const py::tuple& directions, const py::tuple& y, const py::tuple& initial,
                 const py::tuple& final_states, const py::object& regularizers, int device, uintptr_t stream) {
          cuda::Running how{plan.placement, reinterpret_cast<void*>(scratch), nullptr, device,
                            reinterpret_cast<void*>(stream)};
          const cuda::Forward call = read_recurrent_forward(cell, number, sizes, rows, directions, y, initial,
                                                            final_states, regularizers, &how.offsets);
          need_fit(engine(), cell, number, how, call, false);
          const py::gil_scoped_release release;
          engine().forward(cell, number, call, how);
        });
  m.def("backward",
        [engine](int cell, int number, const cuda::Plan& plan, uintptr_t scratch, const py::tuple& sizes,
                 const py::tuple& rows, const py::tuple& directions, const py::tuple& y, const py::tuple& grad_y,
                 const py::tuple& initial, const py::tuple& grad_final, const py::tuple& grad_initial,
                 const py::object& regularizers, int device, uintptr_t stream) {
          cuda::Running how{plan.placement, reinterpret_cast<void*>(scratch), nullptr, device,
                            reinterpret_cast<void*>(stream)};
          const cuda::Backward call = read_recurrent_backward(cell, number, sizes, rows, directions, y, grad_y, initial,
                                                              grad_final, grad_initial, regularizers, &how.offsets);
          need_fit(engine(), cell, number, how, call, true);
          const py::gil_scoped_release release;
          engine().backward(cell, number, call, how);
        });
}

}  // namespace fastrnn
