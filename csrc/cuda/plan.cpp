#include "cuda/plan.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "core/number.h"

namespace fastrnn {
namespace cuda {
namespace {

constexpr int kTileUnits = 8, kTileRows = 16;  // of a stepwise block (tile_product.h)

int divide_up(int64_t a, int64_t b) { return int((a + b - 1) / b); }
int round_up(int64_t a, int64_t b) { return divide_up(a, b) * int(b); }

/// What things cost, in cycles. Estimates of an H100 from the literature, to be replaced by measured ones.
struct Costs {
  double gigahertz = 1.7, launch = 4400;
  double block_exchange = 60, cluster_exchange = 300, grid_exchange = 1500;
  double cluster_bytes = 20, l2_bytes = 64, shared_bytes = 128;  // a cycle
  double l2_size = 36e6, l2_total = 3200, memory_bytes = 1500;   // of the whole GPU; a cycle
  double multiply_adds = 96;                                     // a cycle
  double tensor = 6.5, tensor_latency = 33, tensor_start = 60;   // an instruction of a quarter of a multiprocessor
  double pointwise = 230;
};

/// Bytes of a number in memory.
int itemsize_of(int number) { return number == kFloat64 ? 8 : is_half(number) ? 2 : 4; }

/// Sums and depth of the phases' products.
void set_products(const CellTraits& cell, const Problem& problem, Placement& place) {
  place.phases = cell.phases;
  place.itemsize = itemsize_of(problem.number);
  place.sums_adjoin = problem.backward;
  for (int phase = 0; phase < kMaxPhases; ++phase) {
    const int gates = phase < cell.phases ? cell.phase_gates[phase] : 0;
    const int states = cell.operand_states();
    place.outputs[phase] = gates == 0 ? 0 : problem.backward ? states : gates;
    place.depth[phase] = problem.backward ? gates * problem.hidden : gates == 0 ? 0 : states * problem.hidden;
    place.row_groups[phase] = place.k_slices[phase] = 0;
  }
}

/// How a product is dealt to the threads of a block.
struct Tiling {
  int threads;      // at the most
  int workers;      // that share the product: threads, or warps
  int sums, depth;  // of a worker's tile
  int tiles;        // of the depth, that a worker takes at the most,
  int slices;       // and that the depth is cut into
};

Tiling tiling_of(const Placement& place) {
  const bool registers = place.weights == WeightPlace::kRegisters;
  if (place.product != Product::kFfma) {
    const int threads = registers ? kTensorRegisterThreads : kTensorSharedThreads;
    return {threads, threads / 32, 32, place.piece_depth(), registers ? kTensorPieces : INT32_MAX, INT32_MAX};
  }
  if (registers) return {kRegisterThreads, kRegisterThreads, 8, 8, 1, INT32_MAX};
  return {kSharedThreads, kSharedThreads, 4, 4, INT32_MAX, 32};
}

/// Workers side by side over a phase's sums and depth; false where they are too few.
bool deal_out(const Tiling& tiling, int phase, Placement& place) {
  const int groups =
      divide_up(place.product == Product::kFfma ? place.padded_sums(phase) : place.sum_tiles(phase) * 16, tiling.sums);
  if (groups > tiling.workers) return false;
  const int tiles = divide_up(place.depth[phase], tiling.depth);
  const int length = divide_up(tiles, std::min(tiling.workers / groups, tiling.slices));
  if (length > tiling.tiles) return false;
  place.row_groups[phase] = groups;
  place.k_slices[phase] = divide_up(tiles, length);
  return true;
}

/// The room of operands or weights, of which there is a multiple of 8.
int64_t floats_of(const Placement& place, int64_t numbers) { return numbers * place.itemsize / 4; }

/// Of a phase's weights, in shared memory and in global memory.
int64_t kept_floats(const Placement& place, int phase) {
  return int64_t(std::min(place.k_slices[phase] * place.resident[phase], place.depth_tiles(phase))) *
         place.tile_floats(phase);
}
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

/// Threads and shared memory; false where the geometry does not fit the device.
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
  int64_t at = 4;  // after the flag
  place.flag_at = 0;
  place.operand_at = int(at);
  at += stride * (place.mode == Mode::kGrid ? 1 : 2);
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

/// How often a product reads weights that are not in registers.
int passes(const Placement& place) { return divide_up(place.group_rows, place.product == Product::kFfma ? 4 : 16); }

/// Of a phase's product in a block.
double product_cycles(const Placement& place, int phase, const Costs& cost) {
  const double rows = place.group_rows, depth = place.depth[phase], padded = place.padded_sums(phase);
  const bool shared = place.weights == WeightPlace::kShared;
  if (place.product == Product::kFfma) {
    const double weights = shared ? double(kept_floats(place, phase)) * 4 * passes(place) : 0;
    return padded * depth * rows / cost.multiply_adds + weights / cost.shared_bytes;
  }
  const int row_tiles = divide_up(place.group_rows, 8), warps = place.row_groups[phase] * place.k_slices[phase];
  const double tiles = double(place.sum_tiles(phase)) * place.pieces(phase);
  const double products = place.product == Product::kSplitTf32 ? 3 : 1;
  const double multiply = tiles * row_tiles * 2 * products * cost.tensor / std::min(4, warps);
  // A piece's instructions on the same sums wait for one another.
  const double chain = double(divide_up(place.pieces(phase), place.k_slices[phase])) * row_tiles *
                       (place.product == Product::kSplitTf32 ? 4 : 1) * cost.tensor_latency;
  double bytes = double(place.row_groups[phase]) * place.pieces(phase) * rows * 64;
  if (shared) bytes += double(kept_floats(place, phase)) * 4 * passes(place);
  return std::max({multiply, chain, bytes / cost.shared_bytes}) + cost.tensor_start;
}

/// Of the weights that are not on the chip.
double streamed_cycles(const Problem& problem, const Placement& place, const Costs& cost) {
  const double bytes = double(place.streamed_floats) * 4, all = bytes * place.blocks(problem.directions);
  const double rate = all > cost.l2_size ? cost.memory_bytes : cost.l2_total;
  return std::max(bytes / cost.l2_bytes, all / rate) * passes(place);
}

double persistent_cycles(const DeviceCaps& device, const Problem& problem, const Placement& place, const Costs& cost) {
  double cycles = cost.pointwise;
  for (int phase = 0; phase < place.phases; ++phase) {
    const double padded = place.padded_sums(phase), depth = place.depth[phase], rows = place.group_rows;
    cycles += product_cycles(place, phase, cost);
    cycles += 60 + 2 * place.k_slices[phase] * rows * padded * 4 / cost.shared_bytes;
    const double published = rows * place.units * (depth / problem.hidden) * place.itemsize;
    if (place.mode == Mode::kBlock) cycles += cost.block_exchange;
    if (place.mode == Mode::kCluster) cycles += cost.cluster_exchange + published * place.slices / cost.cluster_bytes;
    if (place.mode == Mode::kGrid) cycles += cost.grid_exchange + rows * depth * place.itemsize / cost.l2_bytes;
  }
  cycles += streamed_cycles(problem, place, cost);
  // Clusters do not fill all multiprocessors; blocks and clusters that do not fit at once run in turns.
  const int together = place.mode == Mode::kCluster
                           ? std::max(1, device.multiprocessors * 9 / 10 / place.slices) * place.slices
                           : device.multiprocessors;
  return cycles * divide_up(place.blocks(problem.directions), together);
}

/// With normalized gates a second launch, which goes over each row three times.
double normalization_cycles(const DeviceCaps& device, const CellTraits& cell, const Problem& problem,
                            const Costs& cost) {
  if (!cell.normalizes_gates) return 0;
  const double bytes = 3.0 * cell.gates * problem.hidden * itemsize_of(problem.number);
  return cost.launch + 4 * cost.pointwise +
         bytes / cost.l2_bytes * divide_up(int64_t(problem.batch) * problem.directions, device.multiprocessors);
}

double stepwise_cycles(const DeviceCaps& device, const CellTraits& cell, const Problem& problem, const Placement& place,
                       const Costs& cost) {
  double cycles = normalization_cycles(device, cell, problem, cost);
  for (int phase = 0; phase < place.phases; ++phase) {
    const int blocks = divide_up(problem.hidden, kTileUnits) * divide_up(problem.batch, kTileRows) * problem.directions;
    const double itemsize = place.itemsize;
    const double rate = problem.number == kFloat64 ? cost.multiply_adds / 2 : cost.multiply_adds;
    const double loads = double(place.outputs[phase]) * kTileUnits * place.depth[phase] * itemsize / cost.l2_bytes;
    const double sums = double(place.outputs[phase]) * kTileUnits * kTileRows * place.depth[phase] / rate;
    const double weights = double(place.outputs[phase]) * problem.hidden * place.depth[phase] * itemsize;
    const double memory = weights > cost.l2_size ? weights * problem.directions / cost.memory_bytes : 0;
    cycles += cost.launch + std::max(memory, std::max(loads, 2 * sums) * divide_up(blocks, device.multiprocessors));
  }
  return cycles;
}

/// Numbers of rows of a group that are worth trying.
std::vector<int> group_rows_to_try(int batch, int only) {
  if (only > 0) return {std::min(only, batch)};
  std::vector<int> found;
  for (int rows = 1; rows <= batch && rows <= kSharedThreads; rows = rows < 4 ? rows + 1 : rows + rows / 4) {
    const int groups = divide_up(batch, rows);
    const int even = divide_up(batch, groups);
    if (found.empty() || found.back() != even) found.push_back(even);
  }
  return found;
}

std::string describe(const Placement& place, double microseconds) {
  char text[200];
  if (place.mode == Mode::kStepwise) {
    std::snprintf(text, sizeof text, "stepwise, weights read in every step (model: %.1f us a step)", microseconds);
  } else {
    char streamed[48] = "";
    if (place.streamed_floats > 0)
      std::snprintf(streamed, sizeof streamed, ", but for %d KiB read in every step",
                    (place.streamed_floats + 255) / 256);
    std::snprintf(text, sizeof text,
                  "%s: %d x %d blocks of %d units, %d rows each, weights in %s%s, %s (model: %.2f us a step)",
                  name_of(place.mode), place.groups, place.slices, place.units, place.group_rows,
                  name_of(place.weights), streamed, name_of(place.product), microseconds);
  }
  return text;
}

class Planner {
 public:
  Planner(const DeviceCaps& device, const CellTraits& cell, const Problem& problem, const PlanOverride& only)
      : device_(device),
        cell_(cell),
        problem_(problem),
        only_(only),
        shared_bytes_(only.shared > 0 ? std::min(device.shared_per_block, only.shared << 10)
                                      : device.shared_per_block) {
    set_products(cell, problem, stepwise_.placement);
    stepwise_.microseconds =
        stepwise_cycles(device, cell, problem, stepwise_.placement, costs_) / costs_.gigahertz / 1e3;
  }

  Plan run() {
    if (only_.mode == int(Mode::kStepwise)) return settle("as asked for");
    if (cell_.normalizes_gates) return settle("cells with layer normalization have no persistent kernels");
    if (cell_.operand_has_state) return settle("cells whose products take c have no persistent kernels");
    if (problem_.number == kFloat64) return settle("float64 has no persistent kernels");
    if (wanted(Mode::kBlock)) try_slices(Mode::kBlock, 1);
    for (int size = 2; size <= device_.max_cluster && wanted(Mode::kCluster); size *= 2)
      try_slices(Mode::kCluster, size);
    for (int units = 1; device_.cooperative && units <= 64 && wanted(Mode::kGrid); units *= 2)
      try_slices(Mode::kGrid, only_.slices > 0 ? only_.slices : divide_up(problem_.hidden, units));
    // As few units as let so many groups run side by side.
    for (int groups = 1; device_.cooperative && groups <= 8 && wanted(Mode::kGrid) && only_.slices == 0; groups *= 2) {
      const int slices = device_.multiprocessors / (groups * problem_.directions);
      if (slices > 1) try_slices(Mode::kGrid, divide_up(problem_.hidden, divide_up(problem_.hidden, slices)));
    }
    if (!found_) return settle("the weights fit no persistent kernel on this GPU");
    if (only_.mode < 0 && only_.product < 0 && best_.microseconds >= stepwise_.microseconds)
      return settle("the model expects no persistent kernel to be faster: the best is " +
                    describe(best_.placement, best_.microseconds));
    best_.why = describe(best_.placement, best_.microseconds) + "; stepwise would take " +
                std::to_string(stepwise_.microseconds).substr(0, 4);
    return best_;
  }

 private:
  bool wanted(Mode mode) const { return only_.mode < 0 || only_.mode == int(mode); }

  Plan settle(const std::string& reason) const {
    Plan plan = stepwise_;
    plan.why = describe(plan.placement, plan.microseconds) + "; " + reason;
    return plan;
  }

  void try_slices(Mode mode, int slices) {
    if (only_.slices > 0 && slices != only_.slices) return;
    Placement place = stepwise_.placement;
    place.mode = mode;
    place.slices = slices;
    place.units = divide_up(problem_.hidden, slices);
    // The last block would have nothing.
    if (only_.slices == 0 && int64_t(slices - 1) * place.units >= problem_.hidden) return;
    for (const Product product : {Product::kFfma, Product::kTf32, Product::kSplitTf32, Product::kHalf}) {
      if (!takes(product)) continue;
      place.product = product;
      for (const WeightPlace weights : {WeightPlace::kRegisters, WeightPlace::kShared}) {
        if (only_.weights >= 0 && only_.weights != int(weights)) continue;
        if (weights == WeightPlace::kRegisters && product != Product::kFfma && !tensors_in_registers(cell_.name))
          continue;
        place.weights = weights;
        for (const int rows : group_rows_to_try(problem_.batch, only_.group_rows)) {
          place.group_rows = rows;
          place.groups = divide_up(problem_.batch, rows);
          consider(place);
        }
      }
    }
  }

  bool takes(Product product) const {
    if (only_.product >= 0 && only_.product != int(product)) return false;
    if (is_half(problem_.number)) return product == Product::kHalf && device_.major >= 8;
    if (product == Product::kHalf) return false;
    return product == Product::kFfma || (device_.major >= 8 && (product != Product::kTf32 || problem_.tf32));
  }

  void consider(Placement& place) {
    if (place.mode == Mode::kGrid && place.blocks(problem_.directions) > device_.multiprocessors) return;
    if (!lay_out(shared_bytes_, place)) return;
    const double microseconds = persistent_cycles(device_, problem_, place, costs_) / costs_.gigahertz / 1e3;
    if (found_ && microseconds >= best_.microseconds) return;
    found_ = true;
    best_.placement = place;
    best_.microseconds = microseconds;
  }

  const DeviceCaps& device_;
  const CellTraits& cell_;
  const Problem& problem_;
  const PlanOverride& only_;
  const int shared_bytes_;
  const Costs costs_;
  Plan stepwise_, best_;
  bool found_ = false;
};

}  // namespace

const char* name_of(Mode mode) {
  constexpr const char* kNames[] = {"stepwise", "block", "cluster", "grid"};
  return kNames[int(mode)];
}

const char* name_of(WeightPlace place) {
  constexpr const char* kNames[] = {"memory", "registers", "shared memory"};
  return kNames[int(place)];
}

const char* name_of(Product product) {
  constexpr const char* kNames[] = {"float32", "TF32", "3xTF32", "half"};
  return kNames[int(product)];
}

Plan make_plan(const DeviceCaps& device, const CellTraits& cell, const Problem& problem, const PlanOverride& only) {
  return Planner(device, cell, problem, only).run();
}

int64_t scratch_bytes(const Placement& place, int directions) {
  return counter_bytes(place, directions) + place.ring_bytes(directions) +
         int64_t(place.blocks(directions)) * place.streamed_floats * 4;
}

int64_t counter_bytes(const Placement& place, int directions) {
  return (place.counters(directions) * 4 + 255) / 256 * 256;
}

}  // namespace cuda
}  // namespace fastrnn
