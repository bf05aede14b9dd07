#include "cuda/plan_costs.h"

#include <algorithm>

#include "core/number.h"
#include "cuda/plan_layout.h"

namespace fastrnn {
namespace cuda {
namespace {

constexpr int kTileUnits = 8, kTileRows = 16;  // of a stepwise block (tile_product.h)

/// What things cost, in cycles. Estimates of an H100 from the literature, to be replaced by measured ones.
struct Costs {
  double gigahertz = 1.7, launch = 4400;
  double block_exchange = 60, cluster_exchange = 300, counter_exchange = 1500, tagged_exchange = 900;
  double cluster_bytes = 20, l2_bytes = 64, shared_bytes = 128;  // a cycle
  double l2_size = 36e6, l2_total = 3200, memory_bytes = 1500;   // of the whole GPU; a cycle
  double multiply_adds = 96;                                     // a cycle
  double tensor = 6.5, tensor_latency = 33, tensor_start = 60;   // an instruction of a quarter of a multiprocessor
  double pointwise = 230;
};
constexpr Costs kCosts;

/// How often a product reads weights that are not in registers.
int passes(const Placement& place) { return divide_up(place.group_rows, place.product == Product::kFfma ? 4 : 16); }

/// Of a phase's product in a block.
double product_cycles(const Placement& place, int phase) {
  const double rows = place.group_rows, depth = place.depth[phase], padded = place.padded_sums(phase);
  const bool shared = place.weights == WeightPlace::kShared;
  if (place.product == Product::kFfma) {
    const double weights = shared ? double(kept_floats(place, phase)) * 4 * passes(place) : 0;
    return padded * depth * rows / kCosts.multiply_adds + weights / kCosts.shared_bytes;
  }
  const int row_tiles = divide_up(place.group_rows, 8), warps = place.row_groups[phase] * place.k_slices[phase];
  const int pairs = divide_up(place.sum_tiles(phase), 2);  // of tiles; a warp takes one after the other
  const double tiles = double(place.sum_tiles(phase)) * place.pieces(phase);
  const double products = place.product == Product::kSplitTf32 ? 3 : 1;
  const double multiply = tiles * row_tiles * 2 * products * kCosts.tensor / std::min(4, warps);
  // A piece's instructions on the same sums wait for one another.
  const double chain = double(divide_up(place.pieces(phase), place.k_slices[phase])) * row_tiles *
                       divide_up(pairs, place.row_groups[phase]) * (place.product == Product::kSplitTf32 ? 4 : 1) *
                       kCosts.tensor_latency;
  double bytes = double(pairs) * place.pieces(phase) * rows * 64;
  if (shared) bytes += double(kept_floats(place, phase)) * 4 * passes(place);
  return std::max({multiply, chain, bytes / kCosts.shared_bytes}) + kCosts.tensor_start;
}

/// From the end of a block's product to where the others' is at hand.
double exchange_cycles(const Problem& problem, const Placement& place, int phase) {
  const double rows = place.group_rows, depth = place.depth[phase];
  // So many bytes of each block, of all that share the second-level cache.
  const bool spills = double(place.ring_bytes(problem.directions)) > kCosts.l2_size;
  const auto l2_cycles = [&](double bytes) {
    const double all = bytes * place.blocks(problem.directions);
    return std::max(bytes / kCosts.l2_bytes, all / (spills ? kCosts.memory_bytes : kCosts.l2_total));
  };
  if (place.mode == Mode::kBlock) return kCosts.block_exchange;
  if (place.scatters()) {  // a block gets as much as it sends, then adds up
    const double bytes = rows * problem.hidden * sizeof(float);
    if (place.mode == Mode::kGrid) {
      const double sectors = double(place.slices) * divide_up(int64_t(place.group_rows) * place.units, 8);
      return kCosts.block_exchange + kCosts.counter_exchange + l2_cycles(2 * sectors * 32);
    }
    return kCosts.block_exchange + kCosts.cluster_exchange + bytes / kCosts.cluster_bytes + bytes / kCosts.shared_bytes;
  }
  const double columns = problem.projection > 0 ? depth / place.slices : place.units * (depth / problem.hidden);
  const double published = rows * columns * place.itemsize;
  if (place.mode == Mode::kCluster) return kCosts.cluster_exchange + published * place.slices / kCosts.cluster_bytes;
  // Each block reads those of all.
  return (place.exchange == Handover::kTagged ? kCosts.tagged_exchange : kCosts.counter_exchange) +
         l2_cycles(rows * depth * place.word_bytes());
}

/// Of the weights that are not on the chip.
double streamed_cycles(const Problem& problem, const Placement& place) {
  const double bytes = double(place.streamed_floats) * 4, all = bytes * place.blocks(problem.directions);
  const double rate = all > kCosts.l2_size ? kCosts.memory_bytes : kCosts.l2_total;
  return std::max(bytes / kCosts.l2_bytes, all / rate) * passes(place);
}

double persistent_cycles(const DeviceCaps& device, const Problem& problem, const Placement& place) {
  double cycles = kCosts.pointwise;
  for (int phase = 0; phase < place.phases; ++phase) {
    const double partials = place.k_slices[phase] * double(place.group_rows) * place.padded_sums(phase) * 4;
    cycles += product_cycles(place, phase) + 60 + 2 * partials / kCosts.shared_bytes;
    cycles += exchange_cycles(problem, place, phase);
  }
  cycles += streamed_cycles(problem, place);
  // Clusters do not fill all multiprocessors; blocks and clusters that do not fit at once run in turns.
  const int together = place.mode == Mode::kCluster
                           ? std::max(1, device.multiprocessors * 9 / 10 / place.slices) * place.slices
                           : device.multiprocessors;
  return cycles * divide_up(place.blocks(problem.directions), together);
}

/// Before the first step: the launch, the weights' way onto the chip, and what is cleared.
double start_cycles(const Problem& problem, const Placement& place) {
  double bytes = 0;
  for (int phase = 0; phase < place.phases; ++phase)
    bytes += double(place.width[phase]) * place.depth[phase] * place.itemsize;
  return kCosts.launch + double(cleared_bytes(place, problem.directions)) / kCosts.l2_total +
         std::max(bytes / kCosts.l2_bytes, bytes * place.blocks(problem.directions) / kCosts.l2_total);
}

/// With normalized gates a second launch, which goes over each row three times.
double normalization_cycles(const DeviceCaps& device, const CellTraits& cell, const Problem& problem) {
  if (!cell.normalizes_gates) return 0;
  const double bytes = 3.0 * cell.gates * problem.hidden * itemsize_of(problem.number);
  return kCosts.launch + 4 * kCosts.pointwise +
         bytes / kCosts.l2_bytes * divide_up(int64_t(problem.batch) * problem.directions, device.multiprocessors);
}

/// A launch that makes so many sums of each unit of all rows; a `unit` is what a tile has 8 of.
double tile_launch_cycles(const DeviceCaps& device, const Problem& problem, int outputs, int units, int depth) {
  const int blocks = divide_up(units, kTileUnits) * divide_up(problem.batch, kTileRows) * problem.directions;
  const double itemsize = itemsize_of(problem.number);
  const double rate = problem.number == kFloat64 ? kCosts.multiply_adds / 2 : kCosts.multiply_adds;
  const double loads = double(outputs) * kTileUnits * depth * itemsize / kCosts.l2_bytes;
  const double sums = double(outputs) * kTileUnits * kTileRows * depth / rate;
  const double weights = double(outputs) * units * depth * itemsize;
  const double memory = weights > kCosts.l2_size ? weights * problem.directions / kCosts.memory_bytes : 0;
  return kCosts.launch + std::max(memory, std::max(loads, 2 * sums) * divide_up(blocks, device.multiprocessors));
}

double stepwise_cycles(const DeviceCaps& device, const CellTraits& cell, const Problem& problem,
                       const Placement& place) {
  double cycles = normalization_cycles(device, cell, problem);
  for (int phase = 0; phase < place.phases; ++phase) {
    const int units = phase == place.projecting ? problem.projection : problem.hidden;
    cycles += tile_launch_cycles(device, problem, place.outputs[phase], units, place.depth[phase]);
  }
  return cycles;
}

double microseconds(double cycles) { return cycles / kCosts.gigahertz / 1e3; }

}  // namespace

double persistent_microseconds(const DeviceCaps& device, const Problem& problem, const Placement& place) {
  return microseconds(persistent_cycles(device, problem, place) +
                      start_cycles(problem, place) / double(std::max<int64_t>(1, problem.seq_len)));
}

double stepwise_microseconds(const DeviceCaps& device, const CellTraits& cell, const Problem& problem,
                             const Placement& place) {
  return microseconds(stepwise_cycles(device, cell, problem, place));
}

}  // namespace cuda
}  // namespace fastrnn
