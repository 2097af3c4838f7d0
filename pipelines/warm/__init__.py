"""Edges are asked for a version before viewers ask, in the order viewers will; and must prove that they kept it."""

from pipelines.warm.edges import Capacity, Edge, Edges, Kind
from pipelines.warm.evidence import Checked, Evidence
from pipelines.warm.job import RECIPE, WarmJob, evidence, make, prove
from pipelines.warm.verdict import Verdict, verdict

__all__ = [
    "RECIPE",
    "Capacity",
    "Checked",
    "Edge",
    "Edges",
    "Evidence",
    "Kind",
    "Verdict",
    "WarmJob",
    "evidence",
    "make",
    "prove",
    "verdict",
]
