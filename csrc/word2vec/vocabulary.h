#pragma once
// A table of words: open addressing, with the bytes of short words in the slots themselves.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "word2vec/page_vector.h"

namespace fastrnn {

/// A word of the text with its key. Up to 16 bytes the key is the word itself, filled with zeros (zeros in the word do
/// no harm, as lengths are compared too); of a longer word `low` is a hash, and the text is compared.
struct Token {
  static constexpr uint32_t max_short = 16;

  const char* text;
  uint64_t low, high, hash;
  uint32_t length;  // at least 1

  static uint64_t mix(uint64_t low, uint64_t high) {
    uint64_t h = low * 0x9E3779B97F4A7C15u;
    h = (h ^ (h >> 32) ^ high) * 0xD6E8FEB86659FD93u;
    return h ^ (h >> 29);
  }

  static Token of_key(const char* text, uint32_t length, uint64_t low, uint64_t high) {
    return {text, low, high, mix(low, high), length};
  }

  /// A word of any length; no byte beyond it is read. Throws length_error from 4 GiB on.
  static Token of(std::string_view word);
};

/// Eight bytes as a number, the first one lowest.
inline uint64_t load_bytes(const char* from) {
  uint64_t value;
  std::memcpy(&value, from, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap64(value);
#endif
  return value;
}

/// Words with their counts, and ids 0, 1, ... in the order in which they were added.
class WordTable {
 public:
  static constexpr uint32_t none = UINT32_MAX;

  WordTable();

  /// The word's id; its count grows by `times`. Throws length_error beyond 2^31 - 1 words.
  uint32_t add(const Token& token, uint64_t times = 1) {
    Slot* slot = find_slot(token);
    if (slot->length == 0) slot = insert(token);
    slot->count += times;
    return slot->id;
  }

  /// The word's id, or none.
  uint32_t find(const Token& token) const {
    const Slot* slot = const_cast<WordTable*>(this)->find_slot(token);
    return slot->length == 0 ? none : slot->id;
  }

  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash >> shift_]); }

  size_t size() const { return size_; }

  /// Where each id's word is; good until the next change of the table.
  std::vector<uint32_t> slots_by_id() const;

  // Of the word in a slot. The token of a short word has no text.
  Token token(uint32_t slot) const;
  uint64_t count(uint32_t slot) const { return slots_[slot].count; }
  std::string word(uint32_t slot) const;
  void prefetch_slot(uint32_t slot) const { __builtin_prefetch(&slots_[slot]); }

  /// Keeps the words for which keep[id], with ids 0, 1, ... in the same order.
  void retain(const std::vector<bool>& keep);

 private:
  struct Slot {
    uint64_t low, high;  // as in Token; of a long word `high` is where in long_words_ it begins
    uint64_t count;
    uint32_t id, length;  // length 0: free
  };

  Slot* find_slot(const Token& token) {
    const size_t mask = slots_.size() - 1;
    for (size_t at = token.hash >> shift_;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.length == 0) return &slot;
      if (slot.length != token.length || slot.low != token.low) continue;
      if (token.length <= Token::max_short ? slot.high == token.high
                                           : std::memcmp(&long_words_[slot.high], token.text, token.length) == 0)
        return &slot;
    }
  }

  Slot* insert(const Token& token);
  void resize(size_t num_slots);

  PageVector<Slot> slots_;  // a power of two, at most 5/8 full
  int shift_ = 0;           // a hash's upper bits are the first slot tried
  size_t size_ = 0;
  PageVector<char> long_words_;
};

}  // namespace fastrnn
