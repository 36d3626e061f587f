"""The entry point `ase.plugins`: tells ASE that there is a calculator named ase_lode.

The plugin classes are private in ASE 3.29; where they are missing or have moved, ASE finds no plugin and nothing fails.
"""

try:
    from ase._4.plugins.plugin import CalculatorPlugin

    __ase_plugins__ = {CalculatorPlugin(
        name="ase_lode", implementation="ase_lode.calculator.LODECalculator",
        citation="Grisafi, Nigam, Ceriotti, Chem. Sci. 12, 2078 (2021)")}
except (ImportError, TypeError):
    __ase_plugins__ = set()
