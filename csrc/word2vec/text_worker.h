#pragma once
// What one thread of a TextReader does with its blocks of text.

#include <array>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>

#include "word2vec/text.h"

namespace fastrnn {

constexpr int64_t gensim_sentence = 10000;  // words after which gensim begins a new sentence

/// Runs task(0), on the calling thread, to task(count - 1) at once; rethrows an exception of theirs.
template <typename Task>
void in_parallel(size_t count, const Task& task) {
  std::vector<std::exception_ptr> errors(count);
  const auto guarded = [&](size_t i) {
    try {
      task(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  size_t started = count;
  try {
    for (size_t i = 1; i < count; ++i) threads.emplace_back(guarded, i);
  } catch (const std::system_error&) {  // no more threads to be had: what is left is done here
    started = threads.size() + 1;
  }
  for (size_t i = 0; i < count; i = i == 0 ? started : i + 1) guarded(i);
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

struct TextReader::Worker {
  TextReader& reader;
  const TextSettings& settings;
  const int index;
  WordTable own;
  WordTable* table = &own;
  const bool given;
  PageVector<uint64_t> first;  // where each word of the table appeared first in the corpus
  PageVector<char> buffer;
  PageVector<uint32_t> ids;
  std::vector<uint32_t> ends;
  size_t num_ids = 0, num_waiting = 0;
  std::array<Token, 32> waiting;  // looked up once their slots have been fetched
  const char* block_start = nullptr;
  uint64_t block_position = 0, total_words = 0, least = 1;
  int64_t line_ends = 0, line_words = 0;

  Worker(TextReader& r, int i, bool with_given) : reader(r), settings(r.settings_), index(i), given(with_given) {}

  void begin(const char* text, size_t size, uint64_t position) {
    block_start = text;
    block_position = position;
    num_ids = num_waiting = 0;
    ends.clear();
    if (ids.size() < size / 2 + 1) ids.resize(size / 2 + 1);
  }

  void word(const Token& token) {
    table->prefetch(token.hash);
    waiting[num_waiting++] = token;
    if (num_waiting == waiting.size()) look_up();
    if (settings.max_words != 0 && ++line_words == gensim_sentence) end_sentence();
  }

  void newline() {
    ++line_ends;
    if (settings.lines) end_line();
  }

  void end_line() {
    ends.push_back(uint32_t(num_ids + num_waiting));
    if (settings.max_words != 0 && line_words != 0) end_sentence();
  }

  void look_up() {
    const size_t count = num_waiting;
    if (given) {
      for (size_t i = 0; i < count; ++i) ids[num_ids + i] = table->find(waiting[i]);
    } else {
      for (size_t i = 0; i < count; ++i) {
        const uint32_t id = table->add(waiting[i]);
        if (id == first.size()) first.push_back(block_position + uint64_t(waiting[i].text - block_start));
        ids[num_ids + i] = id;
      }
    }
    num_ids += count;
    num_waiting = 0;
  }

  void end_sentence() {  // with one worker only
    look_up();
    line_words = 0;
    if (table->size() <= settings.max_words) return;
    std::vector<bool> keep;
    if (settings.prune) {
      keep = settings.prune(*table, least);
    } else {
      const std::vector<uint32_t> slots = table->slots_by_id();
      for (const uint32_t slot : slots) keep.push_back(table->count(slot) >= least);
    }
    ++least;
    const size_t before = table->size();
    table->retain(keep);
    first.resize(table->size());
    if (table->size() < before) reader.pruned_ = true;
  }
};

}  // namespace fastrnn
