# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion of other programs is read without running anything of its files."""

from __future__ import annotations

import os
import pickle
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import FormatError
from backend.kinematics import mixed, rotations_of
from backend.worker.mocap.importing import at_rate, read_gvhmr, read_ready
from backend.worker.mocap.torch_file import read_torch
from tests.data_folder import shared_data
from tests.walking import walk


def tensor(key: str, shape: tuple[int, ...], steps: tuple[int, ...], offset: int = 0) -> bytes:
    """What torch.save pickles of a tensor, by the opcodes."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    storage = b"((S'storage'\nctorch\nFloatStorage\nS'%s'\nS'cpu'\nI0\ntQ" % key.encode()
    rest = (
        b"I%d\n" % offset + numbers(shape) + numbers(steps) + b"I00\nccollections\nOrderedDict\n)R"
    )
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + rest + b"tR"


def saved(path: Path, data: bytes, storages: dict[str, np.ndarray] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/byteorder", "little")
        for key, values in (storages or {}).items():
            file.writestr(f"archive/data/{key}", values.astype("<f4").tobytes())
    return path


def test_tensors_come_with_their_strides_and_offsets(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32)
    path = saved(tmp_path / "a.pt", tensor("0", (2, 3), (1, 2), offset=4) + b".", {"0": values})
    assert np.array_equal(read_torch(path), values[4:10].reshape(3, 2).T)


@pytest.mark.parametrize(
    ("shape", "steps", "offset"),
    [
        ((2, 3), (3, 1), 7),
        ((4, 4), (0, 0), 0),
        ((-1,), (1,), 0),
        ((3,), (-1,), 5),
        ((13,), (1,), 0),
    ],
)
def test_tensors_beyond_their_storage_are_refused(
    tmp_path: Path, shape: tuple[int, ...], steps: tuple[int, ...], offset: int
) -> None:
    path = saved(tmp_path / "a.pt", tensor("0", shape, steps, offset) + b".", {"0": np.zeros(12)})
    with pytest.raises(FormatError):
        read_torch(path)


class _Runs:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def test_a_file_that_would_run_a_program_does_not(tmp_path: Path) -> None:
    marker = tmp_path / "was_run"
    for number, thing in enumerate((_Runs(marker), {"poses": [1, _Runs(marker)]})):
        for protocol in (0, 2, 4):
            path = saved(tmp_path / f"{number}_{protocol}.pt", pickle.dumps(thing, protocol))
            with pytest.raises(FormatError, match="mkdir"):
                read_torch(path)
    nested = saved(tmp_path / "n.pt", b"cos.path\nos.mkdir\n(S'x'\ntR.")
    builtin = saved(tmp_path / "b.pt", b"cbuiltins\neval\n(S'1'\ntR.")
    for path in (nested, builtin):
        with pytest.raises(FormatError, match="no plain data"):
            read_torch(path)
    assert not marker.exists()


@pytest.mark.parametrize("data", [b"", b".", b"garbage", b"I1\n", b"N" * 40, b"(lp0\ng7\n."])
def test_damage_is_told_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FormatError):
        read_gvhmr(saved(tmp_path / "a.pt", data))
    (tmp_path / "b.pt").write_bytes(data)
    with pytest.raises(FormatError, match="torch"):
        read_gvhmr(tmp_path / "b.pt")


def test_gvhmrs_own_result_is_what_its_npz_says() -> None:
    folder = shared_data("people/tennis_gvhmr")
    ready = read_ready(folder / "hmr4d_results.pt")
    other = read_ready(folder / "hmr4d_results.npz")
    names = ("rotations", "translation", "betas", "contact", "upright", "matrix")
    for name in names:
        assert np.array_equal(getattr(ready, name), getattr(other, name)), name
    assert (len(ready), ready.up, ready.fps, other.fps) == (312, None, 0.0, 30.0)
    assert 0.2 < (ready.contact > 0.5).mean() < 0.9
    # He stands: his back is upright in the world whose y is up.
    assert (rotations_of(ready.upright)[:, 1, 1] > 0.7).mean() > 0.9
    assert read_gvhmr(folder / "hmr4d_results.pt").focal == pytest.approx(1085.24, abs=0.1)


@pytest.mark.parametrize("size", [72, 156, 165])
def test_poses_of_every_body_are_taken(tmp_path: Path, size: int) -> None:
    shot = walk(12)
    poses = np.zeros((12, size))
    poses[:, :66] = shot.rotations[:, :22].reshape(12, -1)
    poses[:, 66:] = 0.25
    np.savez(
        tmp_path / "a.npz",
        poses=poses,
        trans=shot.translation,
        betas=np.zeros(16),
        gender=np.array("female"),
        mocap_framerate=120.0,
    )
    ready = read_ready(tmp_path / "a.npz")
    assert np.array_equal(ready.rotations[:, :22], shot.rotations[:, :22])
    assert (ready.rotations[:, 25:] == (0 if size == 72 else 0.25)).all()
    assert (ready.rotations[:, 22:25] == (0.25 if size == 165 else 0)).all()
    assert (ready.gender, ready.fps, len(ready.betas)) == ("female", 120.0, 16)
    assert ready.up is not None
    assert ready.up.tolist() == [0, 0, 1]


def test_a_motion_is_brought_to_another_rate_by_time(tmp_path: Path) -> None:
    fast = walk(61, fps=Fraction(60))
    np.savez(
        tmp_path / "a.npz",
        poses=fast.rotations.reshape(61, -1),
        trans=fast.translation,
        fps=60,
    )
    slow = at_rate(read_ready(tmp_path / "a.npz"), 24.0)
    assert len(slow) == 25
    assert np.allclose(slow.rotations[2], fast.rotations[5])
    half = mixed(fast.rotations[2], fast.rotations[3], np.full(55, 0.5))
    assert np.allclose(slow.rotations[1], half)
    assert np.allclose(slow.translation[1], fast.translation[2:4].mean(axis=0))


def test_what_is_no_motion_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(FormatError, match="not opened"):
        read_ready(tmp_path / "a.pkl")
    for arrays in (
        {"x": np.zeros(3)},
        {"poses": np.zeros((4, 71)), "trans": np.zeros((4, 3))},
        {"poses": np.zeros((4, 72)), "trans": np.zeros((5, 3))},
        {"poses": np.full((4, 72), np.nan), "trans": np.zeros((4, 3))},
        {"poses": np.array([{"a": 1}], dtype=object)},
    ):
        np.savez(tmp_path / "b.npz", **arrays)
        with pytest.raises(FormatError, match=r"b\.npz"):
            read_ready(tmp_path / "b.npz")
