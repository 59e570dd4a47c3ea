# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds how people move and stands their bodies in the shot, person by person.

What a model has found of a person is kept, so that a later run that only places people anew, or one
that was broken off, asks no model again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ... import locations
from ...camera import Array, Integers
from ...dense import place_of
from ...errors import ModelError
from ...models import ModelStore
from ...motion import MocapRecord, Motion
from ...shot import MocapFolder, folder_name
from ...smplx import GENDERS
from ...solve import solve_of
from ...stages import MocapOptions
from ...survey import Survey
from ..engines import choice
from ..mocap.alembic import write_alembic
from ..mocap.bodies import Body, body_of
from ..mocap.finding import (
    DEFAULT_PERSON,
    Finding,
    as_seen,
    body_folder,
    frames_asked_for,
    plate_camera,
    ready_motion,
)
from ..mocap.importing import Ready, read_ready
from ..mocap.person_files import write_person
from ..mocap.placing import Root, Views, before_camera
from ..mocap.standing import Found, Standing, Stood, standing_alone
from ..report import Context


def run(context: Context[MocapOptions]) -> None:
    """Raises what ShotGopherError is: of the camera, masks, models, files and options."""
    _Run(context).run()


class _Run:
    def __init__(self, context: Context[MocapOptions]) -> None:
        self._context, self._report = context, context.report
        self._options: MocapOptions = context.options
        self._shot = context.shot
        self._folder = MocapFolder(context.part.folder("mocap"))
        self._solve, self._place = solve_of(self._shot), place_of(self._shot)
        self._plate = self._shot.load_plate()
        self._camera = plate_camera(self._shot, self._plate, self._solve, self._options)
        self._store = ModelStore(locations.home())
        self._smplx = body_folder(self._store)
        self._engine = ""
        self._notes: list[str] = []

    def run(self) -> None:
        stood, bodies = self._from_file() if self._options.source else self._from_plate()
        self._write(stood, bodies)
        shutil.copyfile(self._shot.camera / "extrinsics.json", self._folder.cameras)
        record = self._record(stood)
        record.save(self._folder.record)
        self._tell(record, stood)

    def _from_plate(self) -> tuple[Stood, list[Body]]:
        engine = choice.motion_engine(self._options, self._store, self._shot, self._report)
        self._engine = engine.name
        solved = self._place.solve
        finding = Finding(
            self._shot, self._folder, engine, self._camera, self._options, solved, self._report
        )
        found = []
        for person in finding.people():
            seen, gender = finding.motion(person), self._options.gender
            body, gender = self._body(gender, seen.betas)
            matrix = np.tile(self._camera.matrix, (len(seen), 1, 1))
            found.append(Found(folder_name(person.name), gender, seen, body, matrix))
        return self._standing().stand(found), [each.body for each in found]

    def _from_file(self) -> tuple[Stood, list[Body]]:
        path = Path(self._options.source).expanduser().absolute()
        ready = read_ready(path)
        self._engine = f"{path.name}: {ready.kind}"
        gender = ready.gender if ready.gender in GENDERS else self._options.gender
        body, gender = self._body(gender, ready.betas)
        plate = frames_asked_for(self._plate, self._options)
        found = ready_motion(ready, plate, self._camera, float(self._plate.fps))
        self._notes += found.notes
        name = folder_name((self._options.people.split() or [DEFAULT_PERSON])[0])
        if ready.up is not None:
            return self._alone(found.ready, found.frames, name, gender, body), [body]
        person = Found(name, gender, as_seen(found), body, found.ready.matrix)
        return self._standing().stand([person]), [body]

    def _standing(self) -> Standing:
        survey = Survey.load(self._shot.survey)
        measured = survey is not None and survey.constraints.distance is not None
        return Standing(self._solve, self._place, self._plate.fps, self._options, measured)

    def _body(self, gender: str, betas: Array) -> tuple[Body, str]:
        """The artist's SMPL-X or, without it, one of usual proportions; and its gender. Raises
        ModelError, FormatError."""
        if self._smplx is not None and gender != "neutral":
            try:
                return body_of(self._smplx, gender, betas), gender
            except ModelError:
                self._notes.append(f"SMPL-X lacks a {gender} body: the neutral one is used.")
                gender = "neutral"
        return body_of(self._smplx, gender, betas), gender

    def _alone(self, ready: Ready, frames: Integers, name: str, gender: str, body: Body) -> Stood:
        """A motion of a world of its own, which knows no camera."""
        views = Views.of(self._solve.track, frames)
        up = np.zeros(3) if ready.up is None else ready.up
        rotations, translation, contact = standing_alone(
            ready.rotations, ready.translation, up, body, views, float(self._plate.fps)
        )
        root = Root(rotations[:, 0], translation)
        seen = before_camera(root, views, body.pelvis, 1.0)
        motion = Motion(
            person=name,
            gender=gender,
            frames=frames,
            fps=self._plate.fps,
            rotations=rotations,
            translation=translation,
            betas=ready.betas,
            pelvis=body.pelvis,
            camera_rotation=seen.rotation,
            camera_translation=seen.translation,
            scale=1.0,
            place=self._place,
            confidence=np.ones(len(frames)),
            contact=contact,
        )
        note = (
            "The motion was not found in this plate: it stands on the shot's floor before the "
            "first camera and faces it. Move it to where it belongs."
        )
        return Stood((motion,), 1.0, "One unit is taken for a meter", (note,), None)

    def _write(self, stood: Stood, bodies: list[Body]) -> None:
        if self._smplx is None:
            self._notes.append(
                "Without the SMPL-X files there is no mesh, and the body has usual proportions: "
                "name their folder, then run this again."
            )
        for motion, body in zip(stood.motions, bodies, strict=True):
            self._report.status(f"Writing {motion.person}")
            folder = self._folder.person(motion.person)
            write_person(motion, body.model, folder, self._options.meshes, self._report.progress)
        if self._options.meshes == "abc" and self._smplx is not None:
            self._notes += write_alembic(
                [self._folder.person(motion.person) for motion in stood.motions],
                self._plate.fps,
                self._context.blender,
                self._report,
            )

    def _record(self, stood: Stood) -> MocapRecord:
        return MocapRecord(
            engine=self._engine,
            people=tuple(motion.person for motion in stood.motions),
            scale=stood.scale,
            scale_from=stood.scale_from,
            place=self._place,
            notes=(*self._notes, *stood.notes),
            offered=stood.offered,
            details={"doubt": stood.doubt, "smplx": self._smplx is not None},
        )

    def _tell(self, record: MocapRecord, stood: Stood) -> None:
        for note in record.notes:
            self._report.warning(note)
        self._report.result("mocap", "mocap")
        for motion in stood.motions:
            self._report.result(f"mocap/{motion.person}/motion.npz", "motion")
        self._context.record.update(
            engine=record.engine,
            people={motion.person: len(motion.frames) for motion in stood.motions},
            scale=record.scale,
            scale_from=record.scale_from,
            doubt=stood.doubt,
        )
