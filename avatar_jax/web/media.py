"""Files of one folder, served under neutral names, with ranges so that players can seek."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse


class Media:
    """A fixed list of files below `root`. Nothing else can be asked for: requests name a digest, never a path.

    Names tell neither folder nor model; with another `salt` they are others.

    Raises:
        ValueError: a file that lies elsewhere, by `..` or through a link, or is no file.
    """

    def __init__(self, root: Path, files: Iterable[Path], salt: str = ""):
        self.root = root.resolve()
        self.files: dict[str, Path] = {}
        self.names: dict[Path, str] = {}
        for path in files:
            inside = self._inside(path)
            if inside is None:
                raise ValueError(f"{path} is not a file inside {self.root}")
            name = hashlib.sha256(f"{salt}\0{inside.relative_to(self.root)}".encode(errors="surrogateescape"))
            self.names[path] = name.hexdigest()[:20]
            self.files[self.names[path]] = path

    def _inside(self, path: Path) -> Path | None:
        real = path.resolve()
        return real if real.is_file() and real.is_relative_to(self.root) else None

    def name(self, path: Path) -> str:
        """What a page calls the file."""
        return self.names[path]

    async def serve(self, request: Request) -> FileResponse:
        """Starlette endpoint of a route with `{name}`: the file or a range of it; 404 for all else."""
        path = self.files.get(request.path_params["name"])
        # Looked up again: a file may have been replaced by a link since the server began.
        real = None if path is None else self._inside(path)
        if path is None or real is None:
            raise HTTPException(404)
        kinds = {".mp4": "video/mp4", ".webm": "video/webm", ".png": "image/png", ".wav": "audio/wav"}
        kind = kinds.get(path.suffix.lower(), "application/octet-stream")
        return FileResponse(real, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})
