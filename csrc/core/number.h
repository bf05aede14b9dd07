#pragma once
// What the arrays of a call hold, as Python passes it.

namespace fastrnn {

/// float32 and float64 go by their size. The halves are stored in 16 bits and computed in float32; with kMixed added
/// their parameters, and those parameters' gradients, are float32 ("master weights") and are rounded before use.
/// kPairs is the engine's own: float32 but for the operands of products, which are pairs of bfloat16 (cpu/bf16.h).
enum Number : int { kFloat16 = 1, kBfloat16 = 2, kFloat32 = 4, kFloat64 = 8, kMixed = 16, kPairs = 3 };

inline bool is_half(int number) { return (number & ~kMixed) == kFloat16 || (number & ~kMixed) == kBfloat16; }
inline bool is_number(int number) { return number == kFloat32 || number == kFloat64 || is_half(number); }

}  // namespace fastrnn
