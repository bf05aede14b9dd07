// The word2vec trainer's test without Python: for cross-compiled builds under an emulator, and for sanitizers. Every
// supported instruction set against training in plain loops (scalar_word2vec.h), fast and deterministic training with
// several threads, and stopping midway.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "testing/check.h"
#include "testing/scalar_word2vec.h"
#include "testing/word2vec_problem.h"
#include "testing/word2vec_tests.h"
#include "word2vec/trainer.h"

namespace fastrnn {
namespace testing {
namespace {

using word2vec::Counts;
using word2vec::Epoch;
using word2vec::Progress;
using word2vec::Settings;
using word2vec::Trainer;

// The thread sanitizer makes everything some fifteen times slower, and what one thread does alone needs none of it.
#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadsOnly = true;
#else
constexpr bool kThreadsOnly = false;
#endif

/// Calls test(name) with every instruction set of this machine in use, or the best, where only threads are tested:
/// they do the same in all.
void with_each_isa(const std::function<void(const std::string&)>& test) {
  for (const Isa& isa : built_isas()) {
    if (!isa.supported) continue;
    select_isa(isa.name);
    test(std::string(isa.name) + " ");
    if (kThreadsOnly) return;
  }
}

bool keep_going(const Progress&) { return true; }

bool equal_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

bool equal_counts(const Counts& a, const Counts& b) {
  return a.words == b.words && a.kept == b.kept && a.pairs == b.pairs;
}

// Ways to train: those of gensim and word2vec.c, and what differs between them, spread over a few.
enum class Way { kUsual, kTable, kSaturated, kFrozen };
constexpr Way kWays[] = {Way::kUsual, Way::kTable, Way::kSaturated, Way::kFrozen};
const char* const kWayNames[] = {"", ", table", ", saturated", ", frozen outputs"};

void set_way(Way way, const Corpus& corpus, Settings& s, Epoch& e) {
  e.number = 3;
  e.alpha_start = 0.05;
  e.alpha_end = 0.01;
  e.done = 100;
  e.total = 2000;
  s.strict = s.loss = true;
  if (way == Way::kUsual || way == Way::kFrozen) s.keep = corpus.keep.data();
  if (way == Way::kTable) {
    s.sigmoid_table = word2vec::sigmoid_table();
    s.mean = false;
    s.divide = true;
    s.shrink_windows = false;
    s.vectors_lockf = corpus.lockf.data();
    s.max_kept = 17;
    e.c_schedule = true;
  }
  if (way == Way::kSaturated) {
    s.skip_saturated_negatives = s.skip_gram;
    s.window = 2;
    e.by_sentences = true;
    e.total = 300;
  }
  if (way == Way::kFrozen) s.train_outputs = false;
}

/// The largest difference over the largest value; infinity for a NaN.
double relative_error(const std::vector<float>& ours, const std::vector<double>& exact) {
  double largest = 0, scale = 0;
  if (ours.size() != exact.size()) return INFINITY;
  for (size_t i = 0; i < exact.size(); ++i) {
    const double error = fabs(double(ours[i]) - exact[i]);
    largest = error <= largest ? largest : isnan(error) ? INFINITY : error;
    scale = std::max(scale, fabs(exact[i]));
  }
  return largest / scale;
}

void test_strict() {
  const Corpus corpus(40, 1500, 1);
  for (const int size : {1, 7, 100, 129}) {
    for (const ModelShape& shape : model_shapes(size)) {
      for (const Way way : kWays) {
        const double spread = way == Way::kSaturated ? 4 : 1;
        uint64_t seed = 1;
        ScalarRun exact;
        Epoch epoch;
        // Near the jumps of the gradient a rounding would decide, so other numbers are drawn there.
        do {
          Model model(corpus, shape, spread, seed++);
          set_way(way, corpus, model.settings, epoch);
          exact = scalar_train(model.settings, epoch);
        } while (exact.nearest_to_saturation < 3e-5);
        with_each_isa([&](const std::string& isa) {
          const std::string name = isa + shape.name() + kWayNames[int(way)];
          Model model(corpus, shape, spread, seed - 1);
          set_way(way, corpus, model.settings, epoch);
          Trainer trainer(model.settings, 1, false);
          check(trainer.chunk_starts() == scalar_chunks(model.settings), name + ": chunks");
          const Progress progress = trainer.train(epoch, keep_going);
          check(equal_counts(progress.counts, exact.counts), name + ": counts");
          check(trainer.position() == model.settings.num_sentences, name + ": position");
          // A score near the border of two entries of the table may take either.
          const double limit = way == Way::kTable ? 1e-3 : 2e-5;
          const double error = relative_error(model.weights(), exact.weights);
          check(error <= limit, name + ": error " + std::to_string(error) + " of the largest weight");
          const double loss_error = fabs(progress.counts.loss / exact.counts.loss - 1);
          check(loss_error <= limit, name + ": loss off by " + std::to_string(loss_error));
          check(model.padding_is_zero(), name + ": padding");
        });
      }
    }
  }
}

void test_scores() {
  const Corpus corpus(40, 1500, 2);
  for (const int size : {1, 7, 100, 129}) {
    for (const bool skip_gram : {false, true}) {
      const ModelShape shape{size, skip_gram, true, 0};
      Model model(corpus, shape, 1, 1);
      std::vector<double> exact;
      for (int64_t s = 0; s < model.settings.num_sentences; ++s) exact.push_back(scalar_score(model.settings, s));
      with_each_isa([&](const std::string& isa) {
        const std::string name = isa + shape.name() + " score";
        std::vector<double> scores(exact.size()), parallel(exact.size());
        word2vec::score_sentences(model.settings, 1, scores.data());
        double worst = 0;
        for (size_t s = 0; s < exact.size(); ++s)
          worst = std::max(worst, fabs(scores[s] - exact[s]) / std::max(1.0, fabs(exact[s])));
        check(worst <= 1e-5, name + ": error " + std::to_string(worst));
        word2vec::score_sentences(model.settings, 3, parallel.data());
        check(scores == parallel, name + ": three threads");
      });
    }
  }
}

Epoch learning_epoch(const Settings& s, int number, int epochs) {
  Epoch epoch;
  epoch.number = uint64_t(number);
  epoch.alpha_start = 0.05;
  epoch.alpha_end = 0.0001;
  epoch.done = double(number) * double(s.offsets[s.num_sentences]);
  epoch.total = double(epochs) * double(s.offsets[s.num_sentences]);
  return epoch;
}

/// The loss of the weights as they are: that of an epoch which learns nothing, with other samples than the epochs
/// before it.
double loss_now(const Model& model) {
  Settings s = model.settings;
  s.strict = s.loss = true;
  Epoch epoch;
  epoch.number = 99;
  return Trainer(s, 1, false).train(epoch, keep_going).counts.loss;
}

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return isfinite(x); });
}

/// Several threads learn what one strict thread learns.
void test_fast() {
  constexpr int kEpochs = 2;
  const Corpus corpus(200, 8000, 3);
  for (const ModelShape& shape : model_shapes(20)) {
    with_each_isa([&](const std::string& isa) {
      const double before = loss_now(Model(corpus, shape, 0.01, 1));
      const auto train = [&](int threads, bool strict) {
        Model model(corpus, shape, 0.01, 1);
        model.settings.strict = strict;
        Trainer trainer(model.settings, threads, false);
        const std::string name =
            isa + shape.name() + (strict ? " strict" : " fast") + ", threads " + std::to_string(threads);
        for (int e = 0; e < kEpochs; ++e) {
          const Counts counts = trainer.train(learning_epoch(model.settings, e, kEpochs), keep_going).counts;
          check(counts.words == int64_t(corpus.ids.size()), name + ": words");
          check(trainer.position() == model.settings.num_sentences, name + ": position");
        }
        check(all_finite(model.weights()), name + ": not finite");
        check(model.padding_is_zero(), name + ": padding");
        return before - loss_now(model);
      };
      const double strict = train(1, true);
      check(strict > 0, isa + shape.name() + ": strict training has learned nothing");
      for (int threads = 1; threads <= 4; ++threads) {
        const double gain = train(threads, false) / strict;
        // 0.95 to 1 where each thread has a core; less where those that wait for one hold stale copies.
        check(gain > 0.6 && gain < 1.2, isa + shape.name() + " fast, threads " + std::to_string(threads) +
                                            ": learned " + std::to_string(gain) + " of what strict training does");
      }
    });
  }
}

void test_deterministic() {
  const Corpus corpus(300, 2500, 4);  // ten rounds
  for (const ModelShape& shape : model_shapes(20)) {
    with_each_isa([&](const std::string& isa) {
      std::vector<float> first;
      Counts counts;
      for (const int threads : {1, 2, 3, 4, 9}) {
        const std::string name = isa + shape.name() + " deterministic, threads " + std::to_string(threads);
        Model model(corpus, shape, 0.01, 1);
        model.settings.loss = true;
        const double before = threads == 1 ? loss_now(model) : 0;
        Trainer trainer(model.settings, threads, true);
        const Progress progress = trainer.train(learning_epoch(model.settings, 0, 1), keep_going);
        check(trainer.position() == model.settings.num_sentences, name + ": position");
        check(model.padding_is_zero(), name + ": padding");
        if (threads == 1) {
          first = model.weights();
          counts = progress.counts;
          check(counts.words == int64_t(corpus.ids.size()), name + ": words");
          check(loss_now(model) < before, name + ": nothing learned");
        } else {
          check(equal_bits(first, model.weights()), name + ": other bits");
          check(equal_counts(counts, progress.counts) && counts.loss == progress.counts.loss, name + ": counts");
        }
      }
    });
  }
}

enum class Mode { kStrict, kDeterministic, kFast };
const char* const kModeNames[] = {" strict", " deterministic", " fast"};

/// Trains an epoch, asked to stop at every question, until it is over. Returns whether it ever stopped midway.
bool train_in_parts(const std::string& name, Model& model, int threads, bool deterministic, const Epoch& whole) {
  const Settings& s = model.settings;
  bool stopped = false;
  for (Epoch part = whole;;) {
    // Now and then a new trainer, with other threads.
    Trainer trainer(s, part.first_sentence % 2 ? threads : 1 + threads / 2, deterministic);
    const Counts counts = trainer.train(part, [](const Progress&) { return false; }).counts;
    const std::vector<int64_t>& chunks = trainer.chunk_starts();
    check(std::binary_search(chunks.begin(), chunks.end(), trainer.position()), name + ": stopped inside a chunk");
    check(counts.words == s.offsets[trainer.position()] - s.offsets[part.first_sentence],
          name + ": words that were not trained, or trained words not counted");
    if (trainer.position() == s.num_sentences) return stopped;
    stopped = true;
    part.first_sentence = trainer.position();
  }
}

/// Questions come ten times a second, so that the corpus must be as large as to keep this machine busy for longer.
void test_interruption(const std::string& isa, const ModelShape& shape, Mode mode) {
  const std::string name = isa + shape.name() + kModeNames[int(mode)] + " in parts";
  const bool deterministic = mode == Mode::kDeterministic;
  for (int64_t words = 4000;; words *= 2) {
    const Corpus corpus(1000, words, 5);
    const auto make = [&] {
      Model model(corpus, shape, 0.01, 1);
      model.settings.strict = mode == Mode::kStrict;
      return model;
    };
    Model parts = make();
    const Epoch epoch = learning_epoch(parts.settings, 0, 1);
    if (!train_in_parts(name, parts, mode == Mode::kStrict ? 1 : 3, deterministic, epoch)) continue;
    check(parts.padding_is_zero(), name + ": padding");
    check(all_finite(parts.weights()), name + ": not finite");
    if (mode == Mode::kFast) return;  // no two runs are alike
    Model at_once = make();
    Trainer(at_once.settings, mode == Mode::kStrict ? 1 : 2, deterministic).train(epoch, keep_going);
    check(equal_bits(parts.weights(), at_once.weights()), name + ": other bits than at once");
    return;
  }
}

void test_interruptions() {
  with_each_isa([](const std::string& isa) {
    test_interruption(isa, {129, false, true, 5}, Mode::kStrict);
    test_interruption(isa, {129, true, false, 5}, Mode::kStrict);
    test_interruption(isa, {129, true, true, 5}, Mode::kDeterministic);
    test_interruption(isa, {129, false, true, 5}, Mode::kFast);
  });
}

/// Nothing to do, or too little for the threads.
void test_small_corpora() {
  for (const int64_t words : {0, 1, 300}) {
    for (const bool deterministic : {false, true}) {
      const Corpus corpus(20, words, 6);
      Model model(corpus, {7, true, true, 2}, 1, 1);
      Trainer trainer(model.settings, 4, deterministic);
      const Counts counts = trainer.train(learning_epoch(model.settings, 0, 1), keep_going).counts;
      const std::string name = std::to_string(words) + (deterministic ? " words, deterministic" : " words");
      check(counts.words == words && trainer.position() == model.settings.num_sentences, name + ": not all trained");
      check(model.padding_is_zero() && all_finite(model.weights()), name + ": weights");
    }
  }
}

}  // namespace
}  // namespace testing
}  // namespace fastrnn

int main() {
  using namespace fastrnn;
  using namespace fastrnn::testing;
  printf("instruction sets:");
  for (const Isa& isa : built_isas()) printf(" %s%s", isa.name, isa.supported ? "" : " (not supported here)");
  printf("\n");
  if (!kThreadsOnly) {
    test_trees();
    test_alias_tables();
    test_strict();
  }
  test_text_reader();
  test_scores();
  test_fast();
  test_deterministic();
  test_interruptions();
  test_small_corpora();
  printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
