#pragma once
// How a call is to run on a GPU: which kernels, how many blocks, where the weights live. Plain C++ without CUDA, so
// that it can be tested for GPUs that are not there.

#include <stdint.h>

#include <string>
#include <string_view>

#include "cells/traits.h"
#include "core/layer.h"
#include "cuda/device.h"

namespace fastrnn {
namespace cuda {

enum class Mode : int {
  kStepwise,  // a launch a step; takes everything
  kBlock,     // persistent: a block has all units, and works on a few rows
  kCluster,   // persistent: a cluster of blocks has all units, and writes into each other's shared memory
  kGrid,      // persistent: blocks anywhere, all running at once, exchange through the second-level cache
};
enum class WeightPlace : int { kMemory, kRegisters, kShared };
/// What persistent kernels multiply with (tensor_weights.h).
enum class Product : int {
  kFfma,       // ordinary multiply-adds of float32, for float32
  kTf32,       // tensor cores; operands rounded to 10 bits of mantissa
  kSplitTf32,  // tensor cores, three products of them for each: as exact as float32 ("3xTF32")
  kHalf,       // tensor cores; for the halves, whose operands are what they are
};

/// How the blocks that share backward's product with weight_hh split it, where there are several.
enum class Sums : int {
  kGather,   // by units whose sums they own: each gets all gates' gradients, has columns of weight_hh, and adds up
  kScatter,  // by units whose gates they own: each keeps the gradients of these and has forward's rows of weight_hh;
             // the parts of all units' sums go to the blocks that own those units (scatter.h)
};

/// How the blocks of a grid learn that what they wait for has come (exchange.h).
enum class Handover : int {
  kCounter,  // by a count of the blocks that have published
  kTagged,   // by each number's own word, which also holds the round: one trip to the cache less, for twice the bytes
};

/// Threads of a persistent block, at the most.
constexpr int kRegisterThreads = 384, kSharedThreads = 512, kTensorRegisterThreads = 256, kTensorSharedThreads = 384;
/// Pieces of the depth that a warp of tensor_weights.h has in registers at the most, and their words of 32 bits.
constexpr int kTensorPieces = 8, kPieceWords = 16;
/// Words of shared memory by which such a warp loads them.
constexpr int kTensorStage = 32 * 16;

/// Blocks of a grid whose parts of a sum a thread adds up at once.
constexpr int kSourcesAtOnce = 8;

/// Whether tensor cores may find a cell's weights in registers: such kernels take long to compile, and there are those
/// for the cells that torch has.
constexpr bool tensors_in_registers(std::string_view cell) {
  return cell == "rnn_tanh" || cell == "rnn_relu" || cell == "lstm" || cell == "gru";
}

const char* name_of(Mode mode);
const char* name_of(WeightPlace place);
const char* name_of(Product product);
const char* name_of(Sums sums);
const char* name_of(Handover exchange);

/// How many persistent blocks share a call, and the geometry of each; see persistent.h. A direction has `groups` of
/// `slices` blocks; a group has up to group_rows of the batch, a slice `units` of the hidden units.
struct Placement {
  Mode mode = Mode::kStepwise;
  WeightPlace weights = WeightPlace::kMemory;
  Product product = Product::kFfma;
  Sums sums = Sums::kGather;
  Handover exchange = Handover::kCounter;  // of a grid
  int threads = 0, units = 0, slices = 0, groups = 0, group_rows = 0;
  int phases = 1;
  int projecting = -1;         // with a projection the phase whose sums are features of h, of which a block has
  int features = 0;            // so many
  int outputs[kMaxPhases];     // sums for each unit of a phase's product
  int width[kMaxPhases];       // sums of the block's product,
  int depth[kMaxPhases];       // and what each is over
  int row_groups[kMaxPhases];  // threads (with tensor cores warps) side by side over the sums of the block,
  int k_slices[kMaxPhases];    // and over the depth
  bool sums_adjoin = false;    // in weight_hh neighboring sums' weights lie side by side, as backward has them
  // Of shared memory, how many tiles of the depth each slice keeps there; a block has the others in global memory.
  int resident[kMaxPhases] = {0, 0}, streamed_at[kMaxPhases] = {0, 0}, streamed_floats = 0;
  int itemsize = 4;       // bytes of a number of the operand, which meets the weights, and of weights in shared memory
  int operand_pitch = 0;  // numbers from row to row of the operand
  // In shared memory, counted in floats:
  int operand_at = 0, operand_stride = 0;    // one or two buffers
  int received_at = 0, received_stride = 0;  // likewise, of parts of the block's sums: [part, row, unit]
  int partials_at = 0, weights_at[kMaxPhases] = {0, 0}, shared_floats = 0;

  FASTRNN_HD bool scatters() const { return sums == Sums::kScatter; }
  /// Whether what a block publishes is for its own product only.
  FASTRNN_HD bool keeps_operand() const { return mode == Mode::kBlock || scatters(); }
  /// Of scatter.h: parts that a block gets for each of its sums, where a grid's are first added up in part; and floats
  /// from one block's part to the next one's, a multiple of 16 bytes.
  FASTRNN_HD int received_parts() const {
    return mode == Mode::kCluster ? slices : (slices + kSourcesAtOnce - 1) / kSourcesAtOnce;
  }
  FASTRNN_HD int part_pitch() const { return (group_rows * units + 3) / 4 * 4; }
  /// Of tensor_weights.h: tiles of 16 sums, and pieces of the depth.
  FASTRNN_HD int sum_tiles(int phase) const { return (width[phase] + 15) / 16; }
  FASTRNN_HD int piece_depth() const { return kPieceWords * 4 / itemsize; }
  FASTRNN_HD int pieces(int phase) const { return (depth[phase] + piece_depth() - 1) / piece_depth(); }
  /// From a row's partial sums to the next one's; with tensor cores so that what a warp writes lies in different banks.
  FASTRNN_HD int padded_sums(int phase) const {
    return product == Product::kFfma ? (width[phase] + 7) / 8 * 8 : sum_tiles(phase) * 16 + 4;
  }
  /// Of weights in memory of either kind: tiles of the depth, all and in a slice, and the floats of one.
  FASTRNN_HD int depth_tiles(int phase) const {
    return product == Product::kFfma ? (depth[phase] + 3) / 4 : pieces(phase);
  }
  FASTRNN_HD int slice_tiles(int phase) const { return (depth_tiles(phase) + k_slices[phase] - 1) / k_slices[phase]; }
  FASTRNN_HD int tile_floats(int phase) const {
    return product == Product::kFfma ? padded_sums(phase) * itemsize : sum_tiles(phase) * 16 * kPieceWords;
  }
  FASTRNN_HD int blocks(int directions) const { return slices * groups * directions; }
  /// Of the ring through which blocks of a grid exchange, two slots of all groups; a counter a group comes before it.
  FASTRNN_HD int word_bytes() const { return exchange == Handover::kTagged ? 2 * itemsize : itemsize; }
  int64_t ring_bytes(int directions) const {
    if (mode != Mode::kGrid) return 0;
    const int64_t slot = scatters() ? int64_t(slices) * slices * part_pitch() * int64_t(sizeof(float))
                                    : int64_t(group_rows) * operand_pitch * word_bytes();
    return 2 * directions * groups * slot;
  }
  int64_t counters(int directions) const {
    return mode == Mode::kGrid && exchange == Handover::kCounter ? int64_t(directions) * groups : 0;
  }
};

struct Plan {
  Placement placement;
  double microseconds = 0;  // a step, by the model below; not measured
  std::string why;          // in words: what was chosen over what, or why nothing else could be
};

/// What a plan is for.
struct Problem {
  int64_t seq_len;  // over which what a launch takes before its first step is shared out
  int batch, hidden, directions;
  int number;          // of core/number.h
  bool backward;       // its product goes over the gates of all units, and has one sum a unit
  bool tf32;           // float32 may be rounded to TF32 for products
  int projection = 0;  // features of h, where it is projected
};

/// Tuning and tests: a mode to keep to (if it fits), and the geometry.
struct PlanOverride {
  int mode = -1;       // of Mode, -1: any
  int slices = 0;      // 0: any
  int group_rows = 0;  // 0: any
  int weights = -1;    // of WeightPlace, -1: any
  int product = -1;    // of Product, -1: any
  int shared = 0;      // KiB of shared memory that a block may have, 0: what the device gives
  int sums = -1;       // of Sums, -1: any; for backward's exchanges
  int exchange = -1;   // of Handover, -1: any
};

/// Always finds one: where nothing persistent fits, and nothing is asked for, the stepwise path. With an override that
/// fits nothing, the plan is stepwise, too, and `why` says so.
Plan make_plan(const DeviceCaps& device, const CellTraits& cell, const Problem& problem,
               const PlanOverride& only = PlanOverride());

/// Bytes of scratch that the plan's kernels need: counters, the ring, weights; and how many of them, at the beginning,
/// must be zero.
int64_t scratch_bytes(const Placement& place, int directions);
int64_t counter_bytes(const Placement& place, int directions);
int64_t cleared_bytes(const Placement& place, int directions);

}  // namespace cuda
}  // namespace fastrnn
