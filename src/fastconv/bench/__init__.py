"""The benchmark behind ``python -m fastconv bench``: it runs wherever the package is installed.

The modules, each of which knows only those above it:

==============  ====================================================================
``layers``      one timed layer, a convolution or a pooling, as a frozen dataclass
``networks``    declarative networks, and the walk that turns them into layers
``cases``       the list of cases that tests, benchmarks and documentation share
``data``        seeded random arrays for a case
``checks``      the error bound, and the comparison with float64
``timing``      the clock
``engines``     the table of engines: fastconv, NumPy, scalar Python
``worker``      the child process that serves one engine
``client``      the parent's end of such a process
``results``     what was measured, to and from JSON
``session``     checks and times cases, engines asked in turn
``summary``     the rules that the figures must hold
``console``     plain text, or rich where it is installed
``plot``        the picture (matplotlib)
``cli``         options, and the order of things
==============  ====================================================================
"""
