// How the blocks of a grid send each other parts of sums, with a thread for each block, as in exchange_test.cpp.

#include "testing/threaded_grid.h"

#include "cuda/scatter.h"
#include "testing/check.h"

namespace fastrnn {
namespace cuda_threaded {
namespace {

using testing::check;

constexpr int kRows = 3, kUnits = 3, kGroups = 2;

struct Trial {
  int slices, rounds;
  bool incomplete = false;  // the last block has fewer units
  int absent = -1;
  uint64_t patience = uint64_t(60) * 1000000000;

  int hidden() const { return slices * kUnits - (incomplete ? 2 : 0); }
  int rows_of(int round) const { return 1 + (round - 1) * kRows / rounds; }
};

Placement grid_of(const Trial& trial) {
  Placement place;
  place.mode = Mode::kGrid;
  place.sums = cuda::Sums::kScatter;
  place.slices = trial.slices;
  place.units = kUnits;
  place.groups = kGroups;
  place.group_rows = kRows;
  place.width[0] = trial.hidden();
  place.k_slices[0] = 1;
  place.operand_pitch = 8;
  place.operand_at = 4;
  place.operand_stride = kRows * place.operand_pitch;
  place.received_at = place.operand_at + place.operand_stride;
  place.partials_at = place.received_at + place.received_parts() * place.part_pitch();
  place.shared_floats = place.partials_at + kRows * place.padded_sums(0);
  return place;
}

/// A block's part of a sum: small, so that sums are exact.
float part_of(int block, int round, int row, int u) {
  return float((((block * 31 + round) * kRows + row) * 13 + u) % 251);
}

/// One block's life; how many sums it found wrong, -1 where it gave up.
int run_block(const Trial& trial, const Placement& place, const Workspace& work, int block) {
  if (block == trial.absent) return 0;
  const int team = block / trial.slices, slice = block % trial.slices;
  std::vector<float> memory(size_t(place.shared_floats) + 4, -1.0f);
  float* const shared = memory.data() + (16 - reinterpret_cast<uintptr_t>(memory.data()) % 16) / 4 % 4;
  Exchange<float> exchange(place, work, shared, team);
  exchange.start();
  const Scatter scatter(place, work, shared, team, slice);
  int wrong = 0;
  for (int round = 1; round <= trial.rounds; ++round) {
    const int rows = trial.rows_of(round);
    for (int row = 0; row < rows; ++row)
      for (int u = 0; u < trial.hidden(); ++u) partials_of(place, shared, 0, 0, row)[u] = part_of(block, round, row, u);
    jitter(block, round);
    if (!scatter.exchange(exchange, 0, round, rows, trial.hidden())) return -1;
    for (int row = 0; row < rows; ++row)
      for (int unit = 0; unit < kUnits && slice * kUnits + unit < trial.hidden(); ++unit) {
        float sum = 0;
        for (int source = 0; source < trial.slices; ++source)
          sum += part_of(team * trial.slices + source, round, row, slice * kUnits + unit);
        wrong += scatter.sum(round, row, unit).v != sum;
      }
  }
  return wrong;
}

Outcome run_grid(const Trial& trial) {
  const Placement place = grid_of(trial);
  std::vector<double> ring(size_t(place.ring_bytes(1) / 8), -1.0);  // whatever was
  return run_blocks(place, ring.data(), trial.patience,
                    [&](const Workspace& work, int block) { return run_block(trial, place, work, block); });
}

}  // namespace
}  // namespace cuda_threaded
}  // namespace fastrnn

int main() {
  using namespace fastrnn;
  using namespace fastrnn::cuda_threaded;
  for (const Trial& trial : {Trial{1, 5000}, Trial{2, 5000}, Trial{5, 3000, true}, Trial{9, 1000, true}}) {
    const Outcome found = run_grid(trial);
    check(found.wrong == 0 && found.gave_up == 0 && !found.flagged, "every part arrives in every round");
  }
  Trial without{3, 2};
  without.absent = 4;
  without.patience = 20 * 1000000;
  const Outcome found = run_grid(without);
  check(found.gave_up == 2 && found.flagged, "the other blocks of the group give up");
  check(found.wrong == 0, "the other group is not concerned");
  printf("%d passed, %d failed\n", testing::passed, testing::failed);
  return testing::failed ? 1 : 0;
}
