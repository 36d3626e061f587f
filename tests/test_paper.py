"""The systems of the paper: every part runs on a few of its shipped labels, and the field does there what it is for."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
LABELS = {"multipoles": "pairs_hf", "dimers": "sidechains_xtb", "lithium": "lithium_pbe", "peptides": "peptides_xtb"}


def run(part, out):
    """Rows of the first table of a part, from few structures."""
    folder = ROOT / "md_examples" / "paper" / part
    if not (folder / f"{LABELS[part]}.extxyz.gz").is_file():
        pytest.skip(f"the labels of '{part}' have not been made; run their script in md_examples/label")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, folder / "run.py", "--small", "--out", out], text=True, capture_output=True,
                          env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    assert (out / f"{part}.png").stat().st_size > 1000
    tables = sorted(out.glob("*.csv"), key=lambda file: file.name, reverse=part == "dimers")
    with tables[0].open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_one_centre_models_decay_as_their_multipoles(tmp_path):
    rows = {(row["pair"], row["model"]): row for row in run("multipoles", tmp_path)}
    for pair, power in {"H2O-H2O": -3, "H2O-CO2": -4, "CO2-CO2": -5}.items():
        assert float(rows[pair, "one centre l 2"]["slope"]) == pytest.approx(power, rel=0.02)
        assert float(rows[pair, "one centre l 2"]["far"]) < 0.5 * float(rows[pair, "one centre l 1"]["far"])


def test_only_the_field_sees_ions_beyond_the_cutoff(tmp_path):
    rows = {row["products"]: float(row["RMSE_meV"]) for row in run("dimers", tmp_path)}
    assert rows["ρ⊗ρ + ρ⊗V"] < rows["ρ⊗ρ"]


@pytest.mark.slow
def test_molecules_over_lithium(tmp_path):
    far = {(row["model"], row["molecule"]): float(row["far_meV"]) for row in run("lithium", tmp_path)}
    assert np.isfinite(list(far.values())).all()
    assert far["multi-scale", "H2O"] < 0.5 * far["short range", "H2O"]


@pytest.mark.slow
def test_polarizabilities_of_peptides(tmp_path):
    rows = run("peptides", tmp_path)
    assert {row["model"] for row in rows} == {"density", "density and field", "charge flow", "charge flow + density",
                                              "charge flow + density and field"}
    long = {(row["model"], row["lambda"]): float(row["relative"]) for row in rows if row["kind"] == "pentapeptide"}
    assert all(0 < value < 1 for value in long.values())
    assert max(long["density and field", "2"], long["charge flow + density", "2"]) < 0.7 * long["density", "2"]


@pytest.mark.parametrize("script", ["lithium", "lithium_water", "multipoles", "peptides", "sidechains"])
def test_label_scripts_need_their_programs_only_to_label(script):
    done = subprocess.run([sys.executable, "-c", f"import {script}"], cwd=ROOT / "md_examples" / "label", text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
