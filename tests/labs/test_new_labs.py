"""`lab new`, and a project of whose sample labs and first name nothing is left."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE_ROOT, BakedProject, bake_project, install_far
from environment import LabEnvironment, lab_environment, layered
from labs.cells import in_a_kernel

from ml_remote import cli
from ml_remote.project import Project

KINDS = {"leaves": "images", "houses": "table", "notes": "empty"}
LIBRARY = ("data", "evaluation", "plots", "runs", "training")
SAMPLES = re.compile(r"mnistlab|treelab|LogScaler|export_tree|\bdigits\.")
REFUSED = {
    "labs/leaves.py": "leaves",
    r"labs\Leaves.PY": "leaves",
    "../../etc/Oak Trees.ipynb": "oak_trees",
    "Leaves": "leaves",
    "my-lab": "my_lab",
    "2nd": "nd",
    "_helpers": "helpers",
    "class": "class_lab",
    "torch": "torch_lab",
    "random.py": "random_lab",
    "sympy": "sympy_lab",
    "typing_extensions": "typing_extensions_lab",
    "sitecustomize": "sitecustomize_lab",
    "timm": "timm_lab",
    "segment_anything": "segment_anything_lab",
    "leaf_lib": "leaf_lib_lab",
    "NUL": "nul_lab",
    "Bäume": "b_ume",
    "x" * 41: "x" * 40,
    "a; reboot": "a_reboot",
    "\x1b[2J": "j",
    "..": "NAME",
    "": "NAME",
}
"""Names that no lab can have, and what is proposed."""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a package that has the modules of the library, and nothing in them."""
    root = tmp_path / "small"
    (root / "src" / "leaf_lib").mkdir(parents=True)
    (root / "scripts").mkdir()
    (root / "scripts" / "sync_pairs.py").touch()
    for name in LIBRARY:
        (root / "src" / "leaf_lib" / f"{name}.py").touch()
    name_package(root, "leaf_lib")
    monkeypatch.chdir(root)
    return root


def name_package(root: Path, name: str) -> None:
    project = f'[project]\npackage = "{name}"\n' if name else ""
    (root / "lab.toml").write_text(f'{project}[remote]\nalias = "gpu"\nfolder = "x"\n')


def test_name_that_no_lab_can_have_is_refused_with_one_that_it_can(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small / "requirements.lock").write_text("segment-anything==1.0\ntimm==1.0.9\n")
    for name, proposed in REFUSED.items():
        assert cli.main(["new", "--kind", "table", "--", name]) == 2, name
        said = capsys.readouterr().err
        assert f"Next: lab new {proposed} --kind table\n" in said, (name, said)
        assert said.isprintable() or "\x1b" not in said
    assert not (small / "labs").exists()


@pytest.mark.parametrize("there", ["leaves.py", "leaves.ipynb", "Leaves.py"])
def test_what_is_there_is_never_replaced(
    small: Path, there: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (small / "labs").mkdir()
    (small / "labs" / there).write_text("mine")
    assert cli.main(["new", "leaves"]) == 2
    assert f"labs/ already has '{there}'. Nothing was changed." in capsys.readouterr().err
    assert [path.read_text() for path in (small / "labs").iterdir()] == ["mine"]


def test_lab_of_each_kind_imports_the_package_that_lab_toml_names(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (small / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(small / "deep" / "er")
    for name, kind in KINDS.items():
        assert cli.main(["new", name, "--kind", kind]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"Written: labs/{name}.py and its notebook\n")
        assert said.endswith(f"Next: lab run labs/{name}.py --push-dirty\n")
        script = (small / "labs" / f"{name}.py").read_text()
        assert "from leaf_lib" in script
        assert "@" not in script
        assert json.loads((small / "labs" / f"{name}.ipynb").read_text())["cells"]
    assert {path.stat().st_mode & 0o044 for path in (small / "labs").iterdir()} == {0o044}


def test_repository_without_the_library_gets_a_lab_that_needs_none(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small / "scripts" / "sync_pairs.py").unlink()
    for package in ("", "renamed_elsewhere"):
        name_package(small, package)
        assert cli.main(["new", "leaves"]) == 1
        said = capsys.readouterr().err
        assert "imports data, evaluation, plots, runs, training from" in said
        assert "Next: lab new leaves --kind empty" in said
    assert cli.main(["new", "notes", "--kind", "empty"]) == 0
    assert capsys.readouterr().out.startswith("Written: labs/notes.py\n")
    done = subprocess.run([sys.executable, "-I", "labs/notes.py"], capture_output=True, text=True)
    assert "The mean of 100 random numbers" in done.stdout, done.stderr
    assert "parameters" in json.loads(Path("outputs/notes/metrics.json").read_text())


def test_labs_that_lead_elsewhere_or_are_a_file_are_left_alone(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (small / "labs").symlink_to(tmp_path / "elsewhere")
    assert cli.main(["new", "leaves"]) == 1
    assert "leads out of the project" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())
    (small / "labs").unlink()
    (small / "labs").write_text("mine")
    assert cli.main(["new", "leaves"]) == 1
    assert "could not be written" in capsys.readouterr().err
    assert (small / "labs").read_text() == "mine"


# --- in a generated project, really


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> BakedProject:
    """Return a project without the sample labs, and with a lab of each kind."""
    folder = tmp_path_factory.mktemp("own")
    project = bake_project(folder, home=folder / "home")
    install_far(project)
    readme = project.read("README.md")
    (remove,) = re.findall(r"(?m)^git rm .*$", readme)
    project.run(*shlex.split(remove))
    for path in (project.path / "labs").glob("*.ipynb"):
        path.unlink()
    for name, kind in KINDS.items():
        project.run(sys.executable, "lab.py", "new", name, "--kind", kind)
    return project


@pytest.fixture(scope="module")
def ready(project: BakedProject) -> LabEnvironment:
    """Return the shared environment, with this project's package in it."""
    return layered(project, lab_environment())


def lint(project: BakedProject, *checks: str) -> None:
    for check in checks:
        caches = f"--cache-dir={TEMPLATE_ROOT}/build/cache/{check.partition(' ')[0]}-own"
        project.run(sys.executable, "-m", *check.split(), caches)


def texts(project: BakedProject) -> dict[str, str]:
    """Return every file that git has, but the licence, by its name."""
    names = project.run("git", "ls-files", "--cached", "--others", "--exclude-standard").stdout
    return {name: project.read(name) for name in names.splitlines() if name != "LICENSE"}


@pytest.mark.slow
def test_nothing_names_the_sample_labs_once_they_are_removed(project: BakedProject) -> None:
    found = texts(project)
    before, _, rest = found["README.md"].partition("## The sample labs\n")
    found["README.md"] = before + rest.partition("\n## ")[2]
    assert [name for name, text in found.items() if SAMPLES.search(text)] == []
    named = re.findall(r"\b(?:labs|src|tests|scripts)/[a-z_/]+\.(?:py|sh)\b", "\n".join(found))
    assert [path for path in named if not (project.path / path).exists()] == []
    assert Project(root=project.path).example == f"labs/{[*KINDS][-1]}.py"  # the newest
    for command in ("run", "up", "code"):
        said = project.run(sys.executable, "lab.py", command, "--help").stdout
        assert not SAMPLES.search(said), command


@pytest.mark.slow
def test_project_without_the_sample_labs_passes_its_tests_and_its_linter(
    project: BakedProject, ready: LabEnvironment
) -> None:
    lint(project, "ruff check", "ruff format --diff")
    # Those of training in several processes take long, import nothing that was removed, and run in
    # tests/bake/test_matrix.py.
    left_out = [f"--ignore=tests/test_{name}.py" for name in ("checkpoints", "distributed")]
    done = project.run(ready.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *left_out)
    assert " passed" in done.stdout


@pytest.mark.slow
def test_pairs_are_as_jupytext_makes_them(project: BakedProject, ready: LabEnvironment) -> None:
    halves = sorted((project.path / "labs").iterdir())
    assert len(halves) == 2 * len(KINDS)
    before = [path.read_bytes() for path in halves]
    said = project.run(ready.python, "scripts/sync_pairs.py").stdout
    assert said.count(": in step") == len(KINDS)
    project.run(ready.python, "scripts/sync_pairs.py", "--keep", "script")
    assert [path.read_bytes() for path in halves] == before


@pytest.mark.slow
def test_every_lab_runs_at_once_as_in_ci_and_in_the_editor(
    project: BakedProject, ready: LabEnvironment
) -> None:
    far = (ready.python, ".lab/far/current", "labs")
    done = project.run(*far)
    for name, kind in KINDS.items():
        (folder,) = (project.path / "outputs" / name).iterdir()
        metrics = json.loads((folder / "metrics.json").read_text())
        made = {path.stem for path in folder.glob("*.png")}
        assert f"All cells of {name}.py ran" in done.stdout
        if kind != "empty":
            assert 0.9 < metrics["accuracy"] <= 1, name
            assert "confusion-matrix" in made
        if kind == "images":
            assert {"samples", "class-counts", "learning-curves", "mistakes"} <= made
            assert (folder / "mistakes.csv").is_file()


ODD_TABLES = {
    "utf-16": ("a,kind\n1,x\n".encode("utf-16"), "cannot be read as a CSV file"),
    "nothing": (b"", "cannot be read as a CSV file"),
    "only the target": (b"kind\n" + b"x\ny\n" * 9, "no column to predict 'kind' from"),
}
READABLE_TABLES = {
    "semicolons": b"a;kind\n" + b"7,25;x\n8,5;y\n" * 9,
    "tabs": b"a\tkind\n" + b"7.25\tx\n8.5\ty\n" * 9,
    "blanks": b"a, kind\n" + b"7.25, x\n8.5, y\n" * 9,
}
# The cells up to the training, for each of several tables, in one process that imports once.
FIRST_CELLS = """
import json, sys
paths, sys.argv[1:] = sys.argv[1:], []
text = open("labs/houses.py").read().partition("# ## Training")[0]
for path in paths:
    try:
        exec(text.replace('table = ""', f"table = {path!r}"), {"__name__": "lab"})
    except ValueError as error:
        sys.exit(f"{path}: {error!r}")
    except Exception as error:
        print(json.dumps([path, type(error).__name__, str(error)]))
"""


@pytest.mark.slow
def test_table_that_cannot_be_learned_from_is_told_in_a_sentence(
    project: BakedProject, ready: LabEnvironment, tmp_path: Path
) -> None:
    paths = {str(tmp_path / f"{name}.csv"): name for name in ODD_TABLES}
    for path, name in paths.items():
        Path(path).write_bytes(ODD_TABLES[name][0])
    readable = [tmp_path / f"{name}.csv" for name in READABLE_TABLES]
    for file, content in zip(readable, READABLE_TABLES.values(), strict=True):
        file.write_bytes(content)
    words = [*paths, *map(str, readable)]
    done = project.run(
        ready.python, "-c", FIRST_CELLS, *words, LAB_OUTPUT_DIR=str(tmp_path / "out")
    )
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert done.stdout.count("7.25") == 3 * len(readable)  # in the first five rows
    assert len(said) == len(paths)
    for path, kind, message in said:
        assert kind in ("DataError", "ParameterError")
        assert ODD_TABLES[paths[path]][1] in message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kinds", "column", "target"), [(2, "in_$_out_$_x", "$_$^"), (50, "a", "b")]
)
def test_small_table_is_learned_from_whatever_its_names(
    project: BakedProject,
    ready: LabEnvironment,
    tmp_path: Path,
    kinds: int,
    column: str,
    target: str,
) -> None:
    rows = [f"{number % kinds},kind {number % kinds}$_$" for number in range(5 * kinds)]
    (tmp_path / "small.csv").write_text("\n".join([f"{column},{target}", *rows, ""]))
    options = ("-p", "table", str(tmp_path / "small.csv"), "-p", "target", target)
    done = project.run(ready.python, "labs/houses.py", *options, LAB_OUTPUT_DIR=str(tmp_path))
    assert "Written: " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lab", "name", "value", "complaint"),
    [
        ("houses", "test_share", "0", "must leave a row of each of 3 classes"),
        ("houses", "test_share", "1", "must leave a row of each of 3 classes"),
        ("houses", "trees", "0", "trees must be at least 1"),
        ("leaves", "size", "14", "size = 14 must be at least 15"),
    ],
)
def test_setting_that_cannot_be_is_told_in_a_sentence(
    project: BakedProject,
    ready: LabEnvironment,
    tmp_path: Path,
    lab: str,
    name: str,
    value: str,
    complaint: str,
) -> None:
    command = (ready.python, f"labs/{lab}.py", "-p", name, value)
    done = project.run(*command, check=False, LAB_OUTPUT_DIR=str(tmp_path))
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_all_cells_of_every_lab_run_in_the_editor(
    project: BakedProject, ready: LabEnvironment
) -> None:
    paths = sorted((project.path / "labs").glob("*.py"))
    texts = [path.read_text(encoding="utf-8").replace("epochs = 6", "epochs = 1") for path in paths]
    done = project.run(ready.python, *in_a_kernel(*texts))
    assert "images that it has never seen" in done.stdout
    for name in KINDS:
        assert len(list((project.path / "outputs" / name).iterdir())) == 2


@pytest.mark.slow
def test_package_is_renamed_by_git_mv_and_the_lines_that_the_page_names(
    project: BakedProject, ready: LabEnvironment
) -> None:
    old, new = project.package, "the_library_of_all_leaves_that_fall_here_in_autumn"
    page = (TEMPLATE_ROOT / "docs" / "project.md").read_text(encoding="utf-8")
    assert "`git mv src/OLD src/NEW`" in page
    assert "`git grep -w OLD` lists them" in page
    project.run("git", "add", ".")
    project.run("git", "mv", f"src/{old}", f"src/{new}")
    for name, line in (("lab.toml", f'package = "{old}"'), ("pyproject.toml", f'"src/{old}"')):
        replace(project.path / name, re.escape(line), line.replace(old, new))
    for folder in ("labs", "tests"):
        for path in (project.path / folder).glob("*.py"):
            replace(path, rf"(?m)^from {old}\b", f"from {new}")
    named = project.run("git", "grep", "-lw", old, check=False).stdout.splitlines()
    assert named == ["README.md"]
    project.run(sys.executable, "lab.py", "new", "trees", "--kind", "table")
    lint(project, "ruff check labs/trees.py", "ruff format --diff labs/trees.py")
    lint(project, "ruff format", "ruff check", "mypy")
    tests = (ready.python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    project.run(*tests, "--collect-only")
    done = project.run(*tests, *(f"tests/test_{name}.py" for name in ("data", "plots", "project")))
    assert " passed" in done.stdout
    project.run(ready.python, ".lab/far/current", "headless", "labs/notes.py")


def replace(path: Path, pattern: str, text: str) -> None:
    path.write_text(re.sub(pattern, text, path.read_text()), encoding="utf-8")
