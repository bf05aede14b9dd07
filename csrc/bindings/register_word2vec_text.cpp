#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <chrono>
#include <memory>
#include <system_error>

#include "bindings/register.h"
#include "word2vec/text.h"

namespace py = pybind11;

namespace fastrnn {
namespace {

// What the user gave may hold half of a surrogate pair, which text that was read never does.
py::str decode(const std::string& word) {
  PyObject* text = PyUnicode_DecodeUTF8(word.data(), py::ssize_t(word.size()), "surrogatepass");
  if (text == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(text);
}

std::string encode(const py::str& word) {
  PyObject* bytes = PyUnicode_AsEncodedString(word.ptr(), "utf-8", "surrogatepass");
  if (bytes == nullptr) throw py::error_already_set();
  return std::string(py::reinterpret_steal<py::bytes>(bytes));
}

// Runs a part of the reading without the GIL, looking for Ctrl-C and reporting from time to time.
template <typename Read>
py::object run(const py::object& report, const Read& read) {
  std::optional<InvalidText> invalid;
  auto next_report = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  try {
    const py::gil_scoped_release release;
    invalid = read([&](int64_t done) {
      const py::gil_scoped_acquire acquire;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      const auto now = std::chrono::steady_clock::now();
      if (report.is_none() || now < next_report) return;
      report(done);
      next_report = now + std::chrono::milliseconds(200);
    });
  } catch (const std::system_error& error) {
    errno = error.code().value();
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
  }
  if (!invalid) return py::none();
  return py::make_tuple(invalid->offset, py::bytes(invalid->bytes));
}

std::unique_ptr<TextReader> make_reader(int threads, size_t max_words, bool keep_ids, bool lines, bool as_word2vec_c,
                                        const py::object& prune, const py::object& vocabulary) {
  if (threads < 1) throw py::value_error("threads must be at least 1");
  TextSettings settings;
  settings.threads = threads;
  settings.max_words = max_words;
  settings.keep_ids = keep_ids;
  settings.lines = lines;
  settings.as_word2vec_c = as_word2vec_c;
  if (!vocabulary.is_none()) {
    std::vector<std::string> words;
    for (const py::handle word : vocabulary) words.push_back(encode(py::reinterpret_borrow<py::str>(word)));
    return std::make_unique<TextReader>(std::move(settings), words);
  }
  if (!prune.is_none()) {  // called on the reading thread, the only one then; the reader keeps it alive
    settings.prune = [prune = prune.ptr()](const WordTable& table, uint64_t least) {
      const py::gil_scoped_acquire acquire;
      py::list words, counts;
      for (const uint32_t slot : table.slots_by_id()) {
        words.append(decode(table.word(slot)));
        counts.append(table.count(slot));
      }
      const auto keep = py::reinterpret_borrow<py::object>(prune)(words, counts, least).cast<std::vector<bool>>();
      if (keep.size() != table.size()) throw py::value_error("prune must return one verdict a word");
      return keep;
    };
  }
  return std::make_unique<TextReader>(std::move(settings));
}

py::array_t<int64_t> counts_of(TextReader& reader) {
  const WordTable& words = reader.words();
  const std::vector<uint32_t> slots = words.slots_by_id();
  py::array_t<int64_t> counts(py::ssize_t(slots.size()));
  int64_t* to = counts.mutable_data();
  for (const uint32_t slot : slots) *to++ = int64_t(words.count(slot));
  return counts;
}

py::list words_of(TextReader& reader, const py::array_t<int64_t, py::array::c_style | py::array::forcecast>& ids) {
  const WordTable& words = reader.words();
  const std::vector<uint32_t> slots = words.slots_by_id();
  py::list list(ids.size());
  for (py::ssize_t i = 0; i < ids.size(); ++i) {
    const int64_t id = ids.data()[i];
    if (id < 0 || uint64_t(id) >= slots.size()) throw py::index_error("no such word");
    list[size_t(i)] = decode(words.word(slots[size_t(id)]));
  }
  return list;
}

// UTF-8 of these words, one behind the other, and where each ends.
py::tuple packed_words_of(TextReader& reader,
                          const py::array_t<int64_t, py::array::c_style | py::array::forcecast>& ids) {
  const WordTable& words = reader.words();
  const std::vector<uint32_t> slots = words.slots_by_id();
  py::array_t<int64_t> ends(ids.size());
  std::string text;
  for (py::ssize_t i = 0; i < ids.size(); ++i) {
    const int64_t id = ids.data()[i];
    if (id < 0 || uint64_t(id) >= slots.size()) throw py::index_error("no such word");
    text += words.word(slots[size_t(id)]);
    ends.mutable_data()[i] = int64_t(text.size());
  }
  return py::make_tuple(py::bytes(text), ends);
}

py::tuple encode_text(TextReader& reader, const py::array_t<int32_t, py::array::c_style>& final_ids, int64_t longest,
                      int64_t longest_raw) {
  if (longest < 1 || longest_raw < 0) throw py::value_error("longest must be at least 1, longest_raw 0");
  std::vector<int64_t> offsets;
  {
    const int32_t* data = final_ids.data();
    const size_t size = size_t(final_ids.size());
    const py::gil_scoped_release release;
    offsets = reader.encode(data, size, longest, longest_raw);
  }
  py::array_t<int32_t> ids{py::ssize_t(offsets.back())};
  {
    int32_t* to = ids.mutable_data();
    const py::gil_scoped_release release;
    reader.write_ids(to);
  }
  const py::ssize_t size = py::ssize_t(offsets.size());
  if (offsets.back() > INT32_MAX) return py::make_tuple(ids, py::array_t<int64_t>(size, offsets.data()));
  py::array_t<int32_t> narrow(size);
  std::copy(offsets.begin(), offsets.end(), narrow.mutable_data());
  return py::make_tuple(ids, narrow);
}

}  // namespace

void register_word2vec_text(py::module_& m) {
  using Report = const py::object&;
  py::class_<TextReader>(m, "TextReader")
      .def(py::init(&make_reader), py::kw_only(), py::arg("threads"), py::arg("max_words") = 0,
           py::arg("keep_ids") = true, py::arg("lines") = true, py::arg("as_word2vec_c") = false,
           py::arg("prune") = py::none(), py::arg("vocabulary") = py::none(), py::keep_alive<1, 7>())
      .def(
          "read_file",
          [](TextReader& reader, int descriptor, int64_t size, Report report) {
            return run(report, [&](const auto& poll) { return reader.read_file(descriptor, size, poll); });
          },
          py::arg("descriptor"), py::arg("size"), py::arg("report") = py::none())
      .def(
          "feed",
          [](TextReader& reader, const py::bytes& data, Report report) {
            char* bytes = nullptr;
            py::ssize_t size = 0;
            if (PyBytes_AsStringAndSize(data.ptr(), &bytes, &size) != 0) throw py::error_already_set();
            return run(report, [&](const auto& poll) { return reader.feed(bytes, size_t(size), poll); });
          },
          py::arg("data"), py::arg("report") = py::none())
      .def(
          "end_file",
          [](TextReader& reader, Report report) {
            return run(report, [&](const auto& poll) { return reader.end_file(poll); });
          },
          py::arg("report") = py::none())
      .def_property_readonly("total_words", &TextReader::total_words)
      .def_property_readonly("line_ends", &TextReader::line_ends)
      .def_property_readonly("pruned", &TextReader::pruned)
      .def("sentences", &TextReader::sentences, py::arg("longest"))
      .def("counts", &counts_of)
      .def("words", &words_of, py::arg("ids"))
      .def("packed_words", &packed_words_of, py::arg("ids"))
      .def("encode", &encode_text, py::arg("final_ids").noconvert(), py::arg("longest"), py::arg("longest_raw") = 0);
}

}  // namespace fastrnn
