"""The demonstration, twice in a row on a server of its own, judged by independent programs."""

import os
import subprocess
import sys
from pathlib import Path

import pypdf
import pypdfium2
import pytest
import zxingcpp

from tests import programs

ROOT = Path(__file__).parent.parent
_QR_CODE = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
_RUN = "from tests import conftest, demo; demo.main(9)"  # with cheap secrets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two runs left behind."""
    folder = tmp_path_factory.mktemp("demonstration") / "var"
    for count in (18, 36):
        said = _run(folder)
        assert f"{count} 份查验有效" in said
        assert "空白证书账实相符" in said
    return folder


def test_two_runs_leave_certificates_secrets_for_one_reader_and_no_server(folder: Path) -> None:
    pdfs = [path.stem for path in folder.glob("demo/*/*.pdf")]
    assert (len(pdfs), len(set(pdfs))) == (36, 36)
    secrets = list(folder.glob("*.secret"))
    assert len(secrets) == 8
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
    assert not _servers(folder)


def test_paper_is_printed_in_two_rounds_and_its_forms_are_written(folder: Path) -> None:
    for turn in (1, 2):
        rounds = [len(pypdf.PdfReader(folder / f"demo/套打-{turn}-{place}.pdf").pages)
                  for place in (1, 2)]  # fmt: skip
        assert rounds == [9, 2]
        for form in ("证书申领表", "领取签收表", "套打预览", "台账"):
            assert pypdf.PdfReader(folder / f"demo/{form}-{turn}.pdf").pages
        assert (folder / f"demo/台账-{turn}.xlsx").exists()


def test_what_was_wrong_is_shown_where_it_stands_and_joined_its_batch_when_mended(
    folder: Path,
) -> None:
    (refused,) = folder.glob("demo/成都成绩表-1-标注.xlsx")
    assert refused.stat().st_size > 5000
    left_out = (folder / "demo/阿坝成绩表-1-标注.csv").read_text("gb18030")
    assert "错误说明（8 处，在 6 行" in left_out


def test_faces_show_a_photo_where_there_is_one(folder: Path) -> None:
    pictures = [_photo_count(path) for path in sorted(folder.glob("demo/1-*/*.pdf"))]
    assert pictures == [0, *[1] * 8]


def test_the_qr_code_of_every_page_is_read_by_an_independent_reader(folder: Path) -> None:
    texts = {_qr_of(path) for path in folder.glob("demo/*/*.pdf")}
    assert len(texts) == 36
    assert all(text.startswith("https://localhost:8080/v/") for text in texts)


def test_pdfsig_calls_every_signature_valid_and_every_document_signed(folder: Path) -> None:
    programs.require("pdfsig", "poppler-utils")
    for pdf in folder.glob("demo/*/*.pdf"):
        said = subprocess.run(
            ["pdfsig", "-nocert", pdf], capture_output=True, text=True, check=True
        ).stdout
        assert said.count("Signature #") == 1
        assert "Signature is Valid" in said
        assert "Total document signed" in said


def _run(folder: Path) -> str:
    """Run the demonstration with nine rows a city; what it says is what a person sees."""
    environment = {name: value for name, value in os.environ.items() if "QIANFA" not in name}
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        cwd=ROOT,
        env=environment | {"QIANFA_VAR": str(folder), "QIANFA_PROCESSES": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _photo_count(pdf: Path) -> int:
    with pypdfium2.PdfDocument(pdf) as document:
        kinds = [pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
        return sum(1 for _ in document[0].get_objects(filter=kinds))


def _qr_of(pdf: Path) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        picture = document[0].render(scale=150 / 72, grayscale=True).to_pil()
    (code,) = zxingcpp.read_barcodes(picture, _QR_CODE)
    return str(code.text)


def _servers(folder: Path) -> list[str]:
    """Return the command lines of servers that still run under a folder."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            lines.append(line)
    return lines
