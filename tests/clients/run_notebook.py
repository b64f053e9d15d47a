"""Runs cells of a notebook as Jupyter does, and prints what they print.

It runs in the environment `notebook`, in the folder in which it is started. `--ends-only` runs the cell of the
settings and the clean-up, as after a cell that failed; `--break N` makes the N-th cell of code fail.
"""

import argparse

import nbclient
import nbformat

CELL_LIMIT_S = 1200


def main() -> None:
    """Ends with an error when a cell fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("notebook")
    parser.add_argument("--break", dest="broken", type=int)
    parser.add_argument("--ends-only", action="store_true")
    options = parser.parse_args()
    notebook = nbformat.read(options.notebook, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if options.ends_only:
        notebook.cells = code = [code[0], code[-1]]
    if options.broken is not None:
        code[options.broken].source = "raise RuntimeError('broken by the test')"
    try:
        nbclient.NotebookClient(notebook, timeout=CELL_LIMIT_S, kernel_name="python3").execute()
    finally:
        for number, cell in enumerate(code):
            print(f"--- cell {number}")
            for output in cell.outputs:
                kinds = " ".join(output.get("data", {}))
                print(output.get("text") or kinds or output.get("evalue", ""))


if __name__ == "__main__":
    main()
