#pragma once
// As resident.h, with tensor cores: a block's weights on the chip, and the products with them. Sums are the rows of
// what a warp multiplies and the batch its columns, so that weights are read in their order and what they meet is read
// in its own. Depth comes in pieces of 64 bytes of a row, 16 to each of 4 lanes, which is two instructions' worth:
// which k an instruction takes first is anyone's choice, as long as both operands have the same.

#include "core/host_device.h"
#include "cuda/plan.h"
#include "cuda/resident.h"
#include "cuda/tensor_number.h"

namespace fastrnn {
namespace FASTRNN_BACKEND {

using cuda::Product;

/// A warp has two tiles of sums at a time, and a slice of the depth. In registers: up to kTensorPieces pieces of it in
/// all, for cells of one phase. In shared memory: [piece, tile, top or bottom, lane], 16 bytes each.
template <class T, bool kInRegisters>
class TensorWeights {
  using Arithmetic = TensorNumber<T>;
  static constexpr int kTiles = 2, kPieces = cuda::kTensorPieces;
  static constexpr int kRowTiles = kInRegisters ? 1 : 2;  // of 8 rows, that meet weights once read
  static constexpr int kChains = kInRegisters ? 2 : 1;
  using Sums = TileSums<kChains>;
  static constexpr int kStage = cuda::kTensorStage;

 public:
  using Number = T;
  static constexpr int kThreads = kInRegisters ? cuda::kTensorRegisterThreads : cuda::kTensorSharedThreads;

  /// weight(sum, k), zero past the last of either.
  template <class Weight>
  FASTRNN_DEVICE void load(const Placement& place, float* shared, float* own, int phase, const Weight& weight) {
    const bool split = place.product == Product::kSplitTf32;
    const int sums = place.width[phase], depth = place.depth[phase];
    const auto word = [&](int sum, int k) {
      return Arithmetic::pack(split, [&](int i) { return sum < sums && k + i < depth ? weight(sum, k + i) : T{}; });
    };
    // Neighbors in the depth are neighbors in memory, so threads go along it: `at` counts the words of a sum.
    const auto place_of = [](int sum, int at) {
      return ((sum / 16 * 2 + sum % 16 / 8) * 32 + sum % 8 * 4 + at % 16 / 4) * 4 + at % 4;
    };
    if constexpr (kInRegisters) {
      // By way of shared memory, a piece at a time, because no loop over registers is as short for the compiler.
      const Part part(place, phase);
      uint32_t* const stage = reinterpret_cast<uint32_t*>(shared + place.partials_at) + thread_index() / 32 * kStage;
      int piece = part.begin, first_tile = part.tile;
#pragma unroll
      for (int p = 0; p < kPieces; ++p) {
        if (piece >= part.end || first_tile >= place.sum_tiles(phase)) continue;
#pragma unroll 1
        for (int i = part.lane; i < kStage; i += 32)
          stage[place_of(i / 16, i)] = word(first_tile * 16 + i / 16, (piece * 16 + i % 16) * Arithmetic::kInWord);
        sync_warp();
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) held_[p][tile] = load_tile(stage + (tile * 64 + part.lane) * 4);
        sync_warp();
        if (++piece == part.end) {
          piece = part.begin;
          first_tile += place.row_groups[phase] * kTiles;
        }
      }
    } else {
      const int lines = place.sum_tiles(phase) * 16, words = place.pieces(phase) * 16;  // of a sum
      const int length = place.slice_tiles(phase), resident = place.resident[phase];
      uint32_t* const kept = weights_of(place, shared, phase);
      uint32_t* const others = reinterpret_cast<uint32_t*>(own + place.streamed_at[phase]);
      for (int i = thread_index(); i < lines * words; i += num_threads()) {
        const int at = place.sums_adjoin ? i / lines : i % words, sum = place.sums_adjoin ? i % lines : i / words;
        const int slice = at / 16 / length, piece = at / 16 % length;
        uint32_t* const to = piece < resident
                                 ? kept + int64_t(slice * resident + piece) * lines * 16
                                 : others + int64_t(slice * (length - resident) + piece - resident) * lines * 16;
        to[place_of(sum, at)] = word(sum, at * Arithmetic::kInWord);
      }
    }
  }

  FASTRNN_DEVICE void multiply(const Placement& place, float* shared, const float* own, int phase, const T* operand,
                               int rows) const {
    Part part(place, phase);
    if (part.begin >= part.end) return;
#pragma unroll 1
    for (int held = 0; part.tile < place.sum_tiles(phase); part.tile += place.row_groups[phase] * kTiles) {
      multiply_tiles(place, shared, own, phase, operand, rows, part, held);
      held += part.end - part.begin;
    }
  }

 private:
  struct Part;

  /// The two tiles of a part. In registers its pieces are held from number `held` on.
  FASTRNN_DEVICE void multiply_tiles(const Placement& place, float* shared, const float* own, int phase,
                                     const T* operand, int rows, const Part& part, int held) const {
    const bool split = place.product == Product::kSplitTf32;
    const int tiles = place.sum_tiles(phase), padded = place.padded_sums(phase), row = part.lane / 4;
    for (int first = 0; first < rows; first += 8 * kRowTiles) {
      Sums sums[kTiles][kRowTiles] = {};
      const uint32_t* lines[kRowTiles];
#pragma unroll
      for (int n = 0; n < kRowTiles; ++n) {
        const int of_batch = first + n * 8 + row < rows ? first + n * 8 + row : rows - 1;
        lines[n] = reinterpret_cast<const uint32_t*>(operand + int64_t(of_batch) * place.operand_pitch) +
                   part.begin * 16 + part.lane % 4 * 4 - (kInRegisters ? held * 16 : 0);
      }
      const bool all_rows = first + 8 < rows;
      if constexpr (kInRegisters) {
#pragma unroll
        for (int p = 0; p < kPieces; ++p)
          if (p >= held && p - held < part.end - part.begin)
            add_piece(split, all_rows, tiles - part.tile, lines, p, [&](int tile) { return held_[p][tile]; }, sums);
      } else {
        // First what is kept, then the others; in one loop for both, because with two registers spill.
        const int count = part.end - part.begin, resident = place.resident[phase];
#pragma unroll 1
        for (int p = 0, kind = 0; kind < 2; ++kind) {
          const int kind_tiles = kind ? place.slice_tiles(phase) - resident : resident;
          const int end = kind || count < resident ? count : resident;
          const uint32_t* from = kind ? reinterpret_cast<const uint32_t*>(own + place.streamed_at[phase])
                                      : weights_of(place, shared, phase);
          from += (part.slice * kind_tiles * tiles + part.tile) * 256 + part.lane * 4;
#pragma unroll 1
          for (; p < end; ++p, from += tiles * 256) {
            const auto tile_weights = [&](int tile) { return load_tile(from + tile * 256); };
            add_piece(split, all_rows, tiles - part.tile, lines, p, tile_weights, sums);
          }
        }
      }
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile)
#pragma unroll
        for (int n = 0; n < kRowTiles; ++n)
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int of_batch = first + n * 8 + part.lane % 4 * 2 + i % 2;
            if (of_batch >= rows || part.tile + tile >= tiles) continue;
            float* const to = partials_of(place, shared, phase, part.slice, 0) + int64_t(of_batch) * padded;
            const auto& chain = sums[tile][n].chain;
            to[(part.tile + tile) * 16 + i / 2 * 8 + row] =
                kChains > 1 ? chain[0][i] + chain[kChains - 1][i] : chain[0][i];
          }
    }
  }

  /// Of the product, a warp's.
  struct Part {
    int lane, tile, slice, begin, end;  // the first of its tiles of sums; its pieces of the depth

    FASTRNN_DEVICE Part(const Placement& place, int phase) {
      const int warp = thread_index() / 32, groups = place.row_groups[phase], slices = place.k_slices[phase];
      const int all = place.pieces(phase), length = (all + slices - 1) / slices;
      lane = thread_index() % 32;
      tile = warp % groups * kTiles;
      slice = warp / groups;
      begin = slice * length;
      end = begin + length < all ? begin + length : all;
    }
  };

  FASTRNN_DEVICE static uint32_t* weights_of(const Placement& place, float* shared, int phase) {
    return reinterpret_cast<uint32_t*>(shared + place.weights_at[phase]);
  }

  /// All lanes of a warp go the same way.
  template <class Weights>
  FASTRNN_DEVICE static void add_piece(bool split, bool all_rows, int tiles, const uint32_t* const (&lines)[kRowTiles],
                                       int piece, const Weights& weights, Sums (&sums)[kTiles][kRowTiles]) {
    Words x[kRowTiles] = {};
#pragma unroll
    for (int n = 0; n < kRowTiles; ++n)
      if (n == 0 || all_rows) x[n] = load_words(lines[n] + piece * 16);
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      if (tile >= tiles) continue;
      TileWeights large = weights(tile), small{};
      if constexpr (Arithmetic::kSplits) {
        if (split) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            pin(large.top.v[i]);
            pin(large.bottom.v[i]);
            small.top.v[i] = Arithmetic::split_word(large.top.v[i]);
            small.bottom.v[i] = Arithmetic::split_word(large.bottom.v[i]);
          }
        }
      }
#pragma unroll
      for (int n = 0; n < kRowTiles; ++n) {
        if (n > 0 && !all_rows) continue;
        if constexpr (Arithmetic::kSplits) {
          if (split) {
            Arithmetic::add_split(sums[tile][n], large, small, x[n]);
            continue;
          }
        }
        Arithmetic::add(sums[tile][n], large, x[n]);
      }
    }
  }

  FASTRNN_DEVICE static Words load_words(const uint32_t* p) {
    const Vec4 bits = load4(reinterpret_cast<const float*>(p));
    return {{bits_of(bits.v[0]), bits_of(bits.v[1]), bits_of(bits.v[2]), bits_of(bits.v[3])}};
  }

  FASTRNN_DEVICE static TileWeights load_tile(const uint32_t* p) { return {load_words(p), load_words(p + 128)}; }

  TileWeights held_[kInRegisters ? kPieces : 1][kTiles];
};

}  // namespace FASTRNN_BACKEND
}  // namespace fastrnn
