"""The container file: what goes in comes out; nothing broken gets in or through."""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
from pathlib import Path

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from subprocesses import python_output

from fastrnn.word2vec._formats import atomic
from fastrnn.word2vec._formats.aligned import aligned_empty, padded_storage
from fastrnn.word2vec._formats.container import MAGIC, is_container, read_arrays, write_arrays

DTYPES = ["?", "i1", "u1", "<i4", "<i8", "<u8", "<f2", "<f4", "<f8", ">f4", ">i8"]
arrays = st.sampled_from(DTYPES).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
)
names = st.text(max_size=6)
words = st.lists(st.text(st.characters(categories=None), max_size=5), max_size=6)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    held=st.dictionaries(names, arrays, max_size=4),
    strings=st.dictionaries(names, words, max_size=3),
    mmap=st.sampled_from([None, False, True, "r", "c"]),
)
def test_round_trip(tmp_path, held, strings, mmap):
    path = tmp_path / "x"
    header = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    write_arrays(path, header, held, strings)
    back = read_arrays(path, mmap)
    assert back.header == header and back.strings == strings
    assert back.arrays.keys() == held.keys()
    for name, array in held.items():
        found = back.arrays[name]
        assert found.dtype == array.dtype.newbyteorder("<") and found.shape == array.shape
        assert found.tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
        if found.size:
            assert found.ctypes.data % 64 == 0
            assert found.flags.writeable == (mmap not in {True, "r"})


def test_layouts_other_than_contiguous(tmp_path):
    base = np.arange(60, dtype=np.float32).reshape(10, 6)
    held = {"columns": base[:, :3], "reversed": base[::-1], "turned": base.T}
    write_arrays(tmp_path / "x", {}, held)
    for name, found in read_arrays(tmp_path / "x").arrays.items():
        assert np.array_equal(found, held[name])


def test_numpy_numbers_in_the_header(tmp_path):
    write_arrays(tmp_path / "x", {"n": np.int64(3), "f": np.float32(0.5)}, {})
    assert read_arrays(tmp_path / "x").header == {"n": 3, "f": 0.5}


def test_maps_share_the_file(tmp_path):
    path = tmp_path / "x"
    write_arrays(path, {}, {"a": np.arange(4.0)})
    shared = read_arrays(path, "r").arrays["a"]
    private = read_arrays(path, "c").arrays["a"]
    private[0] = 9
    assert shared[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        shared[0] = 1
    write_arrays(path, {}, {"a": np.zeros(4)})  # replaced by renaming: the map keeps its content
    assert shared[3] == 3


@pytest.mark.parametrize(
    "array", [np.array(["a"], dtype=object), np.array(["a"]), np.array([1j]), np.zeros((1,) * 9)]
)
def test_refuses_what_it_cannot_hold(tmp_path, array):
    with pytest.raises(TypeError, match="array 'x' has"):
        write_arrays(tmp_path / "x", {}, {"x": array})
    with pytest.raises(TypeError):
        write_arrays(tmp_path / "x", {"o": object()}, {})
    with pytest.raises(TypeError, match="sequence of str"):
        write_arrays(tmp_path / "x", {}, {}, {"s": [1]})  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


def test_kind(tmp_path):
    path = tmp_path / "x"
    write_arrays(path, {}, {}, kind="corpus")
    assert is_container(path)
    read_arrays(path, kind="corpus")
    with pytest.raises(ValueError, match="of kind 'corpus', not 'model'"):
        read_arrays(path, kind="model")


def test_unknown_mmap(tmp_path):
    write_arrays(tmp_path / "x", {}, {})
    with pytest.raises(ValueError, match="mmap must be"):
        read_arrays(tmp_path / "x", "w")


def container_of(described: object, data: bytes = b"", **prefix: int) -> bytes:
    text = described if isinstance(described, bytes) else json.dumps(described).encode()
    start = -(-(32 + len(text)) // 64) * 64
    length, total = prefix.get("length", len(text)), prefix.get("total", start + len(data))
    version = prefix.get("version", 1)
    head = MAGIC + struct.pack("<IIQQ", version, 0, length, total)
    return (head + text).ljust(start, b"\0") + data


def described(**changes: object) -> dict[str, object]:
    return {"kind": "k", "header": {}, "arrays": {}, "strings": {}} | changes


HOSTILE = {
    "empty": b"",
    "short": MAGIC,
    "other magic": b"PK\x03\x04" + bytes(100),
    "version": container_of(described(), version=2),
    "header beyond the end": container_of(described(), length=1 << 60),
    "total": container_of(described(), total=1 << 40),
    "no json": container_of(b"{"),
    "no utf-8": container_of(b"\xff\xfe"),
    "deep json": container_of(b"[" * 100_000),
    "long number": container_of(b"1" * 10_000),
    "list": container_of([]),
    "lacking": container_of({"kind": "k"}),
    "arrays a list": container_of(described(arrays=[])),
    "entry too short": container_of(described(arrays={"a": ["<f4", [1]]})),
    "dtype object": container_of(described(arrays={"a": ["|O", [1], 0]}), bytes(64)),
    "dtype evil": container_of(described(arrays={"a": ["(1000000000,)f8", [1], 0]}), bytes(64)),
    "dtype no string": container_of(described(arrays={"a": [4, [1], 0]}), bytes(64)),
    "shape negative": container_of(described(arrays={"a": ["<f4", [-1], 0]}), bytes(64)),
    "shape float": container_of(described(arrays={"a": ["<f4", [1.5], 0]}), bytes(64)),
    "shape bool": container_of(described(arrays={"a": ["<f4", [True], 0]}), bytes(64)),
    "shape absurd": container_of(
        described(arrays={"a": ["<f4", [1 << 40, 1 << 40], 0]}), bytes(64)
    ),
    "shape wraps around": container_of(
        described(arrays={"a": ["<f4", [1 << 32, 1 << 32], 0]}), bytes(64)
    ),
    "empty but absurd": container_of(described(arrays={"a": ["<f4", [0, 1 << 61, 1 << 61], 0]})),
    "dimensions": container_of(described(arrays={"a": ["<f4", [1] * 100, 0]}), bytes(64)),
    "beyond": container_of(described(arrays={"a": ["<f4", [17], 0]}), bytes(64)),
    "offset beyond": container_of(described(arrays={"a": ["<f4", [1], 64]}), bytes(64)),
    "offset negative": container_of(described(arrays={"a": ["<f4", [1], -64]}), bytes(64)),
    "offset odd": container_of(described(arrays={"a": ["<f4", [1], 4]}), bytes(64)),
    "strings beyond": container_of(described(strings={"s": [9, 0, 0, 0]}), bytes(64)),
    "strings fall": container_of(
        described(strings={"s": [2, 0, 64, 3]}), struct.pack("<2q", 5, 3).ljust(128, b"a")
    ),
    "strings negative": container_of(
        described(strings={"s": [2, 0, 64, 3]}), struct.pack("<2q", -5, 3).ljust(128, b"a")
    ),
    "strings end elsewhere": container_of(
        described(strings={"s": [1, 0, 64, 9]}), struct.pack("<q", 3).ljust(128, b"a")
    ),
    "strings of no count": container_of(described(strings={"s": [0, 0, 0, 9]}), bytes(64)),
    "strings no utf-8": container_of(
        described(strings={"s": [1, 0, 64, 1]}),
        struct.pack("<q", 1).ljust(64, b"\0") + b"\xff" * 64,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path, name):
    path = tmp_path / "hostile-file"
    path.write_bytes(HOSTILE[name])
    for mmap in (None, "r"):
        with pytest.raises(ValueError, match="hostile-file"):
            read_arrays(path, mmap)


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "cut"
    write_arrays(path, {"h": 1}, {"a": np.arange(40)}, {"s": ["one", "two"]})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="cut"):
            read_arrays(path)


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        read_arrays(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "none")
    with pytest.raises(ValueError, match="not a regular file"):
        read_arrays("/dev/null")


class FullDisk:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()


@pytest.mark.parametrize("room", [0, 20, 100, 500])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, room):
    path = tmp_path / "x"
    write_arrays(path, {"old": 1}, {})
    before = path.read_bytes()
    fdopen = os.fdopen
    monkeypatch.setattr(atomic.os, "fdopen", lambda *a, **k: FullDisk(fdopen(*a, **k), room))
    with pytest.raises(OSError, match="No space left"):
        write_arrays(path, {"new": 1}, {"a": np.zeros(1000)})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_disk_full_only_at_the_end(tmp_path, monkeypatch):
    """Delayed allocation: the system says so at fsync."""
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fsync(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        write_arrays(path, {}, {"a": np.zeros(3)})
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_replacing_keeps_mode_and_links(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    with atomic.replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    with pytest.raises(IsADirectoryError), atomic.replacing(tmp_path):
        pass
    with pytest.raises(FileNotFoundError), atomic.replacing(tmp_path / "no" / "x"):
        pass


def test_what_has_no_name_of_its_own_is_written_directly(tmp_path):
    """The real path of /dev/stdout names nothing where that is a pipe or a deleted file."""
    code = f"""
import os
from fastrnn.word2vec._formats.atomic import replacing
from fastrnn.word2vec._formats.container import read_arrays, write_arrays

def write(name):
    with replacing(name) as file:
        file.write(b"all of it")

os.chdir({str(tmp_path)!r})
reader, writer = os.pipe()
os.dup2(writer, 1)
for name in ("/dev/stdout", "/dev/fd/1", f"/proc/self/fd/{{writer}}"):
    write(name)
    assert os.read(reader, 99) == b"all of it", name
write_arrays("/dev/stdout", {{"a": 1}}, {{}})
sent = os.read(reader, 9999)
os.mkfifo("fifo")
fifo = os.open("fifo", os.O_RDWR)
write("fifo")
assert os.read(fifo, 99) == b"all of it"
with open("gone", "w+b") as file:
    os.unlink("gone")
    os.dup2(file.fileno(), 1)
    write("/dev/stdout")
    assert file.read() == b"all of it"
assert os.listdir() == ["fifo"]
with open("file", "wb") as file:
    file.write(sent)
assert read_arrays("file").header == {{"a": 1}}
"""
    python_output(code)


def test_replacing_a_device_writes_to_it():
    with atomic.replacing("/dev/null") as file:
        file.write(b"gone")
    assert not Path("/dev/null").is_file()


def test_aligned_arrays():
    for count in (1, 7):
        matrix = padded_storage(count, 17)
        assert matrix.shape == (count, 32) and not matrix.any()
        assert matrix.ctypes.data % 64 == 0
        assert aligned_empty((count, 3), np.int64).ctypes.data % 64 == 0
