"""Polarizabilities of amino acids and peptides with GFN2-xTB in finite fields: short ones train, longer ones test.

Usage (about an hour; interrupted, run it again; needs tblite and rdkit)::

    OMP_NUM_THREADS=1 python peptides.py

Neutral molecules in vacuum, H2N-...-COOH. Conformers come from distance geometry and the MMFF force field; every atom
is then displaced at random, as at a few hundred kelvin.
"""

from functools import partial

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree
from batches import fill, random_of

METHOD = "GFN2-xTB"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
#: Residues of the helices: those that like to be in one.
HELICAL = "AAALEKMQ"
CONFORMERS = 5
#: Longer peptides, tested on; how many sequences of each length besides the first twenty.
KINDS, FURTHER = {3: "tripeptide", 4: "tetrapeptide", 5: "pentapeptide"}, 80
#: Finite field (atomic units), accuracy factor of the self-consistency.
FIELD, ACCURACY = 1e-3, 0.1
#: Random displacement of each coordinate (Å); decimals kept of positions (Å) and of polarizabilities (Å³).
RATTLE, POSITION_DECIMALS, LABEL_DECIMALS = 0.03, 3, 3
#: Torsions of the ideal α helix, φ and ψ (degrees).
HELIX = (-57.0, -47.0)


def built(sequence):
    """Return the molecule with its hydrogens, without positions."""
    from rdkit import Chem

    return Chem.AddHs(Chem.MolFromSequence(sequence))


def conformers(sequence, count, seed):
    """Return positions (Å) of conformers, relaxed with MMFF."""
    from rdkit.Chem import AllChem

    molecule = built(sequence)
    numbers = list(AllChem.EmbedMultipleConfs(molecule, count, randomSeed=seed))
    AllChem.MMFFOptimizeMoleculeConfs(molecule, maxIters=500)
    return molecule, [molecule.GetConformer(k).GetPositions() for k in numbers]


def helix(sequence, seed):
    """Return positions (Å) of an α helix: its torsions set and held while MMFF relaxes the rest."""
    from rdkit import Chem
    from rdkit.Chem import AllChem, rdMolTransforms

    molecule = built(sequence)
    AllChem.EmbedMolecule(molecule, randomSeed=seed, useRandomCoords=True)
    shape = molecule.GetConformer()
    backbone = sorted(molecule.GetSubstructMatches(Chem.MolFromSmarts("NCC(=O)")), key=lambda match: match[0])
    held = []
    for (n, a, c, _), (n_next, a_next, c_next, _) in zip(backbone, backbone[1:]):
        held += [((n, a, c, n_next), HELIX[1]), ((a, c, n_next, a_next), 180.0),
                 ((c, n_next, a_next, c_next), HELIX[0])]
    for atoms, angle in held:
        rdMolTransforms.SetDihedralDeg(shape, *atoms, angle)
    properties = AllChem.MMFFGetMoleculeProperties(molecule)
    field = AllChem.MMFFGetMoleculeForceField(molecule, properties)
    field.Initialize()
    for atoms, angle in held:
        field.MMFFAddTorsionConstraint(*atoms, False, angle - 3, angle + 3, 100.0)
    for _ in range(10):
        if field.Minimize(maxIts=500) == 0:
            break
    return molecule, [shape.GetPositions()]


def solved(numbers, positions, field=None):
    """Return tblite's result, in a field (atomic units) if there is one."""
    from tblite.interface import Calculator

    calc = Calculator(METHOD, numbers, positions / Bohr)
    calc.set("verbosity", 0)
    calc.set("accuracy", ACCURACY)
    if field is not None:
        calc.add("electric-field", [float(component) for component in field])
    return calc.singlepoint()


def gap(numbers, positions):
    """Return the energy (eV) between filled and empty orbitals."""
    result = solved(numbers, positions)
    filled = result.get("orbital-occupations") > 1
    energies = result.get("orbital-energies") * Hartree
    return energies[~filled].min() - energies[filled].max()


def polarizability(numbers, positions):
    """Return the polarizability (Å³, 3 x 3) by central differences of the dipole, made symmetric."""
    def dipole(field):
        return solved(numbers, positions, field).get("dipole")

    response = np.array([(dipole(axis) - dipole(-axis)) / (2 * FIELD) for axis in FIELD * np.eye(3)])
    return (response + response.T) / 2 * Bohr**3


def labelled(group, kind, sequence, make):
    """Return the frames of one sequence."""
    random = random_of(group)
    molecule, shapes = make(seed=int(random.integers(2**31)))
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    frames = []
    for positions in shapes:
        positions = positions - positions.mean(axis=0) + random.normal(scale=RATTLE, size=positions.shape)
        positions = positions.round(POSITION_DECIMALS)
        tensor = polarizability(numbers, positions).round(LABEL_DECIMALS) + 0.0
        info = {"config_type": kind, "group": group, "sequence": sequence, "polarizability": tensor.ravel(),
                "gap": round(float(gap(numbers, positions)), 2), "method": METHOD}
        frames.append(Atoms(numbers, positions, info=info))
    return frames


def batches():
    """Return the batches by group: a tenth of the short peptides, all longer ones, the other short ones."""
    random = random_of("sequences")
    pairs = [a + b for a in RESIDUES for b in RESIDUES]
    random.shuffle(pairs)

    def draw(letters, length, count, random=random):
        return ["".join(random.choice(list(letters), length)) for _ in range(count)]

    longer = {n: draw(RESIDUES, n, 20) for n in KINDS}
    helices = ["A" * 10, *draw(HELICAL, 10, 9)]
    others = random_of("further sequences")
    further = {n: draw(RESIDUES, n, FURTHER, others) for n in KINDS}
    work = {}

    def add(kind, sequence, turn, make):
        group = f"{kind}-{sequence}-{turn}"
        work[group] = partial(labelled, group, kind, sequence, make)

    def add_short(turn):
        for residue in RESIDUES:
            add("amino-acid", residue, turn, partial(conformers, residue, CONFORMERS))
        for pair in pairs[40 * turn : 40 * (turn + 1)]:
            add("dipeptide", pair, turn, partial(conformers, pair, CONFORMERS))

    add_short(0)
    for turn in range(10):
        for n, kind in KINDS.items():
            for sequence in longer[n][2 * turn : 2 * (turn + 1)]:
                add(kind, sequence, turn, partial(conformers, sequence, 1 if turn else CONFORMERS))
    for number in range(FURTHER):
        for n, kind in KINDS.items():
            add(kind, further[n][number], number, partial(conformers, further[n][number], 1))
    for turn in range(10):
        add("helix", helices[turn], turn, partial(helix, helices[turn]))
        if turn:
            add_short(turn)
    return work


if __name__ == "__main__":
    fill("peptides_xtb.extxyz.gz", batches())
