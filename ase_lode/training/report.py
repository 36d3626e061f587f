"""The report of a training run or of a test: one HTML page that needs nothing else."""

import base64
import html
import io

import numpy as np

LABELS = {"energy": ("Energy", "eV/atom", 1e3, "meV/atom"), "forces": ("Forces", "eV/Å", 1e3, "meV/Å"),
          "stress": ("Stress", "eV/Å³", 1e3, "meV/Å³"), "dipole": ("Dipole", "e·Å", 1e3, "me·Å"),
          "polarizability": ("Polarizability", "Å³", 1.0, "Å³"),
          "dielectric_tensor": ("Dielectric tensor", "1", 1.0, "1"),
          "born_effective_charges": ("Born effective charges", "e", 1e3, "me")}
COLOURS = {"train": "#9aa5b1", "validation": "#c2410c", "test": "#c2410c"}
#: Points drawn per panel: more are not seen.
POINTS = 20_000
#: Fewer points than this are drawn larger.
CLEARLY_SEEN = 1000
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem }
table { border-collapse: collapse; margin: .5rem 0 } td, th { padding: .2rem .9rem .2rem 0; text-align: left;
border-bottom: 1px solid #e4e7eb; vertical-align: top } td.n, th.n { text-align: right;
font-variant-numeric: tabular-nums } img { max-width: 100% } p.note { color: #616e7c; margin: .2rem 0 }
pre { background: #f5f7fa; padding: .8rem; overflow-x: auto; font-size: 13px }
"""


def html_report(potential, report, comparisons):
    """The page.

    Parameters
    ----------
    potential : Potential
        With its card in the header.
    report : dict
        Outcome of the run, as in ``metrics.yaml``.
    comparisons : dict of Comparison
        By part: train, validation or test.

    Returns
    -------
    str
        HTML with all figures inside.
    """
    name = html.escape(potential.name)
    sections = [f"<h1>{name}</h1>", f'<p class="note">{html.escape(_headline(potential, report))}</p>',
                _errors(comparisons), _figure(_parity(comparisons)), _by_class(comparisons),
                _with_and_without(report), _learning(report), _calibration(comparisons, report),
                _card(potential), _settings(potential)]
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
            f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(s for s in sections if s) + "\n</body></html>\n")


def _headline(potential, report):
    counts = report["structures"]
    counts = ", ".join(f"{n} {part}" for part, n in counts.items()) if isinstance(counts, dict) else f"{counts} test"
    return f"Elements {', '.join(potential.elements)}; structures: {counts}; potential {str(potential.sha256)[:12]}"


def _table(head, rows):
    numeric = [all(isinstance(row[k], (int, float)) or row[k] == "" for row in rows) for k in range(len(head))]

    def cells(row, tag):
        return "".join(f"<{tag}{' class=n' if n else ''}>{html.escape(_text(value))}</{tag}>"
                       for value, n in zip(row, numeric))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{cells(head, 'th')}</tr>{body}</table>"


def _text(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _errors(comparisons):
    rows = []
    for part, comparison in comparisons.items():
        summary = comparison.summary()
        for label, (title, _, factor, unit) in LABELS.items():
            if label in summary:
                error = summary[label]
                rows.append((part, title, factor * error["rmse"], factor * error["mae"], unit, error["count"]))
                if "rmse_per_atom" in error:
                    rows.append((part, f"{title}, per atom", factor * error["rmse_per_atom"], "", unit, error["count"]))
        rows += [(part, f"Forces on {element}", 1e3 * e["rmse"], 1e3 * e["mae"], "meV/Å", e["count"])
                 for element, e in summary.get("forces_by_element", {}).items()]
    return "<h2>Errors</h2>" + _table(("", "label", "RMSE", "MAE", "unit", "numbers"), rows)


def _by_class(comparisons):
    rows = []
    for part, comparison in comparisons.items():
        summary = comparison.summary()
        for label, (title, _, factor, unit) in LABELS.items():
            rows += [(part, kind, title, factor * e["rmse"], factor * e["mae"], unit)
                     for kind, e in summary.get(f"{label}_by_config_type", {}).items()]
    if not rows:
        return ""
    return "<h2>Errors by configuration type</h2>" + _table(("", "type", "label", "RMSE", "MAE", "unit"), rows)


def _figure(figure):
    """An image element that holds the figure itself."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130, metadata={"Software": None})
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'


def _axes(columns, height=3.6):
    from matplotlib.figure import Figure  # without pyplot: no global state, no display

    figure = Figure(figsize=(4.2 * columns, height), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, columns))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure, axes


def _parity(comparisons):
    labels = [label for label in LABELS if any(label in c.reference for c in comparisons.values())]
    figure, axes = _axes(len(labels))
    for axis, label in zip(axes, labels):
        title, unit, factor, small = LABELS[label]
        for part, comparison in comparisons.items():
            if label not in comparison.reference:
                continue
            x, y = (np.concatenate([np.ravel(v) for v in values[label]])
                    for values in (comparison.reference, comparison.predicted))
            step = max(1, len(x) // POINTS)
            rmse = factor * np.sqrt(np.mean((x - y) ** 2))
            size = 6 if len(x) < CLEARLY_SEEN else 3
            axis.plot(x[::step], y[::step], ".", markersize=size, alpha=0.5, color=COLOURS[part], markeredgewidth=0,
                      label=f"{part}: {rmse:.3g} {small}")
        axis.axline((x[0], x[0]), slope=1, color="#1f2933", linewidth=0.6)
        axis.set_xlabel(f"reference, {unit}")
        axis.set_ylabel(f"potential, {unit}")
        axis.ticklabel_format(useOffset=False)
        axis.set_title(title, fontsize=10)
        axis.legend(fontsize=8, frameon=False, markerscale=3)
    return figure


def _with_and_without(report):
    both = report.get("same_model", {})
    if not both.get("without_fields"):
        return ""
    rows = [(LABELS[label][0], LABELS[label][2] * both["with_fields"][label],
             LABELS[label][2] * both["without_fields"][label], LABELS[label][3]) for label in both["with_fields"]]
    note = ("The same data and weights, fitted again without the features of the far fields; RMSE on the structures "
            f"that chose the regularisation ({report['regularisation_chosen_on']}).")
    return (f'<h2>Without long range</h2><p class="note">{note}</p>'
            + _table(("", "with fields", "without fields", "unit"), rows))


def _learning(report):
    curve = report.get("learning_curve")
    if not curve:
        return ""
    labels = [label for label in LABELS if label in curve[0]]
    figure, axes = _axes(len(labels), 3.0)
    sizes = [point["structures"] for point in curve]
    for axis, label in zip(axes, labels):
        title, _, factor, unit = LABELS[label]
        values = [factor * point[label] for point in curve]
        axis.loglog(sizes, values, "o-", color=COLOURS["validation"], markersize=4)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.set_yticks([values[0], values[-1]], [f"{value:.3g}" for value in (values[0], values[-1])])
        axis.set_xlabel("training structures")
        axis.set_ylabel(f"RMSE, {unit}")
        axis.set_title(title, fontsize=10)
    return ('<h2>Learning curve</h2><p class="note">Errors on structures held back, by number of training structures.'
            "</p>" + _figure(figure))


def _calibration(comparisons, report):
    part = next((p for p in ("validation", "test") if p in comparisons and comparisons[p].judged()), None)
    if part is None:
        return ""
    judged = comparisons[part].judged()
    figure, axes = _axes(len(judged), 3.2)
    levels = np.linspace(0, 3, 61)
    for axis, (label, (errors, sigma)) in zip(axes, judged.items()):
        ratio = abs(errors) / np.maximum(sigma, 1e-300)
        axis.plot(levels, [_normal_share(level) for level in levels], color="#1f2933", linewidth=0.8, label="expected")
        axis.plot(levels, [np.mean(ratio <= level) for level in levels], color=COLOURS[part], label="found")
        axis.axvline(1, color="#cbd2d9", linewidth=0.8, zorder=0)
        axis.set_xlabel("error / predicted standard deviation")
        axis.set_ylabel("share of errors below")
        share = np.mean(ratio <= 1)
        axis.set_title(f"{LABELS[label][0]}: {share:.0%} within one sigma", fontsize=10)
        axis.legend(fontsize=8, frameon=False)
    return f"<h2>Uncertainty</h2><p class=note>Judged on {part} structures.</p>" + _figure(figure)


def _normal_share(level):
    from math import erf, sqrt

    return erf(level / sqrt(2))


def _card(potential):
    shown = {key: value for key, value in potential.header.items() if isinstance(value, (str, int, float))}
    data = potential.header.get("data", {})
    shown |= {f"data: {key}": _plain(value) for key, value in data.items() if value is not None}
    shown |= {f"version of {key}": value for key, value in potential.header.get("versions", {}).items()}
    baseline = potential.baseline
    if potential.weights is not None:
        shown |= {f"reference energy of {e}, eV": float(x) for e, x in zip(baseline.elements, baseline.energies)}
    if potential.response is not None:
        shown |= {f"response: {name}": _plain(entry) for name, entry in potential.response.targets.items()}
    return "<h2>Card</h2>" + _table(("", ""), [(key, _text(value)) for key, value in shown.items()])


def _plain(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return _text(value)


def _settings(potential):
    import yaml

    settings = potential.header.get("settings")
    if not settings:
        return ""
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    return f"<h2>Settings</h2><pre>{html.escape(text)}</pre>"
