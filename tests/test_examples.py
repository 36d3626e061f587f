"""Every example runs with few steps in a folder of its own, writes what it promises and gives sensible numbers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import molecule

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "md_examples"
MD_FILES = ["md.csv", "md.png", "md.html", "md.traj", "md.ckpt.npz"]
#: Example, the potential it needs, and the files it promises.
SIMULATIONS = [
    ("peptide", "dipeptides", ["relax.traj", "relax.csv", "relax.png", "relaxed.xyz", "torsions.png",
                               "ramachandran.png", "shape.png", *MD_FILES]),
    ("water_nvt", "water", ["rdf.csv", "rdf.png", *MD_FILES]),
    ("water_npt", "water-npt", ["density.png", *MD_FILES]),
    ("slab", "water-li100", ["adsorption.yaml", "way.png", "profile.png", *MD_FILES]),
    ("spectrum_molecule", "qm7b-response", ["ir.csv", "ir.png", "raman.csv", "raman.png", *MD_FILES]),
    ("spectrum_water", "water-response", ["ir.csv", "ir.png", "raman.csv", "raman.png", *MD_FILES]),
    ("train_your_own", None, ["ethanol.lode", "metrics.yaml", "report.html", "relax.traj", *MD_FILES]),
]
STEPS = 20
#: Steps of examples that need more: a spectrum takes 32 frames.
LONGER = {"spectrum_molecule": 8000, "spectrum_water": 200}
#: Files of dimers in the reference data, and the distance in Å below which frames are trained on.
DIMERS = [("CC_train.xyz", 9.5), ("CC_130.xyz", 7.0)]


def run(example, *arguments):
    """Standard output of an example's script."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, EXAMPLES / example / "run.py", *map(str, arguments)], text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Function that runs a simulation once and returns its output and folder."""
    known = {}

    def of(example, potential):
        if potential and not (ROOT / "potentials" / potential / f"{potential}.lode").is_file():
            pytest.skip(f"the potential '{potential}' has not been built")
        if example not in known:
            out = tmp_path_factory.mktemp(example)
            known[example] = run(example, "--steps", LONGER.get(example, STEPS), "--out", out), out
        return known[example]

    return of


@pytest.mark.parametrize("example, potential, files", SIMULATIONS, ids=[name for name, *_ in SIMULATIONS])
def test_promised_files(results, example, potential, files):
    _, out = results(example, potential)
    assert [name for name in files if not (out / name).is_file() or (out / name).stat().st_size == 0] == []
    rows = (out / "md.csv").read_text().splitlines()
    assert rows[-1].startswith(f"{LONGER.get(example, STEPS)},")


def test_peptide_relaxes(results):
    import ase.io
    from ase.neighborlist import natural_cutoffs, neighbor_list

    output, out = results("peptide", "dipeptides")
    assert "relaxed: True" in output
    start, end = ase.io.read(EXAMPLES / "peptide" / "peptide.xyz"), ase.io.read(out / "md.traj", -1)
    bonds = [set(zip(*neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.2)))) for atoms in (start, end)]
    assert bonds[0] == bonds[1]


def test_water_has_its_first_shell(results):
    output, _ = results("water_nvt", "water")
    assert 2.6 < float(re.search(r"at ([\d.]+) Å", output)[1]) < 3.0


def test_water_keeps_its_density(results):
    output, _ = results("water_npt", "water-npt")
    assert 0.9 < float(re.search(r"start, ([\d.]+) g", output)[1]) < 1.1


def test_water_binds_to_lithium_and_moves(results):
    """Everything relaxes, and the way from site to site stays below desorption; it may end with other hydrogens up."""
    output, out = results("slab", "water-li100")
    found = yaml.safe_load((out / "adsorption.yaml").read_text())
    assert "not relaxed" not in output
    assert all(-0.9 < energy < -0.3 for energy in found["adsorption_eV"].values())
    assert all(-0.9 < energy < 0 for energy in found["way_eV"])
    assert found["way_eV"][0] == pytest.approx(found["adsorption_eV"]["top"], abs=0.02)


def test_peptide_from_a_pdb_file(results, tmp_path):
    """The hydrogens come out as in the structure that the file was made from: the same torsions, the same minimum."""
    pytest.importorskip("pdbfixer", reason="needs PDBFixer")
    output = run("peptide", "--pdb", EXAMPLES / "peptide" / "peptide.pdb", "--steps", STEPS, "--out", tmp_path)
    assert "ACE GLU LYS NME: 49 atoms, charge +0 e" in output and "relaxed: True" in output
    both = output, results("peptide", "dipeptides")[0]
    energies = [float(re.search(r"energy (-[\d.]+) eV", text)[1]) for text in both]
    assert energies[0] == pytest.approx(energies[1], abs=0.1)


def test_infrared_bands_are_harmonic_modes(results):
    """Every strong band but those of soft torsions lies on a mode."""
    output, _ = results("spectrum_molecule", "qm7b-response")
    pairs = re.search(r"ir bands .*: (.*)", output)[1].split()
    bands = [tuple(map(float, pair.split("/"))) for pair in pairs]
    stiff = [(band, mode) for band, mode in bands if mode > 700]
    assert len(stiff) >= 3 and all(abs(band - mode) < 15 for band, mode in stiff)


def test_bands_of_water(results):
    output, _ = results("spectrum_water", "water-response")
    for kind in ("ir", "raman"):
        found = {name: float(value) for name, value in re.findall(rf"{kind} (\w+): (\d+)", output)}
        assert 1500 < found["bend"] < 1800 and 3000 < found["stretch"] < 3900


def spectrum(output, folder):
    """Harmonic modes, and the share of the density of states above 2,700 1/cm, where X-H bonds stretch."""
    modes = [float(value) for value in re.search(r"harmonic modes \(1/cm\): (.*)", output)[1].split()]
    wavenumber, total, *_ = np.loadtxt(folder / "spectrum.csv", delimiter=",", skiprows=1).T
    return modes, total[wavenumber > 2700].sum() / total.sum()


@pytest.mark.parametrize("start", ["file", "CCO"])
def test_molecule_to_spectrum(results, tmp_path, start):
    """21 modes, 6 of them stretches of X-H bonds, where GFN1-xTB has them."""
    if start == "file":
        start = tmp_path / "ethanol.xyz"
        molecule("CH3CH2OH").write(start)
    else:
        pytest.importorskip("rdkit", reason="needs RDKit")
    _, trained = results("train_your_own", None)
    output = run("molecule", start, "-p", trained / "ethanol.lode", "--steps", 2000, "--out", tmp_path)
    modes, share = spectrum(output, tmp_path)
    assert len(modes) == 21 and sum(mode > 2700 for mode in modes) == 6 and min(modes) > 100 and max(modes) < 3900
    assert share == pytest.approx(6 / 21, rel=0.6)


def test_ethanol_is_learned(results):
    output, out = results("train_your_own", None)
    errors = yaml.safe_load((out / "metrics.yaml").read_text())["errors"]["validation"]
    assert errors["forces"]["rmse"] < 0.1 and errors["energy"]["rmse"] < 0.003
    assert "relaxed: True" in output


def ratio(output):
    """How much smaller the error beyond the training range is with the field."""
    return float(re.search(r"([\d.]+) times smaller", output)[1])


def test_binding_curves_beyond_the_training_range(tmp_path):
    assert ratio(run("binding_curves", "--out", tmp_path)) >= 10
    assert all((tmp_path / name).is_file() for name in ("curves.png", "curves.csv", "with.lode", "without.lode"))


@pytest.mark.slow
@pytest.mark.parametrize("name, below", DIMERS)
def test_binding_curves_of_reference_dimers(data_folder, tmp_path, name, below):
    assert ratio(run("binding_curves", data_folder / "dimers" / name, "--below", below, "--out", tmp_path)) >= 5
