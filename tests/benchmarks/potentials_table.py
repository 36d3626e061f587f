"""The README's table of shipped potentials, from their cards; with --write it replaces the table in the README."""

import sys
from pathlib import Path

from ase_lode import list_potentials

README = Path(__file__).parents[2] / "README.md"
START, END = "<!-- table: potentials -->", "<!-- end -->"


def table():
    """Markdown rows of name, elements, level of theory, validation errors, licence."""
    lines = ["| name | elements | level of theory | energy meV/atom | forces meV/Å | stress GPa | data licence |",
             "|---|---|---|---|---|---|---|"]
    for row in list_potentials():
        errors = row["errors"]["validation"]
        cells = [f"{1000 * errors['energy']['rmse']:.2f}", f"{1000 * errors['forces']['rmse']:.0f}",
                 f"{160.21766 * errors['stress']['rmse']:.2f}" if "stress" in errors else "—"]
        lines.append(f"| `{row['name']}` | {' '.join(row['elements'])} | {row['level_of_theory']} | "
                     f"{' | '.join(cells)} | {row['licence']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if "--write" in sys.argv:
        before, rest = README.read_text(encoding="utf-8").split(START)
        after = rest.split(END)[-1]
        README.write_text(f"{before}{START}\n{table()}\n{END}{after}", encoding="utf-8")
    else:
        print(table())
