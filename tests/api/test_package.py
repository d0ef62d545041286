"""`reconciler.api` exports each of its names and imports a module only on first use of one of them."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from reconciler import api


@pytest.mark.parametrize("name", api.__all__)
def test_every_name_comes_from_the_module_that_has_it(name: str) -> None:
    value = getattr(api, name)
    home = getattr(value, "__module__", "")
    if home.startswith("reconciler."):
        assert getattr(importlib.import_module(home), name) is value


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = api.Nothing


def test_an_error_needs_no_models() -> None:
    program = (
        "import sys; from reconciler.api import VaultError, find_condition; print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_importing_the_models_builds_none() -> None:
    """Each is built when it is first used, with its parts; a default that is a model must not build it before."""
    program = """
from reconciler.api import VaultService
from reconciler.api.model import ApiModel
print(*(model.__name__ for model in ApiModel.__subclasses__() if model.__pydantic_complete__))
print(VaultService.model_validate({"metadata": {"name": "a"}, "spec": {"plugin": "b"}}).spec.ports.http)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines() == ["", "8080"]
