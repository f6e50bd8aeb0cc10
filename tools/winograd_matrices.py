"""Derive the matrices of Winograd's minimal filtering exactly, check them, and print G.

F(m, r) computes m outputs of a filter of r taps from n = m + r - 1 products: with a filter g and
n pixels d, y = A^T [(G g) * (B^T d)].  Interpolation at n - 1 points and infinity (Toom and Cook)
gives all three matrices; each point may scale its row of G by any factor if the row of B^T is
scaled back.  Here B^T and A^T hold numbers that a float32 represents exactly, so that
the scaling goes to G alone, which is applied once, in float64 (csrc/kernels/winograd.inc).

    python tools/winograd_matrices.py

S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for
Convolutional Neural Networks, 2016; on the choice of points: B. Barabasz et al., Error Analysis and
Improving the Accuracy of Winograd Convolution for Deep Neural Networks, 2020.
"""

from fractions import Fraction
from itertools import product
from random import Random

# The error of F(4, 3) at these points is 1.5 to 2.1 times that of direct convolution; at the
# textbook's 0, 1, -1, 2, -2 it is 4 to 5 times.
SIX_POINTS = tuple(map(Fraction, ("0", "5/8", "-5/8", "3/2", "-3/2")))
FOUR_POINTS = tuple(map(Fraction, ("0", "1", "-1")))

FORMS = {"f43": (4, 3, SIX_POINTS), "f25": (2, 5, SIX_POINTS), "f23": (2, 3, FOUR_POINTS)}


def polynomial(roots):
    """Coefficients, lowest first, of the product of (x - root)."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        scaled = [-root * value for value in coefficients] + [Fraction(0)]
        coefficients = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients


def matrices(m, r, points):
    """Return A^T (m x n), G (n x r) and B^T (n x n), n = m + r - 1, for n - 1 points."""
    n = m + r - 1
    assert len(points) == n - 1
    at = [[p**i for p in points] + [Fraction(i == m - 1)] for i in range(m)]
    g, bt = [], []
    for p in points:
        others = [q for q in points if q != p]
        scale = Fraction(1)
        for q in others:
            scale *= p - q
        g.append([p**j / scale for j in range(r)])
        bt.append([*polynomial(others), Fraction(0)])
    g.append([Fraction(j == r - 1) for j in range(r)])
    bt.append(polynomial(points))
    return at, g, bt


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def check(m, r, points):
    """Assert that the identity holds exactly, on a basis and on random filters and pixels."""
    at, g, bt = matrices(m, r, points)
    n = m + r - 1
    unit = [[Fraction(i == j) for j in range(n)] for i in range(n)]
    rng = Random(0)
    some = [[Fraction(rng.randint(-99, 99), 7) for _ in range(n)] for _ in range(20)]
    for d, filter_ in product(unit + some, [row[:r] for row in unit[:r] + some]):
        products = [a * b for a, b in zip(times(g, filter_), times(bt, d), strict=True)]
        direct = [sum(d[i + j] * filter_[j] for j in range(r)) for i in range(m)]
        assert times(at, products) == direct
    for row in at + bt:
        for value in row:
            assert value.denominator & (value.denominator - 1) == 0, "exact in binary"
            assert abs(value.numerator) < 2**24, "exact in float32"


def main():
    for name, (m, r, points) in FORMS.items():
        check(m, r, points)
        at, g, bt = matrices(m, r, points)
        print(f"F({m}, {r}), {name}")
        for title, rows in (("A^T", at), ("B^T", bt)):
            print(title, *(" ".join(f"{float(v):>12.10g}" for v in row) for row in rows), sep="\n")
        print(
            "G",
            *(", ".join(f"{v.numerator}. / {v.denominator}" for v in row) for row in g),
            sep="\n",
        )


if __name__ == "__main__":
    main()
