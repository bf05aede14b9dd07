#pragma once
// Tagged words: how the blocks of a grid hand over numbers without a counter (the idea of NCCL's "LL" protocol). Each
// number lies in the ring beside the round that it is of, in one word that is written and read as a whole; readers
// read until the round is there. So nothing depends on the order in which words are seen, and what counters need falls
// away: a barrier and a fence after writing, an atomic, and reading the counter before the numbers; for twice the
// bytes.
//
// Two slots suffice, by turns. A block overwrites what it published in round r - 2 with round r, after it has found all
// words of round r - 1. Those were published by blocks that had found all of round r - 2 before: the block's barrier in
// finish() is between its reads and what it publishes next, and a read has ended when its round is compared. This needs
// a word from each block in every round, so a grid has no blocks without units; which rows take part (their number only
// grows or only shrinks), writers and readers work out alike. So a stale word is of round r - 2, or zero as before the
// launch; rounds begin at 1. 15 bits of the round are therefore enough beside a half.

#include "cuda/storage.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

/// For float: a word of 64 bits, two in a load of 16 bytes.
template <class T>
struct Tagged {
  using Word = uint64_t;
  static constexpr int kInLoad = 2;
  FASTRNN_DEVICE static uint32_t tag(int round) { return uint32_t(round); }
  FASTRNN_DEVICE static Word word(T value, uint32_t tag) { return uint64_t(tag) << 32 | bits_of(value); }
  /// Whether the first `count` words have it.
  FASTRNN_DEVICE static bool have(const LoadedWords& words, int count, uint32_t tag) {
    return words.w[1] == tag && (count < 2 || words.w[3] == tag);
  }
  FASTRNN_DEVICE static void store(const LoadedWords& words, T* to) { store_words(to, words.w[0], words.w[2]); }
};

/// For the halves: of 32 bits, the half and 16 bits of tag, which are not zero. So each has one writer, whatever the
/// number of units.
template <class Half>
struct TaggedHalf {
  using Word = uint32_t;
  static constexpr int kInLoad = 4;
  FASTRNN_DEVICE static uint32_t tag(int round) { return (uint32_t(round) << 16) | 0x80000000u; }
  FASTRNN_DEVICE static Word word(Half value, uint32_t tag) { return tag | value.bits; }
  FASTRNN_DEVICE static bool have(const LoadedWords& words, int count, uint32_t tag) {
    bool all = true;
#pragma unroll
    for (int i = 0; i < kInLoad; ++i) all = all && (i >= count || (words.w[i] & 0xffff0000u) == tag);
    return all;
  }
  FASTRNN_DEVICE static void store(const LoadedWords& words, Half* to) {
    store_words(to, (words.w[0] & 0xffff) | words.w[1] << 16, (words.w[2] & 0xffff) | words.w[3] << 16);
  }
};
template <>
struct Tagged<cuda::Float16> : TaggedHalf<cuda::Float16> {};
template <>
struct Tagged<cuda::Bfloat16> : TaggedHalf<cuda::Bfloat16> {};

/// Of a loop that waits for others.
class Patience {
 public:
  /// To be asked in every turn: whether they have not come for too long. The clock is read now and then only.
  FASTRNN_DEVICE bool ends(uint64_t nanoseconds_at_most) {
    if (++turns_ % 16384 != 0) return false;
    const uint64_t now = nanoseconds();
    if (since_ == 0) since_ = now;
    return now - since_ > nanoseconds_at_most;
  }

 private:
  uint32_t turns_ = 0;
  uint64_t since_ = 0;
};

/// Of the ring; worked out where it is needed: before the loop over steps it would cost registers.
FASTRNN_DEVICE int loads_in_row(int depth, int in_load) {
  uint32_t loads = uint32_t(depth + in_load - 1) / uint32_t(in_load);
  pin(loads);
  return int(loads);
}

/// The thread's share of what the round's slot holds, to an array of the same shape in shared memory: [row, column],
/// `pitch` numbers from row to row. Loads are under way together, and those that find a stale word are repeated. What
/// lies past the depth was never written. False where something does not come.
template <class T>
FASTRNN_DEVICE bool take_tagged(const typename Tagged<T>::Word* slot, T* to, int round, int rows, int depth, int pitch,
                                uint64_t patience) {
  constexpr int kAtOnce = sizeof(T) == 2 ? 4 : 2;  // with more, some kernels spill registers
  constexpr int kInLoad = Tagged<T>::kInLoad;
  const uint32_t tag = Tagged<T>::tag(round);
  const int loads = loads_in_row(depth, kInLoad), all = rows * loads;
  Patience waiting;
  for (int first = thread_index(); first < all; first += kAtOnce * num_threads()) {
    int at[kAtOnce];
    uint32_t missing = 0, last = 0;  // of each load, whether it is to be repeated, and whether it ends its row
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * num_threads(), column = i % loads * kInLoad;
      at[j] = i / loads * pitch + column;
      if (i < all) missing |= 1u << j;
      if (column + kInLoad >= depth) last |= 1u << j;
    }
    while (true) {
      LoadedWords words[kAtOnce];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j)
        if (missing >> j & 1) words[j] = load_words(slot + at[j]);
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        if (!(missing >> j & 1)) continue;
        if (!Tagged<T>::have(words[j], last >> j & 1 ? depth - (loads - 1) * kInLoad : kInLoad, tag)) continue;
        Tagged<T>::store(words[j], to + at[j]);
        missing &= ~(1u << j);
      }
      if (missing == 0) break;
      if (waiting.ends(patience)) return false;
      wait_turn();
    }
  }
  return true;
}

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
