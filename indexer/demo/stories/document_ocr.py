"""Documents: an older repository with artifacts.yaml and MLEM metadata, and with the
odd tags that years of scripts leave behind."""

from __future__ import annotations

from indexer.demo.people import JONAS, LENA, SADE
from indexer.demo.pipelines import Value, json_text, yaml_text
from indexer.demo.story import DemoRepository, Story

COLUMNS = ("left", "top", "width", "height", "confidence")


def _artifacts(receipts: bool) -> str:
    artifacts: dict[str, Value] = {
        "invoice-ocr": {
            "path": "models/invoice-ocr",
            "type": "model",
            "description": "Reads supplier, date, total and VAT from scanned invoices.",
            "labels": ["documents", "vision", "mlem"],
        },
        "layout-detector": {
            "path": "models/layout-detector",
            "type": "model",
            "description": "Finds tables, stamps and signatures on a page.",
            "labels": ["documents", "vision", "mlem"],
        },
    }
    if receipts:
        artifacts["receipt-samples"] = {
            "path": "data/receipts",
            "type": "dataset",
            "description": "Nine hundred photographed receipts with their text.",
            "labels": ["documents"],
        }
    return yaml_text(artifacts)


def _mlem(name: str, size: int, version: str, method: str = "predict") -> str:
    """The metadata that MLEM keeps beside a saved model."""
    return yaml_text(
        {
            "artifacts": {
                "data": {"hash": f"{size:08x}" * 4, "size": size, "uri": name}
            },
            "call_orders": {method: [["model", method]]},
            "object_type": "model",
            "processors": {
                "model": {
                    "methods": {
                        method: {
                            "args": [
                                {
                                    "name": "boxes",
                                    "type_": {
                                        "columns": list(COLUMNS),
                                        "dtypes": ["float64"] * len(COLUMNS),
                                        "index_cols": [],
                                        "type": "dataframe",
                                    },
                                }
                            ],
                            "name": method,
                            "returns": {
                                "dtype": "int64",
                                "shape": [None],
                                "type": "ndarray",
                            },
                        }
                    },
                    "type": "sklearn",
                }
            },
            "requirements": [
                {
                    "module": "sklearn",
                    "package_name": "scikit-learn",
                    "version": version,
                },
                {"module": "pandas", "version": "2.2.3"},
                {"module": "numpy", "version": "1.26.4"},
            ],
        }
    )


def _run(cer: float, size: int, version: str) -> dict[str, str]:
    return {
        "models/invoice-ocr.mlem": _mlem("invoice-ocr", size, version),
        "metrics/invoice-ocr.json": json_text(
            {
                "character_error_rate": cer,
                "fields": {
                    "supplier": round(1 - cer * 1.9, 4),
                    "date": round(1 - cer * 1.2, 4),
                    "total": round(1 - cer * 0.8, 4),
                    "vat": round(1 - cer * 2.3, 4),
                },
            }
        ),
    }


def tell(story: Story) -> None:
    """A year of it."""
    story.on(349)
    story.commit(
        JONAS,
        "Save the invoice reader with MLEM",
        {
            "README.md": "# Document OCR\n\nInvoices, receipts, layouts.\n",
            "artifacts.yaml": _artifacts(receipts=False),
            ".mlem.yaml": yaml_text({"core": {"state": {"uri": ".mlem/state"}}}),
            **_run(0.0812, 48_213_004, "1.3.2"),
        },
    )
    story.register("invoice-ocr", "v1.0.0", JONAS)
    story.assign("invoice-ocr", "v1.0.0", "staging", JONAS)
    story.on(327)
    story.assign("invoice-ocr", "v1.0.0", "production", LENA, "Accounting signed off")
    story.on(263)
    story.commit(
        SADE,
        "Find the layout before reading",
        {
            "models/layout-detector.mlem": _mlem(
                "layout-detector", 9_120_771, "1.4.2", "detect"
            ),
            "metrics/layout-detector.json": json_text({"map50": 0.884}),
            **_run(0.0598, 48_990_120, "1.4.2"),
        },
    )
    story.register("layout-detector", "v0.1.0", SADE, "Tables and stamps")
    story.register("invoice-ocr", "v1.1.0", SADE, "Reads inside detected fields only")
    story.assign("invoice-ocr", "v1.1.0", "staging", SADE)
    story.assign("layout-detector", "v0.1.0", "staging", SADE)
    story.on(249)
    story.assign("invoice-ocr", "v1.1.0", "production", LENA, "DOC-58")
    story.assign("layout-detector", "v0.1.0", "production", LENA, "DOC-58")
    story.on(226)
    # What old release scripts leave behind: tags that say nothing to GTO, and one
    # that says something else than its name. They harm nothing else.
    story.lightweight_tag("invoice-ocr@v1.1.1")
    story.tag("nightly-2201", JONAS, "Nightly build")
    story.tag("invoice-ocr@1.1.2", JONAS, "Somebody forgot the v")
    story.copy_tag("layout-detector@v0.1.0-approved", "layout-detector@v0.1.0")
    story.on(180)
    story.commit(
        SADE,
        "Collect receipts",
        {"artifacts.yaml": _artifacts(receipts=True), "data/.gitignore": "/receipts\n"},
    )
    story.register("receipt-ocr", "v0.0.1", SADE, "A trial nobody annotated yet")
    story.assign("receipt-ocr", "v0.0.1", "dev", SADE)
    story.on(104)
    story.commit(JONAS, "Train on rotated scans", _run(0.0441, 51_004_337, "1.5.1"))
    story.register("invoice-ocr", "v1.2.0", JONAS, "Rotated and skewed pages")
    story.assign("invoice-ocr", "v1.2.0", "staging", JONAS)
    story.on(95)
    story.assign("invoice-ocr", "v1.2.0", "production", LENA, "DOC-71")
    story.on(29)
    story.commit(
        SADE,
        "Find signatures, too",
        {
            "models/layout-detector.mlem": _mlem(
                "layout-detector", 9_730_118, "1.5.1", "detect"
            ),
            "metrics/layout-detector.json": json_text({"map50": 0.911}),
        },
    )
    story.register("layout-detector", "v0.2.0", SADE, "Signatures")
    story.assign("layout-detector", "v0.2.0", "staging", SADE)
    story.on(7)
    story.assign("layout-detector", "v0.2.0", "production", LENA, "DOC-83")


REPOSITORY = DemoRepository(
    "demo/document-ocr", "Reads invoices and receipts; kept with MLEM", tell
)
