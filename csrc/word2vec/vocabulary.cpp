#include "word2vec/vocabulary.h"

#include <algorithm>
#include <stdexcept>

namespace fastrnn {

Token Token::of(std::string_view word) {
  if (word.size() >= UINT32_MAX) throw std::length_error("a word is longer than 4 GiB");
  const uint32_t length = uint32_t(word.size());
  const char* text = word.data();
  if (length <= max_short) {
    char padded[16] = {};
    std::memcpy(padded, text, length);
    return of_key(text, length, load_bytes(padded), load_bytes(padded + 8));
  }
  uint64_t h = length;
  size_t at = 0;
  for (; at + 8 <= length; at += 8) h = mix(h ^ load_bytes(text + at), at);
  h = mix(h ^ load_bytes(text + length - 8), at);  // the last bytes, some of them again
  return of_key(text, length, h, 0);
}

WordTable::WordTable() { resize(size_t(1) << 12); }

WordTable::Slot* WordTable::insert(const Token& token) {
  if (size_ >= INT32_MAX) throw std::length_error("there are more than 2^31 - 1 different words");
  if (8 * (size_ + 1) > 5 * slots_.size()) resize(2 * slots_.size());
  Slot* slot = find_slot(token);
  *slot = {token.low, token.high, 0, uint32_t(size_), token.length};
  if (token.length > Token::max_short) {
    slot->high = long_words_.size();
    long_words_.insert(long_words_.end(), token.text, token.text + token.length);
  }
  ++size_;
  return slot;
}

void WordTable::resize(size_t num_slots) {
  PageVector<Slot> old(num_slots, Slot{});
  old.swap(slots_);
  shift_ = 64;
  for (size_t n = num_slots; n > 1; n /= 2) --shift_;
  const size_t mask = num_slots - 1;
  for (const Slot& slot : old) {
    if (slot.length == 0) continue;
    size_t at = Token::mix(slot.low, slot.length <= Token::max_short ? slot.high : 0) >> shift_;
    while (slots_[at].length != 0) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

std::vector<uint32_t> WordTable::slots_by_id() const {
  std::vector<uint32_t> by_id(size_);
  for (size_t at = 0; at < slots_.size(); ++at)
    if (slots_[at].length != 0) by_id[slots_[at].id] = uint32_t(at);
  return by_id;
}

Token WordTable::token(uint32_t slot) const {
  const Slot& s = slots_[slot];
  if (s.length <= Token::max_short) return Token::of_key(nullptr, s.length, s.low, s.high);
  return Token::of_key(&long_words_[s.high], s.length, s.low, 0);
}

std::string WordTable::word(uint32_t slot) const {
  const Slot& s = slots_[slot];
  if (s.length > Token::max_short) return std::string(&long_words_[s.high], s.length);
  std::string word(s.length, '\0');
  for (uint32_t i = 0; i < s.length; ++i) word[i] = char((i < 8 ? s.low >> (8 * i) : s.high >> (8 * (i - 8))) & 0xFF);
  return word;
}

void WordTable::retain(const std::vector<bool>& keep) {
  WordTable kept;
  const std::vector<uint32_t> by_id = slots_by_id();
  for (size_t id = 0; id < by_id.size(); ++id)
    if (keep[id]) kept.add(token(by_id[id]), count(by_id[id]));
  *this = std::move(kept);
}

}  // namespace fastrnn
