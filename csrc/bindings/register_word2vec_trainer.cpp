#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "bindings/register.h"
#include "word2vec/trainer.h"

namespace py = pybind11;

namespace fastrnn {
namespace {

using word2vec::Settings;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

void require(bool condition, const char* message) {
  if (!condition) throw py::value_error(message);
}

/// Settings from Python, the arrays that they point to, and the trainer.
class BoundTrainer {
 public:
  /// Without training the matrices are only read.
  BoundTrainer(const py::kwargs& options, bool training) {
    for (const char* name : {"vectors", "ids", "offsets"})
      require(options.contains(name) && !options[name].is_none(), "vectors, ids and offsets must be given");
    Settings s;
    const py::array_t<float> vectors = take<float>(options, "vectors", 2);
    s.vectors = weights(vectors, training);
    s.vocab = vectors.shape(0);
    s.stride = int(vectors.shape(1));
    s.vector_size = options["vector_size"].cast<int>();
    require(s.vocab > 0 && s.vector_size > 0 && s.vector_size <= s.stride && s.stride % 16 == 0,
            "vectors must be [words, vector_size rounded up to 16]");
    s.ids = take<int32_t>(options, "ids", 1).data();
    if (py::isinstance<py::array_t<int32_t>>(options["offsets"])) {
      const py::array_t<int32_t> offsets = take<int32_t>(options, "offsets", 1);
      s.offsets.narrow = offsets.data();
      s.num_sentences = offsets.size() - 1;
    } else {
      const py::array_t<int64_t> offsets = take<int64_t>(options, "offsets", 1);
      s.offsets.wide = offsets.data();
      s.num_sentences = offsets.size() - 1;
    }
    check_corpus(s, take<int32_t>(options, "ids", 1).size());
    if (given(options, "keep")) s.keep = words<uint32_t>(options, "keep", s).data();
    if (given(options, "vectors_lockf")) s.vectors_lockf = words<float>(options, "vectors_lockf", s).data();
    if (given(options, "node_vectors")) {
      s.node_vectors = weights(matrix(options, "node_vectors", s), training);
      const py::array_t<int32_t> path_rows = take<int32_t>(options, "path_rows", 1);
      s.path_rows = path_rows.data();
      s.codes = words<uint64_t>(options, "codes", s).data();
      if (given(options, "paths")) {
        s.paths = words<uint64_t>(options, "paths", s).data();
      } else {
        pack_paths(take<int64_t>(options, "path_offsets", 1), path_rows.size(), s.vocab);
        s.paths = paths_.data();
      }
      check_paths(s, path_rows.size());
    }
    s.negative = option(options, "negative", 0);
    if (s.negative > 0) {
      s.negative_vectors = weights(matrix(options, "negative_vectors", s), training);
      s.alias_threshold = words<uint32_t>(options, "alias_threshold", s).data();
      s.alias_index = words<int32_t>(options, "alias_index", s).data();
      for (int64_t i = 0; i < s.vocab; ++i)
        require(s.alias_index[i] >= 0 && s.alias_index[i] < s.vocab, "alias_index must be words of the vocabulary");
    }
    require(s.negative >= 0 && s.negative <= 10000, "negative must be in 0..10000");
    s.train_outputs = option(options, "train_outputs", true);
    s.window = option(options, "window", 5);
    require(s.window >= 1 && s.window <= 100000, "window must be in 1..100000");
    s.shrink_windows = option(options, "shrink_windows", true);
    s.skip_gram = option(options, "sg", false);
    s.mean = option(options, "cbow_mean", true);
    s.divide = option(options, "cbow_divide", false);
    if (option<std::string>(options, "sigmoid", "exact") == "table") s.sigmoid_table = word2vec::sigmoid_table();
    s.skip_saturated_negatives = option(options, "skip_saturated_negatives", false);
    s.strict = option(options, "strict", false);
    s.loss = option(options, "compute_loss", false);
    s.max_kept = option(options, "max_kept", 10000);
    require(s.max_kept >= 1, "max_kept must be positive");
    s.seed = option<uint64_t>(options, "seed", 1);
    const int threads = option(options, "threads", 1);
    require(threads >= 1, "threads must be positive");
    settings_ = s;
    threads_ = threads;
  }

  void make_trainer(bool deterministic) { trainer_.emplace(settings_, threads_, deterministic); }

  py::array_t<double> score() {
    require(settings_.hierarchical(), "score needs node_vectors");
    py::array_t<double> scores(settings_.num_sentences);
    double* const out = scores.mutable_data();
    const py::gil_scoped_release unlocked;
    word2vec::score_sentences(settings_, threads_, out);
    return scores;
  }

  py::dict train(uint64_t epoch, double alpha_start, double alpha_end, bool c_schedule, double done, double total,
                 bool by_sentences, int64_t first_sentence, const py::object& report, double interval) {
    const auto& chunks = trainer().chunk_starts();
    require(std::binary_search(chunks.begin(), chunks.end(), first_sentence),
            "first_sentence must be the first of a chunk");
    word2vec::Epoch e;
    e.number = epoch;
    e.first_sentence = first_sentence;
    e.alpha_start = alpha_start;
    e.alpha_end = alpha_end;
    e.c_schedule = c_schedule;
    e.by_sentences = by_sentences;
    e.done = done;
    e.total = total > 0 ? total : 1;
    using Clock = std::chrono::steady_clock;
    const auto seconds_since = [](Clock::time_point t) {
      return std::chrono::duration<double>(Clock::now() - t).count();
    };
    const Clock::time_point start = Clock::now();
    Clock::time_point reported = start;
    std::optional<py::error_already_set> error;
    word2vec::Progress result;
    {
      const py::gil_scoped_release unlocked;
      result = trainer().train(e, [&](const word2vec::Progress& p) {
        if (error) return false;
        const py::gil_scoped_acquire locked;
        try {
          if (PyErr_CheckSignals() != 0) throw py::error_already_set();
          if (!report.is_none() && seconds_since(reported) >= interval) {
            report(p.counts.words, p.counts.kept, p.counts.loss, p.alpha);
            reported = Clock::now();
          }
        } catch (const py::error_already_set& raised) {
          error = raised;
          return false;
        }
        return true;
      });
    }
    last_ = py::dict();
    last_["words"] = result.counts.words;
    last_["kept"] = result.counts.kept;
    last_["pairs"] = result.counts.pairs;
    last_["loss"] = result.counts.loss;
    last_["seconds"] = seconds_since(start);
    last_["alpha"] = result.alpha;
    if (error) throw py::error_already_set(*error);
    return last_;
  }

  /// What train returned, or would have, had nothing interrupted it.
  py::dict last() const { return last_; }
  int64_t position() const { return trainer().position(); }
  py::array_t<int64_t> chunk_starts() const {
    const auto& chunks = trainer().chunk_starts();
    return py::array_t<int64_t>(int64_t(chunks.size()), chunks.data());
  }

 private:
  const word2vec::Trainer& trainer() const {
    if (!trainer_) throw py::value_error("there is no trainer");
    return *trainer_;
  }
  word2vec::Trainer& trainer() {
    if (!trainer_) throw py::value_error("there is no trainer");
    return *trainer_;
  }
  static bool given(const py::kwargs& options, const char* name) {
    return options.contains(name) && !options[name].is_none();
  }
  template <class T>
  static T option(const py::kwargs& options, const char* name, T otherwise) {
    return given(options, name) ? options[name].cast<T>() : std::move(otherwise);
  }
  /// The array itself, never a converted copy: the trainer works in place.
  template <class T>
  py::array_t<T> take(const py::kwargs& options, const char* name, int dimensions) {
    if (!given(options, name)) throw py::value_error(std::string(name) + " must be given");
    const py::object value = options[name];
    if (!Array<T>::check_(value)) throw py::type_error(std::string(name) + " must be a C-contiguous array of its type");
    auto array = py::reinterpret_borrow<py::array_t<T>>(value);
    if (array.ndim() != dimensions) throw py::value_error(std::string(name) + " has the wrong number of dimensions");
    kept_.push_back(array);
    return array;
  }
  template <class T>
  py::array_t<T> words(const py::kwargs& options, const char* name, const Settings& s) {
    const py::array_t<T> array = take<T>(options, name, 1);
    if (array.size() != s.vocab) throw py::value_error(std::string(name) + " must have an entry for each word");
    return array;
  }
  py::array_t<float> matrix(const py::kwargs& options, const char* name, const Settings& s) {
    const py::array_t<float> array = take<float>(options, name, 2);
    if (array.shape(0) != s.vocab || array.shape(1) != s.stride)
      throw py::value_error(std::string(name) + " must have the shape of vectors");
    return array;
  }
  static float* weights(py::array_t<float> array, bool training) {
    // mutable_data throws if the array is read-only.
    float* data = training ? array.mutable_data() : const_cast<float*>(array.data());
    require(reinterpret_cast<uintptr_t>(data) % 64 == 0, "matrices must be 64-byte aligned");
    return data;
  }
  static void check_corpus(const Settings& s, int64_t tokens) {
    require(s.num_sentences >= 0 && s.offsets[0] == 0 && s.offsets[s.num_sentences] == tokens,
            "offsets must run from 0 to the number of ids");
    for (int64_t i = 0; i < s.num_sentences; ++i) require(s.offsets[i] <= s.offsets[i + 1], "offsets must not fall");
    bool inside = true;
    for (int64_t i = 0; i < tokens; ++i) inside &= uint64_t(uint32_t(s.ids[i])) < uint64_t(s.vocab);
    require(inside, "ids must be words of the vocabulary");
  }
  void pack_paths(const py::array_t<int64_t>& offsets, int64_t rows, int64_t vocab) {
    const int64_t* const o = offsets.data();
    require(offsets.size() == vocab + 1 && o[0] == 0 && o[vocab] == rows,
            "path_offsets must run from 0 to the number of path_rows");
    for (int64_t i = 0; i < vocab; ++i) {
      const int64_t turns = o[i + 1] - o[i];
      require(turns >= 0 && turns <= word2vec::kMaxTurns, "paths must have at most 64 turns");
      paths_.push_back(word2vec::packed_path(o[i], turns));
    }
  }
  static void check_paths(const Settings& s, int64_t rows) {
    for (int32_t i = 0; i < s.vocab; ++i) {
      require(s.turns(i) <= word2vec::kMaxTurns, "paths must have at most 64 turns");
      require(s.path_begin(i) <= rows - s.turns(i), "paths must lie within path_rows");
    }
    for (int64_t i = 0; i < rows; ++i)
      require(s.path_rows[i] >= 0 && s.path_rows[i] < s.vocab, "path_rows must be rows of node_vectors");
  }

  std::vector<py::object> kept_;
  std::vector<uint64_t> paths_;  // unless they were given packed
  Settings settings_;
  int threads_ = 1;
  py::dict last_;
  std::optional<word2vec::Trainer> trainer_;
};

}  // namespace

void register_word2vec_trainer(py::module_& m) {
  py::class_<BoundTrainer>(m, "Trainer")
      .def(py::init([](const py::kwargs& options) {
        auto trainer = std::make_unique<BoundTrainer>(options, true);
        trainer->make_trainer(options.contains("deterministic") && options["deterministic"].cast<bool>());
        return trainer;
      }))
      .def("train", &BoundTrainer::train, py::kw_only(), py::arg("epoch"), py::arg("alpha_start"), py::arg("alpha_end"),
           py::arg("c_schedule"), py::arg("done"), py::arg("total"), py::arg("by_sentences"),
           py::arg("first_sentence") = 0, py::arg("report") = py::none(), py::arg("interval") = 0.5)
      .def_property_readonly("last", &BoundTrainer::last)
      .def_property_readonly("position", &BoundTrainer::position)
      .def_property_readonly("chunk_starts", &BoundTrainer::chunk_starts);
  m.def("score_sentences", [](const py::kwargs& options) { return BoundTrainer(options, false).score(); });
}

}  // namespace fastrnn
