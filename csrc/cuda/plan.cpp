#include "cuda/plan.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/number.h"
#include "cuda/plan_costs.h"
#include "cuda/plan_layout.h"

namespace fastrnn {
namespace cuda {
namespace {

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
  char text[280];
  if (place.mode == Mode::kStepwise) {
    std::snprintf(text, sizeof text, "stepwise, weights read in every step (model: %.1f us a step)", microseconds);
  } else {
    char streamed[48] = "", features[40] = "";
    if (place.projecting >= 0) std::snprintf(features, sizeof features, " and %d features of h", place.features);
    if (place.streamed_floats > 0)
      std::snprintf(streamed, sizeof streamed, ", but for %d KiB read in every step",
                    (place.streamed_floats + 255) / 256);
    const char* const exchange = place.mode == Mode::kGrid ? name_of(place.exchange) : nullptr;
    std::snprintf(text, sizeof text,
                  "%s: %d x %d blocks of %d units%s, %d rows each, weights in %s%s, %s%s%s%s (model: %.2f us a step)",
                  name_of(place.mode), place.groups, place.slices, place.units, features, place.group_rows,
                  name_of(place.weights), streamed, name_of(place.product), place.scatters() ? ", sums scattered" : "",
                  exchange ? ", exchange by " : "", exchange ? exchange : "", microseconds);
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
    stepwise_.microseconds = stepwise_microseconds(device, cell, problem, stepwise_.placement);
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
    if (only_.mode < 0 && only_.product < 0 && only_.exchange < 0 && best_.microseconds >= stepwise_.microseconds)
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
    place.features = divide_up(problem_.projection, slices);
    // The last block would have nothing.
    if (only_.slices == 0 && int64_t(slices - 1) * place.units >= problem_.hidden) return;
    const bool exchanges = problem_.backward && mode != Mode::kBlock && problem_.projection == 0;
    for (const Sums sums : {Sums::kGather, Sums::kScatter}) {
      if (exchanges ? only_.sums >= 0 && only_.sums != int(sums) : sums != Sums::kGather) continue;
      place.sums = sums;
      set_products(cell_, problem_, place);
      try_products(place);
    }
  }

  void try_products(Placement place) {
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
          for (const Handover exchange : {Handover::kCounter, Handover::kTagged}) {
            place.exchange = exchange;
            if (hands_over(place)) consider(place);
          }
        }
      }
    }
  }

  bool takes(Product product) const {
    if (only_.product >= 0 && only_.product != int(product)) return false;
    if (is_half(problem_.number)) return product == Product::kHalf && device_.major >= 8;
    if (product == Product::kHalf) return false;
    if (product == Product::kFfma) return true;
    // 3xTF32 makes NaN of infinities: of the states only relu's become such.
    if (product == Product::kSplitTf32 && std::strcmp(cell_.name, "rnn_relu") == 0 && only_.product < 0) return false;
    return device_.major >= 8 && (product != Product::kTf32 || problem_.tf32);
  }

  /// Blocks without units, or without features of a projected h, have no words by which others could know that they
  /// have come.
  bool hands_over(const Placement& place) const {
    if (place.mode != Mode::kGrid) return place.exchange == Handover::kCounter && only_.exchange < 0;
    if (only_.exchange >= 0 && only_.exchange != int(place.exchange)) return false;
    if (place.scatters()) return place.exchange == Handover::kCounter;
    const int64_t others = place.slices - 1;
    const bool all_publish = others * place.units < problem_.hidden &&
                             (problem_.projection == 0 || others * place.features < problem_.projection);
    return place.exchange == Handover::kCounter || all_publish;
  }

  void consider(Placement& place) {
    if (place.mode == Mode::kGrid && place.blocks(problem_.directions) > device_.multiprocessors) return;
    if (!lay_out(shared_bytes_, place)) return;
    const double microseconds = persistent_microseconds(device_, problem_, place);
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

const char* name_of(Handover exchange) {
  constexpr const char* kNames[] = {"counter", "tagged words"};
  return kNames[int(exchange)];
}

const char* name_of(Product product) {
  constexpr const char* kNames[] = {"float32", "TF32", "3xTF32", "half"};
  return kNames[int(product)];
}

const char* name_of(Sums sums) {
  constexpr const char* kNames[] = {"gather", "scatter"};
  return kNames[int(sums)];
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

int64_t cleared_bytes(const Placement& place, int directions) {
  return counter_bytes(place, directions) + (place.scatters() ? 0 : place.ring_bytes(directions));
}

}  // namespace cuda
}  // namespace fastrnn
