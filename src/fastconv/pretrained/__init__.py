"""Trained networks whose weights ship inside other packages, and the command that shows one.

``packages``     finds the files of an installed package without importing it
``photos``       reads a photo with Pillow and prepares it as a network takes it
``classifiers``  the table of networks that name what a photo shows
``cli``          ``python -m fastconv classify``

``imagenet.txt`` names the thousand classes; ``tools/imagenet_labels.py`` wrote it.
"""
