"""Whether a recorded rollout is the one towards a stack, also when an earlier release wrote the record.

Earlier releases named a rollout by the web workloads alone. Their record of a stack with a database is recognised as long
as the spec says the same, so that an upgrade neither begins a rollout nor forgets that one was rejected.
"""

from __future__ import annotations

from pydantic import ValidationError

from reconciler.api import Spec
from reconciler.api.model import AS_STORED, ApiModel
from reconciler.api.revisioned import with_revision_of
from reconciler.core.desired.stack import Stack
from reconciler.store.base import RevisionRecord


def is_towards(record: RevisionRecord, stack: Stack, spec: ApiModel) -> bool:
    """Whether this rollout went, or goes, towards this stack, which `spec` comes to."""
    if record.covers == "stack":
        return record.revision in stack.revisions
    # Such a record is of a VaultService.
    return record.revision in stack.web_revisions and isinstance(spec, Spec) and _says_the_same(record, spec)


def spec_of(record: RevisionRecord) -> Spec:
    """The spec of a rollout. Raises ValidationError for what is none."""
    return Spec.model_validate_json(record.spec, context=AS_STORED)


def _says_the_same(record: RevisionRecord, spec: Spec) -> bool:
    try:
        return with_revision_of(spec_of(record), spec) == spec
    except ValidationError:
        return False
