#pragma once
// Flush denormal numbers to zero inside a scope. Decaying states and gradients reach the denormal range, where some
// processors are 20 to 260 times slower. The caller's setting comes back at the end.

#include <stdint.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "cpu/vec.h"

namespace fastrnn {
namespace FASTRNN_ISA {

class FlushDenormals {
 public:
#if defined(__x86_64__)
  FASTRNN_INLINE FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }  // FTZ, DAZ
  FASTRNN_INLINE ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FASTRNN_INLINE FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | (uint64_t(1) << 24)));  // FZ
  }
  FASTRNN_INLINE ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  uint64_t saved_;
#else
  FASTRNN_INLINE FlushDenormals() {}
#endif
};

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
