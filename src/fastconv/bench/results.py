"""What a run found: the document behind table, summary, picture and JSON file.

Plain values only, so that a file can be read back on another machine. Knows ``operators`` and
``data``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal, Self

import numpy as np

from fastconv.bench.data import Variant
from fastconv.bench.operators import Timed

FORMAT = 1
"""Of the JSON file; raised when a reader of the old one would misread the new one."""


def geometric_mean(values: Iterable[float]) -> float:
    """The mean for ratios.

    Examples
    --------
    >>> geometric_mean([2.0, 8.0])
    4.0
    """
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


@dataclass(slots=True)
class Measurement:
    """One engine on one variant of a case.

    ``rounds`` are the medians of the rounds in seconds, ``peaks`` the FMA peak in GFLOP/s that one
    thread of the same process had meanwhile; ``error`` is the worst error found as a share
    of its bound. ``failure`` says what went wrong, and ``absent`` why the engine was not asked,
    where there are no times. Of networks ``loads`` are the seconds from files to the first answer,
    ``memory`` the peak resident bytes of each process, ``imported`` what it had before it loaded.
    """

    engine: str
    threads: int
    dtype: str
    channels_last: bool
    algorithm: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    error: float | None = None
    positions: int = 0
    rounds: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    imported: list[int] = field(default_factory=list)
    failure: str | None = None
    absent: str | None = None

    @property
    def variant(self) -> Variant:
        return Variant(self.threads, self.dtype, self.channels_last)

    @property
    def seconds(self) -> float | None:
        """Median of the rounds."""
        return self._median(self.rounds)

    @property
    def load(self) -> float | None:
        """Median seconds to the first answer."""
        return self._median(self.loads)

    @property
    def peak_memory(self) -> float | None:
        """Median bytes of a process."""
        return self._median(self.memory)

    @property
    def own_memory(self) -> float | None:
        """Median bytes that came after the imports."""
        pairs = zip(self.memory, self.imported, strict=True)
        return self._median([peak - before for peak, before in pairs])

    def _median(self, values: Sequence[float]) -> float | None:
        """None without values, and of a measurement that failed."""
        return median(values) if values and not self.failure else None


@dataclass(slots=True)
class CaseResult:
    """A case, what follows from its geometry, and its measurements."""

    id: str
    family: str
    op: str
    label: str
    places: list[str]
    geometry: dict[str, Any]
    flops: int
    macs: int
    elements: int
    dense: bool
    memory_bound: bool
    read_bound: bool = False
    measurements: list[Measurement] = field(default_factory=list)

    @classmethod
    def of(cls, case: Timed) -> Self:
        names = ("id", "family", "places")
        return cls(
            id=case.id,
            family=case.family,
            op=case.op,
            label=case.label,
            places=list(case.places),
            geometry={name: value for name, value in asdict(case).items() if name not in names},
            flops=case.flops,
            macs=case.macs,
            elements=case.elements,
            dense=case.dense,
            memory_bound=case.memory_bound,
            read_bound=case.read_bound,
        )

    def seconds(self, engine: str, variant: Variant = Variant()) -> float | None:
        """Median seconds of an engine, if it was measured."""
        for measurement in self.measurements:
            if measurement.engine == engine and measurement.variant == variant:
                return measurement.seconds
        return None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: fastconv on one variant of a case, with all ratios worked out.

    ``gflops`` is zero for poolings; shares are of one thread's peak times the threads.
    """

    result: CaseResult
    variant: Variant
    algorithm: str
    failure: str | None
    seconds: float = math.nan
    gflops: float = math.nan
    gbytes: float = math.nan
    peak_share: float = math.nan
    copy_share: float = math.nan
    read_share: float = math.nan
    times_numpy: float = math.nan
    times_loops: float = math.nan

    @property
    def yardstick(self) -> Literal["read", "copy", "peak"]:
        """What its speed is a share of: a bandwidth, or the FMA peak."""
        if self.result.read_bound:
            return "read"
        return "copy" if self.result.memory_bound else "peak"

    @property
    def share(self) -> float:
        """The share of its yardstick."""
        shares = {"read": self.read_share, "copy": self.copy_share, "peak": self.peak_share}
        return shares[self.yardstick]


@dataclass(slots=True)
class Report:
    """A run.

    Attributes
    ----------
    facts : dict
        Machine, versions, fastconv's configuration, the options of the run; with peers also
        the packages that are ``"missing"``, and why others are ``"broken"``.
    copies, reads : list of float
        GB/s of one thread, as measured between the cases; a copy's bytes are counted twice.
    cases : list of CaseResult
    complete : bool
        Whether the run came to its end.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    copies: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    cases: list[CaseResult] = field(default_factory=list)
    complete: bool = False

    def peak(self, dtype: str = "float32") -> float:
        """Median GFLOP/s of one thread over the run."""
        return median(self.peaks(dtype) or [math.nan])

    def peaks(self, dtype: str = "float32") -> list[float]:
        """GFLOP/s of multiply-adds on one thread, each taken during a round of a case."""
        return [
            peak
            for result in self.cases
            for m in result.measurements
            if m.dtype == dtype
            for peak in m.peaks
        ]

    def dtypes(self) -> list[str]:
        """The dtypes whose peak was measured."""
        return sorted({m.dtype for case in self.cases for m in case.measurements if m.peaks})

    def copy(self) -> float:
        """Median GB/s of one thread, read and written bytes both counted."""
        return median(self.copies) if self.copies else math.nan

    def read(self) -> float:
        """Median GB/s that one thread reads."""
        return median(self.reads) if self.reads else math.nan

    def failures(self) -> list[str]:
        """One line for each measurement that failed."""
        return [
            f"{result.id}: {m.engine} {m.variant.label}".rstrip() + f": {m.failure}"
            for result in self.cases
            for m in result.measurements
            if m.failure
        ]

    def rows(self) -> list[Row]:
        """Lines of the table in the order of the cases."""
        return [row for result in self.cases for row in self.rows_of(result)]

    def rows_of(self, result: CaseResult) -> Iterator[Row]:
        """Lines of one case, one for each variant that fastconv was asked for."""
        for m in result.measurements:
            if m.engine == "fastconv":
                yield self._row(result, m)

    def plain_rows(self) -> list[Row]:
        """Rows of float32 in NCHW on one thread, else of the first variant that was timed."""
        rows = [row for row in self.rows() if not row.failure]
        variants = [row.variant for row in rows]
        chosen = Variant() if Variant() in variants else next(iter(variants), None)
        return [row for row in rows if row.variant == chosen]

    def _row(self, result: CaseResult, m: Measurement) -> Row:
        variant, seconds = m.variant, m.seconds
        if seconds is None:
            return Row(result, variant, m.algorithm, m.failure)
        gflops = result.flops / seconds / 1e9
        gbytes = result.elements * np.dtype(m.dtype).itemsize / seconds / 1e9

        def times(engine: str, other: Variant) -> float:
            theirs = result.seconds(engine, other) if m.dtype == "float32" else None
            return math.nan if theirs is None else theirs / seconds

        return Row(
            result,
            variant,
            m.algorithm,
            None,
            seconds,
            gflops,
            gbytes,
            # The clock wanders over a run: the case's own peak is the yardstick.
            gflops / (median(m.peaks or [math.nan]) * m.threads),
            gbytes / (self.copy() * m.threads),
            gbytes / (self.read() * m.threads),
            times("numpy", Variant(m.threads)),
            times("loops", Variant()),
        )

    def to_json(self) -> str:
        """The document as text; figures that follow from others are included for readers."""
        document = {"format": FORMAT} | asdict(self)
        document["median"] = {
            "peak_gflops": {dtype: self.peak(dtype) for dtype in self.dtypes()},
            "copy_gbytes": self.copy() if self.copies else None,
        }
        for result, entry in zip(self.cases, document["cases"], strict=True):
            for m, line in zip(result.measurements, entry["measurements"], strict=True):
                line["seconds"] = m.seconds
        return json.dumps(document, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote.

        Raises
        ------
        ValueError
            If the text is no JSON, or no report of this format.
        """
        document = json.loads(text)
        found = document.get("format") if isinstance(document, dict) else None
        if found != FORMAT:
            raise ValueError(f"not a benchmark report of format {FORMAT}: format is {found!r}")
        del document["format"], document["median"]
        cases = []
        for entry in document.pop("cases"):
            measurements = []
            for line in entry.pop("measurements"):
                del line["seconds"]
                measurements.append(Measurement(**line))
            cases.append(CaseResult(**entry, measurements=measurements))
        return cls(**document, cases=cases)
