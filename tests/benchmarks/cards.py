"""The README's table of shipped potentials and the card in each potential's folder, from the potential files.

``python tests/benchmarks/cards.py`` prints the table; with ``--write`` it renews table and cards.
"""

import sys
from pathlib import Path

from ase_lode import list_potentials, load_potential

ROOT = Path(__file__).parents[2]
START, END = "<!-- table: potentials -->", "<!-- end -->"
#: Rows of a card: title and key of the header.
FACTS = {"Level of theory": "level_of_theory", "Source of the data": "source", "Licence": "licence",
         "For": "description", "Must not be used for": "not_for"}
GPA = 160.21766
#: Errors of the response as text.
RESPONSES = {"dipole": "dipole {rmse_per_atom:.2g} e·Å/atom", "polarizability": "α {rmse_per_atom:.2g} Å³/atom",
             "dielectric_tensor": "ε {rmse:.2g}", "born_effective_charges": "Born charges {rmse:.2g} e"}


def table():
    """Markdown rows of name, elements, level of theory, validation errors, licence."""
    lines = ["| name | elements | level of theory | energy meV/atom | forces meV/Å | stress GPa | response | "
             "data licence |", "|---|---|---|---|---|---|---|---|"]
    for row in list_potentials():
        lines.append(f"| `{row['name']}` | {' '.join(row['elements'])} | {row['level_of_theory']} | "
                     f"{' | '.join(errors(row['errors']['validation']))} | {row['licence']} |")
    return "\n".join(lines)


def errors(part):
    """Energy, force, stress and response errors as text."""
    return [f"{1000 * part['energy']['rmse']:.2f}" if "energy" in part else "—",
            f"{1000 * part['forces']['rmse']:.0f}" if "forces" in part else "—",
            f"{GPA * part['stress']['rmse']:.3f}" if "stress" in part else "—",
            "; ".join(text.format(**part[label]) for label, text in RESPONSES.items() if label in part) or "—"]


def card(name):
    """Everything a user must know of one potential."""
    potential = load_potential(name)
    header = potential.header
    lines = [f"# {name}", "", f"Elements: {', '.join(potential.elements)}"]
    lines += [f"\n{title}: {header[key]}" for title, key in FACTS.items() if key in header]
    lines += ["", "| structures | energy meV/atom | forces meV/Å | stress GPa | response |", "|---|---|---|---|---|"]
    for part, values in header["errors"].items():
        lines.append(f"| {part} ({header['data'][part]}) | {' | '.join(errors(values))} |")
    how = trained(potential)
    seen = ", ".join(header["data"]["periodicities"])
    lines += ["", f"Root mean square errors. Trained on periodicities {seen}; {how}. "
              "Rebuild: `ase-lode train train.yaml --data FOLDER`."]
    return "\n".join(lines) + "\n"


def trained(potential):
    """How the model was fitted."""
    training = potential.header.get("training", {})
    if potential.weights is not None and potential.model.head.type == "network":
        taught = f", taught by a committee of {training['committee']}" if training.get("committee") else ""
        return f"network, {training['steps']} steps, best on validation{taught}"
    if potential.weights is not None:
        return f"regularisation {training['regularisation']:g}, chosen on {training['chosen_on']}"
    targets = potential.response.targets.items()
    return "fitted to " + ", ".join(f"{entry['structures']} of {name.replace('_', ' ')} ('{entry['key']}' in "
                                    f"{entry['unit'] or 'the default unit'})" for name, entry in targets)


if __name__ == "__main__":
    if "--write" in sys.argv:
        readme = ROOT / "README.md"
        before, rest = readme.read_text(encoding="utf-8").split(START)
        readme.write_text(f"{before}{START}\n{table()}\n{END}{rest.split(END)[-1]}", encoding="utf-8")
        for row in list_potentials():
            (ROOT / "potentials" / row["name"] / "card.md").write_text(card(row["name"]), encoding="utf-8")
    else:
        print(table())
