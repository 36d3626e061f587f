"""Tables and figure of a comparison; ``python tests/benchmarks/report.py`` renews them from results.yaml."""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import yaml
from compare import RESULTS, SIZES

README = Path(__file__).parents[2] / "README.md"
START, END = "<!-- table: speed -->", "<!-- end of table: speed -->"
#: Left out of the figure: one size each, or a variant for one line of the numbers.
NOT_DRAWN = {"ase_lode, one thread", "ase_lode, field l ≤ 4", "featomic LODE 1.0 Å, gradients"}


def write(results, folder, renew_readme):
    """Results, figure and tables into a folder; the table into the README."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.yaml").write_text(yaml.safe_dump(results, sort_keys=False, allow_unicode=True),
                                         encoding="utf-8")
    draw(results["methods"], folder / "peers.png")
    heading = f"{results['machine']}, {results['date']}, Python {results['python']}."
    (folder / "README.md").write_text(
        "# Speed and memory\n\nWritten by `python tests/benchmarks/compare.py`; water at 1 g/cm³, "
        f"least of several repeats.\n\n{heading}\n\n## The model of [speed.yaml](../speed.yaml)\n\n{numbers(results)}"
        f"\n\n## Beside peers\n\n{table(results['methods'])}\n\n![time and memory](peers.png)\n\n"
        f"Releases: {', '.join(sorted({m['version'] for m in results['methods'].values()}))}.\n", encoding="utf-8")
    if renew_readme:
        before, rest = README.read_text(encoding="utf-8").split(START)
        text = (f"{before}{START}\n![time and memory](tests/benchmarks/results/peers.png)\n\n"
                f"{table(results['methods'])}\n\n{heading}\n{END}{rest.split(END)[1]}")
        README.write_text(text, encoding="utf-8")


def table(methods):
    """Markdown: µs per atom by size, peak memory of the largest."""
    lines = ["| | computes | long range | " + " | ".join(f"{size:,}" for size in SIZES) + " | peak memory |",
             "|---|---|---|" + "---:|" * (len(SIZES) + 1)]
    for name, method in methods.items():
        sizes = method["sizes"]
        if not sizes:
            continue
        times = [number(1e6 * sizes[size]["seconds"] / size) if size in sizes else "" for size in SIZES]
        largest = max(sizes)
        lines.append(f"| {name} | {method['computes']} | {'yes' if method['long_range'] else 'no'} | "
                     f"{' | '.join(times)} | {memory(sizes[largest]['MiB'])} at {largest:,} |")
    return "\n".join(lines)


def numbers(results):
    """Markdown: the figures by which the model of speed.yaml is judged, as far as they were measured."""
    def time(name, size):
        return results["methods"].get(name, {}).get("sizes", {}).get(size, {}).get("seconds", math.nan)

    def per_atom(name, size):
        return 1e6 * time(name, size) / size

    ours, gradients, fine = "ase_lode", "featomic LODE, gradients", "featomic LODE 1.0 Å, gradients"
    large = results["methods"].get(ours, {}).get("sizes", {}).get(110_592, {"MiB": math.nan})
    rows = {"energy, forces and stress, 3072 atoms, 2 threads": f"{per_atom(ours, 3072):.1f} µs/atom",
            "the same without the field": f"{per_atom(f'{ours} without field', 3072):.1f} µs/atom",
            "exponent of the time, 192 to 24,000 atoms":
                f"{math.log(time(ours, 24_000) / time(ours, 192)) / math.log(125):.3f}",
            "2 threads against 1, 3072 atoms": f"{time(f'{ours}, one thread', 3072) / time(ours, 3072):.2f} times",
            "110,592 atoms, peak memory": memory(large["MiB"]),
            "molecule of 22 atoms, `get_forces` through ASE": f"{1e3 * results['molecule_seconds']:.2f} ms"}
    for size in (192, 648):
        exterior, full = (time(gradients, size) / time(f"{ours}, {field}", size)
                          for field in ("field l ≤ 4", "featomic's field"))
        rows[f"featomic's LODE with position gradients against our energy, forces and stress, l ≤ 4, {size} atoms"] = \
            f"{exterior:,.0f} times (exterior field), {full:,.0f} times (featomic's field)"
        rows[f"the same with the smearing 1.0 Å of featomic's documentation, {size} atoms"] = \
            f"{time(fine, size) / time(f'{ours}, field l ≤ 4', size):,.0f} times (exterior field)"
    # Among the peers is torch, which the neighbour search imports where it is installed.
    rows["new process to the first energy, cache warm / cold, beside torch (without it: startup.py)"] = \
        f"{results['warm_seconds']:.1f} / {results['cold_seconds']:.0f} s"
    rows["`ase-lode --help`"] = f"{results['help_seconds']:.2f} s"
    return "| what | measured |\n|---|---|\n" + "\n".join(
        f"| {what} | {value} |" for what, value in rows.items() if "nan" not in value)


def number(value):
    """Two digits or more."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def memory(mebibytes):
    return f"{mebibytes / 1024:.1f} GiB"


def draw(methods, path):
    """Time per atom and peak memory against size; ours in colour and bold, local methods dashed."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    colours = iter(plt.get_cmap("tab20").colors[2:])
    for name, method in methods.items():
        sizes = sorted(method["sizes"])
        if name in NOT_DRAWN or not sizes:
            continue
        ours = name.startswith("ase_lode")
        style = {"color": {"ase_lode": "black"}.get(name) or next(colours), "lw": 2.6 if ours else 1.3, "marker": "o",
                 "ms": 5 if ours else 3.5, "ls": "-" if method["long_range"] else "--", "zorder": 3 if ours else 2}
        found = [method["sizes"][size] for size in sizes]
        axes[0].loglog(sizes, [1e6 * f["seconds"] / n for f, n in zip(found, sizes)], label=name, **style)
        axes[1].loglog(sizes, [f["MiB"] / 1024 for f in found], **style)
    axes[0].set(xlabel="atoms of water", ylabel="time per evaluation, µs per atom")
    axes[1].set(xlabel="atoms of water", ylabel="peak memory of the process, GiB")
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=8, title="full lines: long range\ndashed: local", frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    write(yaml.safe_load((RESULTS / "results.yaml").read_text(encoding="utf-8")), RESULTS, renew_readme=True)
