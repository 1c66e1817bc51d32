"""Generates tradebook.v1 from the protocol files when the package is built."""

import pathlib
import subprocess
import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProtocolFiles(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = pathlib.Path(self.root)
        # A source distribution brings them along.
        proto = next(folder for folder in (root / "proto", root.parents[1] / "proto") if folder.is_dir())
        source = root / "src"
        files = sorted(str(file.relative_to(proto)) for file in proto.glob("tradebook/v1/*.proto"))
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--proto_path={proto}",
                *(f"--{kind}_out={source}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")),
                *files,
            ],
            check=True,
        )
        (source / "tradebook" / "v1" / "__init__.py").write_text(
            '"""Messages and stubs of the protocol files."""\n'
        )
