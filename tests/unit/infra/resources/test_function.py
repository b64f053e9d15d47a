import io
import zipfile
from pathlib import Path

from infra.resources.function import pack


def test_the_same_code_gives_the_same_archive(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("x = 1\n")
    (tmp_path / "two.py").write_text("x = 1\n")
    (tmp_path / "three.py").write_text("x = 2\n")
    one, two, three = (pack(tmp_path / f"{name}.py") for name in ("one", "two", "three"))
    assert one == two != three
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert archive.namelist() == ["handler.py"]
        assert archive.read("handler.py") == b"x = 1\n"
        assert archive.infolist()[0].external_attr >> 16 == 0o644
