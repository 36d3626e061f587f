"""Starting structures: a molecule from SMILES, a peptide from a PDB file with its hydrogens, checked."""

import math
import random
import warnings
from itertools import pairwise

from ase import Atoms

from ase_lode.errors import ConfigError, StructureError

#: What may end a chain without a charge.
CAPS = {"ACE", "NME", "NH2"}


class PeptideWarning(UserWarning):
    """Something of a PDB file was left out, or a chain's end is charged."""


def from_smiles(smiles, seed=0):
    """A three-dimensional structure of a molecule (needs RDKit).

    Distance geometry with torsion preferences, Riniker and Landrum, J. Chem. Inf. Model. 55, 2562 (2015), then a short
    relaxation with MMFF94, where it has parameters.

    Parameters
    ----------
    smiles : str
        One molecule.
    seed : int
        Picks the conformer.

    Returns
    -------
    ase.Atoms
        Isolated; `info` holds its total `charge` in e and the `smiles`.

    Raises
    ------
    ConfigError
        RDKit is not installed.
    StructureError
        The text is no SMILES or several molecules, or no conformer was found.
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import AllChem
    except ImportError as error:
        raise ConfigError("Molecules from SMILES need RDKit; install it with "
                          "\"pip install 'ase-lode[smiles]'\".") from error
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is None or molecule.GetNumAtoms() == 0:
            raise StructureError(f"'{smiles}' is not a valid SMILES; check brackets, rings and valences.")
        if len(Chem.GetMolFrags(molecule)) > 1:
            # Distance geometry says nothing of where the others are, and puts them on top of each other.
            raise StructureError(f"'{smiles}' is several molecules; make each by itself and place them.")
        molecule = Chem.AddHs(molecule)
        if AllChem.EmbedMolecule(molecule, randomSeed=seed) != 0:
            raise StructureError(f"No conformer was found for '{smiles}'; try another seed, or start from a file.")
        if AllChem.MMFFHasAllMoleculeParams(molecule):
            AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000)
    return Atoms([atom.GetSymbol() for atom in molecule.GetAtoms()], molecule.GetConformer().GetPositions(),
                 info={"charge": float(Chem.GetFormalCharge(molecule)), "smiles": smiles})


def from_pdb(path, ph=7.0, seed=0):
    """A peptide or protein from a PDB file, missing side-chain atoms and hydrogens added (needs PDBFixer and OpenMM).

    The hydrogens are those of the usual protonation states at a pH. Water, ions and ligands are left out, and the
    warning names them. What cannot be made good without guessing is refused: unknown residues and gaps in a chain.

    Parameters
    ----------
    path : path-like
        PDB file.
    ph : float
        Decides the protonation of side chains and uncapped ends.
    seed : int
        Of the first directions of hydrogens, before they are relaxed.

    Returns
    -------
    ase.Atoms
        Isolated; `info` holds its total `charge` in e and its `residues`, as "ACE GLU NME".

    Raises
    ------
    ConfigError
        PDBFixer or OpenMM is not installed.
    StructureError
        No protein is there, a residue is unknown, or a chain is broken.
    """
    try:
        from openmm import Platform, app, unit
        from pdbfixer import PDBFixer
        from pdbfixer.pdbfixer import proteinResidues
    except ImportError as error:
        raise ConfigError("Peptides from PDB files need PDBFixer and OpenMM; install them with "
                          "\"pip install 'ase-lode[proteins]'\".") from error
    with open(path, encoding="utf-8") as file:
        fixer = PDBFixer(pdbfile=file)
    _check_residues(fixer, CAPS | set(proteinResidues))
    fixer.findMissingAtoms()
    fixer.addMissingAtoms(seed=seed)
    modeller = app.Modeller(fixer.topology, fixer.positions)
    field = app.ForceField("amber14-all.xml")
    state = random.getstate()
    random.seed(seed)
    try:
        # The reference platform gives the same hydrogens every time.
        modeller.addHydrogens(field, pH=ph, platform=Platform.getPlatformByName("Reference"))
    finally:
        random.setstate(state)
    topology = modeller.topology
    _check_ends(topology)
    return Atoms([atom.element.symbol for atom in topology.atoms()],
                 [list(position) for position in modeller.positions.value_in_unit(unit.angstrom)],
                 info={"charge": _total_charge(field, topology),
                       "residues": " ".join(residue.name for residue in topology.residues())})


def _check_residues(fixer, known):
    """Refuse what would have to be guessed; drop what is no protein."""
    from openmm import app

    fixer.missingResidues = {}
    fixer.findNonstandardResidues()
    if fixer.nonstandardResidues:
        names = sorted({residue.name for residue, _ in fixer.nonstandardResidues})
        raise StructureError(f"Residues {', '.join(names)} are not standard; replace them by standard ones first.")
    foreign = [residue for residue in fixer.topology.residues() if residue.name not in known]
    if len(foreign) == fixer.topology.getNumResidues():
        raise StructureError("The file has no amino acids; read other molecules with ase.io.read or from_smiles.")
    if foreign:
        warnings.warn(f"Left out: {', '.join(sorted({residue.name for residue in foreign}))}.", PeptideWarning,
                      stacklevel=3)
        modeller = app.Modeller(fixer.topology, fixer.positions)
        modeller.delete(foreign)
        fixer.topology, fixer.positions = modeller.topology, modeller.positions
    for chain in fixer.topology.chains():
        for before, after in pairwise(chain.residues()):
            if not _bonded(before, after, fixer.positions):
                raise StructureError(f"The chain is broken between {before.name} {before.id} and {after.name} "
                                     f"{after.id}; model what is missing first, or make two capped chains.")


def _bonded(before, after, positions):
    """Whether a peptide bond joins two residues: C and N within 2 Å."""
    from openmm import unit

    ends = [atom.index for residue, name in ((before, "C"), (after, "N")) for atom in residue.atoms()
            if atom.name == name]
    return len(ends) == 2 and math.dist(*(positions[end].value_in_unit(unit.angstrom) for end in ends)) < 2.0


def _check_ends(topology):
    for chain in topology.chains():
        names = [residue.name for residue in chain.residues()]
        open_ends = [name for name in (names[0], names[-1]) if name not in CAPS]
        if open_ends:
            warnings.warn(f"Chain {chain.id} ends in uncapped {' and '.join(open_ends)}, charged at most values of pH; "
                          "ACE and NME caps make neutral ends.", PeptideWarning, stacklevel=3)


def _total_charge(field, topology):
    """Total charge in e, the sum of a force field's, which also proves that every residue is complete."""
    from openmm import NonbondedForce, unit

    try:
        system = field.createSystem(topology)
    except ValueError as error:
        raise StructureError(f"A residue is incomplete or unknown: {' '.join(str(error).split())[:200]}") from error
    force = next(force for force in system.getForces() if isinstance(force, NonbondedForce))
    total = sum(force.getParticleParameters(n)[0].value_in_unit(unit.elementary_charge)
                for n in range(system.getNumParticles()))
    return float(round(total))
