"""Derive the constants of activations.h: ``python csrc/math/derive_coefficients.py``.

exp(r) = 1 + r + r^2 q(r) on |r| <= ln(2)/2, with q a polynomial fitted at Chebyshev nodes, which
is within a few percent of the minimax polynomial.  ln(2) is split in two so that n * high is exact
for every exponent n, also on machines without a fused multiply-add.
"""

from __future__ import annotations

from mpmath import chebyfit, exp, ldexp, log, mp, mpf, nint, polyval

mp.dps = 60


def q(r):
    if abs(r) < mpf(10) ** -12:  # the closed form cancels here
        return mpf(1) / 2 + r / 6 + r * r / 24
    return (exp(r) - 1 - r) / (r * r)


def split_ln2(bits):
    high = ldexp(nint(ldexp(log(2), bits)), -bits)
    return high, log(2) - high


for name, degree, high_bits in (("float", 4, 14), ("double", 10, 41)):
    half = log(2) / 2
    coefficients = chebyfit(q, [-half, half], degree + 1)
    high, low = split_ln2(high_bits)
    grid = [half * i / 500 for i in range(-500, 501)]
    error = max(abs((1 + r + r * r * polyval(coefficients, r)) / exp(r) - 1) for r in grid)
    print(f"{name}: relative error of exp {mp.nstr(error, 3)}")
    print(f"  ln2 high {mp.nstr(high, 20)} low {mp.nstr(low, 20)}")
    for power, c in zip(range(degree, -1, -1), coefficients):
        print(f"  r^{power}: {mp.nstr(c, 9 if name == 'float' else 18)}")
