"""What pages on which people judge videos share: media by neutral names, who may come in, votes that are never lost.

Needs the `review` extra (Starlette, uvicorn); nothing that samples or trains imports this package.
"""
