#include "cuda/plan_layout.h"

#include <algorithm>

#include "core/number.h"

namespace fastrnn {
namespace cuda {
namespace {

/// How a product is dealt to the threads of a block.
struct Tiling {
  int threads;      // at the most
  int workers;      // that share the product: threads, or warps
  int sums, depth;  // of a worker's tile
  int tiles;        // of the depth, that a worker takes at the most,
  int slices;       // and that the depth is cut into
  bool repeats;     // whether a worker may take several tiles of sums, each with its tiles of the depth
};

Tiling tiling_of(const Placement& place) {
  const bool registers = place.weights == WeightPlace::kRegisters;
  if (place.product != Product::kFfma) {
    const int threads = registers ? kTensorRegisterThreads : kTensorSharedThreads;
    return {threads, threads / 32, 32, place.piece_depth(), registers ? kTensorPieces : INT32_MAX, INT32_MAX, true};
  }
  if (registers) return {kRegisterThreads, kRegisterThreads, 8, 8, 1, INT32_MAX, false};
  return {kSharedThreads, kSharedThreads, 4, 4, INT32_MAX, 32, false};
}

/// Workers side by side over a phase's sums and depth; false where they are too few.
bool deal_out(const Tiling& tiling, int phase, Placement& place) {
  const int all =
      divide_up(place.product == Product::kFfma ? place.padded_sums(phase) : place.sum_tiles(phase) * 16, tiling.sums);
  const int turns = divide_up(all, tiling.workers), groups = divide_up(all, turns);
  if (turns > 1 && !tiling.repeats) return false;
  const int tiles = divide_up(place.depth[phase], tiling.depth);
  const int length = divide_up(tiles, std::min(tiling.workers / groups, tiling.slices));
  if (length > tiling.tiles / turns) return false;
  place.row_groups[phase] = groups;
  place.k_slices[phase] = divide_up(tiles, length);
  return true;
}

/// The room of operands or weights, of which there is a multiple of 8.
int64_t floats_of(const Placement& place, int64_t numbers) { return numbers * place.itemsize / 4; }

/// Of a phase's weights, in global memory.
int64_t streamed_floats(const Placement& place, int phase) {
  const int tiles = place.slice_tiles(phase) - place.resident[phase];
  return int64_t(place.k_slices[phase]) * tiles * place.tile_floats(phase);
}

/// How much of the weights stays in so many floats of shared memory: alike of all phases, and of all slices, so that
/// all threads read as much from global memory. Only grids leave any there: their blocks are so few that the
/// second-level cache holds it.
bool place_weights(int64_t room, Placement& place) {
  int64_t all = 0;
  for (int phase = 0; phase < place.phases; ++phase) {
    place.resident[phase] = place.slice_tiles(phase);
    all += kept_floats(place, phase);
  }
  if (all <= room) return true;
  if (place.mode != Mode::kGrid || room <= 0) return false;
  int64_t at = 0;
  for (int phase = 0; phase < place.phases; ++phase) {
    const double share = double(room) / double(all) * place.depth_tiles(phase) / place.k_slices[phase];
    place.resident[phase] = std::min(int(share), place.slice_tiles(phase));
    place.streamed_at[phase] = int(at);
    at += streamed_floats(place, phase);
  }
  if (at > INT32_MAX) return false;
  place.streamed_floats = int(at);
  return true;
}

}  // namespace

int itemsize_of(int number) { return number == kFloat64 ? 8 : is_half(number) ? 2 : 4; }

void set_products(const CellTraits& cell, const Problem& problem, Placement& place) {
  place.phases = cell.phases;
  place.itemsize = itemsize_of(problem.number);
  place.sums_adjoin = problem.backward;
  place.projecting = -1;
  if (problem.projection > 0) {  // the cell has one phase of its own
    const int gates = cell.phase_gates[0], H = problem.hidden, P = problem.projection;
    place.phases = 2;
    place.projecting = problem.backward ? 0 : 1;
    place.outputs[0] = problem.backward ? 1 : gates;
    place.depth[0] = problem.backward ? gates * H : P;
    place.outputs[1] = 1;
    place.depth[1] = problem.backward ? P : H;
    for (int phase = 0; phase < 2; ++phase) {
      place.width[phase] = place.outputs[phase] * (phase == place.projecting ? place.features : place.units);
      place.row_groups[phase] = place.k_slices[phase] = 0;
    }
    return;
  }
  for (int phase = 0; phase < kMaxPhases; ++phase) {
    const int gates = phase < cell.phases ? cell.phase_gates[phase] : 0;
    const int states = cell.operand_states();
    place.outputs[phase] = gates == 0 ? 0 : problem.backward ? states : gates;
    place.depth[phase] = problem.backward ? gates * problem.hidden : gates == 0 ? 0 : states * problem.hidden;
    place.width[phase] = place.outputs[phase] * place.units;
    if (place.scatters()) {
      place.depth[phase] = gates * place.units;
      place.width[phase] = gates == 0 ? 0 : problem.hidden;
    }
    place.row_groups[phase] = place.k_slices[phase] = 0;
  }
}

int64_t kept_floats(const Placement& place, int phase) {
  return int64_t(std::min(place.k_slices[phase] * place.resident[phase], place.depth_tiles(phase))) *
         place.tile_floats(phase);
}

bool lay_out(int64_t shared_bytes, Placement& place) {
  const bool tensor = place.product != Product::kFfma;
  if (place.weights == WeightPlace::kRegisters && place.phases > 1) return false;
  const Tiling tiling = tiling_of(place);
  if (int64_t(place.units) * place.group_rows > tiling.threads) return false;
  int threads = place.units * place.group_rows, deepest = 0;
  int64_t partials = 0;
  for (int phase = 0; phase < place.phases; ++phase) {
    if (!deal_out(tiling, phase, place)) return false;
    const int workers = place.row_groups[phase] * place.k_slices[phase];
    threads = std::max(threads, workers * (tiling.threads / tiling.workers));
    deepest = std::max(deepest, place.depth[phase]);
    partials = std::max(partials, int64_t(place.k_slices[phase]) * place.group_rows * place.padded_sums(phase));
    if (tensor && place.weights == WeightPlace::kRegisters)
      partials = std::max(partials, int64_t(tiling.workers) * kTensorStage);
  }
  place.threads = round_up(threads, 32);
  place.operand_pitch = round_up(deepest, tensor ? place.piece_depth() : 8);
  // 8 lanes read 16 bytes each of two rows, which must lie in different banks.
  if (tensor && place.operand_pitch / place.piece_depth() % 2 == 0) place.operand_pitch += place.piece_depth();
  const int64_t stride = floats_of(place, int64_t(place.group_rows) * place.operand_pitch);
  int64_t at = 0;
  place.operand_at = int(at);
  at += stride * (place.mode == Mode::kGrid ? 1 : 2);
  place.received_at = int(at);
  const int64_t received = place.scatters() ? int64_t(place.received_parts()) * place.part_pitch() : 0;
  place.received_stride = place.mode == Mode::kGrid ? 0 : int(received);
  at += received * (place.mode == Mode::kGrid ? 1 : 2);
  place.partials_at = int(at);
  at += partials;
  place.streamed_floats = 0;
  const bool registers = place.weights == WeightPlace::kRegisters;
  if (!registers && !place_weights(shared_bytes / 4 - at, place)) return false;
  for (int phase = 0; phase < place.phases && !registers; ++phase) {
    place.weights_at[phase] = int(at);
    at += kept_floats(place, phase);
  }
  if (at * 4 > shared_bytes) return false;
  place.operand_stride = int(stride);
  place.shared_floats = int(at);
  return true;
}

}  // namespace cuda
}  // namespace fastrnn
