"""Admission, which limits what plugins can ask of the host: profiles, rules as data, and the gate that applies them to a
plugin's fragment.
"""

from __future__ import annotations

from reconciler.core.admission.gate import (
    ANNOTATION,
    AdmissionError,
    admit,
    check_names,
    check_proxy_image,
    check_secret_file,
    inspect,
    profile_of,
    review,
)
from reconciler.core.admission.policy import Finding, Policy, Profile
from reconciler.core.admission.roots import HOST_ROOTS, HostRoot

__all__ = [
    "ANNOTATION",
    "HOST_ROOTS",
    "AdmissionError",
    "Finding",
    "HostRoot",
    "Policy",
    "Profile",
    "admit",
    "check_names",
    "check_proxy_image",
    "check_secret_file",
    "inspect",
    "profile_of",
    "review",
]
