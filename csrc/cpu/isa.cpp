#include "cpu/isa.h"

#include <stdlib.h>

#include <atomic>
#include <stdexcept>

namespace fastrnn {

// Declared for every name; only those in the build (FASTRNN_BUILT_<name>, set by cmake/isa.cmake) are used.
#define FASTRNN_DECLARE(name, supported) \
  namespace name {                       \
  extern const Kernels kernels_f32;      \
  extern const Kernels kernels_f64;      \
  }
FASTRNN_FOR_EACH_ISA(FASTRNN_DECLARE)
#undef FASTRNN_DECLARE
namespace avx512_bf16 {
extern const Kernels kernels_bf16;
}

namespace {

#if defined(__x86_64__) || defined(__i386__)
#define FASTRNN_CPU_HAS(feature) __builtin_cpu_supports(feature)  // also asks whether the system saves the registers
#else
#define FASTRNN_CPU_HAS(feature) false
#endif

const char kPlainAvx512[] = "avx512_no_bf16";
constexpr int kWithoutBf16 = 1 << 8;  // beside a position

std::vector<Isa> find_built() {
  std::vector<Isa> isas;
#define FASTRNN_ADD(name, supported)                                                                        \
  AddIf<FASTRNN_BUILT_##name>::add([&](auto) {                                                              \
    isas.push_back({#name, static_cast<bool>(supported), &name::kernels_f32, &name::kernels_f64, nullptr}); \
  });
  FASTRNN_FOR_EACH_ISA(FASTRNN_ADD)
#undef FASTRNN_ADD
  AddIf<FASTRNN_BUILT_avx512_bf16>::add([&](auto) {
    for (Isa& isa : isas)
      if (isa.name == std::string("avx512") && isa.supported && FASTRNN_CPU_HAS("avx512bf16"))
        isa.bf16 = &avx512_bf16::kernels_bf16;
  });
  return isas;
}

int find_supported(const std::string& name, const char* where) {
  const std::vector<Isa>& isas = built_isas();
  std::string choices;
  for (size_t i = 0; i < isas.size(); ++i) {
    if (!isas[i].supported) continue;
    if (name == isas[i].name) return int(i);
    if (isas[i].bf16 && name == kPlainAvx512) return int(i) | kWithoutBf16;
    choices += (choices.empty() ? "" : ", ") + std::string(isas[i].name);
  }
  throw std::invalid_argument(std::string(where) + ": instruction set '" + name +
                              "' is unknown, not in this build or not supported by this processor; choose from " +
                              choices);
}

std::atomic<int> selected{-1};

}  // namespace

const std::vector<Isa>& built_isas() {
  static const std::vector<Isa> isas = find_built();
  return isas;
}

int current_isa() {
  const int isa = selected.load(std::memory_order_relaxed);
  if (isa >= 0) return isa & ~kWithoutBf16;
  const char* forced = getenv("FASTRNN_ISA");
  int chosen = 0;
  if (forced && *forced) {
    chosen = find_supported(forced, "FASTRNN_ISA");
  } else {
    while (!built_isas()[size_t(chosen)].supported) ++chosen;  // generic, the last one, always is
  }
  selected = chosen;
  return chosen & ~kWithoutBf16;
}

std::string current_isa_name() {
  const Isa& isa = built_isas()[size_t(current_isa())];
  return isa.bf16 && !bf16_products() ? kPlainAvx512 : isa.name;
}

bool bf16_products() {
  const Isa& isa = built_isas()[size_t(current_isa())];
  return isa.bf16 && !(selected.load(std::memory_order_relaxed) & kWithoutBf16);
}

void select_isa(const std::string& name) { selected = find_supported(name, "use_isa"); }

}  // namespace fastrnn
