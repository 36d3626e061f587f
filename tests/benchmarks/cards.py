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


def table():
    """Markdown rows of name, elements, level of theory, validation errors, licence."""
    lines = ["| name | elements | level of theory | energy meV/atom | forces meV/Å | stress GPa | data licence |",
             "|---|---|---|---|---|---|---|"]
    for row in list_potentials():
        lines.append(f"| `{row['name']}` | {' '.join(row['elements'])} | {row['level_of_theory']} | "
                     f"{' | '.join(errors(row['errors']['validation']))} | {row['licence']} |")
    return "\n".join(lines)


def errors(part):
    """Energy, force and stress errors as text."""
    return [f"{1000 * part['energy']['rmse']:.2f}", f"{1000 * part['forces']['rmse']:.0f}",
            f"{GPA * part['stress']['rmse']:.3f}" if "stress" in part else "—"]


def card(name):
    """Everything a user must know of one potential."""
    potential = load_potential(name)
    header = potential.header
    lines = [f"# {name}", "", f"Elements: {', '.join(potential.elements)}"]
    lines += [f"\n{title}: {header[key]}" for title, key in FACTS.items() if key in header]
    lines += ["", "| structures | energy meV/atom | forces meV/Å | stress GPa |", "|---|---|---|---|"]
    for part, values in header["errors"].items():
        lines.append(f"| {part} ({header['data'][part]}) | {' | '.join(errors(values))} |")
    training = header["training"]
    how = (f"network, {training['steps']} steps, best on validation" if potential.model.head.type == "network"
           else f"regularisation {training['regularisation']:g}, chosen on {training['chosen_on']}")
    seen = ", ".join(header["data"]["periodicities"])
    lines += ["", f"Root mean square errors. Trained on periodicities {seen}; {how}. "
              "Rebuild: `ase-lode train train.yaml --data FOLDER`."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv:
        readme = ROOT / "README.md"
        before, rest = readme.read_text(encoding="utf-8").split(START)
        readme.write_text(f"{before}{START}\n{table()}\n{END}{rest.split(END)[-1]}", encoding="utf-8")
        for row in list_potentials():
            (ROOT / "potentials" / row["name"] / "card.md").write_text(card(row["name"]), encoding="utf-8")
    else:
        print(table())
