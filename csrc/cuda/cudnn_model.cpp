#include "cuda/cudnn_model.h"

#include <algorithm>
#include <cstring>

#include "core/number.h"

namespace fastrnn {
namespace cuda {
namespace {

/// Estimates: launches from what torch's developers published of cuDNN on older GPUs (7 to 12 us a step of STANDARD
/// forward, 9 to 17 backward) and its gaps on newer ones, rates as shares of the peak that such products reach. They
/// lean towards torch. To be replaced by measured ones.
struct TorchCosts {
  double kernel = 2.6;  // us, of the next kernel on a stream
  int forward_kernels = 2, backward_kernels = 3;
  double gigahertz = 1.7;
  // Multiply-adds a cycle and multiprocessor: before compute capability 9, and from there on.
  double float32[2] = {45, 90}, tf32[2] = {180, 375}, float64[2] = {45, 90}, half[2] = {360, 720};
  double l2_bytes = 24;                        // a cycle and multiprocessor, of weights that the cache holds,
  double l2_size = 36e6, memory_bytes = 1500;  // and of others, a cycle, from memory
};
constexpr TorchCosts kCosts;

bool is(const CellTraits& cell, const char* name) { return std::strcmp(cell.name, name) == 0; }
bool is_plain(const CellTraits& cell) { return is(cell, "rnn_tanh") || is(cell, "rnn_relu"); }

/// As torch decides (use_rnn_persist_small_h): the batch counts for nothing.
bool takes_small(const CellTraits& cell, const TorchCall& call) {
  const int most = is_plain(cell) ? (call.backward ? 256 : 384) : (call.backward ? 128 : 192);
  return !call.packed && call.number != kFloat64 && call.hidden <= most;
}

/// use_persist_common_heuristics and use_persist_device_heuristics.
bool takes_static(const DeviceCaps& device, const CellTraits& cell, const TorchCall& call) {
  if (call.packed || (call.number & ~kMixed) != kFloat16 || call.layers > 1 || call.directions > 1 || is(cell, "gru"))
    return false;
  if (call.hidden > 1024 || call.hidden % 128 != 0 || call.input % 128 != 0) return false;
  if (call.batch % 8 != 0 || call.batch > 128) return false;
  if (device.multiprocessors < 98 || device.major < 8 || (device.major == 8 && device.minor == 6)) return false;
  return !is_plain(cell) || call.batch < 96 || call.hidden < 896;
}

/// Of a step's products of all rows with weight_hh and a projection's, at least what reading the weights takes.
double product_us(const DeviceCaps& device, const CellTraits& cell, const TorchCall& call) {
  const int newer = device.major >= 9 ? 1 : 0;
  const double* const rates = call.number == kFloat64 ? kCosts.float64
                              : is_half(call.number)  ? kCosts.half
                              : call.tf32             ? kCosts.tf32
                                                      : kCosts.float32;
  const int width = call.projection > 0 ? call.projection : call.hidden;
  const double weights =
      (double(cell.gates) * call.hidden * width + double(call.projection) * call.hidden) * call.directions;
  const double bytes = weights * (call.number == kFloat64 ? 8 : is_half(call.number) ? 2 : 4);
  const double loads =
      bytes <= kCosts.l2_size ? bytes / (kCosts.l2_bytes * device.multiprocessors) : bytes / kCosts.memory_bytes;
  return std::max(loads, weights * call.batch / (rates[newer] * device.multiprocessors)) / kCosts.gigahertz / 1e3;
}

/// A launch's start, shared out over the steps: with weights that it first brings onto the chip.
double start_us(const DeviceCaps& device, const CellTraits& cell, const TorchCall& call) {
  const double bytes = double(cell.gates) * call.hidden * call.hidden * (is_half(call.number) ? 2 : 4);
  const double load = bytes / (kCosts.l2_bytes * device.multiprocessors) / kCosts.gigahertz / 1e3;
  return (kCosts.kernel + load) / double(std::max<int64_t>(1, call.seq_len));
}

/// Published: 0.6 to 0.9 us forward for LSTM up to 72 units, 2.7 for 128; where the weights do not fit it any more,
/// 5.5 for 152 units and one row, 33 for 160 and 44 rows. Of many rows nothing is published: as if they ran in turns
/// once there are more of them than multiprocessors.
double small_us(const DeviceCaps& device, const CellTraits& cell, const TorchCall& call) {
  const double weights = double(cell.gates) * call.hidden * call.hidden;
  double us = weights <= 40e3   ? 0.3 + weights * 1.5e-5
              : weights <= 66e3 ? 2.5
                                : 4.0 + 0.6 * std::min(call.batch, device.multiprocessors);
  if (call.backward) us *= 1.7;
  const int turns = (call.batch + device.multiprocessors - 1) / device.multiprocessors;
  return us * turns;
}

}  // namespace

const char* name_of(TorchPath path) {
  constexpr const char* kNames[] = {"nothing", "cuDNN, a launch a step", "cuDNN, persistent for small sizes",
                                    "cuDNN, persistent", "a kernel a product"};
  return kNames[int(path)];
}

TorchPath torch_path(const DeviceCaps& device, const CellTraits& cell, const TorchCall& call) {
  if (!is(cell, "lstm") && !is(cell, "gru") && !is_plain(cell)) return TorchPath::kNone;
  if (call.step) return TorchPath::kCell;
  if (call.projection > 0) return TorchPath::kStandard;
  if (takes_static(device, cell, call)) return TorchPath::kPersistStatic;
  return takes_small(cell, call) ? TorchPath::kPersistSmall : TorchPath::kStandard;
}

double torch_microseconds(const DeviceCaps& device, const CellTraits& cell, const TorchCall& call) {
  switch (torch_path(device, cell, call)) {
    case TorchPath::kNone:
      return 0;
    case TorchPath::kPersistSmall:
      return start_us(device, cell, call) + small_us(device, cell, call);
    case TorchPath::kPersistStatic:
      return start_us(device, cell, call) + (call.backward ? 2.3 : 1.5) + product_us(device, cell, call);
    default:
      break;
  }
  const int kernels = (call.backward ? kCosts.backward_kernels : kCosts.forward_kernels) + (call.projection > 0);
  return kernels * kCosts.kernel + product_us(device, cell, call);
}

}  // namespace cuda
}  // namespace fastrnn
