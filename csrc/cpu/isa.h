#pragma once
// Instruction sets: which were built, which this processor has, which one is in use.

#include <string>
#include <vector>

#include "cpu/kernels.h"

namespace fastrnn {

/// One line for each that the build may contain, best first: X(name, supported). cmake/isa.cmake has the flags.
#define FASTRNN_FOR_EACH_ISA(X)                                                                         \
  X(avx512, FASTRNN_CPU_HAS("avx512f") && FASTRNN_CPU_HAS("avx512bw") && FASTRNN_CPU_HAS("avx512dq") && \
                FASTRNN_CPU_HAS("avx512vl") && FASTRNN_CPU_HAS("avx2") && FASTRNN_CPU_HAS("fma"))       \
  X(avx2, FASTRNN_CPU_HAS("avx2") && FASTRNN_CPU_HAS("fma"))                                            \
  X(neon, true)                                                                                         \
  X(generic, true)

/// AddIf<FASTRNN_BUILT_name>::add(f) calls f where that is 1. Tables of those in a build that lacks them are declared,
/// but must not be referred to.
template <bool kBuilt>
struct AddIf {
  template <class F>
  static void add(const F&) {}
};
template <>
struct AddIf<true> {
  template <class F>
  static void add(const F& f) {
    f(0);
  }
};

struct Isa {
  const char* name;
  bool supported;
  const Kernels* f32;
  const Kernels* f64;
  const Kernels* bf16;  // with products of bfloat16 numbers; null where build or processor has none
};

/// Those in the build, best first.
const std::vector<Isa>& built_isas();

/// Position in built_isas() of the one in use: the best supported, or what the environment variable FASTRNN_ISA or
/// select_isa chose. Throws std::invalid_argument, listing the choices, for an unknown or unsupported name.
int current_isa();
void select_isa(const std::string& name);

/// The name of the one in use. "avx512_no_bf16" can be chosen where AVX-512 has bfloat16 products, to do without them.
std::string current_isa_name();
bool bf16_products();

}  // namespace fastrnn
