"""Typed interface of the compiled module.

This layer takes raw addresses and trusts them: shapes, strides and lifetimes are
checked by ``fastrnn.ops`` (NumPy) and ``fastrnn.functional`` (torch), which are the
public ways in.  Addresses are ``int``; ``0`` means "not given".  All strides are in
elements, and the last dimension of every array is contiguous.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

class CellInfo(TypedDict):
    """What a cell is made of; the position in ``cells()`` is its ``cell`` number."""

    name: str
    num_gates: int
    num_states: int  # 1: hidden; 2: hidden and cell state
    num_unit_params: int  # per-unit parameter vectors (peepholes); 0 for most cells
    unit_params: str  # what functions call them
    num_operand_states: int  # columns of weight_hh over H: 2 where gates see [h, c]
    gates: str  # gate order in the weights, e.g. "i f g o"

def cells() -> list[CellInfo]: ...

# -- instruction sets ---------------------------------------------------------
def built_isas() -> list[str]:
    """Instruction sets compiled into the module, best first; ends with "generic"."""

def available_isas() -> list[str]:
    """The subset of ``built_isas()`` that this processor runs, best first."""

def current_isa() -> str: ...
def bf16_products() -> bool:
    """Whether bfloat16 calls multiply in bfloat16 (AVX512-BF16), not after widening."""

def set_isa(name: str) -> None:
    """Select the instruction set for later calls; ValueError lists the choices."""

def isa_id() -> int:
    """Number of the current instruction set, passed to ``forward`` and ``backward``."""

def isa_name(isa: int) -> str: ...

# -- build and memory -----------------------------------------------------------
def build_info() -> dict[str, Any]:
    """Keys: version, compiler, isas, cuda (bool), cuda_architectures, openmp (bool)."""

def num_threads() -> int:
    """Threads a call with ``threads=0`` may use (OpenMP's maximum; 1 in a forked child)."""

def clear_scratch() -> None: ...
def scratch_bytes() -> int:
    """Bytes the scratch cache holds idle at the moment."""

def reserve_size(cell: int, number: int, isa: int, sizes: tuple[int, ...]) -> int:
    """Bytes of reserve for ``sizes = (seq_len, batch, input, hidden, directions[, rows])``."""

def alloc_block(nbytes: int) -> Any:
    """uint8 NumPy array over pooled, 64-byte aligned memory; returns to the pool when freed."""

# -- the engine ---------------------------------------------------------------------
# weights: one tuple a direction:
#   (weight_ih [G*H, I], weight_hh [G*H, H or 2*H], bias_ih [G*H], bias_hh [G*H],
#    unit_params [P, H])
#   all C-contiguous; either both biases are given or both are 0.
# initial, final: one address a state (h, then c), each C-contiguous [D, B, H];
#   0 in initial = zeros.
# x [T, B, I] and y [T, B, D*H] as (address, stride_t, stride_b), or in packed order, that is the
#   rows of the first step, then those of the second, ..., as (address, stride).
# rows, for sequences of different lengths and for resets: (batch_sizes, order, resets,
#   padded_steps). Sequences are numbered from the longest to the shortest. batch_sizes: address
#   of int64 [T], each at least 1, not increasing; their sum is rows in sizes; 0: always all.
#   order: address of int64 [B], the place of each sequence in the states and in padded x and y;
#   0: its number. resets: address of one byte a row, in packed order, 1 where the state before
#   the row is zeroed; 0: none. padded_steps: steps that padded y and grad_x have, at least T; what
#   belongs to no row is zeroed.
# regularizers: (hidden_scale, masks, rates). hidden_scale: address of [D, B, H] by which h is
#   multiplied wherever it enters a product; 0: none. masks: (address, stride_t, stride_b) or packed
#   (address, stride) a state: [T, B, D*H], the part of the old state that zoneout keeps; rates: the
#   same as one number a state, where the address is 0. All float32 for halves. With zoneout, sizes
#   need a seventh entry of 1 (after rows, 0 if there are none), also for the reserve's size.
_Regularizers: TypeAlias = tuple[int, tuple[tuple[int, ...], ...], tuple[float, ...]]

def forward(
    cell: int,
    number: int,  # 4: float32, 8: float64, 2: bfloat16, 1: float16; + 16: float32 parameters
    isa: int,
    threads: int,  # 0: num_threads()
    sizes: tuple[int, ...],
    x: tuple[int, ...],
    weights: tuple[tuple[int, int, int, int, int], ...],
    initial: tuple[int, ...],
    y: tuple[int, ...],
    final: tuple[int, ...],
    reserve: int,  # 0: inference, nothing saved
    rows: tuple[int, int, int, int] | None = ...,
    regularizers: _Regularizers | None = ...,
    /,
) -> None: ...

# The same x, weights, initial, y and reserve as in forward (reserve is not modified, so
# backward may run again), plus gradients. grad_y as (address or 0, stride_t, stride_b) with any
# strides for t and b (0 included); grad_final: an address or 0 a state, [D, B, H].
# Outputs are overwritten, never added to: grad_x (address or 0, stride_t, stride_b);
# grad_weights like weights, 0 where not wanted; grad_initial an address or 0 a state, [D, B, H];
# grad_states: one (address or 0, stride_t, stride_b), or
# packed (address, stride), a state: [T, B, D*H], gradients of the states as every step leaves
# them, float32 for halves.
def backward(
    cell: int,
    number: int,
    isa: int,
    threads: int,
    sizes: tuple[int, ...],
    x: tuple[int, ...],
    weights: tuple[tuple[int, int, int, int, int], ...],
    initial: tuple[int, ...],
    y: tuple[int, ...],
    reserve: int,
    grad_y: tuple[int, ...],
    grad_final: tuple[int, ...],
    grad_x: tuple[int, ...],
    grad_weights: tuple[tuple[int, int, int, int, int], ...],
    grad_initial: tuple[int, ...],
    rows: tuple[int, int, int, int] | None = ...,
    grad_states: tuple[tuple[int, ...], ...] | None = ...,
    regularizers: _Regularizers | None = ...,
    /,
) -> None: ...

# -- CUDA ------------------------------------------------------------------------------
class cuda:
    """Submodule; there in every build."""

    @staticmethod
    def devices() -> tuple[int, str]:
        """Number of GPUs that the driver shows, and where there is none, why."""

    @staticmethod
    def device_caps(device: int) -> cuda.DeviceCaps:
        """Of a GPU; RuntimeError with CUDA's words."""

    class DeviceCaps:
        """What plans depend on; csrc/cuda/device.h."""

        name: str
        major: int
        minor: int
        multiprocessors: int
        shared_per_block: int
        shared_per_sm: int
        registers_per_sm: int
        threads_per_sm: int
        max_cluster: int
        cooperative: bool

    class Plan:
        """How a call runs; csrc/cuda/plan.h."""

        mode: str  # "stepwise", "block", "cluster" or "grid"
        weights: str  # "memory", "registers" or "shared memory"
        product: str  # "float32", "TF32", "3xTF32" or "half"
        sums: str  # of backward, "gather" or "scatter"
        exchange: str  # of a grid, "counter" or "tagged words"; else ""
        threads: int
        units: int
        slices: int
        groups: int
        group_rows: int
        shared_bytes: int
        streamed_bytes: int  # of a block's weights, read from global memory in every step
        microseconds: float  # a step, by the model
        why: str
        def scratch_bytes(self, directions: int) -> int: ...

    @staticmethod
    def make_plan(
        device: cuda.DeviceCaps,
        cell: int,
        number: int,
        backward: bool,
        sizes: tuple[int, int, int, int],  # seq_len, batch, hidden, directions
        tf32: bool,
        # mode, slices, group_rows, weights, product, shared, sums, exchange; 0, or -1 of words: any
        only: tuple[int, int, int, int, int, int, int, int],
        projection: int = 0,
    ) -> cuda.Plan: ...
    @staticmethod
    def torch_model(
        device: cuda.DeviceCaps,
        cell: int,
        number: int,
        sizes: tuple[
            int, int, int, int, int, int
        ],  # seq_len, batch, input, hidden, directions, layers
        backward: bool,
        packed: bool,
        step: bool,
        tf32: bool,
        projection: int = 0,
    ) -> tuple[float, str] | None:
        """Microseconds a step of torch's own layer, and what it runs; None: it has no such cell."""

    @staticmethod
    def failures(device: int) -> int:
        """Whether kernels have given up waiting for others since this was last asked."""

    @staticmethod
    def columns(
        cell: int,
    ) -> tuple[int, int, int, int, int, list[tuple[int, int, int, int]]]:
        """Layout of the arrays of a call, in units of H (csrc/cuda/engine.h).

        Slots of gates, those where nothing is saved, the first of the input's part, columns of
        grad_gates and of grad_unit_params, and segments: (column of grad_gates, gate, how many,
        phase) of gates whose recurrent parts have their gradients side by side.
        """

    # The recurrent part of a layer (csrc/cuda/recurrent.h says what the arrays hold).
    # sizes: seq_len, batch, hidden, directions, and for forward whether backward will follow.
    # rows: offsets [T + 1] on the host and on the device, or 0; resets on the device, or 0;
    #   row_step, row_sequence: row number of time t, sequence b without offsets.
    # Arrays of steps as (address, stride_t, stride_b), with offsets packed.
    @staticmethod
    def refuses(cell: int, number: int) -> str | None: ...
    @staticmethod
    def forward(
        cell: int,
        number: int,
        plan: cuda.Plan,
        scratch: int,
        sizes: tuple[int, ...],
        rows: tuple[int, ...],
        # gates, weight_hh, bias_ih, bias_hh, unit_params, cells, operand, kept, raw, statistics,
        # made (two)
        directions: tuple[tuple[int, ...], ...],
        y: tuple[int, int, int],
        initial: tuple[int, ...],
        final: tuple[int, ...],
        # hidden_scale, zoneout (a state), rates (a state)
        regularizers: tuple[int, tuple[tuple[int, ...], ...], tuple[float, ...]] | None,
        device: int,
        stream: int,
        /,
    ) -> None: ...
    @staticmethod
    def backward(
        cell: int,
        number: int,
        plan: cuda.Plan,
        scratch: int,
        sizes: tuple[int, ...],
        rows: tuple[int, ...],
        # gates, weight_hh, unit_params, cells, grad_gates, operands (two), grad_states (two),
        # grad_unit_params, statistics, grad_normalized, made (two), state_operand, kept_state
        directions: tuple[tuple[int, ...], ...],
        y: tuple[int, int, int],
        grad_y: tuple[int, int, int],
        initial: tuple[int, ...],
        grad_final: tuple[int, ...],
        grad_initial: tuple[int, ...],
        regularizers: tuple[int, tuple[tuple[int, ...], ...], tuple[float, ...]] | None,
        device: int,
        stream: int,
        /,
    ) -> None: ...

# -- for tests and the benchmark -------------------------------------------------------
class testing:
    class emulated:
        """The CUDA engine on an emulated GPU; `refuses`, `forward`, `backward` as in `cuda`."""

        @staticmethod
        def refuses(cell: int, number: int) -> str | None: ...
        @staticmethod
        def set_seed(seed: int) -> None:
            """Of the order in which threads run."""

        @staticmethod
        def set_resident_blocks(blocks: int) -> None:
            """The most that a cooperative launch may have; it is refused if it has more."""

        @staticmethod
        def test_emulation() -> tuple[int, int]:
            """The emulation's own tests: how many checks passed, and how many failed."""

    @staticmethod
    def activation(name: str, values: Any, isa: int) -> Any:
        """Values of "sigmoid", "tanh" or "exp" on a 1-D array, through the kernels' code."""

    @staticmethod
    def gemm_tile(a: Any, b: Any, isa: int) -> Any:
        """``a [M, K] @ b [N, K].T`` through packing and the register tile."""

    @staticmethod
    def fma_peak(itemsize: int, isa: int, threads: int, seconds: float) -> float:
        """Measured multiply-add peak in FLOP/s."""

    @staticmethod
    def tile_rate(itemsize: int, isa: int, hidden: int, gates: int, seconds: float) -> float:
        """FLOP/s of the recurrent register tile alone on one thread, weights cache-resident."""

    # The cells in plain loops without SIMD; arguments as in forward and backward, always with a
    # reserve, whose layout is its own.
    @staticmethod
    def scalar_reserve_size(cell: int, itemsize: int, sizes: tuple[int, ...], /) -> int: ...
    @staticmethod
    def scalar_forward(
        cell: int,
        itemsize: int,
        sizes: tuple[int, int, int, int, int],
        x: tuple[int, int, int],
        weights: tuple[tuple[int, int, int, int, int], ...],
        initial: tuple[int, ...],
        y: tuple[int, int, int],
        final: tuple[int, ...],
        reserve: int,
        /,
    ) -> None: ...
    @staticmethod
    def scalar_backward(
        cell: int,
        itemsize: int,
        sizes: tuple[int, int, int, int, int],
        x: tuple[int, int, int],
        weights: tuple[tuple[int, int, int, int, int], ...],
        initial: tuple[int, ...],
        y: tuple[int, int, int],
        reserve: int,
        grad_y: tuple[int, int, int],
        grad_final: tuple[int, ...],
        grad_x: tuple[int, int, int],
        grad_weights: tuple[tuple[int, int, int, int, int], ...],
        grad_initial: tuple[int, ...],
        /,
    ) -> None: ...

# -- word2vec ---------------------------------------------------------------------------
class word2vec:
    """Submodule; used by ``fastrnn.word2vec``, which checks every argument first."""

    # Reading text: vocabulary and encoding (csrc/word2vec/vocabulary, text).
    class TextReader:
        """Counts and numbers the words of a text that streams by; see csrc/word2vec/text.h.

        Reading methods return None, or the offset in the file and the first bytes that are no
        UTF-8. ``report(bytes_done)`` is called a few times a second.
        """

        pruned: bool  # rare words were dropped on the way: there are no ids
        total_words: int
        line_ends: int
        def __init__(
            self,
            *,
            threads: int,
            max_words: int = 0,  # prune beyond so many different words, as gensim does
            keep_ids: bool = True,
            lines: bool = True,
            as_word2vec_c: bool = False,
            # verdicts of (words, counts, least); None: counts[i] >= least
            prune: Callable[[list[str], list[int], int], list[bool]] | None = None,
            vocabulary: list[str] | None = None,  # drop all other words, count none
        ) -> None: ...
        def read_file(
            self, descriptor: int, size: int, report: Callable[[int], object] | None = None
        ) -> tuple[int, bytes] | None: ...
        def feed(
            self, data: bytes, report: Callable[[int], object] | None = None
        ) -> tuple[int, bytes] | None: ...
        def end_file(
            self, report: Callable[[int], object] | None = None
        ) -> tuple[int, bytes] | None: ...

        # After the last file:
        def sentences(self, longest: int) -> int:
            """Lines with words; a longer one counts once for every ``longest`` words begun."""

        def counts(self) -> NDArray[np.int64]: ...
        def words(self, ids: NDArray[np.int64]) -> list[str]: ...
        def packed_words(self, ids: NDArray[np.int64]) -> tuple[bytes, NDArray[np.int64]]: ...
        def encode(
            self, final_ids: NDArray[np.int32], longest: int, longest_raw: int = 0
        ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
            """Ids and offsets, once; final id -1 drops a word, -2 ends a sentence in its place."""

    # Huffman tree and alias table (csrc/word2vec/huffman, alias_table).
    @staticmethod
    def huffman_tree(
        counts: NDArray[np.int64], first_stays: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint64]]:
        """path_offsets [V + 1], path_rows, codes [V]; see csrc/word2vec/huffman.h."""

    @staticmethod
    def alias_table(
        weights: NDArray[np.float64],
    ) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
        """The thresholds [V], index [V]; see csrc/word2vec/alias_table.h."""

    # Training (csrc/word2vec/trainer).
    class TrainingSummary(TypedDict):
        words: int  # in the vocabulary, before subsampling
        kept: int
        pairs: int  # centers (CBOW), or centers with a context (skip-gram)
        loss: float  # nats, summed over pairs; 0 without compute_loss
        seconds: float
        alpha: float  # the learning rate that the next chunk would have

    class Trainer:
        """Trains the matrices in place, and keeps all arrays alive.

        Matrices are [V, stride] with the stride a multiple of 16, 64-byte aligned, padded with
        zeros.
        """

        position: int  # sentences of the epoch last begun that are trained; none after them is
        chunk_starts: NDArray[np.int64]  # first sentences of the chunks, and the end
        last: word2vec.TrainingSummary  # of the latest call, also if an exception ended it
        def __init__(
            self,
            *,
            vectors: NDArray[np.float32],
            node_vectors: NDArray[np.float32] | None = None,
            negative_vectors: NDArray[np.float32] | None = None,
            vector_size: int,
            ids: NDArray[np.int32],
            offsets: NDArray[np.signedinteger[Any]],  # [sentences + 1], into ids; 64 or 32 bits
            keep: NDArray[np.uint32] | None = None,  # [V]: subsampling thresholds
            path_offsets: NDArray[np.int64] | None = None,  # or, [V], begin * 128 + turns:
            paths: NDArray[np.uint64] | None = None,
            path_rows: NDArray[np.int32] | None = None,
            codes: NDArray[np.uint64] | None = None,
            alias_threshold: NDArray[np.uint32] | None = None,
            alias_index: NDArray[np.int32] | None = None,
            negative: int = 0,
            vectors_lockf: NDArray[np.float32] | None = None,  # [V]: factor on a word's updates
            train_outputs: bool = True,
            window: int,
            shrink_windows: bool,
            sg: bool,
            cbow_mean: bool,
            cbow_divide: bool,
            sigmoid: str,  # "exact" or "table"
            skip_saturated_negatives: bool,
            max_kept: int,
            seed: int,
            threads: int,
            strict: bool,
            deterministic: bool,
            compute_loss: bool,
        ) -> None: ...
        def train(
            self,
            *,
            epoch: int,
            alpha_start: float,
            alpha_end: float,
            c_schedule: bool,
            done: float,  # words or sentences of earlier epochs
            total: float,  # and of all epochs
            by_sentences: bool,
            first_sentence: int = 0,  # a chunk's first
            report: Callable[[int, int, float, float], object] | None = None,
            interval: float = 0.5,
        ) -> word2vec.TrainingSummary:
            """One epoch, or the rest of it; ``report(words, kept, loss, alpha)`` now and then.

            An exception of ``report`` or of a signal handler stops the threads at the end of
            their chunks, then goes on; see ``position``.
            """

    @staticmethod
    def score_sentences(
        *,
        vectors: NDArray[np.float32],
        node_vectors: NDArray[np.float32],
        vector_size: int,
        ids: NDArray[np.int32],
        offsets: NDArray[np.signedinteger[Any]],
        path_offsets: NDArray[np.int64] | None = None,
        paths: NDArray[np.uint64] | None = None,
        path_rows: NDArray[np.int32],
        codes: NDArray[np.uint64],
        window: int,
        sg: bool,
        cbow_mean: bool,
        threads: int,
    ) -> NDArray[np.float64]:
        """Exact log-likelihood (nats) of each sentence, with whole windows."""
