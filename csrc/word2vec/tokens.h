#pragma once
// Cutting UTF-8 text into words at white space.

#include <array>
#include <cstdint>

#include "word2vec/vocabulary.h"

namespace fastrnn {

enum class ByteClass : uint8_t { word, space, newline, beyond_ascii };

/// What each byte is. Python's str.split() separates at these ASCII characters (and at some beyond, see
/// is_unicode_space); word2vec.c at four of them, and nowhere else.
inline std::array<ByteClass, 256> byte_classes(bool as_word2vec_c) {
  std::array<ByteClass, 256> classes;
  for (int c = 0; c < 256; ++c) classes[size_t(c)] = c < 0x80 ? ByteClass::word : ByteClass::beyond_ascii;
  for (const int c : {0x09, 0x0D, 0x20}) classes[size_t(c)] = ByteClass::space;
  if (!as_word2vec_c)
    for (const int c : {0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x1F}) classes[size_t(c)] = ByteClass::space;
  classes['\n'] = ByteClass::newline;
  return classes;
}

/// Length of the UTF-8 character at `p` beyond ASCII, 0 if there is none (Unicode 15, table 3-7). Up to four bytes
/// are read; behind the text there must be some that continue no character.
inline int utf8_length(const unsigned char* p) {
  const auto continues = [](unsigned char c) { return (c & 0xC0) == 0x80; };
  const unsigned char lead = p[0], second = p[1];
  if (lead < 0xC2 || lead > 0xF4 || !continues(second)) return 0;
  if (lead < 0xE0) return 2;
  if (!continues(p[2])) return 0;
  if (lead < 0xF0) {
    const bool overlong = lead == 0xE0 && second < 0xA0, surrogate = lead == 0xED && second >= 0xA0;
    return overlong || surrogate ? 0 : 3;
  }
  const bool overlong = lead == 0xF0 && second < 0x90, too_large = lead == 0xF4 && second >= 0x90;
  return overlong || too_large || !continues(p[3]) ? 0 : 4;
}

/// Whether the valid character at `p`, beyond ASCII, is white space for str.split().
inline bool is_unicode_space(const unsigned char* p) {
  switch (p[0]) {
    case 0xC2:
      return p[1] == 0x85 || p[1] == 0xA0;
    case 0xE1:
      return p[1] == 0x9A && p[2] == 0x80;
    case 0xE2:
      return (p[1] == 0x80 && (p[2] <= 0x8A || p[2] == 0xA8 || p[2] == 0xA9 || p[2] == 0xAF)) ||
             (p[1] == 0x81 && p[2] == 0x9F);
    case 0xE3:
      return p[1] == 0x80 && p[2] == 0x80;
    default:
      return false;
  }
}

class Tokenizer {
 public:
  /// Bytes that must be readable behind the text; they are spaces.
  static constexpr size_t padding = 32;

  explicit Tokenizer(bool as_word2vec_c) : classes_(byte_classes(as_word2vec_c)), ascii_only_(as_word2vec_c) {}

  ByteClass classify(char c) const { return classes_[static_cast<unsigned char>(c)]; }

  bool separates(char c) const {
    const ByteClass what = classify(c);
    return what == ByteClass::space || what == ByteClass::newline;
  }

  /// Calls sink.word(const Token&) and sink.newline() in the order of the text, which cuts no word. Returns where the
  /// first invalid byte is, or nullptr.
  template <typename Sink>
  const char* run(const char* p, const char* end, Sink& sink) const {
    while (true) {
      for (; p < end; ++p) {  // to the next word
        const ByteClass what = classify(*p);
        if (what == ByteClass::word) break;
        if (what == ByteClass::newline) sink.newline();
        if (what != ByteClass::beyond_ascii) continue;
        const auto* c = reinterpret_cast<const unsigned char*>(p);
        const int length = utf8_length(c);
        if (length == 0) return p;
        if (ascii_only_ || !is_unicode_space(c)) break;
        p += length - 1;
      }
      if (p >= end) return nullptr;

      // Most words end within 16 bytes at an ASCII separator, the first byte below 0x21 or above 0x7F.
      const uint64_t low = load_bytes(p), low_ends = unusual(low);
      uint32_t length = 16;
      uint64_t high = 0;
      if (low_ends != 0) {
        length = uint32_t(__builtin_ctzll(low_ends)) / 8;
      } else {
        high = load_bytes(p + 8);
        if (const uint64_t ends = unusual(high)) length = 8 + uint32_t(__builtin_ctzll(ends)) / 8;
      }
      if (length != 0 && separates(p[length])) {
        if (length <= 8) {
          sink.word(Token::of_key(p, length, low & below(length), 0));
        } else {
          sink.word(Token::of_key(p, length, low, high & below(length - 8)));
        }
        p += length;
        continue;
      }

      const char* q = p + length;
      while (!separates(*q)) {
        if (classify(*q) == ByteClass::word) {
          ++q;
          continue;
        }
        const auto* c = reinterpret_cast<const unsigned char*>(q);
        const int character = utf8_length(c);
        if (character == 0) return q;
        if (!ascii_only_ && is_unicode_space(c)) break;
        q += character;
      }
      sink.word(Token::of({p, size_t(q - p)}));
      p = q;
    }
  }

 private:
  /// Bit 7 of each byte below 0x21 or above 0x7F, right up to the lowest one set.
  static uint64_t unusual(uint64_t bytes) {
    return (((bytes - 0x2121212121212121u) & ~bytes) | bytes) & 0x8080808080808080u;
  }

  /// The lowest `length` bytes, 1 to 8.
  static uint64_t below(uint32_t length) { return ~uint64_t(0) >> (64 - 8 * length); }

  std::array<ByteClass, 256> classes_;
  bool ascii_only_;
};

}  // namespace fastrnn
