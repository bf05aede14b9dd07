// The text reader against one that looks at every character: any number of threads, any way to hand over the text.

#include <stdio.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "testing/check.h"
#include "testing/word2vec_problem.h"
#include "testing/word2vec_tests.h"
#include "word2vec/text.h"

namespace fastrnn {
namespace testing {
namespace {

constexpr int64_t kLongest = 1000;     // words of a sentence
constexpr size_t kBlock = 256 * 1024;  // the reader's

struct Reading {
  int64_t invalid = -1;            // where the first byte is that is no UTF-8
  std::vector<std::string> words;  // in the order of their first appearance
  std::vector<int64_t> counts, offsets;
  std::vector<int32_t> ids;
  int64_t total = 0, line_ends = 0;

  bool operator==(const Reading& other) const {
    return invalid == other.invalid && words == other.words && counts == other.counts && offsets == other.offsets &&
           ids == other.ids && total == other.total && line_ends == other.line_ends;
  }
};

/// The character at a place of the text and its length; no character where it is no UTF-8.
std::optional<uint32_t> decode(const std::string& text, size_t at, size_t* length) {
  const auto byte = [&](size_t i) { return i < text.size() ? uint32_t(uint8_t(text[i])) : 0; };
  const uint32_t lead = byte(at);
  *length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
  if (*length == 0) return std::nullopt;
  uint32_t character = *length == 1 ? lead : lead & (0x7Fu >> *length);
  for (size_t i = 1; i < *length; ++i) {
    if (byte(at + i) >> 6 != 2) return std::nullopt;
    character = character << 6 | (byte(at + i) & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = character >= 0xD800 && character < 0xE000;
  if (character < kLeast[*length] || surrogate || character > 0x10FFFF) return std::nullopt;
  return character;
}

bool is_space(uint32_t c, bool as_word2vec_c) {
  if (as_word2vec_c) return c == '\t' || c == '\r' || c == ' ';
  return (c >= 9 && c <= 13 && c != '\n') || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

Reading read_plainly(const std::string& text, bool as_word2vec_c) {
  Reading r;
  r.offsets = {0};
  std::map<std::string, int32_t> known;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    const auto [place, added] = known.emplace(word, int32_t(r.words.size()));
    if (added) {
      r.words.push_back(word);
      r.counts.push_back(0);
    }
    ++r.counts[size_t(place->second)];
    r.ids.push_back(place->second);
    ++r.total;
    word.clear();
  };
  const auto end_line = [&] {
    const int64_t end = int64_t(r.ids.size());
    while (end - r.offsets.back() > kLongest) r.offsets.push_back(r.offsets.back() + kLongest);
    if (end > r.offsets.back()) r.offsets.push_back(end);
  };
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    const std::optional<uint32_t> character = decode(text, at, &length);
    if (!character) {
      Reading bad;
      bad.invalid = int64_t(at);
      return bad;
    }
    if (*character == '\n') {
      end_word();
      end_line();
      ++r.line_ends;
    } else if (is_space(*character, as_word2vec_c)) {
      end_word();
    } else {
      word.append(text, at, length);
    }
  }
  end_word();
  end_line();
  return r;
}

enum class Source { kFile, kOnePiece, kPieces };

Reading read_by_reader(const std::string& text, bool as_word2vec_c, int threads, Source source, uint64_t seed) {
  TextSettings settings;
  settings.threads = threads;
  settings.as_word2vec_c = as_word2vec_c;
  TextReader reader(settings);
  const TextReport report = [](int64_t) {};
  std::optional<InvalidText> invalid;
  if (source == Source::kFile) {
    FILE* const file = tmpfile();
    if (!file) {
      check(false, "no temporary file");
      return {};
    }
    fwrite(text.data(), 1, text.size(), file);
    fflush(file);
    invalid = reader.read_file(fileno(file), int64_t(text.size()), report);
    fclose(file);
  } else {
    Numbers numbers(seed);
    for (size_t at = 0; at < text.size() && !invalid;) {
      const size_t most = size_t(1) << (source == Source::kPieces ? numbers.below(20) : 40);
      // A copy, so that a sanitizer sees a byte read past it.
      const std::string piece = text.substr(at, most);
      const std::vector<char> bytes(piece.begin(), piece.end());
      invalid = reader.feed(bytes.data(), bytes.size(), report);
      at += bytes.size();
    }
  }
  if (!invalid) invalid = reader.end_file(report);
  Reading r;
  if (invalid) {
    r.invalid = invalid->offset;
    return r;
  }
  const WordTable& words = reader.words();
  std::vector<int32_t> final_ids;
  for (const uint32_t slot : words.slots_by_id()) {
    final_ids.push_back(int32_t(r.words.size()));
    r.words.push_back(words.word(slot));
    r.counts.push_back(int64_t(words.count(slot)));
  }
  r.total = reader.total_words();
  r.line_ends = reader.line_ends();
  r.offsets = reader.encode(final_ids.data(), final_ids.size(), kLongest, 0);
  r.ids.resize(size_t(r.offsets.back()));
  reader.write_ids(r.ids.data());
  return r;
}

void test_text(const std::string& name, const std::string& text) {
  for (const bool as_word2vec_c : {false, true}) {
    const Reading expected = read_plainly(text, as_word2vec_c);
    for (int threads = 1; threads <= 4; ++threads) {
      for (const Source source : {Source::kFile, Source::kOnePiece, Source::kPieces}) {
        // Only the separators differ there, so one source for each number of threads will do.
        if (as_word2vec_c && int(source) != threads % 3) continue;
        check(read_by_reader(text, as_word2vec_c, threads, source, uint64_t(threads)) == expected,
              "text reader: " + name + (as_word2vec_c ? ", as word2vec.c" : "") + ", " + std::to_string(threads) +
                  " threads, source " + std::to_string(int(source)));
      }
    }
  }
}

std::string random_word(Numbers& numbers) {
  static const char* const kLetters[] = {"a", "b", "Z", "\x01", "\x7F", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
  std::string word;
  const int64_t length = numbers.below(64) == 0 ? 1 + numbers.below(100) : 1 + numbers.below(4);
  for (int64_t i = 0; i < length; ++i) word += kLetters[numbers.below(8)];
  return word;
}

std::string random_text(size_t size, uint64_t seed) {
  static const char* const kSpaces[] = {" ",    " ",    " ",        "\n",           "\t",           "\r\n",
                                        "\x0B", "\x1C", "\xC2\x85", "\xE2\x80\xA8", "\xE3\x80\x80", "\n\n"};
  Numbers numbers(seed);
  std::string text;
  while (text.size() < size) text += random_word(numbers) + kSpaces[numbers.below(12)];
  return text;
}

}  // namespace

void test_text_reader() {
  test_text("empty", "");
  test_text("spaces", " \n \t\n\n");
  test_text("no newline at the end", "one two\nthree");
  test_text("cut character", "one \xE2\x82");
  const std::string text = random_text(4 * kBlock + 1000, 1);
  test_text("random words", text);
  for (int shift = -2; shift <= 2; ++shift) {  // what matters at the border of two blocks
    const size_t before = size_t(int64_t(kBlock) + shift);
    const std::string place = " at " + std::to_string(shift);
    test_text("a word begins" + place, std::string(before, ' ') + "word other\n");
    test_text("a line ends" + place, std::string(before - 4, ' ') + "word\nother\n");
    test_text("a character begins" + place, std::string(before, 'x') + "\xE2\x82\xAC\xE2\x82\xAC y\n");
    test_text("no UTF-8" + place, std::string(before, ' ') + "\xFF word\n");
  }
  test_text("a word longer than blocks", "a " + std::string(2 * kBlock + 7, 'x') + " b\n");
  test_text("no UTF-8 twice", text + "\xC0\x80 " + text.substr(0, kBlock) + " \xED\xA0\x80");
  Numbers numbers(3);
  for (int i = 0; i < 40; ++i) {  // valid for a few bytes only
    std::string bytes;
    for (int64_t left = numbers.below(40); left > 0; --left) bytes += char(numbers.below(i % 2 ? 256 : 128));
    test_text("random bytes " + std::to_string(i), bytes);
  }
}

}  // namespace testing
}  // namespace fastrnn
