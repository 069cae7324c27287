"""The notebook of examples/ runs, and shows pictures."""

from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")


def test_the_notebook_runs(tmp_path):
    import nbformat

    notebook = nbformat.read(Path(__file__).parents[2] / "examples" / "python.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 2
    assert any("text/html" in output.get("data", {}) for output in shown)
