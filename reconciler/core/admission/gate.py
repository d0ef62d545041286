"""Admission: the check between a plugin's fragment and the engine.

A plugin is third-party code, and Docker can give a container full access to the host. Each field of a fragment is checked
here before it becomes part of a stack: what is not known to be harmless is refused, with the rule, the field path and the
remedy. The rules themselves are data, in `rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from reconciler.api.errors import PermanentError
from reconciler.api.reasons import Reason
from reconciler.core.admission.images import is_allowed
from reconciler.core.admission.names import squatted
from reconciler.core.admission.paths import Verdict, judge, written_paths
from reconciler.core.admission.policy import Finding, Policy, Profile, Rule, Subject
from reconciler.core.admission.rules import ADVICE, OPENED_BY_PATH, RULES
from reconciler.core.compose.fragment import ask, read_fragment
from vault_plugins.contract import VaultServicePlugin

ANNOTATION: Final = "vault.internal/admission"
"""The annotation of a VaultService that names its profile."""

Sections = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""`services`, `volumes`, `networks`, `configs` and `secrets` of a fragment."""


class AdmissionError(PermanentError):
    """The fragment asks for more than its profile allows; the message holds every finding, one per line, and what would
    allow them.
    """

    reason = Reason.ADMISSION

    def __init__(self, message: str, findings: tuple[Finding, ...] = (), allowed_by: str = "") -> None:
        super().__init__("\n  ".join(filter(None, [message, *map(str, findings), allowed_by])))
        self.findings = findings


def profile_of(name: str, annotations: Mapping[str, str], policy: Policy) -> Profile:
    """The profile that a VaultService asks for and may have. Raises AdmissionError."""
    asked = annotations.get(ANNOTATION, Profile.BASELINE.value)
    place = f"metadata.annotations: {ANNOTATION}"
    if asked not in set(Profile):
        raise AdmissionError(f"{place} is {asked!r}; it can be {', '.join(Profile)}")
    if asked == Profile.PRIVILEGED and name not in policy.allow_privileged:
        raise AdmissionError(
            f"{place} is {asked}, which the operator does not allow {name!r}; run vaultctl with "
            f"--allow-privileged {name}, or remove the annotation"
        )
    return Profile(asked)


def check_proxy_image(image: str, policy: Policy) -> None:
    """Let an image run as HAProxy, or raise AdmissionError; no profile of a manifest changes the answer."""
    if not is_allowed(image, policy.proxy_images):
        raise AdmissionError(
            f"spec.proxy.image is {image!r}, which the operator does not allow; have vaultctl run with "
            f"--proxy-image {image}, or use one of: {', '.join(policy.proxy_images)}"
        )


def check_secret_file(field: str, path: str, policy: Policy) -> None:
    """Let a container have the whole of a plain file that a manifest names, or raise AdmissionError.

    That shows as much as a mount of it does. What is encrypted was encrypted for this; any other file may be the host's.
    """
    subject = Subject("spec", "secrets", {}, False, frozenset(), policy)
    if judge(path, subject, writable=False) is not Verdict.ALLOWED:
        raise AdmissionError(
            f"{field}: {path!r} is a plain file that no container may mount; encrypt it (vaultctl secret encrypt), name "
            "one of its settings with key, or have the operator run vaultctl with --host-path for a directory around it"
        )


def check_names(service: str, workloads: Iterable[str], was_first: Callable[[str], bool]) -> None:
    """Raise AdmissionError for workloads whose container names an older service already uses."""
    found = tuple(
        Finding(
            f"services.{workload}",
            "foreign-name",
            f"its containers would have the names of service {other!r}",
            "give it another name",
        )
        for workload, other in squatted(service, workloads, was_first)
    )
    if found:
        raise AdmissionError(f"service {service!r} would take names of others:", found)


def admit(
    plugin: str, profile: Profile, sections: Sections, web: Collection[str], policy: Policy
) -> tuple[str, ...]:
    """Accept a checked fragment, or raise AdmissionError with every finding of its profile.

    Returns warnings, one for each rule and not for each service. `plugin` is the slug, `web` the names of the
    services that HAProxy serves.
    """
    warnings, subjects = [], tuple(_subjects(sections, web, policy))
    if refused := _refused(subjects, profile):
        title = f"plugin {plugin!r} asks for what profile {profile.value!r} refuses:"
        raise AdmissionError(title, refused, _allowed_by(profile, refused))
    for advice in ADVICE:
        found = [finding for subject in subjects for finding in advice.apply(subject)]
        if found:
            places = ", ".join(dict.fromkeys(finding.path for finding in found))
            warnings.append(f"{places}: {advice.problem} ({advice.name}); {advice.way_out}")
    return tuple(warnings)


def _allowed_by(profile: Profile, refused: Iterable[Finding]) -> str:
    """What the operator can do for all findings; paths have an option of their own, which gives less away."""
    if profile is not Profile.BASELINE or all(finding.rule in OPENED_BY_PATH for finding in refused):
        return ""
    return (
        f"a service that cannot do without: metadata.annotations: {ANNOTATION}: {Profile.PRIVILEGED.value}, and the "
        "operator's option --allow-privileged with its name, which gives it the whole machine"
    )


def review(
    sections: Sections, web: Collection[str], policy: Policy, profile: Profile = Profile.BASELINE
) -> tuple[Finding, ...]:
    """Everything that this profile refuses, in order of place. Never raises."""
    return _refused(_subjects(sections, web, policy), profile)


def _refused(subjects: Iterable[Subject], profile: Profile) -> tuple[Finding, ...]:
    found = (
        finding
        for subject in subjects
        for rule in _rules(profile, subject.section)
        for finding in rule.apply(subject)
    )
    return tuple(sorted(found))


@cache
def _rules(profile: Profile, section: str) -> tuple[Rule, ...]:
    # Runs in every pass, and most entries are volumes and networks, to which few rules apply.
    return tuple(rule for rule in RULES[profile] if rule.section == section)


def inspect(plugin: VaultServicePlugin, settings: Mapping[str, str]) -> tuple[Finding, ...]:
    """Findings for a plugin's author: everything that `baseline` refuses without operator settings, and advice.

    `settings` are complete, with the plugin's defaults. Raises BuildError when there is no fragment to look at.
    """
    fragment = read_fragment(ask(plugin, settings), settings)
    sections = {"services": fragment.services, **fragment.top_level}
    advice = (
        finding
        for subject in _subjects(sections, fragment.web, Policy())
        for rule in ADVICE
        for finding in rule.apply(subject)
    )
    return (*review(sections, fragment.web, Policy()), *sorted(advice))


def _subjects(sections: Sections, web: Collection[str], policy: Policy) -> Iterator[Subject]:
    services = sections.get("services", {})
    # Inspect each path once, so that all rules see the same state of the host.
    policy = replace(
        policy,
        look=cache(policy.look),
        routes=cache(policy.routes),
        engine_directories=cache(policy.engine_directories),
    )
    siblings, writable = frozenset(services), written_paths(services, policy)
    for section, entries in sections.items():
        for name, body in entries.items():
            is_web = section == "services" and name in web
            yield Subject(section, name, body, is_web, siblings, policy, writable)
