#include "testing/emulated_mma.h"

#include <math.h>
#include <string.h>

#include "testing/cuda_emulation.h"

namespace fastrnn {
namespace cuda_emulated {
namespace {

struct Operands {
  uint32_t a[4], b[2];
};

int exponent_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return int(bits >> 52 & 0x7FF) - 1023;
}

/// c and the products, as tensor cores add them: aligned to the largest of them, whose last place but one bit is the
/// last that counts, everything beyond cut off, and so the sum. (That they cut off is what others have measured, M.
/// Fasi and others, "Numerical behavior of NVIDIA tensor cores", 2021; how many bits they keep differs among GPUs.)
float sum_products(float c, const double* products, int count) {
  double largest = fabs(double(c)), plain = c;
  for (int i = 0; i < count; ++i) {
    largest = fmax(largest, fabs(products[i]));
    plain += products[i];
  }
  if (!isfinite(plain) || largest == 0) return float(plain);
  const double unit = ldexp(1, exponent_of(largest) - 24);
  double sum = trunc(c / unit);
  for (int i = 0; i < count; ++i) sum += trunc(products[i] / unit);
  sum *= unit;
  const float rounded = float(sum);
  return fabs(double(rounded)) > fabs(sum) ? nextafterf(rounded, 0.0f) : rounded;
}

float tf32_of(uint32_t bits) { return float_of(bits & 0xFFFFE000u); }

float bf16_of(uint32_t bits) { return float_of(bits << 16); }

float f16_of(uint32_t bits) {
  const float sign = bits & 0x8000 ? -1.0f : 1.0f;
  const int exponent = int(bits >> 10 & 31), mantissa = int(bits & 1023);
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent ? ldexpf(float(1024 + mantissa), exponent - 25) : ldexpf(float(mantissa), -24));
}

/// `depth` 8: a register holds one number; 16: two of 16 bits, the first in the lower half.
template <int depth, class Decode>
void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const Decode& decode) {
  constexpr int kInRegister = depth / 8, kHalf = depth / 2;
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  Operands all[32];
  emulation::exchange_warp(&mine, sizeof mine, all);
  // The number of depth k is in the lane k / kInRegister of four, in a register of the first or second half.
  const auto number = [&](uint32_t word, int k) {
    return decode(kInRegister == 1 ? word : word >> 16 * (k % 2) & 0xFFFF);
  };
  const auto at_a = [&](int row, int k) {
    return number(all[row % 8 * 4 + k % kHalf / kInRegister].a[row / 8 + k / kHalf * 2], k);
  };
  const auto at_b = [&](int k, int column) {
    return number(all[column * 4 + k % kHalf / kInRegister].b[k / kHalf], k);
  };
  const int lane = thread_index() % 32;
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
    double products[depth];
    for (int k = 0; k < depth; ++k) products[k] = double(at_a(row, k)) * double(at_b(k, column));
    c[i] = sum_products(c[i], products, depth);
  }
}

}  // namespace

uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

void sync_warp() {
  const char mine = 0;
  char all[32];
  emulation::exchange_warp(&mine, 1, all);
}

uint32_t to_tf32(float value) {
  const uint32_t bits = bits_of(value);
  return isnan(value) ? 0x7FFFFFFFu : (bits + 0x1000u) & 0xFFFFE000u;
}

void mma_m16n8k8_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { multiply<8>(c, a, b, tf32_of); }
void mma_m16n8k16_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { multiply<16>(c, a, b, f16_of); }
void mma_m16n8k16_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply<16>(c, a, b, bf16_of);
}

}  // namespace cuda_emulated
}  // namespace fastrnn
