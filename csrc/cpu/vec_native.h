#pragma once
// Register types of the width that the including instruction-set header has set in kVectorBytes,
// and forms of the operations that need no intrinsic. Included only by vec_<isa>.h.

namespace fastrnn {
namespace FASTRNN_ISA {

template <class T>
struct NativeOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));  // NOLINT(modernize-use-using)
};
using F32 = NativeOf<float>::type;
using F64 = NativeOf<double>::type;

/// Partial access lane by lane, for instruction sets without masks. Only the last columns of an array come here.
template <class T>
FASTRNN_INLINE typename NativeOf<T>::type lanewise_load_partial(const T* p, int n) {
  T lanes[kVectorBytes / sizeof(T)] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  typename NativeOf<T>::type native;
  __builtin_memcpy(&native, lanes, sizeof native);
  return native;
}
template <class T, class Native>
FASTRNN_INLINE void lanewise_store_partial(T* p, Native native, int n) {
  T lanes[kVectorBytes / sizeof(T)];
  __builtin_memcpy(lanes, &native, sizeof native);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

}  // namespace FASTRNN_ISA
}  // namespace fastrnn
