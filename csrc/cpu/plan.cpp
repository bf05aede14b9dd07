#include "cpu/plan.h"

#include <algorithm>

namespace fastrnn {
namespace {

// Below this a call is over sooner than a second thread is awake (20 us of one core).
constexpr double kSerialWork = 2e6;
// Least work of a thread in one step for a barrier after every step to pay: 0.1 us. At H = 64 two threads take 0.65 of
// one's time (LSTM), 0.73 (GRU); at H = 128 0.6.
constexpr double kUnitStepWork = 8e3;
// A tile of 4 rows already runs at the machine's peak, so fewer rows a thread than this are better split by units; with
// recurrent weights past kLargeWeights, which every thread that owns rows reads anew in each step, more are needed.
constexpr int kRowsPerThread = 4, kRowsPerThreadLarge = 16;
constexpr int64_t kLargeWeights = int64_t(2) << 20;  // numbers

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

/// Rows of a step, on average where sequences differ in length.
int64_t rows_of_step(const LayerShape& s) { return (s.total_rows() + s.seq_len - 1) / s.seq_len; }

double step_work(const CellTraits& cell, const LayerShape& s) {
  return 2.0 * double(rows_of_step(s)) * cell.gates * double(s.hidden) * double(s.hidden);
}

/// Threads that have enough rows each.
int64_t threads_by_rows(const CellTraits& cell, const LayerShape& s) {
  const bool large = cell.gates * s.hidden * s.hidden > kLargeWeights;
  return rows_of_step(s) / (large ? kRowsPerThreadLarge : kRowsPerThread);
}

ThreadSplit split_group(const CellTraits& cell, const LayerShape& s, int64_t blocks, int threads) {
  ThreadSplit split;
  if (threads == 1) return split;
  if (threads_by_rows(cell, s) >= threads) {
    split.rows = threads;
    return split;
  }
  const double affordable = step_work(cell, s) / kUnitStepWork;
  const int units = int(std::min<double>(std::min<int64_t>(blocks, threads), affordable));
  const int rows = int(std::max<int64_t>(1, threads_by_rows(cell, s)));
  if (units > rows)
    split.units = std::max(1, units);
  else
    split.rows = rows;
  return split;
}

ThreadSplit split_threads(const CellTraits& cell, const LayerShape& s, int64_t blocks, int threads) {
  const double work =
      double(s.total_rows()) * 2.0 * cell.gates * double(s.hidden) * double(s.hidden + s.input) * s.directions;
  if (threads <= 1 || work < kSerialWork) return {};
  if (s.directions == 2 && threads_by_rows(cell, s) < threads) {
    ThreadSplit split = split_group(cell, s, blocks, threads / 2);
    split.directions = 2;
    return split;
  }
  return split_group(cell, s, blocks, threads);
}

/// Packing weights pays from about this many rows: measured break-evens with weights in cache are 10 rows at H = 64, 20
/// at 128, 50 at 256 to 512, 40 at 1024; with weights that other work has pushed out of the cache, more in the middle.
/// A question of shape only: packed and unpacked forward kernels add in different orders.
bool worth_packing(const LayerShape& s) {
  const int64_t rows = s.hidden <= 128 ? std::max<int64_t>(8, s.hidden / 8) : s.hidden < 768 ? 64 : 40;
  return s.total_rows() >= rows;
}

/// Hands out consecutive, cache-line aligned pieces of scratch memory.
class Arena {
 public:
  explicit Arena(int64_t alignment) : alignment_(alignment) {}
  int64_t take(int64_t elements) {
    const int64_t offset = size_;
    size_ += round_up(elements, alignment_);
    return offset;
  }
  int64_t size() const { return size_; }

 private:
  int64_t alignment_, size_ = 0;
};

}  // namespace

Layout make_layout(const CellTraits& cell, const LayerShape& s, int lanes, int itemsize) {
  Layout l{};
  l.lanes = lanes;
  l.blocks = (s.hidden + lanes - 1) / lanes;
  l.padded = l.blocks * lanes;
  l.reserve_gates = s.total_rows() * l.padded * cell.saved;
  l.reserve_states = s.total_rows() * l.padded * (cell.states - 1);
  l.reserve_candidates = s.zoneout ? s.total_rows() * l.padded * cell.states : 0;
  l.reserve_statistics = cell.normalizes_gates ? s.total_rows() * kRowStatistics : 0;
  l.reserve_direction = l.statistics() + l.reserve_statistics;
  l.reserve_bytes = l.reserve_direction * s.directions * itemsize;
  return l;
}

ForwardPlan plan_forward(const CellTraits& cell, const ForwardArgs& args, int lanes, int itemsize, int max_threads,
                         int numbers) {
  const LayerShape& s = args.shape;
  ForwardPlan p{};
  p.input_depth = (s.input + numbers - 1) / numbers;
  p.hidden_depth = (s.hidden * cell.operand_states() + numbers - 1) / numbers;
  p.layout = make_layout(cell, s, lanes, itemsize);
  p.split = split_threads(cell, s, p.layout.blocks, max_threads);
  const bool saves_gates = args.reserve && cell.saved > 0;
  p.slots = saves_gates || cell.phases > 1 ? std::max(cell.gates, cell.saved) : cell.gates;
  p.gates_row = p.layout.padded * p.slots;

  // At least 96 rows, so that W_ih is read once for many rows; short rows are taken up to 128 KiB together.
  const int64_t rows = std::max<int64_t>(1, rows_of_step(s) / p.split.rows);
  const int64_t small = (int64_t(128) << 10) / std::max<int64_t>(1, rows * p.gates_row * itemsize);
  p.chunk_steps = std::min(s.seq_len, std::max(small, (96 + rows - 1) / rows));
  p.chunk_rows = std::max(s.batch, p.chunk_steps * rows_of_step(s));

  Arena arena(64 / itemsize);
  p.zeros = arena.take(p.layout.padded);
  const int64_t start = arena.size();
  const bool pack = worth_packing(s) || cell.operand_has_state;
  p.packed_ih = pack ? arena.take(p.layout.padded * cell.gates * p.input_depth) : kNone;
  p.bias = arena.take(p.layout.padded * cell.gates);
  for (int phase = 0; phase < cell.phases; ++phase) {
    p.packed_hh[phase] = pack ? arena.take(p.layout.padded * cell.phase_gates[phase] * p.hidden_depth) : kNone;
    p.split_bias[phase] = arena.take(p.layout.padded * cell.phase_split[phase]);
  }
  p.unit_params = arena.take(p.layout.padded * cell.unit_params);
  p.gates = saves_gates ? kNone : arena.take(p.chunk_rows * p.gates_row);
  p.state = arena.take(s.batch * p.layout.padded * (cell.states - 1));
  p.operand = arena.take(cell.phases > 1 ? s.batch * p.layout.padded : 0);
  p.hidden = arena.take(numbers > 1 || args.regularizers.hidden_scale ? 2 * s.batch * p.layout.padded / numbers : 0);
  p.raw = arena.take(cell.normalizes_gates ? s.batch * p.layout.padded * cell.gates : 0);
  p.norm_bias = arena.take(cell.normalizes_gates ? p.layout.padded * cell.gates : 0);
  p.norm_split_bias = arena.take(cell.normalizes_gates ? p.layout.padded * cell.gates : 0);
  p.candidate = arena.take(cell.normalizes_state ? s.batch * p.layout.padded : 0);
  p.direction_stride = p.split.directions > 1 ? arena.size() - start : 0;
  arena.take(p.direction_stride);
  p.scratch_bytes = arena.size() * itemsize;
  return p;
}

BackwardPlan plan_backward(const CellTraits& cell, const BackwardArgs& args, int lanes, int itemsize, int max_threads,
                           int numbers) {
  const LayerShape& s = args.shape;
  BackwardPlan p{};
  p.layout = make_layout(cell, s, lanes, itemsize);
  p.split = split_threads(cell, s, p.layout.blocks, max_threads);
  p.padded_input = round_up(s.input, lanes);

  // The chunk's gradients should stay in cache until the weight gradients have used them, but each chunk reads and
  // writes all of these, 8 MiB at H = 512, where 512 rows gain 2 to 3 % over 256. The length must not depend on the
  // number of threads, because it groups the sums over rows.
  const int64_t wanted_rows = s.hidden >= 512 ? 512 : 256;
  p.chunk_steps = std::min(s.seq_len, std::max<int64_t>(1, wanted_rows / std::max<int64_t>(1, s.batch)));
  p.chunk_rows = s.rows ? std::max(s.batch, std::min(wanted_rows, s.rows)) : p.chunk_steps * s.batch;
  const int64_t rows = p.chunk_rows;

  Arena arena(64 / itemsize);
  p.zeros = arena.take(p.layout.padded);
  p.panel_size = rows * 4 * lanes;
  p.panels = arena.take(p.panel_size * p.split.total());
  const int64_t start = arena.size();
  // The unpacked kernels take whole registers only, and read columns: rows 4 KiB apart share cache sets, which at
  // H = 1024 makes them slower than packing from 4 rows on.
  const bool pack_hh = numbers > 1 || worth_packing(s) || s.hidden % lanes || (s.hidden >= 1024 && s.total_rows() >= 4);
  const bool pack_ih = pack_hh || s.input % lanes;
  p.packed_ih = pack_ih && args.d_x.data ? arena.take(p.padded_input * p.layout.padded * cell.gates / numbers) : kNone;
  for (int phase = 0; phase < cell.phases; ++phase)
    p.packed_hh[phase] =
        pack_hh
            ? arena.take(p.layout.padded * p.layout.padded * cell.phase_gates[phase] * cell.operand_states() / numbers)
            : kNone;
  p.unit_params = arena.take(p.layout.padded * cell.unit_params);
  p.carry = arena.take(cell.hidden_carry || args.regularizers.zones_out(0) ? s.batch * p.layout.padded : 0);
  p.d_state = arena.take(s.batch * p.layout.padded * (cell.states - 1));
  p.initial_state = arena.take(s.batch * p.layout.padded * (cell.states - 1));
  p.kept_state = arena.take(cell.operand_has_state ? s.batch * p.layout.padded : 0);
  p.d_hidden = arena.take(cell.normalizes_gates ? s.batch * p.layout.padded : 0);
  p.d_norm = arena.take(cell.normalizes_state ? s.batch * p.layout.padded : 0);
  p.sums = arena.take(cell.normalizes_gates ? 4 * s.batch * p.layout.padded : 0);

  // One register more than a row needs: rows a power of two apart would share a few sets of the cache.
  const bool shared = cell.phases == 1 && cell.phase_split[0] == 0 && !cell.normalizes_gates;  // d_x_gates == d_h_gates
  p.d_x_row = p.layout.padded * cell.gates + lanes;
  p.d_p_row = p.layout.padded * cell.unit_params;
  p.gates = arena.size();
  for (int set = 0; set < 2; ++set) {
    p.d_x_gates[set] = arena.take(rows * p.d_x_row);
    for (int phase = 0; phase < cell.phases; ++phase) {
      p.d_h_row[phase] = shared ? p.d_x_row : p.layout.padded * cell.phase_gates[phase] + lanes;
      p.d_h_gates[set][phase] = shared ? p.d_x_gates[set] : arena.take(rows * p.d_h_row[phase]);
    }
    p.d_p[set] = arena.take(rows * p.d_p_row);
    p.operand[set] = arena.take(cell.phases > 1 ? rows * p.layout.padded : 0);
    p.scaled[set] = arena.take(args.regularizers.hidden_scale ? rows * p.layout.padded : 0);
    p.d_bias_h[set] = arena.take(cell.normalizes_gates ? rows * p.layout.padded * cell.gates : 0);
  }
  if (numbers > 1) {
    p.rounded = arena.take((arena.size() - p.gates) / 2);
    p.d_x_pairs = arena.take((rows + 1) / 2 * p.d_x_row);
    for (int phase = 0; phase < cell.phases; ++phase)
      p.d_h_pairs[phase] = shared ? p.d_x_pairs : arena.take((rows + 1) / 2 * p.d_h_row[phase]);
  }
  p.direction_stride = p.split.directions > 1 ? arena.size() - start : 0;
  arena.take(p.direction_stride);
  p.d_x_second = p.split.directions > 1 && args.d_x.data ? arena.take(s.total_rows() * s.input) : kNone;
  p.scratch_bytes = arena.size() * itemsize;
  return p;
}

}  // namespace fastrnn
