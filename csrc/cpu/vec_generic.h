#pragma once
// Any machine: 16-byte registers, no intrinsics (SSE2 on x86-64). The yardstick that the others are tested against.

namespace fastrnn {
namespace FASTRNN_ISA {
constexpr int kVectorBytes = 16;
constexpr int kRegisters = 16;
}  // namespace FASTRNN_ISA
}  // namespace fastrnn

#include "cpu/vec_native.h"

namespace fastrnn {
namespace FASTRNN_ISA {

template <class N>
FASTRNN_INLINE N native_fma(N a, N b, N c) {
  return a * b + c;  // rounded twice: there is no fused form to rely on
}
template <class N>
FASTRNN_INLINE N native_max(N bound, N x) {
  return bound > x ? bound : x;
}
template <class N>
FASTRNN_INLINE N native_min(N bound, N x) {
  return bound < x ? bound : x;
}
template <class T>
FASTRNN_INLINE typename NativeOf<T>::type native_load_partial(const T* p, int n) {
  return lanewise_load_partial(p, n);
}
template <class T, class N>
FASTRNN_INLINE void native_store_partial(T* p, N v, int n) {
  lanewise_store_partial(p, v, n);
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
