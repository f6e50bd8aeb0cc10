"""What the tests of files of weights share."""

import re

import numpy as np
import pytest

from fastconv.models import load_weights

VALUES = np.arange(24, dtype=np.float32)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def refused(path, message):
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} cannot be read: .*{message}"):
        load_weights(path)
