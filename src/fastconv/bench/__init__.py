"""The benchmark behind ``python -m fastconv bench``: it runs wherever the package is installed.

The modules, each of which knows only those above it:

====================  ===================================================================
``layers``            a layer to time, a convolution or a pooling, and the geometry of windows
``networks``          declarative networks, and the walk that turns them into layers
``operators``         one timed call of an operator beside those layers
``cases``             the list of cases that tests, benchmarks and documentation share
``operator_cases``    the list of operators
``network_cases``     the list of whole networks
``data``              seeded random arrays for a case
``definitions``       single elements of the results, in float64
``checks``            the error bound, and the comparison with float64
``graphs``            graphs as exports read them, and what they should answer
``export_onnx``       a graph as an ONNX model
``export_ncnn``       a graph as ncnn's text and weights
``network_files``     a network as the files of all engines
``timing``            the clock
``memory``            what a process takes of memory
``engines``           the table of engines: fastconv, NumPy, scalar Python, and the peers
``worker``            the child process that serves one engine
``client``            the parent's end of such a process
``results``           what was measured, to and from JSON
``network_session``   measures one network, each engine in a new process every round
``session``           checks and times cases, engines asked in turn
``peers``             fastconv beside its peers: ratios and their means
``summary``           the rules that the figures must hold
``networks_summary``  means and rules of whole networks
``wording``           figures and a report's heading in words
``peers_text``        the comparison with peers as text
``operators_text``    the operators beside PyTorch as text
``networks_text``     whole networks beside peers as text
``views``             columns and closing lines of a report, of layers, operators or networks
``console``           plain text, or rich where it is installed
``palette``           names and colours of the families
``plot``              the picture (matplotlib)
``charts``            the charts of the page, as SVG
``page_style``        its style sheet
``page``              the page, one HTML file
``cli``               options, and the order of things
====================  ===================================================================
"""
