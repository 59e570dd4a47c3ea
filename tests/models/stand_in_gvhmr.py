# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for tools/demo/demo.py of GVHMR: takes the same words and writes the same file.

It sees a body whose pelvis is where the movie is brightest, 4 m away. What it was told is left in
`told.json` beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import av
import numpy as np
import torch

PELVIS = np.array([0.003, -0.351, 0.012])


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--video", type=Path)
    parser.add_argument("--output_root", type=Path)
    parser.add_argument("-s", "--static_cam", action="store_true")
    parser.add_argument("--f_mm", type=int, default=None)
    words = parser.parse_args()
    here = Path(__file__).resolve().parent
    told = {key: str(value) for key, value in vars(words).items()} | {"folder": os.getcwd()}
    (here / "told.json").write_text(json.dumps(told), encoding="utf-8")
    if (here / "fail").exists():
        sys.exit("RuntimeError: no one is tracked")
    with av.open(str(words.video)) as movie:
        told["fps"] = str(movie.streams.video[0].average_rate)
        frames = [frame.to_ndarray(format="gray") for frame in movie.decode(video=0)]
    told["frames"], told["size"] = len(frames), frames[0].shape[::-1]
    told["dark"] = [float((frame < 100).mean()) for frame in frames]
    (here / "told.json").write_text(json.dumps(told), encoding="utf-8")
    height, width = frames[0].shape
    focal = words.f_mm * np.hypot(width, height) / np.hypot(36, 24)
    lens = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    places = []
    for index, frame in enumerate(frames):
        sys.stderr.write(f"\rHMR2 Feature: {index}%|###   | {index + 1}/{len(frames)} [00:01]")
        y, x = np.argwhere(frame > 230).mean(axis=0) + 0.5
        places.append(np.array([*((np.array([x, y]) - lens[:2, 2]) / focal * 4), 4]) - PELVIS)
    count = 1 if (here / "short").exists() else len(frames)
    turn = torch.linspace(0, 1, count)[:, None]
    seen = {
        "body_pose": torch.full((count, 63), 0.1),
        "betas": torch.ones(count, 10),
        "global_orient": turn * torch.tensor([3.0, 0.1, 0.2]),
        "transl": torch.tensor(np.array(places[:count]), dtype=torch.float32),
    }
    world = seen | {"global_orient": turn * torch.tensor([0.0, 1.0, 0.0])}
    result = {
        "smpl_params_global": world,
        "smpl_params_incam": seen,
        "K_fullimg": torch.tensor(lens, dtype=torch.float32).repeat(count, 1, 1),
        "net_outputs": {"static_conf_logits": torch.zeros(1, count, 6)},
    }
    folder = words.output_root / words.video.stem
    folder.mkdir(parents=True)
    if not (here / "silent").exists():
        torch.save(result, folder / "hmr4d_results.pt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
