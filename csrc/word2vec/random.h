#pragma once
// Random numbers by counter: every draw is a function of (seed, epoch, token), so that what a token sees depends
// neither on the number of threads nor on the order of the work. The mixing function is SplitMix64's (Steele et al.,
// OOPSLA 2014).

#include <stdint.h>

namespace fastrnn {
namespace word2vec {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;

// Inlined always: this header is compiled for several instruction sets, whose copies must not mix.
#define FASTRNN_RANDOM static inline __attribute__((always_inline)) uint64_t

FASTRNN_RANDOM mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

FASTRNN_RANDOM epoch_key(uint64_t seed, uint64_t epoch) { return mix(mix(seed + kGolden) + kGolden * (epoch + 1)); }

/// Of the token at a position of the corpus: the low half decides whether it is kept, the high half its window.
FASTRNN_RANDOM token_draw(uint64_t key, uint64_t token) { return mix(key + kGolden * (token + 1)); }

/// The j-th negative sample of a token.
FASTRNN_RANDOM negative_draw(uint64_t token_draw, uint64_t j) { return mix(token_draw + kGolden * (j + 1)); }

#undef FASTRNN_RANDOM

}  // namespace word2vec
}  // namespace fastrnn
