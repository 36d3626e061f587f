"""The smeared power law: real space, reciprocal space and the constant between them."""

import numpy as np
import pytest
import reference

from ase_lode.errors import ConfigError
from ase_lode.field import PowerLaw
from ase_lode.field.power_law import background


@pytest.mark.parametrize("exponent", range(7))
def test_transform_is_the_integral_over_gaussians(exponent):
    k = np.linspace(0.05, 9, 60)
    value, _ = PowerLaw(exponent, 0.8).transform(k**2)
    expected = reference.transform(exponent, 0.8, k)
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-14 * expected.max())


@pytest.mark.parametrize("exponent", range(7))
def test_slope_is_the_derivative_of_the_transform(exponent):
    law, k2 = PowerLaw(exponent, 0.8), np.linspace(0.5, 30, 40)
    numeric = reference.central(lambda h: law.transform(k2 + h)[0], 1e-3)
    np.testing.assert_allclose(law.transform(k2)[1], numeric, rtol=1e-8, atol=1e-9 * abs(numeric).max())


@pytest.mark.parametrize("exponent", range(7))
def test_limit_at_zero_wave_vector(exponent):
    law = PowerLaw(exponent, 0.8)
    value, slope = law.transform(np.array([0.0, 1e-10]))
    assert slope[0] == 0
    if 0 < exponent <= 3:
        assert value[0] == 0
    else:
        assert value[0] == pytest.approx(value[1], rel=1e-4)


@pytest.mark.parametrize("exponent", range(1, 7))
def test_value_becomes_the_power_law_and_is_smooth_at_the_origin(exponent):
    law = PowerLaw(exponent, 0.5)
    assert law.value(6.0) == pytest.approx(6.0**-exponent, rel=1e-12)
    np.testing.assert_allclose(law.value(np.array([0.0, 1e-8, 1e-5])), law.value(1e-4), rtol=1e-7)


@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_background_is_the_mean_that_k_zero_drops(exponent):
    k = 1e-4
    lost = [background(exponent, width, 1.0) - PowerLaw(exponent, width).transform(k**2)[0] for width in (0.5, 1.3)]
    assert lost[0] == pytest.approx(lost[1], rel=1e-6)


def test_wrong_parameters_are_refused():
    with pytest.raises(ConfigError, match="Exponent 7"):
        PowerLaw(7, 1.0)
    with pytest.raises(ConfigError, match="positive"):
        PowerLaw(1, 0.0)
