// How the blocks of a grid exchange, with a thread for each block: every value must arrive in every round, under
// ThreadSanitizer without a race; and who waits in vain must give up.

#include "testing/threaded_grid.h"

#include "testing/check.h"

namespace fastrnn {
namespace cuda_threaded {
namespace {

using testing::check;

using cuda::Handover;

constexpr int kRows = 3, kUnits = 3;  // odd, so that a load may hold numbers of two blocks, or end within a row

/// How many rows take part in the rounds, one after another.
enum class Rows { kAll, kFewer, kMore };

struct Trial {
  Handover exchange;
  int slices, rounds;
  Rows rows = Rows::kAll;
  int phases = 1;  // each of another depth
  int absent = -1;
  uint64_t patience = uint64_t(60) * 1000000000;

  int rows_of(int round) const {
    const int part = 1 + (round - 1) * kRows / rounds;
    return rows == Rows::kAll ? kRows : rows == Rows::kMore ? part : kRows + 1 - part;
  }
  int gates_of(int round) const { return 1 + round % phases; }
};

Placement grid_of(const Trial& trial, int itemsize) {
  Placement place;
  place.itemsize = itemsize;
  place.mode = Mode::kGrid;
  place.exchange = trial.exchange;
  place.slices = trial.slices;
  place.units = kUnits;
  place.groups = 2;
  place.group_rows = kRows;
  place.operand_pitch = (kUnits * trial.slices * trial.phases + 7) / 8 * 8;
  place.operand_at = 4;
  place.operand_stride = kRows * place.operand_pitch * itemsize / 4;
  place.shared_floats = place.operand_at + place.operand_stride;
  return place;
}

/// A small number, which every type holds exactly.
float value_of(int team, int round, int row, int column) {
  return float((((team * 31 + round) * kRows + row) * 13 + column) % 251);
}

/// One block's life; how many values it found wrong, -1 where it gave up.
template <class T>
int run_block(const Trial& trial, const Placement& place, const Workspace& work, int block) {
  const int team = block / place.slices, slice = block % place.slices, hidden = kUnits * place.slices;
  if (block == trial.absent) return 0;
  std::vector<float> shared(size_t(place.shared_floats));
  Exchange<T> exchange(place, work, shared.data(), team);
  exchange.start();
  int wrong = 0;
  for (int round = 1; round <= trial.rounds; ++round) {
    const int rows = trial.rows_of(round), gates = trial.gates_of(round);
    jitter(block, round);
    for (int row = 0; row < rows; ++row)
      for (int gate = 0; gate < gates; ++gate)
        for (int u = slice * kUnits; u < (slice + 1) * kUnits; ++u)
          exchange.publish(round, row, gate * hidden + u, value_of(team, round, row, gate * hidden + u));
    if (!exchange.finish(round, rows, gates * hidden)) return -1;
    const T* const operand = exchange.operand(round);
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < gates * hidden; ++column)
        wrong += Storage<T>::load(operand[row * place.operand_pitch + column]) != value_of(team, round, row, column);
  }
  return wrong;
}

template <class T>
Outcome run_grid(const Trial& trial) {
  const Placement place = grid_of(trial, int(sizeof(T)));
  std::vector<uint64_t> ring(size_t(place.ring_bytes(1) / 8), 0);
  return run_blocks(place, ring.data(), trial.patience,
                    [&](const Workspace& work, int block) { return run_block<T>(trial, place, work, block); });
}

void check_all(const Trial& trial) {
  for (const auto& run : {run_grid<float>, run_grid<cuda::Bfloat16>, run_grid<cuda::Float16>}) {
    const auto all = run(trial);
    check(all.wrong == 0 && all.gave_up == 0 && !all.flagged, "every value arrives in every round");
  }
}

}  // namespace
}  // namespace cuda_threaded
}  // namespace fastrnn

int main() {
  using namespace fastrnn;
  using namespace fastrnn::cuda_threaded;
  for (const Handover exchange : {Handover::kCounter, Handover::kTagged}) {
    for (const int slices : {1, 2, 5}) check_all({exchange, slices, 3000});
    for (const Rows rows : {Rows::kFewer, Rows::kMore}) check_all({exchange, 3, 2000, rows, 2});
    Trial without{exchange, 3, 2};
    without.absent = 4;
    without.patience = 20 * 1000000;
    const Outcome found = run_grid<float>(without);
    check(found.gave_up == 2, "the other blocks of the group give up: " + std::to_string(found.gave_up));
    check(found.wrong == 0, "the other group is not concerned");
    check(found.flagged, "it is told");
  }
  check_all({Handover::kTagged, 2, 70000});  // more rounds than a half's tag can count
  printf("%d passed, %d failed\n", testing::passed, testing::failed);
  return testing::failed ? 1 : 0;
}
